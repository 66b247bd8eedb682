//! From request bytes to the answer: the only place where the server calls the pure crate `inject`.

use std::error::Error;

use inject::Key;
use inject::Namespace;
use inject::Proposal;
use inject::Review;
use inject::Written;
use inject::propose;

use crate::cluster::known::Known;
use crate::cluster::registration::AUTO;

/// The entry of the webhook's registration that a call is for; each has its own path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// `/mutate`: Pods with annotations, and workloads that create Pods.
    Requests,
    /// `/mutate/auto`: every Pod of a namespace that auto-injection covers. A call of this path
    /// proves that the API server considers the namespace covered.
    Auto,
}

/// The decision of a call. It is a trait so that tests of the server can inject failures.
pub trait Judge: Send + Sync {
    /// Decides on the body of one call.
    fn judge(&self, entry: Entry, body: &[u8]) -> Result<Verdict, Failure>;
}

impl<F: Fn(&[u8]) -> Result<Verdict, Failure> + Send + Sync> Judge for F {
    fn judge(&self, _: Entry, body: &[u8]) -> Result<Verdict, Failure> {
        self(body)
    }
}

/// An answer, with the values for the log and the metrics.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The AdmissionReview to send back.
    pub body: Vec<u8>,
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod's name, or its `generateName`.
    pub pod: String,
    /// `inject`, `skip`, `deny` or `warn`.
    pub decision: &'static str,
    /// The reason, from a closed set. Not a sentence: that would quote the Pod, which may contain
    /// secrets.
    pub reason: &'static str,
    /// Size of the patch in bytes.
    pub patch_bytes: usize,
    /// Whether the request is a dry run.
    pub dry_run: bool,
}

/// The reason why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The body is not an AdmissionReview: the caller is not the API server.
    Unreadable {
        /// The parse error.
        cause: String,
    },
    /// The watch has not reported the namespace yet; to be retried shortly.
    UnknownNamespace {
        /// The Pod's namespace.
        namespace: String,
        /// The Pod's name, or its `generateName`.
        pod: String,
    },
    /// A bug in the webhook.
    Internal {
        /// The Pod's namespace.
        namespace: String,
        /// The Pod's name, or its `generateName`.
        pod: String,
        /// The error, in one sentence.
        cause: String,
    },
}

/// The production judge: the crate `inject` with the operator's settings and the state of the
/// cluster.
#[derive(Clone, Debug)]
pub struct Injector {
    known: Known,
}

impl Injector {
    /// A judge that reads `known` at each call.
    pub fn new(known: Known) -> Self {
        Self { known }
    }
}

impl Judge for Injector {
    fn judge(&self, entry: Entry, body: &[u8]) -> Result<Verdict, Failure> {
        let review = Review::parse(body).map_err(|error| Failure::Unreadable {
            cause: chain(&error),
        })?;
        let pod = review.pod().to_owned();
        let namespace_of_pod = review.namespace().to_owned();
        let internal = |cause: String| Failure::Internal {
            namespace: namespace_of_pod.clone(),
            pod: pod.clone(),
            cause,
        };
        let Known {
            settings,
            namespaces,
        } = &self.known;
        let settings = settings.load();
        let mut namespace = match namespaces.get(review.namespace()) {
            Some(namespace) => namespace,
            // In a namespace that is not covered, a Pod gets objects through this annotation only.
            None if entry == Entry::Requests && !uses_objects(&review) => Namespace::default(),
            None => {
                return Err(Failure::UnknownNamespace {
                    namespace: namespace_of_pod,
                    pod,
                });
            }
        };
        if entry == Entry::Auto {
            namespace.is_auto_injected = true;
        }
        let decide = |review: Review, namespace: &Namespace| {
            let answer = propose(review, &settings, namespace).and_then(Proposal::checked);
            answer.map_err(|error| internal(chain(&error)))
        };
        let is_for_auto = entry == Entry::Requests
            && namespace.is_auto_injected
            && !namespace.volumes.is_empty()
            && review.is_unanswered_pod();
        let again = is_for_auto.then(|| review.clone());
        let dry_run = review.dry_run();
        let answer = decide(review, &namespace)?;
        if let Some(review) = again {
            // The auto-injection entry is called first and would have answered for objects and
            // annotations together. Without the objects, valid annotations would be reported as
            // mistakes.
            namespace.is_auto_injected = false;
            if decide(review, &namespace)?.outcome != answer.outcome {
                return Err(internal(format!(
                    "this Pod needs a GitVolume or ClusterGitVolume, and {AUTO} has not handled it"
                )));
            }
        }
        let Written { body, patch_bytes } = answer.to_json();
        Ok(Verdict {
            body,
            namespace: namespace_of_pod,
            pod,
            decision: answer.decision(),
            reason: answer.reason(),
            patch_bytes,
            dry_run,
        })
    }
}

/// Whether a Pod names objects by annotation.
fn uses_objects(review: &Review) -> bool {
    let annotations = &review.object()["metadata"]["annotations"];
    annotations.get(Key::Use.annotation()).is_some()
}

/// An error and its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
