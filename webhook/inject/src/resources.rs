use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::Quantity;

/// What the operator grants a syncer: requests always, limits only where the Pod's own containers
/// have them too (design: Injection 5).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Unchecked")]
pub struct Resources {
    requests: BTreeMap<String, Quantity>,
    limits: BTreeMap<String, Quantity>,
}

/// Says why requests and limits cannot both be granted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseResourcesError {
    /// A request above its limit: the API server would refuse every injected Pod.
    #[error("{0}: the request is greater than the limit")]
    Inverted(String),
    /// A limit left out: a Guaranteed Pod could not stay one.
    #[error("limits: {0} is missing; both cpu and memory are needed")]
    Missing(&'static str),
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Unchecked {
    requests: BTreeMap<String, Quantity>,
    limits: BTreeMap<String, Quantity>,
}

impl Default for Unchecked {
    fn default() -> Self {
        let Resources { requests, limits } = Resources::default();
        Self { requests, limits }
    }
}

impl TryFrom<Unchecked> for Resources {
    type Error = ParseResourcesError;

    fn try_from(Unchecked { requests, limits }: Unchecked) -> Result<Self, Self::Error> {
        Self::new(requests, limits)
    }
}

impl Default for Resources {
    /// Small requests: an idle syncer is a sleeping process. Limits that the largest clone
    /// survives: `git index-pack` keeps delta bases in memory, and a tight CPU quota would stretch
    /// the first clone that the app waits for.
    fn default() -> Self {
        let pair =
            |cpu, memory| BTreeMap::from([(CPU.to_owned(), cpu), (MEMORY.to_owned(), memory)]);
        Self {
            requests: pair(Quantity::millis(5), Quantity::mebibytes(32)),
            limits: pair(Quantity::millis(1000), Quantity::mebibytes(512)),
        }
    }
}

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const STORAGE: &str = "ephemeral-storage";

/// The least limit of a resource that a first clone gets on with, for Pods whose containers have a limit
/// close to their request, as Guaranteed ones do: what is limited is reserved there for as long as the Pod
/// lives, by a process that sleeps.
///
/// Measured with cgroups, 20,000 files, a pack of 194 MB: a first sync, shallow or whole, ends with 64 MiB
/// of memory as with 512 (most of what is used beyond is page cache), with 1 CPU in 11 to 21 s, with half a
/// one in 29 s, with 100m in 69 s.
fn least(name: &str) -> Quantity {
    match name {
        CPU => Quantity::millis(100),
        MEMORY => Quantity::mebibytes(128),
        _ => Quantity::mebibytes(256),
    }
}

/// What is said of a request above its limit, of whichever field or annotation.
pub(crate) fn inverted(request: &Quantity, limit: &Quantity) -> String {
    format!("the request {request} is above the limit {limit}; {NOT_BELOW}")
}

/// What is accepted beside a request.
pub(crate) const NOT_BELOW: &str = "expected a limit that is not below the request";

impl Resources {
    /// Puts requests and limits together if the API server would take them.
    pub fn new(
        requests: BTreeMap<String, Quantity>,
        limits: BTreeMap<String, Quantity>,
    ) -> Result<Self, ParseResourcesError> {
        for name in [CPU, MEMORY] {
            if !limits.contains_key(name) {
                return Err(ParseResourcesError::Missing(name));
            }
        }
        for (name, request) in &requests {
            if limits.get(name).is_some_and(|limit| limit < request) {
                return Err(ParseResourcesError::Inverted(name.clone()));
            }
        }
        Ok(Self { requests, limits })
    }

    /// Gives the `resources` of a container added to this Pod, with what its author wants otherwise;
    /// `None` for no such field.
    pub(crate) fn for_pod(&self, pod: &PodSpec, wanted: &[Wanted]) -> Option<Value> {
        let (requests, limits) = self.amounts(pod, wanted);
        let mut value = Map::new();
        for (key, amounts) in [("requests", requests), ("limits", limits)] {
            if !amounts.is_empty() {
                value.insert(key.to_owned(), json!(amounts));
            }
        }
        (!value.is_empty()).then_some(Value::Object(value))
    }

    /// A request above its limit: the API server would refuse the Pod.
    pub(crate) fn inverted<'a>(
        &'a self,
        pod: &PodSpec,
        wanted: &'a [Wanted],
    ) -> Option<(&'a str, Quantity, Quantity)> {
        let (requests, mut limits) = self.amounts(pod, wanted);
        requests.into_iter().find_map(|(name, request)| {
            let limit = limits.remove(name)?;
            (request > limit).then_some((name, request, limit))
        })
    }

    /// Tells whether what the author wants makes a Pod of the Guaranteed class one of a lower one.
    pub(crate) fn ends_guarantee(&self, pod: &PodSpec, wanted: &[Wanted]) -> bool {
        let (requests, limits) = self.amounts(pod, wanted);
        is_guaranteed(pod)
            && [CPU, MEMORY]
                .iter()
                .any(|name| requests.get(name) != limits.get(name))
    }

    /// What the author wants for a syncer and the Pod has not for all its containers together, as
    /// `spec.resources` say: the list, the resource, the amount and what there is. The API server
    /// would refuse the Pod (KEP-2837; `validatePodResourceConsistency`).
    pub(crate) fn above_pod<'a>(
        pod: &PodSpec,
        wanted: &'a [Wanted],
        is_sidecar: bool,
    ) -> Option<(&'a Wanted, Quantity)> {
        let of_pod = pod.resources.as_ref()?;
        let read = |amounts: &Option<BTreeMap<String, _>>, name: &str| -> Option<Quantity> {
            let amount: &k8s_openapi::apimachinery::pkg::api::resource::Quantity =
                amounts.as_ref()?.get(name)?;
            amount.0.parse().ok()
        };
        let request = |own: &ResourceRequirements, name: &str| {
            read(&own.requests, name).or_else(|| read(&own.limits, name))
        };
        wanted.iter().find_map(|own| {
            let (list, name, amount) = own;
            let is_limit = *list == "limits";
            // Each container's limit is held to the Pod's.
            let limit = read(&of_pod.limits, name).filter(|_| is_limit);
            if let Some(limit) = limit.filter(|limit| amount > limit) {
                return Some((own, limit));
            }
            // A limit is the request too where that is left out.
            let is_request = |other: &Wanted| other.0 == "requests" && other.1 == *name;
            if is_limit && wanted.iter().any(is_request) {
                return None;
            }
            let whole = request(of_pod, name)?;
            let sidecars = pod.init_containers.iter().flatten();
            let sidecars = sidecars.filter(|own| own.restart_policy.as_deref() == Some("Always"));
            let beside = pod
                .containers
                .iter()
                .chain(sidecars)
                .filter(|_| is_sidecar)
                .filter_map(|own| request(own.resources.as_ref()?, name));
            let left = whole.less(beside);
            (*amount > left).then_some((own, left))
        })
    }

    fn amounts<'a>(&'a self, pod: &PodSpec, wanted: &'a [Wanted]) -> (Amounts<'a>, Amounts<'a>) {
        let (mut requests, mut limits) = self.granted(pod);
        for (list, name, amount) in wanted {
            match *list {
                "limits" => limits.insert(name, amount.clone()),
                _ => requests.insert(name, amount.clone()),
            };
        }
        let is_theirs = |list, name| wanted.iter().any(|own| own.0 == list && own.1 == name);
        // Where request and limit are one, and the author names one of them, so they stay.
        for name in [CPU, MEMORY].into_iter().filter(|_| is_guaranteed(pod)) {
            match (is_theirs("requests", name), is_theirs("limits", name)) {
                (true, false) => limits.insert(name, requests[name].clone()),
                (false, true) => requests.insert(name, limits[name].clone()),
                _ => None,
            };
        }
        // A request of ours follows a limit of theirs.
        for (name, limit) in &limits {
            if is_theirs("requests", name) {
                continue;
            }
            let least = ratio(pod, name).map(|ratio| limit.times(1.0 / ratio, name));
            if let Some(least) = least
                && requests.get(name).is_none_or(|request| *request < least)
            {
                requests.insert(name, least);
            }
            if let Some(request) = requests.get_mut(name)
                && *request > *limit
            {
                *request = limit.clone();
            }
        }
        (requests, limits)
    }

    /// What the operator grants in this Pod.
    fn granted(&self, pod: &PodSpec) -> (Amounts<'_>, Amounts<'_>) {
        // A container's request above the Pod's own is invalid, and the Pod's covers us (KEP-2837).
        if has_own(pod) {
            return (Amounts::new(), Amounts::new());
        }
        let requests = self.requests.iter();
        let requests = requests.map(|(name, amount)| (name.as_str(), amount.clone()));
        let mut limits = Amounts::new();
        // Where the operator says nothing of storage, and all the Pod's containers have a limit of it.
        let storage = Quantity::mebibytes(1024);
        let storage =
            Some((STORAGE, &storage)).filter(|(name, _)| !self.limits.contains_key(*name));
        let own = self.limits.iter().map(|(name, most)| (name.as_str(), most));
        for (name, most) in own.chain(storage) {
            if containers(pod).all(|own| limit(own, name).is_some()) {
                limits.insert(name, self.limit_in(pod, name, most));
            }
        }
        (requests.collect(), limits)
    }

    /// The operator's limit, or less where the Pod's own containers have one so close to their request
    /// that ours would be reserved: then what our request allows, and at least what a clone needs. A
    /// LimitRange that admits the Pod's own containers (`maxLimitRequestRatio`) then admits ours.
    fn limit_in(&self, pod: &PodSpec, name: &str, most: &Quantity) -> Quantity {
        let Some(ratio) = ratio(pod, name) else {
            return most.clone();
        };
        let request = self.requests.get(name);
        let allowed = request.map(|request| request.times(ratio, name));
        let limit = allowed.into_iter().chain(request.cloned());
        let limit = limit.fold(least(name), Quantity::max);
        limit.min(most.clone())
    }
}

/// Amounts by the names of resources.
type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// An amount that the author wants: `requests` or `limits`, the resource, and how much of it.
type Wanted = (&'static str, &'static str, Quantity);

/// Tells whether the Pod has resources of its own, for all its containers together.
pub(crate) fn has_own(pod: &PodSpec) -> bool {
    pod.resources.as_ref().is_some_and(|own| !is_empty(own))
}

/// The class that a Pod has by its containers.
pub(crate) fn is_guaranteed(pod: &PodSpec) -> bool {
    let is_equal = |name: &&str| containers(pod).all(|own| has_equal_limit(own, name));
    !has_own(pod) && [CPU, MEMORY].iter().all(is_equal)
}

fn containers(pod: &PodSpec) -> impl Iterator<Item = Option<&ResourceRequirements>> {
    let inits = pod.init_containers.iter().flatten();
    let all = pod.containers.iter().chain(inits);
    all.map(|container| container.resources.as_ref())
}

fn is_empty(resources: &ResourceRequirements) -> bool {
    [&resources.requests, &resources.limits]
        .iter()
        .all(|amounts| amounts.as_ref().is_none_or(BTreeMap::is_empty))
}

fn limit<'a>(own: Option<&'a ResourceRequirements>, name: &str) -> Option<&'a str> {
    Some(own?.limits.as_ref()?.get(name)?.0.as_str())
}

/// The greatest ratio of limit to request that a container of the Pod has; `None` where one has no limit, or
/// any ratio. A request left out is the limit.
fn ratio(pod: &PodSpec, name: &str) -> Option<f64> {
    let mut greatest = None;
    for own in containers(pod) {
        let limit: Quantity = limit(own, name)?.parse().ok()?;
        let request = own.and_then(|own| own.requests.as_ref()?.get(name));
        let ratio = match request {
            None => 1.0,
            Some(request) => limit.ratio_to(&request.0.parse().ok()?)?.max(1.0),
        };
        greatest = Some(ratio.max(greatest.unwrap_or(1.0)));
    }
    greatest
}

/// The rule of the Guaranteed class for one container and resource; a request left out is the
/// limit (<https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>).
fn has_equal_limit(own: Option<&ResourceRequirements>, name: &str) -> bool {
    let Some(limit) = limit(own, name) else {
        return false;
    };
    let request = own
        .and_then(|own| own.requests.as_ref())
        .and_then(|requests| requests.get(name));
    request.is_none_or(
        |request| match (request.0.parse::<Quantity>(), limit.parse::<Quantity>()) {
            (Ok(request), Ok(limit)) => request == limit,
            _ => request.0 == limit,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: Value) -> PodSpec {
        serde_json::from_value(spec).unwrap()
    }

    fn wanted(list: &'static str, name: &'static str, amount: &str) -> Wanted {
        (list, name, amount.parse().unwrap())
    }

    /// What is left, for an amount that is too much.
    fn left(spec: &PodSpec, wanted: &[Wanted], is_sidecar: bool) -> Option<String> {
        let (_, left) = Resources::above_pod(spec, wanted, is_sidecar)?;
        Some(left.to_string())
    }

    #[test]
    fn what_a_syncer_gets_fits_into_what_the_pod_has() {
        let spec = pod(json!({
            "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}},
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "600m"}}}, {"name": "b"}],
            "initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"limits": {"cpu": "0.1"}}},
                {"name": "i", "resources": {"requests": {"cpu": "1"}}},
            ],
        }));
        let cpu = |list, amount| [wanted(list, "cpu", amount)];
        assert_eq!(left(&spec, &cpu("requests", "300m"), true), None);
        let above = left(&spec, &cpu("requests", "301m"), true);
        assert_eq!(above.as_deref(), Some("300m"));
        // An init container is done before the others begin.
        assert_eq!(left(&spec, &cpu("requests", "1"), false), None);
        assert_eq!(
            left(&spec, &cpu("requests", "1001m"), false).as_deref(),
            Some("1")
        );
        assert_eq!(
            left(&spec, &cpu("limits", "2.5"), false).as_deref(),
            Some("2")
        );
        // A limit alone is a request.
        let above = left(&spec, &cpu("limits", "400m"), true);
        assert_eq!(above.as_deref(), Some("300m"));
        let both = [
            wanted("requests", "cpu", "1m"),
            wanted("limits", "cpu", "2"),
        ];
        assert_eq!(left(&spec, &both, true), None);
        // Of memory the Pod says its limit alone, which is its request then.
        let memory = [wanted("requests", "memory", "1025Mi")];
        assert_eq!(left(&spec, &memory, true).as_deref(), Some("1073741824"));
        let storage = [wanted("requests", "ephemeral-storage", "1Ti")];
        assert_eq!(left(&spec, &storage, true), None);
        let without = pod(json!({"containers": []}));
        assert_eq!(left(&without, &memory, true), None);
    }

    /// What the operator's defaults become in a Pod of one container with these: `request limit` of each.
    fn granted(requests: Value, limits: Value) -> BTreeMap<String, (String, String)> {
        let resources = Resources::default();
        let pod = pod(json!({"containers": [
            {"name": "a", "resources": {"requests": requests, "limits": limits}},
        ]}));
        let (requests, limits) = resources.amounts(&pod, &[]);
        let text = |amount: Option<&Quantity>| amount.map(Quantity::to_string).unwrap_or_default();
        let names: Vec<&str> = requests.keys().chain(limits.keys()).copied().collect();
        let each = names.into_iter().map(|name| {
            let both = (text(requests.get(name)), text(limits.get(name)));
            (name.to_owned(), both)
        });
        each.collect()
    }

    fn both(request: &str, limit: &str) -> (String, String) {
        (request.to_owned(), limit.to_owned())
    }

    #[test]
    fn a_guaranteed_pod_reserves_a_fraction_of_our_limits() {
        let own = json!({"cpu": "1", "memory": "1Gi"});
        let found = granted(own.clone(), own);
        assert_eq!(found["cpu"], both("100m", "100m"));
        assert_eq!(found["memory"], both("128Mi", "128Mi"));
        assert_eq!(found.get("ephemeral-storage"), None);
    }

    #[test]
    fn requests_and_limits_keep_the_ratio_of_the_pods_own() {
        // The Pod of a namespace whose LimitRange allows 10 and 4.
        let found = granted(
            json!({"cpu": "100m", "memory": "128Mi"}),
            json!({"cpu": "500m", "memory": "256Mi"}),
        );
        assert_eq!(found["cpu"], both("20m", "100m"));
        assert_eq!(found["memory"], both("64Mi", "128Mi"));
        // What is not divisible is rounded so that the ratio holds.
        let found = granted(
            json!({"cpu": "70m", "memory": "300Mi"}),
            json!({"cpu": "500m", "memory": "1Gi"}),
        );
        assert_eq!(found["cpu"], both("14m", "100m"));
        assert_eq!(found["memory"], both("38Mi", "128Mi"));
        // A wide ratio leaves the operator's; between, the limit is what our request allows.
        let found = granted(
            json!({"cpu": "1m", "memory": "1Mi"}),
            json!({"cpu": "1", "memory": "8Mi"}),
        );
        assert_eq!(found["cpu"], both("5m", "1"));
        assert_eq!(found["memory"], both("32Mi", "256Mi"));
        // One of which nothing is requested has any ratio.
        let found = granted(
            json!({"cpu": "0", "memory": "1Mi"}),
            json!({"cpu": "1", "memory": "1Gi"}),
        );
        assert_eq!(found["cpu"], both("5m", "1"));
        assert_eq!(found["memory"], both("32Mi", "512Mi"));
    }

    #[test]
    fn ephemeral_storage_has_a_limit_where_all_containers_have_one() {
        let found = granted(
            json!({"ephemeral-storage": "200Mi"}),
            json!({"ephemeral-storage": "500Mi"}),
        );
        assert_eq!(found["ephemeral-storage"], both("103Mi", "256Mi"));
        let found = granted(json!({"ephemeral-storage": "200Mi"}), json!({}));
        assert_eq!(found.get("ephemeral-storage"), None);
    }

    #[test]
    fn a_limit_that_the_author_raises_raises_our_request_with_it() {
        let resources = Resources::default();
        let pod = pod(json!({"containers": [{"name": "a", "resources": {
            "requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"},
        }}]}));
        let own = [wanted("limits", "memory", "1Gi")];
        let (requests, limits) = resources.amounts(&pod, &own);
        assert_eq!(requests["memory"].to_string(), "512Mi");
        assert_eq!(limits["memory"].to_string(), "1Gi");
        // What the author says of both counts.
        let own = [
            wanted("limits", "memory", "1Gi"),
            wanted("requests", "memory", "16Mi"),
        ];
        let (requests, _) = resources.amounts(&pod, &own);
        assert_eq!(requests["memory"].to_string(), "16Mi");
    }

    #[test]
    fn a_guaranteed_pod_stays_so_unless_its_author_says_otherwise() {
        let resources = Resources::default();
        let guaranteed = pod(json!({"containers": [
            {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
        ]}));
        for own in [
            vec![],
            vec![wanted("limits", "memory", "2Gi")],
            vec![wanted("limits", "memory", "16Mi")],
            vec![wanted("requests", "cpu", "2")],
            vec![
                wanted("requests", "cpu", "100m"),
                wanted("limits", "cpu", "0.1"),
            ],
        ] {
            assert!(!resources.ends_guarantee(&guaranteed, &own), "{own:?}");
            let (requests, limits) = resources.amounts(&guaranteed, &own);
            assert_eq!(requests, limits, "{own:?}");
            assert_eq!(resources.inverted(&guaranteed, &own), None);
        }
        let own = [
            wanted("requests", "cpu", "100m"),
            wanted("limits", "cpu", "1"),
        ];
        assert!(resources.ends_guarantee(&guaranteed, &own));
        let burstable = pod(json!({"containers": [{"name": "a"}]}));
        assert!(!resources.ends_guarantee(&burstable, &own));
    }
}
