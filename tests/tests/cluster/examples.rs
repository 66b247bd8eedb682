//! The examples whose program the node has, and the first steps of the documentation: applied as
//! they are, except for the addresses of the repositories and the name of the image.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::examples;
use tests::installation::git_host::GitHost;
use tests::installation::git_host::Repository;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::namespace::Namespace;
use tests::oci::images::HAPROXY;
use tests::oci::images::NGINX;
use tests::oci::images::PROMETHEUS;
use tests::settings;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::restarts;

/// Examples that serve the repository, or a part of it, with nginx.
const SERVING: [&str; 4] = ["auto-injection", "monorepo", "nginx", "private-ssh"];

/// Applies the manifests of an example in the namespace.
fn apply(namespace: &Namespace, example: &str, site: &Repository<'_>, commit: &str) -> TestResult {
    let manifests = examples::manifests()?;
    for manifest in manifests.iter().filter(|own| own.example == example) {
        let text = manifest.text.replace("image: nginx:1.29", "image: nginx");
        let text = text.replace("image: nginx", &format!("image: {NGINX}"));
        let text = text.replace("image: haproxy:3.2", &format!("image: {HAPROXY}"));
        let text = text.replace(
            "image: prom/prometheus:v3.5.0",
            &format!("image: {PROMETHEUS}"),
        );
        let text = text.replace("https://git.example/lb.git", &site.http());
        let text = text.replace("https://git.example/rules.git", &site.http());
        let text = text.replace("https://git.example/site.git", &site.http());
        let text = text.replace("https://git.example/monorepo.git", &site.http());
        let text = text.replace("git@git.example:team/site.git", &site.ssh());
        let text = text.replace("22f1d8406d464b0c0874075539c1f2e96c253775", commit);
        // The tests do not wait a minute for a poll.
        let text = text.replace("period: 1m", "period: 1s");
        assert!(!text.contains("git.example"), "{}", manifest.path.display());
        for mut object in serde_saphyr::from_multiple::<Value>(&text)? {
            if object["kind"] == "Namespace" {
                // The test has labelled its own.
                continue;
            }
            object["metadata"]["namespace"] = json!(namespace.name());
            namespace.apply(&object.to_string())?;
            if object["kind"] == "GitVolume" {
                let name = object["metadata"]["name"].as_str().ok_or("no name")?;
                namespace.wait_for(&format!("gitvolume/{name}"), "condition=Effective", READY)?;
            }
        }
    }
    Ok(())
}

/// The names of the Pods of an example, once there are some, all of them injected and ready.
fn ready(namespace: &Namespace) -> Result<Vec<String>, String> {
    let pods = eventually("the Pods of the example", READY, || {
        let pods = namespace.get_json(&["pods"])?;
        let mut names = Vec::new();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            if pod["metadata"]["annotations"]["gitvolume.dev/status"].is_null() {
                // A replica may see a new GitVolume later than the one that has set its status.
                namespace.run(&["delete", "pod", name, "--wait=true"])?;
                return Err(format!("{name} was not injected"));
            }
            names.push(name.to_owned());
        }
        match names.is_empty() {
            true => Err("no Pods".to_owned()),
            false => Ok(names),
        }
    })?;
    for pod in &pods {
        namespace.wait_ready(pod, READY)?;
    }
    Ok(pods)
}

pub(crate) fn the_examples_with_nginx_serve_a_changed_commit(world: &World) -> TestResult {
    let hosting = world.namespace(&[])?;
    let host = GitHost::start(&hosting)?;
    let site = host.repository("site")?;
    let page = |text: &'static str| [("index.html", text), ("sites/docs/index.html", text)];
    let first = site.commit(&page("repository: one\n"))?;

    let mut serving: Vec<(Arc<Namespace>, Vec<String>)> = Vec::new();
    for example in SERVING {
        let label = ("gitvolume.dev/auto-inject", "enabled");
        let labels: &[(&str, &str)] = match example {
            "auto-injection" => &[label],
            _ => &[],
        };
        let namespace = world.namespace(labels)?;
        let keys = host.keys();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "site-git"},
            "stringData": {"ssh": keys.client, "known_hosts": keys.known_hosts},
        });
        namespace.apply(&secret.to_string())?;
        apply(&namespace, example, &site, &first)?;
        let pods = ready(&namespace)?;
        serving.push((namespace, pods));
    }
    let old = world.namespace(&[])?;
    apply(&old, "gitrepo", &site, &first)?;

    let shows = |text: &str| -> TestResult {
        for (namespace, pods) in &serving {
            for pod in pods {
                eventually("the page", SEEN, || {
                    match namespace.page(pod, 8080, "/")? {
                        page if page == text => Ok(()),
                        page => Err(format!("{}: {pod}: {page}", namespace.name())),
                    }
                })?;
            }
        }
        Ok(())
    };
    shows("repository: one\n")?;
    site.commit(&page("repository: two\n"))?;
    shows("repository: two\n")?;

    // An old manifest names a commit, and its clone stays at it.
    for pod in ready(&old)? {
        let file = ["cat", "/mypath/site/index.html"];
        assert_eq!(old.exec(&pod, Some("nginx"), &file)?, "repository: one\n");
    }
    Ok(())
}

pub(crate) fn the_example_of_haproxy_reloads_a_valid_configuration_and_keeps_it(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let lb = host.repository("lb")?;
    let configuration = |answer: &str| {
        format!(
            "defaults\n  mode http\n  timeout client 5s\n  timeout connect 5s\n  timeout server 5s\n\
             frontend web\n  bind :8080\n  \
             http-request return status 200 content-type text/plain string {answer}\n"
        )
    };
    let first = lb.commit(&[("haproxy.cfg", &configuration("one"))])?;
    let balanced = world.namespace(&[])?;
    apply(&balanced, "haproxy", &lb, &first)?;
    let pods = ready(&balanced)?;
    let answers = |text: &str| -> TestResult {
        for pod in &pods {
            eventually("the answer", SEEN, || {
                match balanced.page(pod, 8080, "/")? {
                    answer if answer == text => Ok(()),
                    answer => Err(format!("{pod}: {answer}")),
                }
            })?;
        }
        Ok(())
    };
    answers("one")?;
    lb.commit(&[("haproxy.cfg", &configuration("two"))])?;
    answers("two")?;
    lb.commit(&[("haproxy.cfg", "frontend web\n  bind :nowhere\n")])?;
    for pod in &pods {
        eventually("the refusal", SEEN, || {
            let log = balanced.logs(pod, "haproxy")?;
            match log.contains("'nowhere'") {
                true => Ok(()),
                false => Err(log),
            }
        })?;
        assert_eq!(balanced.page(pod, 8080, "/")?, "two");
    }
    lb.commit(&[("haproxy.cfg", &configuration("three"))])?;
    answers("three")
}

pub(crate) fn the_example_of_prometheus_loads_a_changed_rule_and_keeps_it(
    world: &World,
) -> TestResult {
    let hosting = world.namespace(&[])?;
    let host = GitHost::start(&hosting)?;
    let rules = host.repository("rules")?;
    let file = |expression: &str| {
        format!("groups:\n- name: team\n  rules:\n  - {{alert: Late, expr: {expression}}}\n")
    };
    let first = rules.commit(&[("team.yml", &file("up == 0"))])?;
    let namespace = world.namespace(&[])?;
    apply(&namespace, "prometheus", &rules, &first)?;
    let pods = ready(&namespace)?;
    let serves = |query: &str| -> TestResult {
        for pod in &pods {
            eventually("the rule", SEEN, || {
                let page = namespace.page(pod, 9090, "/api/v1/rules")?;
                let served: Value = serde_json::from_str(&page)
                    .map_err(|error| format!("{pod}: {error}: {page}"))?;
                match served["data"]["groups"][0]["rules"][0]["query"] == query {
                    true => Ok(()),
                    false => Err(format!("{pod}: {page}")),
                }
            })?;
        }
        Ok(())
    };
    serves("up == 0")?;
    rules.commit(&[("team.yml", &file("up == 2"))])?;
    serves("up == 2")?;
    rules.commit(&[("team.yml", &file("up == ("))])?;
    for pod in &pods {
        eventually("the refusal", SEEN, || {
            let log = namespace.logs(pod, "prometheus")?;
            match log.contains("parse error") {
                true => Ok(()),
                false => Err(log),
            }
        })?;
    }
    serves("up == 2")?;
    rules.commit(&[("team.yml", &file("up == 3"))])?;
    serves("up == 3")?;
    for pod in &pods {
        assert_eq!(restarts(&namespace, pod, "prometheus")?, 0, "only reloads");
    }
    Ok(())
}

/// The Pod of docs/getting-started.md, with its own commands.
pub(crate) fn the_pod_of_the_first_steps_shows_a_changed_page(world: &World) -> TestResult {
    let page = std::fs::read_to_string(settings::root().join("docs/getting-started.md"))?;
    let (_, rest) = page.split_once("<<'END'\n").ok_or("no manifest")?;
    let (manifest, _) = rest
        .split_once("\nEND\n")
        .ok_or("the manifest has no end")?;
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("index.html", "first version\n")])?;
    let manifest = manifest.replace("https://git.example/you/site.git", &site.http());
    let manifest = manifest.replace("image: nginx:1.29", &format!("image: {NGINX}"));
    assert!(!manifest.contains("git.example"), "{manifest}");
    namespace.apply(&manifest)?;
    let command = |starts: &str| -> Result<Vec<&str>, String> {
        let mut lines = page
            .lines()
            .filter_map(|line| line.strip_prefix("$ kubectl "));
        let line = lines.find(|line| line.starts_with(starts));
        Ok(line
            .ok_or_else(|| format!("no {starts}"))?
            .split(' ')
            .collect())
    };
    namespace.run(&command("wait pod/web")?)?;
    let show = command("exec web -c nginx -- cat")?;
    assert_eq!(namespace.run(&show)?, "first version\n");
    site.commit(&[("index.html", "second version\n")])?;
    eventually("the changed page", SEEN, || match namespace.run(&show)? {
        page if page == "second version\n" => Ok(()),
        page => Err(page),
    })?;
    let log = namespace.run(&command("logs web")?)?;
    assert!(!log.is_empty());
    Ok(())
}
