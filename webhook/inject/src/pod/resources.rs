use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::Quantity;

/// The resources that the operator grants a syncer: requests always, limits only where the Pod's
/// own containers have them too.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Unchecked")]
pub struct Resources {
    requests: BTreeMap<String, Quantity>,
    limits: BTreeMap<String, Quantity>,
}

/// The error of requests and limits that cannot both be granted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseResourcesError {
    /// A request above its limit: the API server would refuse every injected Pod.
    #[error("{0}: the request is greater than the limit")]
    Inverted(String),
    /// A missing limit: a Guaranteed Pod would lose its class.
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
    /// Small requests, because an idle syncer is a sleeping process. Limits that the largest clone
    /// survives: `git index-pack` keeps delta bases in memory, and a tight CPU quota would slow
    /// down the first clone, which the app waits for.
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

/// The smallest limit with which a first clone succeeds, for Pods whose containers have a limit
/// close to their request, as Guaranteed ones do: there the limit is reserved for as long as the
/// Pod lives, by a process that sleeps.
///
/// Measured with cgroups, 20,000 files, a pack of 194 MB: a first sync, shallow or full, completes
/// with 64 MiB of memory as with 512 (most of the rest is page cache); it takes 11 to 21 s with 1
/// CPU, 29 s with half a CPU, and 69 s with 100m.
fn least(name: &str) -> Quantity {
    match name {
        CPU => Quantity::millis(100),
        MEMORY => Quantity::mebibytes(128),
        _ => Quantity::mebibytes(256),
    }
}

/// The clause about a request above its limit, for fields and annotations.
pub(crate) fn inverted(request: &Quantity, limit: &Quantity) -> String {
    format!("the request {request} is above the limit {limit}; {NOT_BELOW}")
}

/// The accepted form of a limit, given its request.
pub(crate) const NOT_BELOW: &str = "expected a limit that is at least the request";

impl Resources {
    /// Combines requests and limits if the API server would accept them.
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

    /// The `resources` of a container added to this Pod, given the author's values, and the rule
    /// that chose them; `None` where it has none.
    pub(crate) fn for_pod(
        &self,
        pod: &PodSpec,
        wanted: &[Wanted],
    ) -> (Option<Value>, ResourcesRule) {
        let (requests, limits) = self.amounts(pod, wanted);
        let rule = match wanted.first() {
            Some((list, name, _)) => ResourcesRule::Author(list, name),
            None if has_own(pod) => ResourcesRule::Pod,
            None if is_guaranteed(pod) => ResourcesRule::Guaranteed,
            None if limits.is_empty() => ResourcesRule::Requests,
            None => ResourcesRule::Limits,
        };
        let mut value = Map::new();
        for (key, amounts) in [("requests", requests), ("limits", limits)] {
            if !amounts.is_empty() {
                value.insert(key.to_owned(), json!(amounts));
            }
        }
        let resources = (!value.is_empty()).then_some(Value::Object(value));
        (resources, rule)
    }

    /// The first request above its limit, which the API server would refuse.
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

    /// Whether the author's values lower the class of a Guaranteed Pod.
    pub(crate) fn ends_guarantee(&self, pod: &PodSpec, wanted: &[Wanted]) -> bool {
        let (requests, limits) = self.amounts(pod, wanted);
        is_guaranteed(pod)
            && [CPU, MEMORY]
                .iter()
                .any(|name| requests.get(name) != limits.get(name))
    }

    /// The first value of the author that exceeds the rest of the Pod-level `spec.resources`, and
    /// that rest. The API server would refuse the Pod (KEP-2837; `validatePodResourceConsistency`).
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
            // Each container's limit is compared with the Pod's.
            let limit = read(&of_pod.limits, name).filter(|_| is_limit);
            if let Some(limit) = limit.filter(|limit| amount > limit) {
                return Some((own, limit));
            }
            // A missing request equals the limit.
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
        // Guaranteed requires equal request and limit: where the author sets only one, it is copied
        // to the other.
        for name in [CPU, MEMORY].into_iter().filter(|_| is_guaranteed(pod)) {
            match (is_theirs("requests", name), is_theirs("limits", name)) {
                (true, false) => limits.insert(name, requests[name].clone()),
                (false, true) => requests.insert(name, limits[name].clone()),
                _ => None,
            };
        }
        // The default request follows the author's limit.
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

    /// The operator's requests and limits for this Pod.
    fn granted(&self, pod: &PodSpec) -> (Amounts<'_>, Amounts<'_>) {
        // A container's request above the Pod-level one is invalid, and the latter includes
        // injected containers (KEP-2837).
        if has_own(pod) {
            return (Amounts::new(), Amounts::new());
        }
        let requests = self.requests.iter();
        let requests = requests.map(|(name, amount)| (name.as_str(), amount.clone()));
        let mut limits = Amounts::new();
        // The default, where the operator sets no storage limit and all the Pod's containers have
        // one.
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

    /// The operator's limit, reduced where the Pod's own containers have limits so close to their
    /// requests that the syncer's limit would be reserved: then to the syncer's request times that
    /// ratio, and at least to the minimum for a clone. A LimitRange that admits the Pod's own
    /// containers (`maxLimitRequestRatio`) then admits the syncer.
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

/// The rule that chose the resources of a syncer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResourcesRule {
    /// Set by the author in part; the list and resource of the first value. The rest is the
    /// operator's.
    Author(&'static str, &'static str),
    /// None, because the Pod has Pod-level resources.
    Pod,
    /// Equal requests and limits, because the Pod is Guaranteed.
    Guaranteed,
    /// The operator's, with limits, because all containers of the Pod have one.
    Limits,
    /// The operator's, without limits, because a container of the Pod has none.
    Requests,
}

/// Quantities by the names of resources.
type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// A quantity that the author sets: `requests` or `limits`, the resource, and the quantity.
type Wanted = (&'static str, &'static str, Quantity);

/// Whether the Pod has Pod-level resources.
pub(crate) fn has_own(pod: &PodSpec) -> bool {
    pod.resources.as_ref().is_some_and(|own| !is_empty(own))
}

/// Whether the Pod's containers make it Guaranteed.
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

/// The greatest ratio of limit to request in the containers of the Pod; `None` where a container
/// has no limit, or requests zero. A missing request equals the limit.
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

/// Whether a container's request and limit of a resource satisfy the Guaranteed class; a missing
/// request equals the limit (<https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>).
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
mod tests;
