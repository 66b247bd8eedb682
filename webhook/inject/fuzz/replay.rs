//! Random bytes for the decoder of reviews and everything after it: every file of `corpus`, and
//! random changes of them. An input that once caused a failure is kept there as a file.
//!
//! A long run, on the stable compiler: `PROPTEST_CASES=1000000 cargo test --release -p inject
//! --test inject -- fuzz`. A fuzzer that measures coverage drives the example `fuzz`, which reads one input
//! from its standard input, with `corpus` as its seeds.

mod target;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::sample::select;

fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 20, "{}", files.len());
    let read = |file: PathBuf| {
        let data = fs::read(&file).unwrap();
        (file, data)
    };
    files.into_iter().map(read).collect()
}

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

/// One change to an input.
#[derive(Clone, Debug)]
enum Edit {
    Cut(Index, usize),
    Double(Index, usize),
    Put(Index, Vec<u8>),
    Set(Index, u8),
}

impl Edit {
    fn apply(&self, data: &mut Vec<u8>) {
        let (Self::Cut(at, _) | Self::Double(at, _) | Self::Put(at, _) | Self::Set(at, _)) = self;
        let at = at.index(data.len() + 1);
        let rest = data.len() - at;
        match self {
            Self::Cut(_, length) => drop(data.drain(at..at + rest.min(*length))),
            Self::Double(_, length) => {
                let part = data[at..at + rest.min(*length)].to_vec();
                data.splice(at..at, part);
            }
            Self::Put(_, bytes) => drop(data.splice(at..at, bytes.iter().copied())),
            Self::Set(_, byte) => {
                if let Some(own) = data.get_mut(at) {
                    *own = *byte;
                }
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let word = select(WORDS).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![
        (any::<Index>(), 1..64usize).prop_map(|(at, length)| Edit::Cut(at, length)),
        (any::<Index>(), 1..64usize).prop_map(|(at, length)| Edit::Double(at, length)),
        (any::<Index>(), word).prop_map(|(at, word)| Edit::Put(at, word)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
    ]
}

#[test]
fn the_corpus_is_answered() {
    for (file, data) in corpus() {
        println!("{}", file.display());
        target::fuzz(&data);
    }
}

proptest! {
    #[test]
    fn random_changes_of_the_corpus_are_answered(
        file in any::<Index>(),
        edits in vec(edit(), 0..6),
    ) {
        let corpus = corpus();
        let mut data = file.get(&corpus).1.clone();
        for edit in &edits {
            edit.apply(&mut data);
        }
        target::fuzz(&data);
    }

    #[test]
    fn any_bytes_are_answered(data in vec(any::<u8>(), 0..400)) {
        target::fuzz(&data);
    }
}
