//! Random bytes for the decoder of reviews and everything after it: `make fuzz`. An input that once
//! caused a failure is a file of `corpus`.
//!
//! A fuzzer that measures coverage drives the example `fuzz`, which reads one input from its standard
//! input, with `corpus` as its seeds.

mod target;

use std::path::Path;

use fuzz::FuzzTarget;

/// Strings from reviews: replacing one by another reaches more code than changing a byte.
const WORDS: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "\"\"",
    "[]",
    "{}",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"gitvolume\"",
    "\"gitvolume.dev/repo\"",
    "\"gitvolume.dev/a.repo\"",
    "\"gitvolume.dev/status\"",
    "\"gitvolume.dev/mode\":\"once\",",
    "\"gitvolume.dev/link\":\"x\",",
    "\"spec\"",
    "\"metadata\"",
    "\"annotations\"",
    "\"containers\"",
    "\"initContainers\"",
    "\"volumes\"",
    "\"gitRepo\"",
    "\"emptyDir\":{},",
    "\"volumeMounts\"",
    "\"CREATE\"",
    "\"UPDATE\"",
    "\"Pod\"",
    "\"Deployment\"",
    "\"template\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\"",
];

#[test]
fn any_bytes_are_answered() {
    let reviews = FuzzTarget {
        name: "reviews",
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"),
        words: WORDS,
    };
    fuzz::run(&reviews, target::fuzz);
}
