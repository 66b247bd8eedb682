//! The Pod of `helm test`.

use inject::Namespace;
use inject::Outcome;
use inject::Review;
use inject::Settings;
use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::chart::sets;
use tests::installation::chart::text_with_tests;
use tests::installation::world::TestResult;

/// With every set of values that installs the webhook; no selector of the release matches it.
pub(crate) fn the_pod_of_helm_test_is_injected_and_restricted() -> TestResult {
    for set in sets::with_webhook()? {
        let only = ["--show-only=templates/tests/injection.yaml"];
        let mut values = set.values.clone();
        if values.is_null() {
            values = json!({});
        }
        values["test"] = json!({"repo": "https://git.example/own.git"});
        let pod: Value = serde_saphyr::from_str(&text_with_tests(&values, &only)?)?;
        let annotations = &pod["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test", "{}", set.name);
        assert_eq!(annotations["gitvolume.dev/repo"], values["test"]["repo"]);
        let settings = Settings::new("gitvolume.dev/gitvolume-syncer:0");
        let review = Review::of_pod(pod.clone()).in_namespace("gitvolume-system");
        let answer = inject::answer(&review, &settings, &Namespace::default())?;
        assert!(matches!(answer.outcome, Outcome::Inject(_)), "{}", set.name);
        assert!(answer.warnings.is_empty(), "{:?}", answer.warnings);

        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
        let own = &pod["spec"]["containers"][0]["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false);
        assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
        let rendered = Rendered::with(&set.values)?;
        let selector = &rendered.webhook_deployment()?["spec"]["selector"]["matchLabels"];
        let labels = &pod["metadata"]["labels"];
        let is_selected = selector
            .as_object()
            .into_iter()
            .flatten()
            .all(|(key, value)| labels[key] == *value);
        assert!(!is_selected, "{}: {labels}", set.name);
    }
    Ok(())
}
