use super::*;
use proptest::collection::btree_set;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Bodies of git 2.39.5 and some that no git sends; the seeds of the property below.
fn corpus() -> Vec<Vec<u8>> {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let git = |command: &str, arguments: &[String]| {
        let mut out = Vec::new();
        write_line(&mut out, &format!("command={command}"));
        write_line(&mut out, "agent=git/2.39.5");
        write_line(&mut out, "object-format=sha1");
        out.extend_from_slice(DELIMITER);
        for argument in arguments {
            write_line(&mut out, argument);
        }
        out.extend_from_slice(FLUSH);
        out
    };
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    vec![
        git(
            "ls-refs",
            &texts(&[
                "peel",
                "symrefs",
                "unborn",
                "ref-prefix refs/heads/main",
                "ref-prefix HEAD",
            ]),
        ),
        git(
            "fetch",
            &[
                texts(&["thin-pack", "no-progress", "ofs-delta"]),
                vec![format!("shallow {id}"), "deepen 1".to_owned()],
                vec![
                    format!("want {id}"),
                    format!("have {id}"),
                    "done".to_owned(),
                ],
            ]
            .concat(),
        ),
        git("object-info", &texts(&["size"])),
        b"0000".to_vec(),
        b"0014command=ls-refs\n0000".to_vec(),
        b"0014command=ls-refs\n0001".to_vec(),
        b"0009main\n0000".to_vec(),
        b"".to_vec(),
        b"<html>".to_vec(),
    ]
}

#[test]
fn requests_of_git_are_accepted_and_sorted() {
    let bodies = corpus();
    let Ok(Request::LsRefs(refs)) = Request::parse(&bodies[0]) else {
        panic!("{:?}", Request::parse(&bodies[0]));
    };
    let text = String::from_utf8(refs.to_body()).unwrap();
    assert_eq!(
        text,
        "0014command=ls-refs\n00010009peel\n000csymrefs\n000bunborn\n0014ref-prefix HEAD\n\
         001fref-prefix refs/heads/main\n0000"
    );
    let Ok(Request::Fetch(fetch)) = Request::parse(&bodies[1]) else {
        panic!("{:?}", Request::parse(&bodies[1]));
    };
    assert_eq!(fetch.deepen, Some(1));
    assert_eq!(fetch.first_clone(), None);
    assert_eq!(Request::parse(&bodies[3]), Ok(Request::Probe));
}

#[test]
fn requests_outside_the_grammar_are_refused() {
    let id = "a".repeat(40);
    let unsupported = [
        "want-ref refs/heads/main",
        "packfile-uris https",
        "sideband-all",
        "deepen 1|deepen 2",
        "filter blob:none|filter tree:0",
        "filter sparse:oid=main:patterns",
        "filter combine:blob:none+tree:0",
        "filter blob:limit=1k",
        "deepen-not refs/heads/secret",
    ];
    let malformed = [
        "want A".to_owned(),
        format!("want {}", "A".repeat(40)),
        format!("want {}", "a".repeat(64)),
        format!("want {id} side-band"),
        "deepen -1".to_owned(),
        "deepen 01".to_owned(),
        "deepen 99999999999".to_owned(),
        "filter blob:none\u{7f}".to_owned(),
    ];
    let body = |arguments: &str| {
        let mut out = begin("fetch", ObjectFormat::Sha1);
        write_line(&mut out, &format!("want {id}"));
        for argument in arguments.split('|') {
            write_line(&mut out, argument);
        }
        out.extend_from_slice(FLUSH);
        out
    };
    for arguments in unsupported {
        let parsed = Request::parse(&body(arguments));
        assert_eq!(parsed, Err(RequestError::Unsupported), "{arguments}");
    }
    for arguments in &malformed {
        let parsed = Request::parse(&body(arguments));
        assert_eq!(parsed, Err(RequestError::Malformed), "{arguments}");
    }
    // A tag of another follower must not be in the answer.
    assert_eq!(
        Request::parse(&body("include-tag|done")),
        Request::parse(&body("done"))
    );
    let mut more = body("done");
    assert!(Request::parse(&more).is_ok());
    more.extend_from_slice(FLUSH);
    assert_eq!(Request::parse(&more), Err(RequestError::Malformed));
}

fn id() -> impl Strategy<Value = String> {
    "[0-9a-f]{40}"
}

fn ls_refs() -> impl Strategy<Value = Request> {
    let prefixes = btree_set("[!-~][ -~]{0,20}", 0..4);
    (any::<[bool; 3]>(), prefixes).prop_map(|([peel, symrefs, unborn], prefixes)| {
        Request::LsRefs(LsRefs {
            object_format: ObjectFormat::Sha1,
            peel,
            symrefs,
            unborn,
            prefixes,
        })
    })
}

fn fetch() -> impl Strategy<Value = Request> {
    let objects = || btree_set(id(), 0..4);
    let numbers = (option::of(any::<u32>()), option::of(any::<u64>()));
    let filters = ["blob:none", "blob:limit=1024", "tree:0"].map(str::to_owned);
    let filter = option::of(select(filters.to_vec()));
    let sets = (btree_set(id(), 1..4), objects(), objects());
    let options = btree_set(select(&OPTIONS[..]), 0..5);
    (sets, options, numbers, filter).prop_map(
        |((wants, haves, shallows), options, numbers, filter)| {
            Request::Fetch(Box::new(Fetch {
                object_format: ObjectFormat::Sha1,
                options,
                wants,
                haves,
                shallows,
                deepen: numbers.0,
                deepen_since: numbers.1,
                filter,
            }))
        },
    )
}

fn body(request: &Request) -> Vec<u8> {
    match request {
        Request::LsRefs(request) => request.to_body(),
        Request::Fetch(request) => request.to_body(),
        Request::Probe => FLUSH.to_vec(),
    }
}

proptest! {
    #[test]
    fn a_written_request_is_read_back(request in prop_oneof![ls_refs(), fetch()]) {
        prop_assert_eq!(Request::parse(&body(&request)), Ok(request));
    }

    #[test]
    fn any_bytes_are_refused_or_have_one_canonical_form(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(request) = Request::parse(&bytes) {
            prop_assert_eq!(Request::parse(&body(&request)), Ok(request));
        }
    }

    #[test]
    fn changed_requests_are_refused_or_have_one_canonical_form(
        seed in select(corpus()),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let mut bytes = seed;
        for (at, byte, is_cut) in edits {
            match (bytes.is_empty(), is_cut) {
                (true, _) => bytes.push(byte),
                (false, true) => bytes.truncate(at.index(bytes.len())),
                (false, false) => {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
        }
        if let Ok(request) = Request::parse(&bytes) {
            prop_assert_eq!(Request::parse(&body(&request)), Ok(request));
        }
    }
}
