//! The webhook's requests to the API server, by the audit log, compared with the rights that the
//! chart grants.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::running::LONG;
use crate::running::Release;
use crate::running::binary;

/// A verb on a resource of a group, of this name or (`*`) of any.
type Right = (String, String, String, String);

pub(crate) fn each_right_is_used_and_no_other_request_is_made(world: &World) -> TestResult {
    let flags = [
        "--set=webhook.watchNamespaces=always",
        "--set=cache.enabled=true",
        "--set=cache.allowedHosts={git.example}",
    ];
    let release = Release::new(world.cluster(), "rights", &flags);
    let _installed = release.install()?;
    let objects = release.objects();
    let granted = granted(&release)?;
    assert!(granted.len() > 4, "{granted:?}");
    let plane = world.cluster().control_plane().ok_or("no audit log")?;
    let who = format!("system:serviceaccount:rights:{objects}");

    let webhook = release.start(&binary())?;
    // Another client removes what the webhook wrote.
    let wipe = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
    let wipe = format!("--patch={wipe}");
    let at = [
        "patch",
        "mutatingwebhookconfiguration",
        &objects,
        "--type=json",
    ];
    world.kubectl().run(&[&at[..], &[&wipe]].concat())?;
    eventually("the caBundle again", LONG, || release.ca_bundles())?;
    // The webhook writes the status of objects; one of each kind.
    let site = json!({"repo": "https://git.example/site.git", "podSelector": {}});
    for (kind, namespace) in [
        ("GitVolume", json!("rights")),
        ("ClusterGitVolume", json!(null)),
    ] {
        let object = json!({
            "apiVersion": "gitvolume.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "site", "namespace": namespace}, "spec": site,
        });
        world.kubectl().create(&object.to_string())?;
    }
    eventually("each right used", LONG, || {
        let (used, _) = used(&plane.audit_log(), &who, &granted);
        match granted.difference(&used).next() {
            None => Ok(()),
            Some(right) => Err(format!("{right:?} is granted and was never used")),
        }
    })
    .map_err(|error| format!("{error}\n{}", webhook.log_tail(20)))?;
    let (_, refused) = used(&plane.audit_log(), &who, &granted);
    assert!(refused.is_empty(), "asked for and not granted: {refused:?}");
    Ok(())
}

/// The rights in the rendered rules, one by one.
fn granted(release: &Release<'_>) -> Result<BTreeSet<Right>, String> {
    let mut rights = BTreeSet::new();
    for kind in ["role", "clusterrole"] {
        let role = release.get(kind, &release.objects())?;
        for rule in role["rules"].as_array().into_iter().flatten() {
            let list = |key: &str| -> Vec<String> {
                let all = rule[key].as_array().into_iter().flatten();
                all.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let mut names = list("resourceNames");
            if names.is_empty() {
                names.push("*".to_owned());
            }
            for group in list("apiGroups") {
                for resource in list("resources") {
                    for name in &names {
                        for verb in list("verbs") {
                            rights.insert((group.clone(), resource.clone(), name.clone(), verb));
                        }
                    }
                }
            }
        }
    }
    Ok(rights)
}

/// The rights that one user has used, and its other requests.
fn used(log: &str, who: &str, granted: &BTreeSet<Right>) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for line in log.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            // The last line may be incomplete.
            continue;
        };
        let object = &event["objectRef"];
        if event["user"]["username"] != who || object["resource"].is_null() {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut resource = text(&object["resource"]);
        if let Some(part) = object["subresource"].as_str() {
            resource = format!("{resource}/{part}");
        }
        let right = |name: String| {
            (
                text(&object["apiGroup"]),
                resource.clone(),
                name,
                text(&event["verb"]),
            )
        };
        let (named, any) = (right(text(&object["name"])), right("*".to_owned()));
        match (granted.contains(&named), granted.contains(&any)) {
            (true, _) => used.insert(named),
            (_, true) => used.insert(any),
            _ => refused.insert(named),
        };
    }
    (used, refused)
}
