//! Random input for a parser, on the stable compiler.
//!
//! A target is a function of bytes that panics where the parser is wrong. [`run`] calls it with each
//! file of a corpus, and with random changes of them: for a moment in `make test`, for `MINUTES` in
//! `make fuzz`. An input that causes a result that was not seen before joins the inputs that are
//! changed further. An input that causes a panic is written below `target/fuzz`; copy it to the corpus,
//! so that it is tested from then on.

mod mutation;

use std::any::Any;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::Hash;
use std::hash::Hasher;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

/// The variable with the time for each target, in minutes.
const MINUTES: &str = "GITVOLUME_FUZZ_MINUTES";

/// The number of random inputs without that variable.
const QUICK: usize = 3000;

/// The most inputs that are changed further.
const MOST_INPUTS: usize = 20_000;

/// A target, for [`run`].
pub struct FuzzTarget<'a> {
    /// The name, for messages.
    pub name: &'a str,
    /// The directory with the corpus.
    pub corpus: PathBuf,
    /// Texts of the parser's grammar: inserting one reaches more code than changing a byte.
    pub words: &'a [&'a str],
}

/// Calls a target of a crate, whose corpus is in `fuzz/NAME` of the crate's directory, as [`run`] does.
pub fn run_of_crate<K: Hash>(
    (crate_name, crate_dir): (&str, &str),
    name: &str,
    words: &[&str],
    call: impl Fn(&[u8]) -> K,
) {
    let target = FuzzTarget {
        name: &format!("{crate_name}-{name}"),
        corpus: Path::new(crate_dir).join("fuzz").join(name),
        words,
    };
    run(&target, call);
}

/// Calls a target with the corpus and with random changes of it. `call` returns what kind of result
/// an input has; a new kind makes the input one of those that are changed further.
///
/// Panics where the target does, and if the corpus is empty.
pub fn run<K: Hash>(target: &FuzzTarget<'_>, call: impl Fn(&[u8]) -> K) {
    let mut inputs = read(&target.corpus);
    assert!(!inputs.is_empty(), "{} is empty", target.corpus.display());
    let mut kinds = HashSet::new();
    let mut is_new = |data: &[u8]| {
        let called = catch_unwind(AssertUnwindSafe(|| call(data)));
        let kind = called.unwrap_or_else(|panic| fail(target, data, panic));
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        kinds.insert(hasher.finish())
    };
    for data in &inputs {
        is_new(data);
    }
    let end = minutes().map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    let mut rng = fastrand::Rng::new();
    let mut count = 0;
    while end.map_or(count < QUICK, |end| Instant::now() < end) {
        let data = mutation::mutate(&mut rng, &inputs, target.words);
        if is_new(&data) && inputs.len() < MOST_INPUTS {
            inputs.push(data);
        }
        count += 1;
    }
    let name = target.name;
    println!("{name}: {count} inputs, {} kinds of results", kinds.len());
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no arguments of its own"
)]
fn minutes() -> Option<f64> {
    env::var(MINUTES).ok()?.parse().ok()
}

/// Writes an input that causes a panic, and panics.
fn fail(target: &FuzzTarget<'_>, data: &[u8], panic: Box<dyn Any + Send>) -> ! {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
    let file = dir.join(format!("{}-{:016x}", target.name, hasher.finish()));
    // The message of the panic matters more than the file.
    let _ = fs::create_dir_all(&dir).and_then(|()| fs::write(&file, data));
    eprintln!(
        "{}: {}: {:?}",
        target.name,
        file.display(),
        String::from_utf8_lossy(data)
    );
    resume_unwind(panic)
}

/// The files of a corpus, in the order of their names.
fn read(dir: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = files.filter_map(|it| Some(it.ok()?.path())).collect();
    files.sort();
    let read = |file: &PathBuf| {
        fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_causes_a_panic_is_found_from_the_corpus() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("a"), "hello").expect("a file");
        let target = FuzzTarget {
            name: "self-test",
            corpus: dir.path().to_owned(),
            words: &["x", "yy"],
        };
        let found = catch_unwind(AssertUnwindSafe(|| {
            run(&target, |data| {
                let text = String::from_utf8_lossy(data);
                let is_reached = text.contains("yy");
                // Two steps: the first one alone is a new kind.
                assert!(!(is_reached && text.matches('x').count() > 1), "found");
                (is_reached, text.matches('x').count())
            });
        }));
        let message = found.expect_err("a panic");
        assert_eq!(message.downcast_ref::<&str>(), Some(&"found"));
    }
}
