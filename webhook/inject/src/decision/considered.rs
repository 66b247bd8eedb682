//! The inputs of a decision about a Pod.

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use crate::Namespace;
use crate::Request;
use crate::Settings;
use crate::model::place::Place;
use crate::plan::injected;
use crate::plan::input::PlanInput;
use crate::sources::gitrepo;
use crate::sources::requested::RequestedVolumes;
use crate::sources::status::Status;

/// The inputs of a decision.
#[derive(Debug)]
pub(crate) struct Considered {
    /// What annotations and objects request.
    pub(crate) requested: RequestedVolumes,
    /// The decoded Pod with its gitRepo volumes and requests; `None` where the decision needed no
    /// decoding.
    pub(crate) pod: Option<DecodedPod>,
}

/// A Pod with its requests from all sources.
#[derive(Debug)]
pub(crate) struct DecodedPod {
    pub(crate) spec: PodSpec,
    pub(super) git_repos: gitrepo::Found,
    pub(super) requests: Vec<Request>,
    pub(super) places: Vec<Place>,
    namespace: Namespace,
}

impl DecodedPod {
    /// Reads the gitRepo volumes; adds their mistakes and warnings to those of `requested`.
    pub(crate) fn new(
        spec: PodSpec,
        requested: &mut RequestedVolumes,
        was: Option<&Status>,
        settings: &Settings,
        namespace: Namespace,
    ) -> Self {
        let mut git_repos = gitrepo::read(&spec, requested, was, settings);
        requested.mistakes.append(&mut git_repos.mistakes);
        requested.warnings.append(&mut git_repos.warnings);
        let (requests, places) = requested.requests(&git_repos.names);
        Self {
            spec,
            git_repos,
            requests,
            places,
            namespace,
        }
    }

    /// Whether no repository is requested.
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.git_repos.volumes.is_empty()
    }

    /// The input of the plan for the Pod in the namespace `name`.
    pub(crate) fn input<'a>(
        &'a self,
        requested: &'a RequestedVolumes,
        settings: &'a Settings,
        name: &str,
    ) -> PlanInput<'a> {
        PlanInput::new(
            &self.spec,
            requested,
            &self.requests,
            &self.git_repos.volumes,
            settings,
            (&self.namespace, name),
        )
    }
}

/// The status of an earlier call whose injection is in the Pod. Anybody can write a status, so it
/// counts only where an injected container or volume is present.
pub(crate) fn in_force<'a>(document: &Value, status: Option<&'a Status>) -> Option<&'a Status> {
    status.filter(|_| injected::has_our_names(document))
}
