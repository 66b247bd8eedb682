//! The fuzz target: any bytes as the body of a call.

use inject::InternalError;
use inject::Namespace;
use inject::Outcome;
use inject::Review;
use inject::Settings;
use inject::SkipReason;
use inject::answer;
use serde_json::Value;

/// Answers the bytes as a call. Panics where the answer cannot be sent, its patch does not apply,
/// or a second call changes the patched object. Returns what kind of answer it is.
pub(crate) fn fuzz(data: &[u8]) -> String {
    let Ok(review) = Review::parse(data) else {
        return "malformed".to_owned();
    };
    let settings = Settings::new("syncer:1");
    let answered = match answer(&review, &settings, &Namespace::default()) {
        Ok(answered) => answered,
        // The object is not a Pod, and the webhook answers with an error; other errors are bugs.
        Err(InternalError::NoPlace(_) | InternalError::Unreadable(_)) => return "error".to_owned(),
        Err(error) => panic!("{error}: {error:?}"),
    };
    for warning in &answered.warnings {
        assert!(warning.chars().count() <= 256, "{warning:?}");
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
    let sent: Value = serde_json::from_slice(&answered.to_json().body).expect("an answer is JSON");
    assert_eq!(sent["response"]["uid"], review.uid());
    assert_eq!(sent["response"]["allowed"], answered.allowed);
    let mut kind = format!("{} {}", answered.allowed, answered.warnings.len());
    let Some(patch) = &answered.patch else {
        return kind;
    };
    kind.push_str(&patch.0.len().to_string());
    let mut object = review.object().clone();
    json_patch::patch(&mut object, patch).expect("a patch applies");
    let again = Review::of_pod(object).in_namespace(review.namespace());
    let again = answer(&again, &settings, &Namespace::default()).expect("a second answer");
    assert_eq!(again.patch, None, "twice is not once");
    if let Outcome::Inject(_) = answered.outcome {
        assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
    }
    kind
}
