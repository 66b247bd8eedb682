//! Properties of the chart that hold for all values.

use serde_json::Value;
use serde_json::json;
use tests::installation::product;
use tests::installation::world::TestResult;

use crate::chart::golden::is_golden;
use tests::installation::chart;
use tests::installation::chart::Rendered;
use tests::installation::chart::sets;

/// Shows the effect of a change in the review; the base for Kustomize contains it.
pub(crate) fn the_default_values_render_to_the_golden() -> TestResult {
    let text = chart::text(&json!({}), &[])?;
    is_golden("charts/kustomize/gitvolume.yaml", &text)
}

pub(crate) fn helm_lint_accepts_every_set_of_values() -> TestResult {
    let home = tempfile::tempdir()?;
    for set in sets::all()? {
        let file = home.path().join("values.json");
        std::fs::write(&file, set.values.to_string())?;
        let values = format!("--values={}", file.display());
        let args = ["lint", "--strict", &chart::folder(), &values];
        let output = product::helm_in(home.path(), &args)
            .map_err(|error| format!("{}: {error}", set.name))?;
        assert!(
            output.contains("0 chart(s) failed"),
            "{}: {output}",
            set.name
        );
        assert!(!output.contains("[WARNING]"), "{}: {output}", set.name);
    }
    Ok(())
}

/// A chart that renders the caBundle, even empty, removes it at each upgrade.
pub(crate) fn the_ca_bundle_is_rendered_only_if_a_value_sets_it() -> TestResult {
    for set in sets::with_webhook()? {
        let rendered = set.rendered()?;
        for webhook in rendered.webhooks()? {
            let bundle = &webhook["clientConfig"]["caBundle"];
            let given = &set.values["tls"]["files"]["caBundle"];
            assert_eq!(bundle.is_null(), given.is_null(), "{}: {webhook}", set.name);
        }
    }
    Ok(())
}

/// Nothing runs before, after or beside the webhook, except for `helm test`: no hook, no Job, no third-party image.
pub(crate) fn there_is_no_hook_and_no_image_but_ours() -> TestResult {
    for set in sets::all()? {
        for object in set.rendered()?.all() {
            let annotations = object["metadata"]["annotations"].to_string();
            assert!(
                !annotations.contains("helm.sh/hook"),
                "{}: {object}",
                set.name
            );
            let kind = object["kind"].as_str().unwrap_or_default();
            assert!(
                !["Job", "CronJob", "Pod", "DaemonSet"].contains(&kind),
                "{}",
                set.name
            );
            if kind == "Deployment" {
                let spec = &object["spec"]["template"]["spec"];
                assert_eq!(
                    spec["containers"].as_array().map(Vec::len),
                    Some(1),
                    "{spec}"
                );
                assert!(spec["initContainers"].is_null(), "{spec}");
            }
        }
    }
    Ok(())
}

/// Every object has the labels of the release, and is in the release's namespace, in another that a
/// value names, or in none.
pub(crate) fn every_object_carries_the_labels_of_the_release() -> TestResult {
    for set in sets::all()? {
        for object in set.rendered()?.all() {
            let labels = &object["metadata"]["labels"];
            for (key, expected) in [
                ("app.kubernetes.io/name", "gitvolume"),
                ("app.kubernetes.io/instance", product::RELEASE),
                ("app.kubernetes.io/managed-by", "Helm"),
                ("helm.sh/chart", "gitvolume-0.1.0"),
            ] {
                assert_eq!(
                    labels[key], expected,
                    "{}: {}",
                    set.name, object["metadata"]
                );
            }
        }
    }
    Ok(())
}

/// If a webhook matched our own Pods or those of the cluster, they would have to wait for the
/// webhook itself.
pub(crate) fn no_webhook_matches_our_own_pods_or_kube_system() -> TestResult {
    for set in sets::with_webhook()? {
        let rendered = set.rendered()?;
        for webhook in rendered.webhooks()? {
            let names = &webhook["namespaceSelector"]["matchExpressions"][0];
            assert_eq!(names["key"], "kubernetes.io/metadata.name", "{}", set.name);
            assert_eq!(names["operator"], "NotIn", "{}", set.name);
            let names = names["values"].as_array().ok_or("no names")?;
            assert!(names.contains(&json!("kube-system")), "{}", set.name);
        }
        let template = &rendered.webhook_deployment()?["spec"]["template"]["metadata"];
        // The match conditions of both webhooks exclude Pods with this annotation; `server` tests
        // it on the API server.
        assert_eq!(
            template["annotations"]["gitvolume.dev/inject"], "false",
            "{}",
            set.name
        );
    }
    Ok(())
}

/// The level `restricted` of the Pod Security Standards, checked on the fields; without a UID on
/// OpenShift, which refuses one outside the namespace's range.
pub(crate) fn the_pods_are_restricted_and_have_no_user_if_the_namespace_assigns_one() -> TestResult
{
    for (flags, user) in [
        (&[][..], json!(65532)),
        (
            &["--api-versions=security.openshift.io/v1"][..],
            Value::Null,
        ),
    ] {
        let rendered = Rendered::with_flags(&json!({}), flags)?;
        let spec = &rendered.one("Deployment")?["spec"]["template"]["spec"];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["runAsUser"], user);
        assert_eq!(spec["securityContext"]["runAsGroup"], user);
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let container = &spec["containers"][0]["securityContext"];
        assert_eq!(
            *container,
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
    }
    Ok(())
}

pub(crate) fn the_rights_are_by_name_wherever_rbac_can_name() -> TestResult {
    for set in sets::all()? {
        for object in set.rendered()?.all() {
            let kind = object["kind"].as_str().unwrap_or_default();
            let labels = object["metadata"]["labels"].to_string();
            // Roles for users instead of the webhook.
            if !["Role", "ClusterRole"].contains(&kind) || labels.contains("aggregate-to") {
                continue;
            }
            for rule in object["rules"].as_array().into_iter().flatten() {
                let verbs = rule["verbs"].to_string();
                for verb in [
                    "*",
                    "create",
                    "delete",
                    "deletecollection",
                    "impersonate",
                    "escalate",
                ] {
                    assert!(
                        !verbs.contains(&format!("\"{verb}\"")),
                        "{}: {rule}",
                        set.name
                    );
                }
                let named = rule["resourceNames"].as_array().map(Vec::len) == Some(1);
                let written = ["\"update\"", "\"patch\""]
                    .iter()
                    .any(|verb| verbs.contains(verb));
                let status = rule["resources"].to_string().contains("/status");
                assert!(named || status || !written, "{}: {rule}", set.name);
            }
        }
    }
    Ok(())
}

pub(crate) fn namespaces_are_watched_if_they_assign_users_and_the_rbac_rule_is_rendered_with_it()
-> TestResult {
    let openshift = "--api-versions=security.openshift.io/v1";
    let watch =
        |what: &str| json!({"objects": {"enabled": false}, "webhook": {"watchNamespaces": what}});
    for (values, flags, expected) in [
        (watch("auto"), &[][..], false),
        (watch("auto"), &[openshift][..], true),
        (watch("always"), &[], true),
        (watch("never"), &[openshift], false),
    ] {
        let rendered = Rendered::with_flags(&values, flags)?;
        let role = rendered.one("ClusterRole/gitvolume")?;
        let mut rules = role["rules"].as_array().into_iter().flatten();
        let rule = rules.find(|rule| rule["resources"] == json!(["namespaces"]));
        assert_eq!(rule.is_some(), expected, "{values} {flags:?}");
        if let Some(rule) = rule {
            assert_eq!(rule["verbs"], json!(["list", "watch"]));
        }
        let flag = rendered
            .one("Deployment")?
            .to_string()
            .contains("--watch-namespaces");
        assert_eq!(flag, expected, "{values} {flags:?}");
    }
    Ok(())
}

/// The webhook reloads the settings file while it runs, so nothing in the Pods may depend on its
/// contents.
pub(crate) fn changed_settings_do_not_change_the_pods() -> TestResult {
    let pods = |settings: Value| -> Result<Value, String> {
        let rendered = Rendered::with(&settings)?;
        Ok(rendered.one("Deployment")?.clone())
    };
    let before = pods(json!({}))?;
    assert_eq!(before, pods(json!({"settings": {"syncTimeout": "5m"}}))?);
    assert_eq!(before, pods(json!({"webhook": {"onMistake": "warn"}}))?);
    Ok(())
}

pub(crate) fn the_webhook_parses_the_rendered_settings() -> TestResult {
    // Multi-line texts.
    let golden = "webhook/inject/testdata/inject/trust/settings.yaml";
    let golden = std::fs::read_to_string(tests::settings::root().join(golden))?;
    let trust: Value = serde_saphyr::from_str(&golden)?;
    let all = json!({
        "allowedAnnotations": ["repo", "resources.*"],
        "allowedHosts": ["git.example"],
        "allowedImages": ["registry.example/*"],
        "caBundle": trust["caBundle"],
        "cache": [{"url": "https://cache.example", "trust": "full"}],
        "defaultSecrets": {"shop": "git", "*": "other"},
        "excludedNamespaces": ["ops"],
        "gitRepo": false,
        "imagePullSecrets": ["pull"],
        "knownHosts": trust["knownHosts"],
        "lfsAllowedHosts": ["media.example", "*.cdn.example:8443"],
        "proxy": {"httpsProxy": "http://proxy.example:3128"},
        "resources": {"requests": {"cpu": "7m"}},
        "runAs": "namespace",
        "staleWorktreeTimeout": "90s",
        "syncTimeout": "5m",
    });
    let rendered = Rendered::with(&json!({"settings": all, "webhook": {"onMistake": "warn"}}))?;
    let config_map = rendered.one("ConfigMap/gitvolume")?;
    let text = config_map["data"]["settings.yaml"]
        .as_str()
        .ok_or("no text")?;
    let mut read: Value = serde_saphyr::from_str(text)?;
    let mut expected = all.clone();
    expected["onMistake"] = json!("warn");
    // Namespaces that the registration excludes are excluded in the settings too.
    let never = ["kube-system", "kube-public", "kube-node-lease", "ops"];
    expected["excludedNamespaces"] = json!(never);
    assert_eq!(read, expected);
    // `image` comes from a flag, and `version` is not configurable.
    read["image"] = json!("syncer:1");
    let read = serde_json::to_value(serde_json::from_value::<inject::Settings>(read)?)?;
    let keys: Vec<&String> = read.as_object().ok_or("no object")?.keys().collect();
    let mut expected: Vec<&str> = expected
        .as_object()
        .ok_or("no object")?
        .keys()
        .map(|key| &**key)
        .collect();
    expected.extend(["image", "version"]);
    expected.sort_unstable();
    assert_eq!(keys, expected, "each setting is one of the chart's");

    let spec = &rendered.one("Deployment")?["spec"]["template"]["spec"];
    assert_eq!(
        spec["containers"][0]["volumeMounts"][0]["mountPath"],
        "/etc/gitvolume"
    );
    assert_eq!(
        spec["volumes"][0]["configMap"]["name"],
        config_map["metadata"]["name"]
    );
    Ok(())
}

pub(crate) fn the_webhook_for_templates_never_blocks_an_apply() -> TestResult {
    let rendered = Rendered::with(&json!({}))?;
    let templates = rendered.webhook("templates.gitvolume.dev")?;
    for (field, expected) in [
        ("failurePolicy", json!("Ignore")),
        ("reinvocationPolicy", json!("Never")),
        ("sideEffects", json!("None")),
    ] {
        assert_eq!(templates[field], expected, "{field}");
    }
    Ok(())
}
