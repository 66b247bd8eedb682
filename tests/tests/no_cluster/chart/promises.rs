//! What the chart promises whatever its values are.

use serde_json::Value;
use serde_json::json;
use tests::product;
use tests::world::TestResult;

use crate::chart::golden::is_golden;
use tests::chart;
use tests::chart::Rendered;
use tests::chart::sets;

/// So that a review sees what a change changes.
pub(crate) fn the_default_values_render_to_the_golden() -> TestResult {
    let text = chart::text(&json!({}), &[])?;
    is_golden("tests/testdata/chart/default.yaml", &text)
}

pub(crate) fn helm_finds_nothing_to_complain_of_in_any_set() -> TestResult {
    let home = tempfile::tempdir()?;
    for set in sets::all()? {
        let file = home.path().join("values.json");
        std::fs::write(&file, set.values.to_string())?;
        let values = format!("--values={}", file.display());
        let args = ["lint", "--strict", &chart::folder(), &values];
        let said = product::helm_in(home.path(), &args)
            .map_err(|error| format!("{}: {error}", set.name))?;
        assert!(said.contains("0 chart(s) failed"), "{}: {said}", set.name);
        assert!(!said.contains("[WARNING]"), "{}: {said}", set.name);
    }
    Ok(())
}

/// A chart that renders it, even empty, takes it away at each upgrade.
pub(crate) fn the_ca_bundle_is_left_to_whoever_writes_it() -> TestResult {
    for set in sets::all()? {
        let rendered = set.rendered()?;
        for webhook in rendered.webhooks()? {
            let bundle = &webhook["clientConfig"]["caBundle"];
            let given = &set.values["tls"]["files"]["caBundle"];
            assert_eq!(bundle.is_null(), given.is_null(), "{}: {webhook}", set.name);
        }
    }
    Ok(())
}

/// Nothing runs before, after or beside the webhook: no hook, no Job, no image but ours.
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

/// Every object says whose it is, and stands in the release's namespace, in another that a value names,
/// or in none.
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

/// An entry that matched our own Pods, or the cluster's, would have them wait for us.
pub(crate) fn no_entry_is_about_our_own_pods_or_kube_system() -> TestResult {
    for set in sets::all()? {
        let rendered = set.rendered()?;
        for webhook in rendered.webhooks()? {
            let names = &webhook["namespaceSelector"]["matchExpressions"][0];
            assert_eq!(names["key"], "kubernetes.io/metadata.name", "{}", set.name);
            assert_eq!(names["operator"], "NotIn", "{}", set.name);
            let names = names["values"].as_array().ok_or("no names")?;
            assert!(names.contains(&json!("kube-system")), "{}", set.name);
        }
        let template = &rendered.one("Deployment")?["spec"]["template"]["metadata"];
        // The conditions of both entries leave who says so alone; `server` asks the API server.
        assert_eq!(
            template["annotations"]["gitvolume.dev/inject"], "false",
            "{}",
            set.name
        );
    }
    Ok(())
}

/// The level `restricted` of the Pod Security Standards, on the fields themselves; on OpenShift, where a
/// number outside the namespace's range is refused, without one.
pub(crate) fn the_pods_are_restricted_and_have_no_user_where_the_namespace_gives_one() -> TestResult
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
            // The roles that are for users, not for us.
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

pub(crate) fn namespaces_are_watched_where_they_hand_out_users_and_the_right_comes_with_it()
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

/// A file that is read again while the webhook runs: nothing in the Pods may depend on what is in it.
pub(crate) fn other_settings_are_no_other_pods() -> TestResult {
    let pods = |settings: Value| -> Result<Value, String> {
        let rendered = Rendered::with(&settings)?;
        Ok(rendered.one("Deployment")?.clone())
    };
    let before = pods(json!({}))?;
    assert_eq!(before, pods(json!({"settings": {"syncTimeout": "5m"}}))?);
    assert_eq!(before, pods(json!({"webhook": {"onMistake": "warn"}}))?);
    Ok(())
}

pub(crate) fn the_settings_reach_the_webhook_as_it_reads_them() -> TestResult {
    // Texts of several lines.
    let golden = "webhook/inject/testdata/inject/trust/settings.yaml";
    let golden = std::fs::read_to_string(tests::settings::root().join(golden))?;
    let trust: Value = serde_saphyr::from_str(&golden)?;
    let all = json!({
        "allowedAnnotations": ["repo", "resources.*"],
        "allowedHosts": ["git.example"],
        "allowedImages": ["registry.example/*"],
        "caBundle": trust["caBundle"],
        "defaultSecrets": {"shop": "git", "*": "other"},
        "excludedNamespaces": ["ops"],
        "gitRepo": false,
        "imagePullSecrets": ["pull"],
        "knownHosts": trust["knownHosts"],
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
    // What the API server never asks about is known to be left alone.
    let never = ["kube-system", "kube-public", "kube-node-lease", "ops"];
    expected["excludedNamespaces"] = json!(never);
    assert_eq!(read, expected);
    // What is told by a flag, and what nobody chooses.
    read["image"] = json!("syncer:1");
    let read = serde_json::to_value(serde_json::from_value::<inject::Settings>(read)?)?;
    let told: Vec<&String> = read.as_object().ok_or("no object")?.keys().collect();
    let mut expected: Vec<&str> = expected
        .as_object()
        .ok_or("no object")?
        .keys()
        .map(|key| &**key)
        .collect();
    expected.extend(["image", "version"]);
    expected.sort_unstable();
    assert_eq!(told, expected, "each setting is one of the chart's");

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

pub(crate) fn templates_are_only_looked_at() -> TestResult {
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
