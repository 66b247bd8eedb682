//! Bytes to answer: the one place where the server meets the pure crate.

use std::error::Error;

use inject::InternalError;
use inject::Review;
use inject::Written;
use inject::answer;

use crate::known::Known;

/// Answers a call; a trait, so that tests of the server can misbehave where the real one does not.
pub trait Judge: Send + Sync {
    /// Answers the body of one call.
    fn judge(&self, body: &[u8]) -> Result<Verdict, Failure>;
}

impl<F: Fn(&[u8]) -> Result<Verdict, Failure> + Send + Sync> Judge for F {
    fn judge(&self, body: &[u8]) -> Result<Verdict, Failure> {
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
    fn judge(&self, body: &[u8]) -> Result<Verdict, Failure> {
        let review = Review::parse(body).map_err(|error| Failure::Unreadable {
            cause: chain(&error),
        })?;
        let internal = |error: InternalError| Failure::Internal {
            namespace: review.namespace().to_owned(),
            pod: review.pod().to_owned(),
            cause: chain(&error),
        };
        let Known {
            settings,
            namespaces,
        } = &self.known;
        let namespace = namespaces.get(review.namespace());
        let answer = answer(&review, &settings.load(), &namespace).map_err(internal)?;
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
