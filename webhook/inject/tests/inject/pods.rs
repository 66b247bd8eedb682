//! Helpers of the tests: answering reviews, applying patches, and reading YAML.

use inject::Answer;
use inject::Namespace;
use inject::Review;
use inject::Settings;
use inject::answer;
use serde_json::Value;

/// Settings that are independent of the version, so that golden files are too.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new("registry.example/gitvolume-syncer:test");
    settings.version = "0.0.0-test".to_owned();
    settings
}

pub(crate) fn ask(pod: &Value, settings: &Settings) -> Answer {
    ask_in(&Namespace::default(), pod, settings)
}

pub(crate) fn ask_in(namespace: &Namespace, pod: &Value, settings: &Settings) -> Answer {
    let review = Review::of_pod(pod.clone());
    answer(&review, settings, namespace)
        .unwrap_or_else(|error| panic!("{error}: {error:?}\n{pod:#}"))
}

/// The Pod after the answer.
pub(crate) fn patched(pod: &Value, answer: &Answer) -> Value {
    let mut pod = pod.clone();
    if let Some(patch) = &answer.patch {
        json_patch::patch(&mut pod, patch).expect("the patch applies");
    }
    pod
}

/// Whether `make test` writes the golden files instead of comparing them.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no arguments; nobody but the person at the keyboard sets this"
)]
pub(crate) fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}
