//! The chart, as helm renders it and a real API server reads it.

use std::process::ExitCode;

use serde_json::Value;
use serde_json::json;
use tests::product;
use tests::settings;
use tests::world::Suite;
use tests::world::TestResult;
use tests::world::World;

fn main() -> ExitCode {
    Suite::new(tests::tests![
        helm_finds_nothing_to_complain_of,
        the_api_server_accepts_each_object_strictly,
        the_ca_bundle_is_left_to_the_webhook,
        a_value_that_is_not_known_or_not_right_is_refused,
        the_guard_leaves_our_own_namespace_alone_and_can_be_switched_off,
        templates_are_only_looked_at_and_can_be_left_alone,
        the_settings_reach_the_webhook_as_it_reads_them,
        the_rights_are_to_one_secret_and_one_registration,
        namespaces_are_watched_where_they_hand_out_users_and_the_right_comes_with_it,
    ])
    .run_on_an_api_server()
}

fn objects(world: &World, more: &[&str]) -> Result<Vec<Value>, String> {
    let yaml = product::render(world.cluster(), more).map_err(|error| error.to_string())?;
    let said = world
        .kubectl()
        .apply_with(&["--dry-run=client", "-o=json"], &yaml)?;
    let all: Value = serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
    Ok(all["items"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![all]))
}

fn helm_finds_nothing_to_complain_of(world: &World) -> TestResult {
    let chart = settings::root().join("charts/gitvolume");
    let said = product::helm(
        world.cluster(),
        &["lint", "--strict", &chart.to_string_lossy()],
    )?;
    assert!(said.contains("0 chart(s) failed"), "{said}");
    Ok(())
}

fn the_api_server_accepts_each_object_strictly(world: &World) -> TestResult {
    world
        .kubectl()
        .run(&["create", "namespace", product::NAMESPACE])?;
    let yaml = product::render(world.cluster(), &[])?;
    let said = world
        .kubectl()
        .apply_with(&["--dry-run=server", "--validate=strict"], &yaml)?;
    assert!(!said.contains("Warning"), "{said}");
    for kind in [
        "deployment.apps",
        "service",
        "mutatingwebhookconfiguration",
        "validatingadmissionpolicy",
        "validatingadmissionpolicybinding",
    ] {
        assert!(said.contains(kind), "no {kind} in {said}");
    }
    Ok(())
}

/// A chart that renders it, even empty, takes it away at each upgrade.
fn the_ca_bundle_is_left_to_the_webhook(world: &World) -> TestResult {
    let yaml = product::render(world.cluster(), &[])?;
    assert!(!yaml.contains("caBundle:"), "{yaml}");
    Ok(())
}

fn a_value_that_is_not_known_or_not_right_is_refused(world: &World) -> TestResult {
    for set in [
        "replica=3",
        "webhook.failurePolicy=Maybe",
        "webhook.timeoutSeconds=60",
        "guard.action=Warn",
        "guard.actions={}",
        "guard.actions={deny}",
        "guard.actions={Deny,Warn}",
        "guard.actions={Audit,Warn,Deny}",
        "guard.failurePolicy=Maybe",
        "templates.timeoutSeconds=0",
        "templates.deny=true",
        "settings.gitRepos=false",
        "settings.image=other",
    ] {
        let refusal = match product::render(world.cluster(), &["--set", set]) {
            Err(refusal) => refusal.to_string(),
            Ok(_) => return Err(format!("{set} was accepted").into()),
        };
        let name = set.split(['.', '=']).next().unwrap_or_default();
        assert!(refusal.contains(name), "{set}: {refusal}");
    }
    Ok(())
}

fn the_rights_are_to_one_secret_and_one_registration(world: &World) -> TestResult {
    for object in objects(world, &[])? {
        let kind = object["kind"].as_str().unwrap_or_default();
        if !["Role", "ClusterRole"].contains(&kind) {
            continue;
        }
        for rule in object["rules"].as_array().into_iter().flatten() {
            let names = rule["resourceNames"].as_array();
            assert_eq!(names.map(Vec::len), Some(1), "{kind}: {rule}");
            let verbs = rule["verbs"].to_string();
            for verb in ["*", "create", "delete", "list"] {
                assert!(!verbs.contains(&format!("\"{verb}\"")), "{kind}: {rule}");
            }
        }
    }
    Ok(())
}

fn namespaces_are_watched_where_they_hand_out_users_and_the_right_comes_with_it(
    world: &World,
) -> TestResult {
    let openshift = "--api-versions=security.openshift.io/v1";
    for (more, expected) in [
        (&[][..], false),
        (&[openshift][..], true),
        (&["--set=webhook.watchNamespaces=always"][..], true),
        (
            &[openshift, "--set=webhook.watchNamespaces=never"][..],
            false,
        ),
    ] {
        let all = objects(world, more)?;
        let kind = |kind: &'static str| all.iter().filter(move |own| own["kind"] == kind);
        let rules =
            kind("ClusterRole").flat_map(|role| role["rules"].as_array().into_iter().flatten());
        let mut namespaces = rules.filter(|rule| rule["resources"] == json!(["namespaces"]));
        let rule = namespaces.next();
        assert_eq!(rule.is_some(), expected, "{more:?}");
        if let Some(rule) = rule {
            assert_eq!(rule["verbs"], json!(["list", "watch"]));
        }
        let flag = kind("Deployment").any(|own| own.to_string().contains("--watch-namespaces"));
        assert_eq!(flag, expected, "{more:?}");
    }
    Ok(())
}

fn the_guard_leaves_our_own_namespace_alone_and_can_be_switched_off(world: &World) -> TestResult {
    let selected = |more: &[&str]| -> Result<Vec<Value>, String> {
        let all = objects(world, more)?.into_iter();
        Ok(all
            .filter(|object| object["kind"] == "ValidatingAdmissionPolicyBinding")
            .collect())
    };
    let excluded = |binding: &Value| {
        let selector = &binding["spec"]["matchResources"]["namespaceSelector"];
        selector["matchExpressions"][0]["values"].clone()
    };
    for (more, expected) in [
        (
            &[][..],
            json!(["kube-system", "kube-node-lease", product::NAMESPACE]),
        ),
        (
            &["--set=guard.excludedNamespaces=null"],
            json!([product::NAMESPACE]),
        ),
        (
            &["--set=guard.excludedNamespaces={gitvolume-system,web}"],
            json!([product::NAMESPACE, "web"]),
        ),
    ] {
        let bindings = selected(more)?;
        assert_eq!(bindings.len(), 1, "{more:?}");
        assert_eq!(excluded(&bindings[0]), expected, "{more:?}");
        assert_eq!(bindings[0]["spec"]["validationActions"], json!(["Deny"]));
    }
    assert!(selected(&["--set=guard.enabled=false"])?.is_empty());
    let yaml = product::render(world.cluster(), &["--set=guard.enabled=false"])?;
    assert!(!yaml.contains("ValidatingAdmissionPolicy"), "{yaml}");
    Ok(())
}

fn templates_are_only_looked_at_and_can_be_left_alone(world: &World) -> TestResult {
    let webhooks = |more: &[&str]| -> Result<Vec<Value>, String> {
        let all = objects(world, more)?.into_iter();
        let registrations = all.filter(|object| object["kind"] == "MutatingWebhookConfiguration");
        let lists = registrations.filter_map(|object| object["webhooks"].as_array().cloned());
        Ok(lists.flatten().collect())
    };
    let all = webhooks(&["--set=webhook.failurePolicy=Fail,templates.timeoutSeconds=1"])?;
    let names: Vec<&Value> = all.iter().map(|webhook| &webhook["name"]).collect();
    assert_eq!(names, ["pods.gitvolume.dev", "templates.gitvolume.dev"]);
    let templates = &all[1];
    for (field, expected) in [
        ("failurePolicy", json!("Ignore")),
        ("reinvocationPolicy", json!("Never")),
        ("sideEffects", json!("None")),
        ("timeoutSeconds", json!(1)),
    ] {
        assert_eq!(templates[field], expected, "{field}");
    }
    let pods = webhooks(&["--set=templates.warn=false"])?;
    assert_eq!(pods.len(), 1, "{pods:?}");
    Ok(())
}

fn the_settings_reach_the_webhook_as_it_reads_them(world: &World) -> TestResult {
    let all = json!({
        "allowedImages": ["registry.example/*"],
        "defaultSecrets": {"shop": "git", "*": "other"},
        "gitRepo": false,
        "imagePullSecrets": ["pull"],
        "resources": {"requests": {"cpu": "7m"}},
        "runAs": "namespace",
        "staleWorktreeTimeout": "90s",
        "syncTimeout": "5m",
    });
    let values = world.cluster().folder().join("values.json");
    std::fs::write(&values, json!({"settings": all}).to_string())?;
    let objects = objects(world, &["--values", &values.to_string_lossy()])?;
    let of_kind = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
    let config_map = of_kind("ConfigMap").ok_or("no ConfigMap")?;
    let text = config_map["data"]["settings.yaml"]
        .as_str()
        .ok_or("no text")?;
    let mut read: Value = serde_saphyr::from_str(text)?;
    assert_eq!(read, all);
    // What is told by flags, and what nobody chooses.
    read["image"] = json!("syncer:1");
    let read = serde_json::to_value(serde_json::from_value::<inject::Settings>(read)?)?;
    let told: Vec<&String> = read.as_object().ok_or("no object")?.keys().collect();
    let mut expected: Vec<&str> = all
        .as_object()
        .ok_or("no object")?
        .keys()
        .map(|key| &**key)
        .collect();
    expected.extend(["image", "onMistake", "version"]);
    expected.sort_unstable();
    assert_eq!(told, expected, "each setting is one of the chart's");

    let template = &of_kind("Deployment").ok_or("no Deployment")?["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    let config = json!("--config=/etc/gitvolume/settings.yaml");
    let args = container["args"].as_array().ok_or("no args")?;
    assert!(args.contains(&config), "{container}");
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/etc/gitvolume");
    assert_eq!(
        template["spec"]["volumes"][0]["configMap"]["name"],
        config_map["metadata"]["name"]
    );
    let yaml = product::render(world.cluster(), &[])?;
    assert!(
        !yaml.contains("--config") && !yaml.contains("ConfigMap"),
        "{yaml}"
    );
    Ok(())
}
