use super::*;
use serde_json::json;

#[test]
fn settings_need_only_an_image_and_survive_a_round_trip() {
    let settings: Settings = serde_json::from_value(json!({"image": "syncer:1"})).unwrap();
    assert_eq!(settings.hash(), Settings::new("syncer:1").hash());
    let selector = json!({"matchLabels": {"team": "shop"}});
    let cache = json!({"url": "https://cache.example", "namespaceSelector": selector});
    let with_cache: Settings =
        serde_json::from_value(json!({"image": "syncer:1", "cache": [cache]})).unwrap();
    assert_ne!(with_cache.hash(), settings.hash());
    for settings in [settings, with_cache] {
        let text = serde_json::to_value(&settings).unwrap();
        let again: Settings = serde_json::from_value(text).unwrap();
        assert_eq!(again.hash(), settings.hash());
    }
}

#[test]
fn every_setting_changes_the_hash() {
    let one = Settings::new("syncer:1");
    let mut other = one.clone();
    other.stale_worktree_timeout = GitDuration::from_secs(61);
    assert_ne!(one.hash(), other.hash());
    let with_authority = |comment: &str| {
        let ca = include_str!("../../../../syncer/args/testdata/ca.pem");
        let settings = json!({"image": "syncer:1", "caBundle": format!("{comment}{ca}")});
        serde_json::from_value::<Settings>(settings).unwrap()
    };
    assert_ne!(with_authority("").hash(), one.hash());
    // Comments in PEM files are dropped.
    assert_eq!(with_authority("# ours\n").hash(), with_authority("").hash());
}

#[test]
fn a_wrong_setting_is_an_error_that_names_it() {
    for (settings, message) in [
        (json!({"image": ""}), "expected an image such as"),
        (
            json!({"image": "x", "imagePull": "Always"}),
            "unknown field `imagePull`",
        ),
        (
            json!({"image": "x", "defaultSecrets": {"*": "no name"}}),
            "expected a namespace (or * for all) mapped to the name of a Secret",
        ),
        (
            json!({"image": "x", "allowedHosts": ["https://git.example"]}),
            "\"https://git.example\": expected a host such as git.example or *.corp.example",
        ),
        (
            json!({"image": "x", "allowedHosts": ["git.*"]}),
            "\"git.*\": expected a host such as git.example or *.corp.example",
        ),
        (
            json!({"image": "x", "lfsAllowedHosts": ["https://media.example"]}),
            "\"https://media.example\": expected a host such as media.example, media.example:8443 or *.cdn.example",
        ),
        (
            json!({"image": "x", "excludedNamespaces": ["Shop"]}),
            "\"Shop\": expected a namespace, or a prefix followed by *",
        ),
        (
            json!({"image": "x", "allowedAnnotations": ["repos"]}),
            "\"repos\": expected an annotation key such as mount-path, or a prefix followed by *; did you mean repo?",
        ),
        (
            json!({"image": "x", "allowedAnnotations": ["gitvolume.dev/ref"]}),
            "did you mean ref?",
        ),
        (
            json!({"image": "x", "allowedAnnotations": ["rules.period"]}),
            "did you mean period?",
        ),
        (
            json!({"image": "x", "allowedAnnotations": ["resource.*"]}),
            "did you mean resources.",
        ),
        (
            json!({"image": "x", "allowedAnnotations": ["*.repo"]}),
            "did you mean repo?",
        ),
        (
            json!({"image": "x", "proxy": {"httpsProxy": "proxy.example"}}),
            "expected an address such as http://proxy.example:3128",
        ),
        (
            json!({"image": "x", "proxy": {"httpsProxy": "http://me:pw@proxy.example"}}),
            "expected an address without credentials",
        ),
        (
            json!({"image": "x", "caBundle": "-----BEGIN PRIVATE KEY-----\npw"}),
            "caBundle: line 1 is not the start of a certificate: expected",
        ),
        (
            json!({"image": "x", "caBundle": ""}),
            "caBundle: no certificate: expected certificates in PEM",
        ),
        (
            json!({"image": "x", "knownHosts": "# a comment\ngit.example pw"}),
            "knownHosts: line 2: expected host, key type and key",
        ),
        (
            json!({"image": "x", "cache": [{"url": "http://cache.example"}]}),
            "cache: url: expected an https address without credentials",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://me:pw@cache.example"}]}),
            "cache: url: expected an https address without credentials",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://cache.example", "caBundle": ""}]}),
            "cache: caBundle: no certificate: expected certificates in PEM",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://c.example", "trust": "none"}]}),
            "unknown variant `none`, expected `content` or `full`",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://c.example", "namespaceSelector": {"matchLabels": {"-": "x"}}}]}),
            "cache: namespaceSelector.matchLabels: \"-\": expected the key of a label",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://c.example", "maxStaleness": "0s"}]}),
            "cache: maxStaleness: \"0s\": expected at least 1s, which refuses every older revision",
        ),
        (
            json!({"image": "x", "cache": [{"url": "https://c.example", "maxStaleness": "1 day"}]}),
            "cache: maxStaleness: \"1 day\": expected a duration such as 30s, 5m or 1h30m",
        ),
        (
            json!({"image": "x", "syncTimeout": "5 min"}),
            "expected a duration such as",
        ),
        (
            json!({"image": "x", "resources": {"requests": {"cpu": "much"}}}),
            "expected a quantity such as 100m, 0.5 or 64Mi, not \"much\"",
        ),
        (
            json!({"image": "x", "resources": {"requests": {"memory": "1Gi"}}}),
            "memory: the request is greater than the limit",
        ),
        (
            json!({"image": "x", "resources": {"limits": {"cpu": "1"}}}),
            "limits: memory is missing",
        ),
    ] {
        let error = serde_json::from_value::<Settings>(settings)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
        assert!(!error.contains("pw"), "{error}");
    }
}

#[test]
fn hosts_are_allowed_by_name_and_by_domain() {
    let allowed = json!(["Git.example", "*.corp.example", "[2001:DB8::1]"]);
    let settings: Settings =
        serde_json::from_value(json!({"image": "x", "allowedHosts": allowed})).unwrap();
    for (host, is_allowed) in [
        (Some("git.example"), true),
        (Some("a.corp.example"), true),
        (Some("a.b.corp.example"), true),
        (Some("2001:db8::1"), true),
        (Some("corp.example"), false),
        (Some("evilcorp.example"), false),
        (Some("a.git.example"), false),
        (None, false),
    ] {
        assert_eq!(settings.allows_host(host), is_allowed, "{host:?}");
    }
    assert!(Settings::new("x").allows_host(None), "every host is");
}

#[test]
fn annotations_are_allowed_by_key_and_by_prefix() {
    let allowed = json!(["repo", "resources.*", "gitrepo", "me*"]);
    let settings: Settings =
        serde_json::from_value(json!({"image": "x", "allowedAnnotations": allowed})).unwrap();
    for (key, is_allowed) in [
        ("repo", true),
        ("resources.limits.cpu", true),
        ("metrics-port", true),
        ("medium", true),
        ("gitrepo", true),
        ("ref", false),
        ("user", false),
        ("use", false),
        // Authors may always opt out, and the webhook writes the status.
        ("inject", true),
        ("injected", true),
        ("status", true),
    ] {
        assert_eq!(
            settings.allows_annotation(Key::parse(key).unwrap()),
            is_allowed,
            "{key}"
        );
    }
    for row in crate::ANNOTATIONS {
        assert!(Settings::new("x").allows_annotation(row.key), "{}", row.key);
    }
    let all = json!({"image": "x", "allowedAnnotations": ["*"]});
    let all: Settings = serde_json::from_value(all).unwrap();
    assert!(all.allows_annotation(Key::User));
}
