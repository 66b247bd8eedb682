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

    /// Gives the `resources` of a container added to this Pod, `None` for no such field.
    pub(crate) fn for_pod(&self, pod: &PodSpec) -> Option<Value> {
        // A container's request above the Pod's own is invalid, and the Pod's covers us (KEP-2837).
        if pod.resources.as_ref().is_some_and(|own| !is_empty(own)) {
            return None;
        }
        let own: Vec<Option<&ResourceRequirements>> = pod
            .containers
            .iter()
            .chain(pod.init_containers.iter().flatten())
            .map(|container| container.resources.as_ref())
            .collect();
        let guaranteed = [CPU, MEMORY]
            .iter()
            .all(|name| own.iter().all(|own| has_equal_limit(*own, name)));
        let mut requests: BTreeMap<&str, &Quantity> = self
            .requests
            .iter()
            .map(|(name, amount)| (name.as_str(), amount))
            .collect();
        let mut limits = Map::new();
        for (name, amount) in &self.limits {
            if own.iter().all(|own| limit(*own, name).is_some()) {
                limits.insert(name.clone(), json!(amount));
                if guaranteed && [CPU, MEMORY].contains(&name.as_str()) {
                    requests.insert(name, amount);
                }
            }
        }
        let mut value = Map::new();
        for (key, amounts) in [
            ("requests", json!(requests)),
            ("limits", Value::Object(limits)),
        ] {
            if amounts
                .as_object()
                .is_some_and(|amounts| !amounts.is_empty())
            {
                value.insert(key.to_owned(), amounts);
            }
        }
        (!value.is_empty()).then_some(Value::Object(value))
    }
}

fn is_empty(resources: &ResourceRequirements) -> bool {
    [&resources.requests, &resources.limits]
        .iter()
        .all(|amounts| amounts.as_ref().is_none_or(BTreeMap::is_empty))
}

fn limit<'a>(own: Option<&'a ResourceRequirements>, name: &str) -> Option<&'a str> {
    Some(own?.limits.as_ref()?.get(name)?.0.as_str())
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
