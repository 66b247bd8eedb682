use super::*;

#[test]
fn synonyms_suggest_their_keys() {
    for (word, key) in [
        ("branch", "ref"),
        ("interval", "period"),
        ("path", "mount-path"),
        ("url", "repo"),
        ("revision", "ref"),
        ("tag", "ref"),
        ("commit", "ref"),
        ("dest", "mount-path"),
        ("secretName", "secret"),
        ("mountPath", "mount-path"),
        ("mount_path", "mount-path"),
        ("READONLY", "read-only"),
        ("perod", "period"),
        ("sub-path", "subdir"),
        ("targetRevision", "ref"),
    ] {
        let (name, row) = nearest(word).unwrap();
        assert_eq!((name, row.key.as_str()), (None, key), "{word}");
    }
    let (name, row) = nearest("site.branch").unwrap();
    assert_eq!((name, row.key), (Some("site"), Key::Ref));
    for (word, _) in WORDS {
        assert_eq!(Key::parse(word), None, "{word}");
    }
    assert!(nearest("xyzzy").is_none());
}

#[test]
fn a_similar_value_suggests_an_accepted_one() {
    for (key, text, meant) in [
        ("period", "60", Some("60s")),
        ("period", "5 min", Some("5m")),
        ("period", "1d", Some("24h")),
        ("timeout", "10S", Some("10s")),
        ("timeout", "soon", None),
        ("subdir", "/public/", Some("public")),
        ("subdir", "./a//b", Some("a/b")),
        ("subdir", "../x", None),
        ("mount-path", "srv/www", Some("/srv/www")),
        ("mount-path", "/srv/../etc", None),
        ("size-limit", "500MB", Some("500M")),
        ("size-limit", "1 gib", Some("1Gi")),
        ("size-limit", "0", None),
        ("read-only", "no", Some("false")),
        ("mode", "Once", Some("once")),
        ("depth", "full", Some("0")),
        ("ref", "^1.2", Some("semver:^1.2")),
        ("ref", ">=1.2 <2", Some("semver:>=1.2 <2")),
        ("ref", "a b", None),
        ("ref", "semver:latest", None),
        (
            "repo",
            "github.com/acme/site",
            Some("https://github.com/acme/site"),
        ),
        ("repo", "./x", None),
        ("repo", "/etc", None),
    ] {
        let row = Key::parse(key).unwrap().row();
        assert_eq!(value(row, text).as_deref(), meant, "{key}: {text}");
    }
}

#[test]
fn a_web_page_suggests_its_repository() {
    for (address, repo, rev, path) in [
        (
            "https://github.com/a/b/tree/main/docs/x",
            "https://github.com/a/b",
            "main",
            "docs/x",
        ),
        (
            "https://github.com/a/b/blob/v1/README.md",
            "https://github.com/a/b",
            "v1",
            "",
        ),
        (
            "https://gitlab.com/a/g/b/-/tree/main",
            "https://gitlab.com/a/g/b",
            "main",
            "",
        ),
        (
            "https://gitlab.com/a/b/-/blob/main/x/y?ref_type=heads",
            "https://gitlab.com/a/b",
            "main",
            "x",
        ),
        (
            "https://codeberg.org/a/b/src/branch/main/x",
            "https://codeberg.org/a/b",
            "main",
            "x",
        ),
        (
            "https://bitbucket.org/a/b/src/main/",
            "https://bitbucket.org/a/b",
            "main",
            "",
        ),
    ] {
        let page = page(address).unwrap();
        assert_eq!(page.repo, repo);
        assert_eq!(page.rev.as_deref(), Some(rev));
        assert_eq!(page.path.unwrap_or_default(), path);
    }
    for address in [
        "https://github.com/a/b.git",
        "https://git.example/tree/main",
        "https://git.example/a/tree",
        "https://git.example/a/b/tree",
        "https://git.example/group/src/site",
        "git@github.com:a/b.git",
    ] {
        assert_eq!(page(address), None, "{address}");
    }
}

#[test]
fn abbreviated_hashes_are_recognised() {
    assert!(is_short_hash("1a2b3c4"));
    assert!(is_short_hash("A94A8FE5CCB19"));
    for text in [
        "main",
        "v1.2.3",
        "deadbeef",
        "facade",
        "12345",
        &"a1".repeat(20),
    ] {
        assert!(!is_short_hash(text), "{text}");
    }
}
