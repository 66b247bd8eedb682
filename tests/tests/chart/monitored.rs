//! The alerts and the dashboard match existing metrics: each expression is valid PromQL, and each
//! of its parts selects something in the metrics of the webhook, of the cache, of the push receiver
//! and of the API server.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product::NAMESPACE;
use tests::installation::product::RELEASE;
use tests::installation::serving::Serving;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::optional;
use crate::promql;
use crate::promql::Sample;
use crate::running::LONG;
use tests::installation::chart::Rendered;

/// A metric of kube-state-metrics, which does not run here
/// (<https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/deployment-metrics.md>).
const KUBE_STATE: &str = "kube_deployment_status_replicas_available";

/// An expression, and the labels that the texts beside it use.
#[derive(Debug)]
struct LabelledExpression {
    place: String,
    expression: String,
    named: BTreeSet<String>,
}

pub(crate) fn each_part_of_each_expression_selects_a_metric(world: &World) -> TestResult {
    let dir = tempfile::tempdir()?;
    let serving = Serving::start(dir.path())?;
    let label = ("monitored", "yes");
    let selected = json!([{"key": label.0, "operator": "In", "values": [label.1]}]);
    // Returns after the webhook has refused a Pod; it exports error metrics before the first error.
    serving.register(
        world.cluster(),
        "monitored",
        &[(WEBHOOK, selected)],
        &[label],
    )?;
    let page = serving.page("/metrics")?;
    let metrics = format!("{RELEASE}-metrics");
    // The labels that the Prometheus operator adds for the chart's ServiceMonitor.
    let scrape = [
        ("container", "gitvolume"),
        ("endpoint", "metrics"),
        ("instance", "10.0.0.1:8080"),
        ("job", &metrics),
        ("namespace", NAMESPACE),
        ("pod", "gitvolume-1"),
        ("service", &metrics),
    ];
    let mut samples = Sample::all(&page, "gitvolume_webhook_", &scrape)?;
    samples.push(Sample::read("up", &scrape)?);
    let deployment = [("namespace", NAMESPACE), ("deployment", RELEASE)];
    samples.push(Sample::read(KUBE_STATE, &deployment)?);

    samples.extend(optional::samples(dir.path())?);

    // Calls fail: first a Pod is refused because of it, then one is admitted.
    drop(serving);
    let namespace = world.namespace(&[label])?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"gitvolume.dev/repo": "https://git.example/x.git"}},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    })
    .to_string();
    let create = || namespace.create_with(&["--dry-run=server"], &pod);
    let refusal = create().err().ok_or("nobody was missing")?;
    assert!(refusal.contains("failed calling webhook"), "{refusal}");
    let open = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    let registration = ["mutatingwebhookconfiguration", "monitored"];
    let patch = format!("--patch={open}");
    let kubectl = world.kubectl();
    kubectl.run(&[&["patch", "--type=json", &patch], &registration[..]].concat())?;
    eventually("a Pod that is let through", LONG, create)?;
    let page = kubectl.run(&["get", "--raw=/metrics"])?;
    kubectl.run(&[&["delete"], &registration[..]].concat())?;
    let scrape = [("instance", "10.0.0.2:6443"), ("job", "apiserver")];
    samples.extend(Sample::all(&page, "apiserver_admission_webhook_", &scrape)?);

    let mut wrong = Vec::new();
    for LabelledExpression {
        place,
        expression,
        named,
    } in expressions()?
    {
        let labels = promql::parse(&expression).and_then(|read| promql::labels(&read, &samples));
        match labels {
            Err(error) => wrong.push(format!("{place}: {error}")),
            Ok(labels) => {
                let missing: Vec<&String> = named.difference(&labels).collect();
                if !missing.is_empty() {
                    wrong.push(format!("{place}: no labels {missing:?} in {expression}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Every expression of the rendered alerts and dashboard.
fn expressions() -> Result<Vec<LabelledExpression>, String> {
    let on = json!({"enabled": true});
    let rendered = Rendered::with(&json!({
        "metrics": {"prometheusRule": on, "dashboard": on},
        "cache": {"enabled": true, "allowedHosts": ["git.example"]},
        "push": {
            "enabled": true, "secretName": "push", "wake": {"acme": ["https://git.example/acme"]},
        },
    }))?;
    let mut expressions = Vec::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();

    let rules = &rendered.one("PrometheusRule")?["spec"]["groups"][0]["rules"];
    for alert in list(rules) {
        expressions.push(LabelledExpression {
            place: text(&alert["alert"]),
            expression: text(&alert["expr"]),
            named: named(&alert["annotations"].to_string(), "{{ $labels.", " }}"),
        });
    }
    let board = &rendered.one("ConfigMap/gitvolume-dashboard")?["data"]["gitvolume.json"];
    let board: Value = serde_json::from_str(&text(board)).map_err(|error| error.to_string())?;
    let alerts = expressions.len();
    for variable in list(&board["templating"]["list"]) {
        let query = text(&variable["query"]["query"]);
        let values = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'));
        let Some((expression, label)) = values.and_then(|values| values.rsplit_once(", ")) else {
            continue;
        };
        expressions.push(LabelledExpression {
            place: format!("variable {}", variable["name"]),
            expression: filled_in(expression),
            named: [label.to_owned()].into(),
        });
    }
    let variables = expressions.len();
    // A collapsed row contains its panels.
    let panels = list(&board["panels"]).into_iter();
    let panels = panels.flat_map(|panel| match panel["panels"].is_array() {
        true => list(&panel["panels"]),
        false => vec![panel],
    });
    for panel in panels {
        for target in list(&panel["targets"]) {
            expressions.push(LabelledExpression {
                place: format!("panel {}", panel["title"]),
                expression: filled_in(&text(&target["expr"])),
                named: named(&text(&target["legendFormat"]), "{{", "}}"),
            });
        }
    }
    let found = (alerts, variables - alerts, expressions.len() - variables);
    assert!(found.0 > 15 && found.1 == 3 && found.2 > 25, "{found:?}");
    Ok(expressions)
}

/// The texts between each pair of delimiters.
fn named(text: &str, begin: &str, end: &str) -> BTreeSet<String> {
    let after = text.split(begin).skip(1);
    let names = after.filter_map(|rest| rest.split_once(end));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// An expression with its variables replaced, as Grafana sends it.
fn filled_in(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "5m")
        .replace("$__range", "3h")
        .replace("$namespace", NAMESPACE)
        .replace("$cache_namespace", NAMESPACE)
        .replace("$job", &format!("{RELEASE}-metrics"))
}
