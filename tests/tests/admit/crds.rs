//! The CRDs on a real API server: accepted and rejected values, and the messages. The API server
//! and the webhook must accept the same values.

use std::time::Duration;

use inject::GitVolume;
use inject::Kind;
use inject::Settings;
use inject::custom_resource_definition;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;

/// Installs both CRDs, and waits until objects of them can be created.
pub(crate) fn define(world: &World) -> Result<(), String> {
    for kind in [Kind::GitVolume, Kind::ClusterGitVolume] {
        let definition = custom_resource_definition(kind).to_string();
        let args = ["--server-side", "--field-manager=admit"];
        let output = world.kubectl().apply_with(&args, &definition)?;
        assert!(!output.contains("Warning"), "{output}");
        eventually("the kind is served", Duration::from_secs(60), || {
            let mut object = object(json!({}));
            if kind == Kind::ClusterGitVolume {
                object["kind"] = json!("ClusterGitVolume");
            }
            let args = ["--dry-run=server"];
            world.kubectl().apply_with(&args, &object.to_string())
        })?;
    }
    Ok(())
}

/// A valid object with these additional fields.
fn object(fields: Value) -> Value {
    let mut object = json!({
        "apiVersion": "gitvolume.dev/v1alpha1",
        "kind": "GitVolume",
        "metadata": {"name": "site"},
        "spec": {"repo": "https://git.example/site.git"},
    });
    for (key, value) in fields.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

/// Valid and invalid values for each field; each invalid one contains exactly one mistake.
fn fields() -> Vec<(&'static str, Vec<Value>, Vec<Value>)> {
    let amounts = || {
        let right = vec![
            json!("100m"),
            json!("0.5"),
            json!(".5"),
            json!("64Mi"),
            json!(2),
        ];
        let right = [
            right,
            vec![json!("0"), json!(0), json!("1e3"), json!("107374182400")],
        ]
        .concat();
        let wrong = vec![
            json!(""),
            json!("-1"),
            json!(-1),
            json!("1x"),
            json!("+1"),
            json!("much"),
        ];
        (right, wrong)
    };
    let resources = |list: &str, name: &str| {
        let nested = |values: Vec<Value>| -> Vec<Value> {
            let values = values.into_iter();
            values.map(|value| json!({list: {name: value}})).collect()
        };
        let (right, wrong) = amounts();
        ("resources", nested(right), nested(wrong))
    };
    let selectors = |name| {
        let expression = |own: Value| json!({"matchExpressions": [own]});
        (
            name,
            vec![
                json!({}),
                json!({"matchLabels": {"app": "web", "example.com/tier": ""}}),
                expression(json!({"key": "app", "operator": "In", "values": ["web", "A_b.c"]})),
                expression(json!({"key": "app", "operator": "NotIn", "values": ["web"]})),
                expression(json!({"key": "app", "operator": "Exists"})),
                expression(json!({"key": "app", "operator": "DoesNotExist", "values": []})),
            ],
            vec![
                json!({"matchLabels": {"-": "web"}}),
                json!({"matchLabels": {"Example.com/app": "web"}}),
                json!({"matchLabels": {"a/b/c": "web"}}),
                json!({"matchLabels": {"a".repeat(64): "web"}}),
                json!({"matchLabels": {"app": "b c"}}),
                json!({"matchLabels": {"app": "a".repeat(64)}}),
                json!({"matchLabels": {"app": "-a"}}),
                expression(json!({"key": "a b", "operator": "Exists"})),
                expression(json!({"key": "app", "operator": "in", "values": ["web"]})),
                expression(json!({"key": "app", "operator": "In"})),
                expression(json!({"key": "app", "operator": "NotIn", "values": []})),
                expression(json!({"key": "app", "operator": "Exists", "values": ["web"]})),
                expression(json!({"key": "app", "operator": "In", "values": ["b c"]})),
            ],
        )
    };
    let texts = |right: &[&str], wrong: &[&str]| {
        let values = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect::<Vec<_>>();
        (values(right), values(wrong))
    };
    let field = |name, right: &[&str], wrong: &[&str]| {
        let (right, wrong) = texts(right, wrong);
        (name, right, wrong)
    };
    let mut fields = vec![
        field(
            "repo",
            &[
                "https://git.example/site.git",
                "http://10.0.0.1:8080/a/b?c=d",
                "https://org@git.example/@scope/site",
                "ssh://git@git.example:2222/site.git",
                "ssh://git.example/site",
                "git@git.example:org/site.git",
                "git.example:site",
                "https://[::1]:8443/x",
            ],
            &[
                "",
                "site",
                "/etc",
                "file:///etc",
                "git://git.example/x",
                "ext::id",
                "--upload-pack=x",
                "https:///x",
                "https://",
                "https://git.example/a b",
                "ssh://-x/y",
                "host:-x",
                "https://me:hunter2@git.example/x",
                "https://ghp_hunter2@git.example/x",
            ],
        ),
        field(
            "ref",
            &[
                "HEAD",
                "main",
                "v1.2.0",
                "refs/heads/a-b",
                "feature/x",
                "a@b",
                "semver",
                "semver:^1.2",
                "semver: >= 1.2.0-0, <2 || 3.x||v4.1.2+b",
                "semver:1.2 - 1.4",
                "semver:*-0",
            ],
            &[
                "",
                "-x",
                "+a:b",
                "a..b",
                "a b",
                "a.lock",
                "a/",
                "/a",
                "a//b",
                "a/.b",
                "a.",
                "@",
                "a~1",
                "a^",
                "a:b",
                "a@{1}",
                "a\\b",
                "a\tb",
                "semver:",
                "semver:latest",
                "semver:^1.2 ||",
                "semver:1.x.3",
                "semver:>=1<2",
                "semver:^1\n",
            ],
        ),
        field(
            "mountPath",
            &[
                "/usr/share/nginx/html",
                "/a/",
                "/a b/..data",
                "/...",
                "/.a",
                "/a..",
            ],
            &[
                "",
                "/",
                "a",
                "./a",
                "/a/../b",
                "/a/./b",
                "/a//b",
                "//a",
                "/a:b",
                "/a\n",
                "/..",
                "/proc",
                "/proc/self",
            ],
        ),
        field(
            "link",
            &["current", "a/b", ".github", "./a", "a//b", "...", "..a"],
            &[
                "",
                "/srv",
                "../x",
                "a/",
                "a/..",
                ".",
                "./.",
                ".git",
                "./.git/x",
                ".worktrees",
                "a\tb",
            ],
        ),
        field("layout", &["projected", "files"], &["", "Files", "link"]),
        field("mode", &["sync", "once"], &["", "Once", "always"]),
        field(
            "period",
            &["30s", "1h30m", "10ms", "0.5s", ".5s", "1.5h", "20000us"],
            &[
                "", "5 min", "5", "-5s", "+5s", "s", "1d", "9ms", "0", "1.s.2",
            ],
        ),
        field("timeout", &["30m"], &["", "1ms", "x"]),
        (
            "depth",
            vec![json!(0), json!(1), json!(2_147_483_647)],
            vec![json!(-1), json!(2_147_483_648_u32)],
        ),
        field(
            "secret",
            &["git-credentials", "a.b-c.1"],
            &["", "Git", "-a", "a-", "a..b", "a/b", &"a".repeat(254)],
        ),
        field(
            "subdir",
            &["public", "a/b c/", "..a/.github", "..."],
            &[
                "", "/a", "a//b", "a/../b", ".", "a/.git", ".GIT/x", "a/./b", "a\tb", "a//",
            ],
        ),
        field(
            "sparseCheckout",
            &["/docs/", "# why\n/a\n\n!/a/b\n", "  /a/  \n\t/b\r\n"],
            &["", "\n \n", "# nothing", "/a\tb"],
        ),
        field(
            "filter",
            &["blob:none", "blob:limit=1m", "blob:limit=100", "tree:0"],
            &[
                "",
                "blob",
                "blob:limit=",
                "blob:limit=1x",
                "tree:x",
                "tree:12345678901",
            ],
        ),
        field(
            "submodules",
            &["recursive", "shallow", "off"],
            &["", "true"],
        ),
        ("readOnly", vec![json!(true), json!(false)], vec![]),
        ("lfs", vec![json!(true), json!(false)], vec![]),
        ("safeDirectory", vec![json!(true)], vec![]),
        field(
            "notify",
            &["http://localhost:9300/reload", "https://a@b.example/?x=y"],
            &[
                "",
                "localhost:9300",
                "ftp://a/b",
                "http://",
                "http://a/b c",
                "http://me:hunter2@a/b",
            ],
        ),
        (
            "sizeLimit",
            vec![json!("2Gi"), json!("0.5"), json!(1), json!("1e9")],
            vec![
                json!("0"),
                json!(0),
                json!(""),
                json!("0.0Gi"),
                json!("-1"),
                json!("x"),
            ],
        ),
        field("medium", &["disk", "memory", "Memory"], &["", "ram"]),
        (
            "containers",
            vec![json!(["web"]), json!(["web", "worker"])],
            vec![json!([]), json!([""]), json!(["a,b"]), json!(["web", " "])],
        ),
        ("initContainers", vec![json!(["build"])], vec![json!([])]),
        field(
            "position",
            &["last", "first", "before:a-b", "after:istio-proxy"],
            &["", "First", "before", "before:", "after:A b", "at:x"],
        ),
        (
            "user",
            vec![
                json!(1000),
                json!("1000"),
                json!("1000:2000"),
                json!("2147483647"),
            ],
            vec![
                json!(0),
                json!(-1),
                json!(2_147_483_648_u32),
                json!("0"),
                json!("root"),
                json!("1:"),
                json!(":1"),
                json!("1:0"),
                json!("2147483648"),
                json!("1:2:3"),
                json!("+1"),
            ],
        ),
        field(
            "image",
            &["registry.example/gitvolume-syncer:0.1.0", "a@sha256:0"],
            &["", "-x", "a b", "a\nb"],
        ),
        (
            "metricsPort",
            vec![json!(1024), json!(65535)],
            vec![json!(80), json!(65536)],
        ),
        (
            "priority",
            vec![json!(0), json!(-7), json!(2_147_483_647)],
            vec![json!(2_147_483_648_u32)],
        ),
        selectors("podSelector"),
        (
            "resources",
            vec![
                json!({"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"cpu": "1000m"}}),
                json!({"requests": {"ephemeral-storage": "1Gi"},
                       "limits": {"ephemeral-storage": "1024Mi"}}),
            ],
            vec![],
        ),
    ];
    for list in ["requests", "limits"] {
        for name in ["cpu", "memory", "ephemeral-storage"] {
            fields.push(resources(list, name));
        }
    }
    fields
}

/// The description of a mistake: the sentence from `expected` or a similar start on.
fn words(sentence: &str) -> &str {
    let begins = ["credentials in an address", "the request ", "expected "];
    let at = begins.iter().find_map(|words| sentence.find(words));
    &sentence[at.unwrap_or_default()..]
}

pub(crate) fn valid_objects_are_accepted_by_api_server_and_webhook(world: &World) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    let mut objects = Vec::new();
    for (field, right, _) in fields() {
        for value in right {
            let mut object = object(json!({field: value}));
            object["metadata"]["name"] = json!(format!("right-{}", objects.len()));
            if let Err(refusal) = GitVolume::read(&object).accepted(&Settings::new("syncer:1")) {
                return Err(format!("{object}: {refusal}").into());
            }
            objects.push(object);
        }
    }
    let count = objects.len();
    assert!(count > 80, "{count}");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let args = ["--dry-run=server", "--validate=strict"];
    let (made, output) = namespace.created(&args, &list.to_string())?;
    assert_eq!((made.len(), output.as_str()), (count, ""));
    for (object, made) in objects.iter().zip(&made) {
        assert_eq!(
            made["spec"], object["spec"],
            "nothing is filled in or taken out"
        );
    }
    Ok(())
}

pub(crate) fn invalid_objects_are_refused_at_apply_with_the_message_of_the_annotation(
    world: &World,
) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    let mut objects = Vec::new();
    for (field, _, wrong) in fields() {
        for value in wrong {
            let mut object = object(json!({field: value}));
            object["metadata"]["name"] = json!(format!("wrong-{}-x", objects.len()));
            objects.push((field, object));
        }
    }
    let both = object(json!({"link": "a", "subdir": "b"}));
    objects.push(("subdir", both));
    for (name, request, limit) in [
        ("cpu", json!(2), json!("1500m")),
        ("memory", json!("1Gi"), json!("512Mi")),
        ("ephemeral-storage", json!("2Gi"), json!("2G")),
    ] {
        let mut above = object(json!({"resources": {
            "requests": {name: request}, "limits": {name: limit},
        }}));
        above["metadata"]["name"] = json!(format!("above-{name}"));
        objects.push(("resources", above));
    }
    for name in [
        "Ref",
        "ref",
        "resources",
        "mount-path",
        "a.b",
        &"a".repeat(41),
    ] {
        let mut object = object(json!({}));
        object["metadata"]["name"] = json!(name);
        objects.push(("", object));
    }
    assert!(objects.len() > 100, "{}", objects.len());
    let items: Vec<&Value> = objects.iter().map(|(_, object)| object).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let args = ["--dry-run=server", "--validate=strict"];
    let output = match namespace.created(&args, &list.to_string()) {
        Ok((made, _)) => return Err(format!("{} are taken", made.len()).into()),
        Err(output) => output,
    };
    let mut wrong = Vec::new();
    for (field, object) in &objects {
        let read = GitVolume::read(object);
        let Err(refusal) = read.accepted(&Settings::new("syncer:1")) else {
            wrong.push(format!("accepted by us: {object}"));
            continue;
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let head = format!("\"{name}\" is invalid:");
        let Some((_, rest)) = output.split_once(&head) else {
            wrong.push(format!("taken by the API server: {object}: {refusal}"));
            continue;
        };
        let rest = rest.split("\" is invalid:").next().unwrap_or_default();
        let at = match *field {
            "" => "metadata.name".to_owned(),
            field => format!("spec.{field}"),
        };
        let mistakes = refusal.mistakes().count();
        // A name that the API server rejects for any kind has the API server's own message.
        let is_own = field.is_empty() && !rest.contains("expected");
        // For a closed set of words the API server's own message lists them.
        let is_listed = rest.contains("supported values: ");
        let is_same = is_listed || rest.contains(words(&refusal.to_string()));
        let is_same = is_same && rest.contains(&at);
        if mistakes != 1 || !(is_own || is_same) {
            wrong.push(format!("{object}: {refusal}\nbut the API server: {rest}"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

pub(crate) fn unknown_fields_are_refused_by_a_strict_apply_and_dropped_otherwise(
    world: &World,
) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    for (field, unknown) in [
        ("mountpath", json!("/x")),
        ("namespaceSelector", json!({})),
        ("resources", json!({"limits": {"gpu": 1}})),
    ] {
        let object = object(json!({field: unknown})).to_string();
        let args = ["--dry-run=server", "--validate=strict"];
        let output = namespace.created(&args, &object).err().unwrap_or_default();
        assert!(
            output.contains("unknown field \"spec."),
            "{field}: {output}"
        );
        let args = ["--dry-run=server", "--validate=ignore"];
        let (made, _) = namespace.created(&args, &object)?;
        let kept = &made[0]["spec"][field];
        let is_dropped = kept.is_null() || *kept == json!({"limits": {}});
        assert!(is_dropped, "{}", made[0]);
    }
    Ok(())
}

/// Columns of `kubectl get`.
pub(crate) fn kubectl_get_lists_the_settings_and_the_condition_of_objects(
    world: &World,
) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    let object = object(json!({"ref": "v1", "mountPath": "/srv"}));
    namespace.create(&object.to_string())?;
    let now = "2026-01-01T00:00:00Z";
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "Tried", "message": "m",
            "observedGeneration": 1, "lastTransitionTime": now,
        })
    };
    let status = json!({"status": {
        "observedGeneration": 1,
        "conditions": [condition("Ready", "True"), condition("Effective", "False")],
    }});
    let status = status.to_string();
    let args = [
        "patch",
        "gv",
        "site",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ];
    namespace.run(&args)?;
    let listed = namespace.run(&["get", "gv"])?;
    let columns =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let mut lines = listed.lines().map(columns);
    assert_eq!(
        lines.next().unwrap_or_default(),
        ["NAME", "REPO", "REF", "PATH", "READY", "EFFECTIVE", "AGE"]
    );
    let own = lines.next().unwrap_or_default();
    let output = [
        "site",
        "https://git.example/site.git",
        "v1",
        "/srv",
        "True",
        "False",
    ];
    assert_eq!(own[..6], output);
    let wide = namespace.run(&["get", "gv", "-o=wide"])?;
    let titles = columns(wide.lines().next().unwrap_or_default());
    assert_eq!(titles[6..], ["SHADOWED", "MESSAGE", "AGE"], "{wide}");
    let of_the_category = namespace.run(&["get", "gitvolume-dev", "-o=name"])?;
    assert!(
        of_the_category.contains("gitvolume.gitvolume.dev/site"),
        "{of_the_category}"
    );
    let explained = namespace.run(&["explain", "gitvolume.spec.period"])?;
    let explained = columns(&explained).join(" ");
    assert!(explained.contains("a duration such as"), "{explained}");
    Ok(())
}

/// A client of either version reads and writes the same object; the stored version does not change,
/// so a rollback finds all objects.
pub(crate) fn both_versions_serve_the_same_objects_and_one_is_stored(world: &World) -> TestResult {
    define(world)?;
    let namespace = world.namespace(&[])?;
    let mut object = object(json!({"ref": "v1"}));
    object["apiVersion"] = json!("gitvolume.dev/v1beta1");
    namespace.create(&object.to_string())?;
    let read = |version: &str| {
        let kind = format!("gitvolumes.{version}.gitvolume.dev");
        namespace.get_json(&[&kind, "site"])
    };
    let (mut old, new) = (read("v1alpha1")?, read("v1beta1")?);
    assert_eq!(old["apiVersion"], "gitvolume.dev/v1alpha1");
    old["apiVersion"] = new["apiVersion"].clone();
    old["metadata"]["managedFields"] = json!(null);
    let mut same = new.clone();
    same["metadata"]["managedFields"] = json!(null);
    assert_eq!(old, same);
    let kind = "gitvolumes.v1alpha1.gitvolume.dev";
    let patch = r#"{"spec":{"ref":"v2"}}"#;
    namespace.run(&["patch", kind, "site", "--type=merge", "-p", patch])?;
    assert_eq!(read("v1beta1")?["spec"]["ref"], "v2");
    let refused = r#"{"spec":{"layout":"link"}}"#;
    for version in ["v1alpha1", "v1beta1"] {
        let kind = format!("gitvolumes.{version}.gitvolume.dev");
        let refused = namespace.run(&["patch", &kind, "site", "--type=merge", "-p", refused]);
        let message = refused.err().unwrap_or_default();
        assert!(
            message.contains("supported values: \"projected\", \"files\""),
            "{version}: {message}"
        );
    }
    for plural in ["gitvolumes", "clustergitvolumes"] {
        let definition = world
            .kubectl()
            .get_json(&["crd", &format!("{plural}.gitvolume.dev")])?;
        assert_eq!(definition["status"]["storedVersions"], json!(["v1alpha1"]));
        let versions = &definition["spec"]["versions"];
        let schemas = ["/0/schema", "/1/schema"].map(|at| versions.pointer(at));
        assert_eq!(schemas[0], schemas[1]);
    }
    Ok(())
}
