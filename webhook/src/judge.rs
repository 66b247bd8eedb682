//! Bytes to answer: the one place where the server meets the pure crate.

use std::error::Error;

use inject::Namespace;
use inject::Review;
use inject::Written;
use inject::answer;

use crate::known::Known;
use crate::registration::AUTO;

/// Which entry of our registration a call is for: each has a path of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// `/mutate`: Pods with requests of their own, and what makes Pods.
    Requests,
    /// `/mutate/auto`: every Pod of a namespace that auto-injection is for. That the API server calls
    /// it is the answer to whether the namespace is covered.
    Auto,
}

/// Answers a call; a trait, so that tests of the server can misbehave where the real one does not.
pub trait Judge: Send + Sync {
    /// Answers the body of one call.
    fn judge(&self, entry: Entry, body: &[u8]) -> Result<Verdict, Failure>;
}

impl<F: Fn(&[u8]) -> Result<Verdict, Failure> + Send + Sync> Judge for F {
    fn judge(&self, _: Entry, body: &[u8]) -> Result<Verdict, Failure> {
        self(body)
    }
}

/// An answer, with what the log and the metrics tell about it.
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
    /// Why, as a word of a closed set. No sentence: it would quote the Pod, which may hold secrets.
    pub reason: &'static str,
    /// Size of the patch.
    pub patch_bytes: usize,
    /// Whether the API server only asks what would happen.
    pub dry_run: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The body is no review: the caller is no API server.
    Unreadable {
        /// What is wrong with it.
        cause: String,
    },
    /// The namespace is so new that the watch has not told of it: to be tried again in a moment.
    UnknownNamespace {
        /// The Pod's namespace.
        namespace: String,
        /// The Pod's name, or its `generateName`.
        pod: String,
    },
    /// Our own mistake.
    Internal {
        /// The Pod's namespace.
        namespace: String,
        /// The Pod's name, or its `generateName`.
        pod: String,
        /// What went wrong, in one sentence.
        cause: String,
    },
}

/// The real judge: the crate `inject` with the operator's settings and what is known of the cluster.
#[derive(Clone, Debug)]
pub struct Injector {
    known: Known,
}

impl Injector {
    /// Answers by what is known at the time.
    pub fn new(known: Known) -> Self {
        Self { known }
    }
}

impl Judge for Injector {
    fn judge(&self, entry: Entry, body: &[u8]) -> Result<Verdict, Failure> {
        let review = Review::parse(body).map_err(|error| Failure::Unreadable {
            cause: chain(&error),
        })?;
        let internal = |cause: String| Failure::Internal {
            namespace: review.namespace().to_owned(),
            pod: review.pod().to_owned(),
            cause,
        };
        let Known {
            settings,
            namespaces,
        } = &self.known;
        let settings = settings.load();
        let mut namespace = match namespaces.get(review.namespace()) {
            Some(namespace) => namespace,
            // Objects come to a Pod of no covered namespace by this annotation alone.
            None if entry == Entry::Requests && !uses_objects(&review) => Namespace::default(),
            None => {
                return Err(Failure::UnknownNamespace {
                    namespace: review.namespace().to_owned(),
                    pod: review.pod().to_owned(),
                });
            }
        };
        if entry == Entry::Auto {
            namespace.is_covered = true;
        }
        let decide = |namespace: &Namespace| {
            answer(&review, &settings, namespace).map_err(|error| internal(chain(&error)))
        };
        let answer = decide(&namespace)?;
        if entry == Entry::Requests
            && namespace.is_covered
            && !namespace.volumes.is_empty()
            && review.is_unanswered_pod()
        {
            // Auto-injection comes first and would have answered for objects and annotations
            // together. Without the objects the author would be told of mistakes that are none.
            namespace.is_covered = false;
            if decide(&namespace)?.outcome != answer.outcome {
                return Err(internal(format!(
                    "this Pod needs a GitVolume or ClusterGitVolume, and {AUTO} has not answered \
                     for it"
                )));
            }
        }
        let Written { body, patch_bytes } = answer.to_json();
        Ok(Verdict {
            body,
            namespace: review.namespace().to_owned(),
            pod: review.pod().to_owned(),
            decision: answer.decision(),
            reason: answer.reason(),
            patch_bytes,
            dry_run: review.dry_run(),
        })
    }
}

/// Tells whether a Pod names objects itself.
fn uses_objects(review: &Review) -> bool {
    let key = "/metadata/annotations/gitvolume.dev~1use";
    review.object().pointer(key).is_some()
}

/// An error with its causes, on one line.
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
