use super::*;

const A: &str = "e83c5163316f89bfbde7d9ab23ca2e25604af290";
const B: &str = "0123456789012345678901234567890123456789";

fn packets(lines: &[&str]) -> Packets {
    let mut bytes = Vec::new();
    for line in lines {
        match *line {
            "0000" | "0001" => bytes.extend_from_slice(line.as_bytes()),
            line => write_line(&mut bytes, line),
        }
    }
    let mut packets = Packets::default();
    packets.push(&bytes).unwrap();
    packets
}

fn answer_to(rev: &str, tag: Option<&str>, refs: &[(&str, &str)]) -> Answer {
    let lines: Vec<String> = refs
        .iter()
        .map(|(object, name)| format!("{object} {name}"))
        .collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push("0000");
    let rev = rev.parse().unwrap();
    let mut search = Search::new(&rev, known(A, tag));
    listed(&mut packets(&lines), &mut search).unwrap().unwrap()
}

fn known<'a>(object: &'a str, tag: Option<&'a str>) -> KnownRef<'a> {
    KnownRef { object, tag }
}

#[test]
fn a_name_is_resolved_by_gits_rules() {
    for (name, refs, expected) in [
        ("main", &[(A, "refs/heads/main")][..], Answer::Same),
        ("main", &[(B, "refs/heads/main")], Answer::Different),
        ("main", &[(A, "refs/heads/main2")], Answer::Different),
        ("main", &[], Answer::Different),
        // A tag takes precedence over a branch, whatever their order in the list.
        (
            "x",
            &[(A, "refs/heads/x"), (B, "refs/tags/x")],
            Answer::Different,
        ),
        (
            "x",
            &[(A, "refs/tags/x"), (B, "refs/heads/x")],
            Answer::Same,
        ),
        (
            "x",
            &[(B, "refs/remotes/x/HEAD"), (A, "refs/remotes/x")],
            Answer::Same,
        ),
        ("x", &[(A, "refs/remotes/x/HEAD")], Answer::Same),
        ("HEAD", &[(A, "HEAD"), (B, "refs/heads/HEAD")], Answer::Same),
        ("heads/x", &[(A, "refs/heads/x")], Answer::Same),
        (
            "refs/heads/x",
            &[(A, "refs/heads/x"), (B, "refs/heads/refs/heads/x")],
            Answer::Same,
        ),
    ] {
        assert_eq!(answer_to(name, None, refs), expected, "{name} {refs:?}");
    }
}

#[test]
fn attributes_of_a_ref_are_passed_over() {
    let line = format!("{A} HEAD symref-target:refs/heads/main");
    let rev = Revision::default();
    let mut search = Search::new(&rev, known(A, None));
    let answer = listed(&mut packets(&[&line, "0000"]), &mut search);
    assert_eq!(answer, Ok(Some(Answer::Same)));
}

#[test]
fn lines_that_list_no_ref_are_an_error() {
    for line in ["unborn HEAD", "HEAD", "e83c HEAD", "0001"] {
        let rev = Revision::default();
        let mut search = Search::new(&rev, known(A, None));
        let answer = listed(&mut packets(&[line, "0000"]), &mut search);
        assert_eq!(answer, Err(ProtocolError::Malformed), "{line}");
    }
    let rev = Revision::default();
    let mut search = Search::new(&rev, known(A, None));
    assert_eq!(listed(&mut packets(&[]), &mut search), Ok(None));
}

fn greeting(lines: &[&str]) -> Result<Option<Greeting>, ProtocolError> {
    let rev = "main".parse().unwrap();
    Handshake::new(Search::new(&rev, known(A, None))).read(&mut packets(lines))
}

#[test]
fn the_capabilities_of_version_2_are_read() {
    let lines = [
        "version 2",
        "agent=git/2.39.5",
        "ls-refs=unborn",
        "fetch=shallow wait-for-done",
        "object-format=sha256",
        "0000",
    ];
    let expected = Greeting::Capabilities {
        object_format: Some("sha256".to_owned()),
    };
    assert_eq!(greeting(&lines), Ok(Some(expected)));
    // Some servers send the service's name first, as in version 0.
    let expected = Greeting::Capabilities {
        object_format: None,
    };
    let lines = [
        "# service=git-upload-pack",
        "0000",
        "version 2",
        "ls-refs",
        "0000",
    ];
    assert_eq!(greeting(&lines), Ok(Some(expected)));
    assert_eq!(
        greeting(&["version 2", "fetch", "0000"]),
        Err(ProtocolError::NoLsRefs)
    );
    assert_eq!(greeting(&["version 2", "ls-refs"]), Ok(None));
}

#[test]
fn an_older_servers_list_is_read() {
    let head = format!("{B} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/1.9");
    let main = format!("{A} refs/heads/main");
    let tag = format!("{B} refs/tags/v1");
    let peeled = format!("{A} refs/tags/v1^{{}}");
    let cut = format!("shallow {B}");
    let mut lines = vec![head.as_str(), &main, &tag, &peeled, &cut, "0000"];
    assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
    lines.insert(0, "version 1");
    assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
    lines.splice(0..0, ["# service=git-upload-pack", "0000"]);
    assert_eq!(greeting(&lines), Ok(Some(Greeting::Listed(Answer::Same))));
    lines.pop();
    assert_eq!(greeting(&lines), Ok(None));
    let none = format!("{} capabilities^{{}}\0agent=git/2", "0".repeat(40));
    let empty = greeting(&[&none, "0000"]);
    assert_eq!(empty, Ok(Some(Greeting::Listed(Answer::Different))));
}

#[test]
fn the_request_names_every_possible_ref() {
    let text = String::from_utf8(request(&"x".parse().unwrap(), Some("sha256"))).unwrap();
    assert!(text.starts_with("0014command=ls-refs\n"), "{text}");
    assert!(text.contains("0019object-format=sha256\n"), "{text}");
    assert!(text.contains("\n0001"), "{text}");
    for prefix in [
        "x",
        "refs/x",
        "refs/tags/x",
        "refs/heads/x",
        "refs/remotes/x/HEAD",
    ] {
        assert!(text.contains(&format!("ref-prefix {prefix}\n")), "{text}");
    }
    assert!(text.ends_with("0000"), "{text}");
}

#[test]
fn the_same_tag_of_a_range_is_the_highest_one_with_the_known_object() {
    for (range, tag, refs, expected) in [
        (
            "semver:^1",
            "v1.1.0",
            &[(B, "refs/tags/v1.0.0"), (A, "refs/tags/v1.1.0")][..],
            Answer::Same,
        ),
        // The order of the list does not matter, nor do other tags and refs.
        (
            "semver:^1",
            "v1.1.0",
            &[
                (A, "refs/tags/v1.1.0"),
                (B, "refs/tags/v1.0.0"),
                (B, "refs/tags/v2.0.0"),
                (B, "refs/tags/v1.2.0-rc.1"),
                (B, "refs/tags/latest"),
                (B, "refs/heads/v1.2.0"),
                (B, "refs/tags/v1.1.0^{}"),
            ],
            Answer::Same,
        ),
        // A new tag, a moved one, a removed one.
        (
            "semver:^1",
            "v1.1.0",
            &[(A, "refs/tags/v1.1.0"), (B, "refs/tags/v1.2.0")],
            Answer::Different,
        ),
        (
            "semver:^1",
            "v1.1.0",
            &[(B, "refs/tags/v1.1.0")],
            Answer::Different,
        ),
        (
            "semver:^1",
            "v1.1.0",
            &[(B, "refs/tags/v1.0.0")],
            Answer::Different,
        ),
        ("semver:^1", "v1.1.0", &[], Answer::Different),
        // Another tag of the same object.
        (
            "semver:^1",
            "v1.1.0",
            &[(A, "refs/tags/v1.2.0")],
            Answer::Different,
        ),
    ] {
        let answer = answer_to(range, Some(tag), refs);
        assert_eq!(answer, expected, "{refs:?}");
    }
}

#[test]
fn the_request_for_a_range_names_the_tags_of_its_major_numbers_alone() {
    for (range, expected) in [
        (
            "semver:^1.2 || ~3.4",
            &["refs/tags/1", "refs/tags/v1", "refs/tags/3", "refs/tags/v3"][..],
        ),
        ("semver:>=1.2", &["refs/tags/"]),
        ("semver:1||2||3||4||5||6||7||8||9", &["refs/tags/"]),
    ] {
        let text = String::from_utf8(request(&range.parse().unwrap(), None)).unwrap();
        let mut lines = text.lines();
        let prefixes: Vec<_> = lines
            .by_ref()
            .filter_map(|line| line.split_once("ref-prefix "))
            .collect();
        let prefixes: Vec<_> = prefixes.iter().map(|(_, prefix)| *prefix).collect();
        assert_eq!(prefixes, expected, "{range}");
    }
}
