//! The LimitRanges among manifests. In a cluster the API server applies their defaults before it
//! calls the webhook; `inject` and `explain` do the same to the Pod that they process, so the
//! injected containers get the same limits and ratios as in the cluster. The manifest's own
//! containers are never changed.

use std::collections::BTreeMap;

use inject::InternalError;
use inject::Namespace;
use inject::PREFIX;
use inject::Quantity;
use inject::Review;
use inject::Role;
use inject::Settings;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Quantities by resource name.
type Amounts = BTreeMap<String, Quantity>;

/// One item of a LimitRange.
#[derive(Clone, Debug)]
struct Item {
    /// The LimitRange, `NAMESPACE/NAME`.
    of: String,
    /// `Container` or `Pod`.
    kind: String,
    fields: BTreeMap<&'static str, Amounts>,
}

/// The limits of one namespace.
#[derive(Clone, Debug, Default)]
pub struct LimitRanges(Vec<Item>);

const FIELDS: [&str; 5] = [
    "default",
    "defaultRequest",
    "max",
    "maxLimitRequestRatio",
    "min",
];

impl LimitRanges {
    /// The LimitRanges of a namespace among objects. An invalid quantity is ignored here; the API
    /// server rejects it.
    pub fn of_namespace<'a>(name: &str, objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let objects = objects.into_iter().filter(|object| {
            object["kind"] == "LimitRange"
                && object["apiVersion"] == "v1"
                && object["metadata"]["namespace"] == name
        });
        let items = objects.flat_map(|object| {
            let own = object["metadata"]["name"].as_str().unwrap_or_default();
            let items = object["spec"]["limits"].as_array().into_iter().flatten();
            items.map(move |item| Item {
                of: format!("{name}/{own}"),
                kind: item["type"].as_str().unwrap_or_default().to_owned(),
                fields: FIELDS.map(|field| (field, amounts(&item[field]))).into(),
            })
        });
        Self(items.collect())
    }

    /// A Pod with the defaults that the API server applies before it calls the webhook; the
    /// injected containers stay unchanged.
    pub fn defaulted(&self, pod: &Value) -> Value {
        let mut pod = pod.clone();
        if self.0.is_empty() || pod.pointer("/spec/resources").is_some() {
            return pod;
        }
        for container in containers_mut(&mut pod).filter(|own| !is_ours(own)) {
            let mut limits = object(&container["resources"]["limits"]);
            let mut requests = object(&container["resources"]["requests"]);
            fill(&mut requests, &limits);
            for item in self.0.iter().filter(|item| item.kind == "Container") {
                // The API server's order: a maximum is a default limit, which is a default request;
                // so is a minimum.
                fill(&mut limits, &json_of(&item.fields["default"]));
                fill(&mut limits, &json_of(&item.fields["max"]));
                for field in ["defaultRequest", "default", "max", "min"] {
                    fill(&mut requests, &json_of(&item.fields[field]));
                }
            }
            for (key, amounts) in [("limits", limits), ("requests", requests)] {
                if !amounts.is_empty() && container.is_object() {
                    container["resources"][key] = Value::Object(amounts);
                }
            }
        }
        pod
    }

    /// Restores the `resources` of a Pod's containers from the manifest.
    pub fn restore(&self, pod: &mut Value, manifest: &Value) {
        for list in LISTS {
            let theirs = manifest.pointer(list).and_then(Value::as_array);
            let theirs: Vec<&Value> = theirs.into_iter().flatten().collect();
            let own = pod.pointer_mut(list).and_then(Value::as_array_mut);
            for container in own.into_iter().flatten().filter(|own| !is_ours(own)) {
                let same = theirs.iter().find(|own| own["name"] == container["name"]);
                let (Some(same), Some(container)) = (same, container.as_object_mut()) else {
                    continue;
                };
                match same.get("resources") {
                    Some(resources) => {
                        container.insert("resources".to_owned(), resources.clone());
                    }
                    None => {
                        container.remove("resources");
                    }
                }
            }
        }
    }

    /// The messages about an injection that the API server would reject.
    pub fn refused_injection(
        &self,
        review: &Review,
        (settings, namespace): (&Settings, &Namespace),
    ) -> Result<Vec<String>, InternalError> {
        let mut pod = review.object().clone();
        if !self.0.is_empty()
            && let Some(patch) = inject::answer(review, settings, namespace)?.patch
        {
            json_patch::patch(&mut pod, &patch)
                .map_err(|error| InternalError::Patch(Box::new(error)))?;
        }
        Ok(self.refused(&pod))
    }

    /// The messages about injected containers that the API server would reject, each with the
    /// annotation that helps.
    pub fn refused(&self, pod: &Value) -> Vec<String> {
        let mut sentences = Vec::new();
        for item in &self.0 {
            match item.kind.as_str() {
                "Container" => {
                    for container in containers(pod).filter(|own| is_ours(own)) {
                        sentences.extend(item.refused_container(container));
                    }
                }
                "Pod" => sentences.extend(item.refused_pod(pod)),
                _ => {}
            }
        }
        sentences
    }
}

impl Item {
    fn refused_container(&self, container: &Value) -> Vec<String> {
        let name = container["name"].as_str().unwrap_or_default();
        let [limits, requests] =
            ["limits", "requests"].map(|list| amounts(&container["resources"][list]));
        let mut sentences = Vec::new();
        let mut add = |list: &str, resource: &str, problem: String| {
            let subject = format!("container {name}: {problem}");
            sentences.push(self.sentence(&subject, list, resource));
        };
        for (resource, least) in &self.fields["min"] {
            if let Some(own) = requests.get(resource).filter(|own| *own < least) {
                add(
                    "requests",
                    resource,
                    format!("the request of {resource} is {own}, below min ({least})"),
                );
            }
        }
        for (resource, most) in &self.fields["max"] {
            if let Some(own) = limits.get(resource).filter(|own| *own > most) {
                add(
                    "limits",
                    resource,
                    format!("the limit of {resource} is {own}, above max ({most})"),
                );
            }
        }
        for (resource, most) in &self.fields["maxLimitRequestRatio"] {
            let pair = (limits.get(resource), requests.get(resource));
            if let (Some(limit), Some(request)) = pair
                && exceeds(limit, request, most)
            {
                add(
                    "requests",
                    resource,
                    format!(
                        "the limit of {resource}, {limit}, is more than {most} times its request, \
                         {request} (maxLimitRequestRatio)"
                    ),
                );
            }
        }
        sentences
    }

    /// The messages about limits of the whole Pod, if it fits without the injected containers only.
    fn refused_pod(&self, pod: &Value) -> Vec<String> {
        let sum = |list: &str, resource: &str, with_ours: bool| -> f64 {
            let running = containers(pod).filter(|own| {
                let is_init = has_in(pod, LISTS[0], own) && own["restartPolicy"] != "Always";
                !is_init && (with_ours || !is_ours(own))
            });
            let own = running.filter_map(|own| amounts(&own["resources"][list]).remove(resource));
            own.map(|amount| number(&amount)).sum()
        };
        let mut sentences = Vec::new();
        for (resource, most) in &self.fields["max"] {
            let is_above = |with_ours| sum("limits", resource, with_ours) > number(most);
            if is_above(true) && !is_above(false) {
                let subject =
                    format!("the Pod's limits of {resource} add up to more than max ({most})");
                sentences.push(self.sentence(&subject, "limits", resource));
            }
        }
        for (resource, most) in &self.fields["maxLimitRequestRatio"] {
            let is_above = |with_ours| {
                let limits = sum("limits", resource, with_ours);
                limits > sum("requests", resource, with_ours) * number(most) * ROUNDING
            };
            if is_above(true) && !is_above(false) {
                let subject = format!(
                    "the Pod's limits of {resource} are more than {most} times its requests \
                     (maxLimitRequestRatio)"
                );
                sentences.push(self.sentence(&subject, "requests", resource));
            }
        }
        sentences
    }

    fn sentence(&self, subject: &str, list: &str, resource: &str) -> String {
        let Self { of, .. } = self;
        format!(
            "LimitRange {of}: {subject}: the API server refuses the Pod; set {PREFIX}resources.{list}.{resource}"
        )
    }
}

/// Tolerance for ratios of quantities, which are exact to fifteen digits.
const ROUNDING: f64 = 1.0 + 1e-9;

/// A quantity in whole units.
fn number(amount: &Quantity) -> f64 {
    amount.ratio_to(&Quantity::millis(1000)).unwrap_or_default()
}

fn exceeds(limit: &Quantity, request: &Quantity, most: &Quantity) -> bool {
    let ratio = limit.ratio_to(request);
    ratio.is_some_and(|ratio| ratio > number(most) * ROUNDING)
}

fn has_in(pod: &Value, list: &str, container: &Value) -> bool {
    let items = pod.pointer(list).and_then(Value::as_array);
    items.is_some_and(|items| items.iter().any(|own| std::ptr::eq(own, container)))
}

const LISTS: [&str; 2] = ["/spec/initContainers", "/spec/containers"];

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = LISTS.into_iter().filter_map(|list| pod.pointer(list));
    lists.filter_map(Value::as_array).flatten()
}

fn containers_mut(pod: &mut Value) -> impl Iterator<Item = &mut Value> {
    let spec = pod.get_mut("spec").and_then(Value::as_object_mut);
    let lists = spec.into_iter().flat_map(Map::iter_mut);
    let lists = lists.filter(|(key, _)| *key == "initContainers" || *key == "containers");
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

fn is_ours(container: &Value) -> bool {
    container["name"]
        .as_str()
        .is_some_and(Role::is_container_name)
}

fn amounts(value: &Value) -> Amounts {
    let amounts = value.as_object().into_iter().flatten();
    let read = |(name, amount): (&String, &Value)| {
        let text = match amount {
            Value::String(text) => text.clone(),
            amount => amount.to_string(),
        };
        Some((name.clone(), text.parse().ok()?))
    };
    amounts.filter_map(read).collect()
}

fn json_of(amounts: &Amounts) -> Map<String, Value> {
    let amounts = amounts.iter();
    amounts
        .map(|(name, amount)| (name.clone(), json!(amount)))
        .collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Adds missing quantities.
fn fill(amounts: &mut Map<String, Value>, defaults: &Map<String, Value>) {
    for (name, amount) in defaults {
        amounts.entry(name).or_insert_with(|| amount.clone());
    }
}
