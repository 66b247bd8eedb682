use crate::Plan;
use crate::keys::refusal::Refusal;
use crate::model::skip_reason::SkipReason;

/// The decision about a Pod; the response, the log line, the metric and the audit annotations are
/// all derived from this one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The author made a mistake.
    Deny(Refusal),
    /// The Pod gets the requested repositories.
    Inject(Box<Plan>),
    /// The Pod is not changed.
    Skip(SkipReason),
}
