use super::*;

fn pod(spec: Value) -> PodSpec {
    serde_json::from_value(spec).unwrap()
}

fn wanted(list: &'static str, name: &'static str, amount: &str) -> Wanted {
    (list, name, amount.parse().unwrap())
}

/// The rest of the Pod-level resources, for a value that exceeds it.
fn left(spec: &PodSpec, wanted: &[Wanted], is_sidecar: bool) -> Option<String> {
    let (_, left) = Resources::above_pod(spec, wanted, is_sidecar)?;
    Some(left.to_string())
}

#[test]
fn a_syncers_resources_fit_into_the_pod_level_resources() {
    let spec = pod(json!({
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "containers": [{"name": "a", "resources": {"requests": {"cpu": "600m"}}}, {"name": "b"}],
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"limits": {"cpu": "0.1"}}},
            {"name": "i", "resources": {"requests": {"cpu": "1"}}},
        ],
    }));
    let cpu = |list, amount| [wanted(list, "cpu", amount)];
    assert_eq!(left(&spec, &cpu("requests", "300m"), true), None);
    let above = left(&spec, &cpu("requests", "301m"), true);
    assert_eq!(above.as_deref(), Some("300m"));
    // An init container exits before the others start.
    assert_eq!(left(&spec, &cpu("requests", "1"), false), None);
    assert_eq!(
        left(&spec, &cpu("requests", "1001m"), false).as_deref(),
        Some("1")
    );
    assert_eq!(
        left(&spec, &cpu("limits", "2.5"), false).as_deref(),
        Some("2")
    );
    // A limit without a request is a request too.
    let above = left(&spec, &cpu("limits", "400m"), true);
    assert_eq!(above.as_deref(), Some("300m"));
    let both = [
        wanted("requests", "cpu", "1m"),
        wanted("limits", "cpu", "2"),
    ];
    assert_eq!(left(&spec, &both, true), None);
    // The Pod sets only its memory limit, which is its memory request then.
    let memory = [wanted("requests", "memory", "1025Mi")];
    assert_eq!(left(&spec, &memory, true).as_deref(), Some("1073741824"));
    let storage = [wanted("requests", "ephemeral-storage", "1Ti")];
    assert_eq!(left(&spec, &storage, true), None);
    let without = pod(json!({"containers": []}));
    assert_eq!(left(&without, &memory, true), None);
}

/// The resources of a syncer in a Pod with one container that has these: `request limit` of each.
fn granted(requests: Value, limits: Value) -> BTreeMap<String, (String, String)> {
    let resources = Resources::default();
    let pod = pod(json!({"containers": [
        {"name": "a", "resources": {"requests": requests, "limits": limits}},
    ]}));
    let (requests, limits) = resources.amounts(&pod, &[]);
    let text = |amount: Option<&Quantity>| amount.map(Quantity::to_string).unwrap_or_default();
    let names: Vec<&str> = requests.keys().chain(limits.keys()).copied().collect();
    let each = names.into_iter().map(|name| {
        let both = (text(requests.get(name)), text(limits.get(name)));
        (name.to_owned(), both)
    });
    each.collect()
}

fn both(request: &str, limit: &str) -> (String, String) {
    (request.to_owned(), limit.to_owned())
}

#[test]
fn a_guaranteed_pod_reserves_a_fraction_of_the_syncers_limits() {
    let own = json!({"cpu": "1", "memory": "1Gi"});
    let found = granted(own.clone(), own);
    assert_eq!(found["cpu"], both("100m", "100m"));
    assert_eq!(found["memory"], both("128Mi", "128Mi"));
    assert_eq!(found.get("ephemeral-storage"), None);
}

#[test]
fn requests_and_limits_keep_the_ratio_of_the_pods_containers() {
    // A Pod in a namespace whose LimitRange allows the ratios 10 and 4.
    let found = granted(
        json!({"cpu": "100m", "memory": "128Mi"}),
        json!({"cpu": "500m", "memory": "256Mi"}),
    );
    assert_eq!(found["cpu"], both("20m", "100m"));
    assert_eq!(found["memory"], both("64Mi", "128Mi"));
    // Rounding keeps the ratio.
    let found = granted(
        json!({"cpu": "70m", "memory": "300Mi"}),
        json!({"cpu": "500m", "memory": "1Gi"}),
    );
    assert_eq!(found["cpu"], both("14m", "100m"));
    assert_eq!(found["memory"], both("38Mi", "128Mi"));
    // A large ratio keeps the operator's limit; with a smaller one the limit follows from the
    // syncer's request.
    let found = granted(
        json!({"cpu": "1m", "memory": "1Mi"}),
        json!({"cpu": "1", "memory": "8Mi"}),
    );
    assert_eq!(found["cpu"], both("5m", "1"));
    assert_eq!(found["memory"], both("32Mi", "256Mi"));
    // A container that requests zero has no ratio.
    let found = granted(
        json!({"cpu": "0", "memory": "1Mi"}),
        json!({"cpu": "1", "memory": "1Gi"}),
    );
    assert_eq!(found["cpu"], both("5m", "1"));
    assert_eq!(found["memory"], both("32Mi", "512Mi"));
}

#[test]
fn ephemeral_storage_has_a_limit_where_all_containers_have_one() {
    let found = granted(
        json!({"ephemeral-storage": "200Mi"}),
        json!({"ephemeral-storage": "500Mi"}),
    );
    assert_eq!(found["ephemeral-storage"], both("103Mi", "256Mi"));
    let found = granted(json!({"ephemeral-storage": "200Mi"}), json!({}));
    assert_eq!(found.get("ephemeral-storage"), None);
}

#[test]
fn a_limit_raised_by_the_author_raises_the_syncers_request() {
    let resources = Resources::default();
    let pod = pod(json!({"containers": [{"name": "a", "resources": {
        "requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"},
    }}]}));
    let own = [wanted("limits", "memory", "1Gi")];
    let (requests, limits) = resources.amounts(&pod, &own);
    assert_eq!(requests["memory"].to_string(), "512Mi");
    assert_eq!(limits["memory"].to_string(), "1Gi");
    // Where the author sets both, both are used.
    let own = [
        wanted("limits", "memory", "1Gi"),
        wanted("requests", "memory", "16Mi"),
    ];
    let (requests, _) = resources.amounts(&pod, &own);
    assert_eq!(requests["memory"].to_string(), "16Mi");
}

#[test]
fn a_guaranteed_pod_stays_guaranteed_unless_its_author_sets_other_resources() {
    let resources = Resources::default();
    let guaranteed = pod(json!({"containers": [
        {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
    ]}));
    for own in [
        vec![],
        vec![wanted("limits", "memory", "2Gi")],
        vec![wanted("limits", "memory", "16Mi")],
        vec![wanted("requests", "cpu", "2")],
        vec![
            wanted("requests", "cpu", "100m"),
            wanted("limits", "cpu", "0.1"),
        ],
    ] {
        assert!(!resources.ends_guarantee(&guaranteed, &own), "{own:?}");
        let (requests, limits) = resources.amounts(&guaranteed, &own);
        assert_eq!(requests, limits, "{own:?}");
        assert_eq!(resources.inverted(&guaranteed, &own), None);
    }
    let own = [
        wanted("requests", "cpu", "100m"),
        wanted("limits", "cpu", "1"),
    ];
    assert!(resources.ends_guarantee(&guaranteed, &own));
    let burstable = pod(json!({"containers": [{"name": "a"}]}));
    assert!(!resources.ends_guarantee(&burstable, &own));
}
