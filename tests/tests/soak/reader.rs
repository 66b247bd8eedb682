//! The repository's contents, and the check that a published tree is exactly one revision.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use remotes::Repo;

/// Number of lines of a file that is too long for a single write.
const LINES: usize = 2_000;
/// Size in bytes of a file that differs in each revision, so that old ones show in the disk usage.
const NOISE: usize = 100_000;

/// Commits revision `number`: each file contains the number.
pub(crate) fn commit(repo: &Repo, number: u64) {
    let commit = repo
        .commit()
        .write("one", number.to_string())
        .write("two", number.to_string())
        .write("dir/long", format!("{number}\n").repeat(LINES))
        .write("noise", noise(number))
        .write(&format!("only-{number}"), "");
    match number {
        0 => commit,
        _ => commit.remove(&format!("only-{}", number - 1)),
    }
    .push();
}

/// Incompressible bytes (splitmix64).
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = (0..NOISE / 8).map(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    });
    words.flat_map(u64::to_le_bytes).collect()
}

/// Reads a published tree repeatedly.
pub(crate) struct Reader {
    /// The link to the tree.
    tree: PathBuf,
    found: Mutex<Readings>,
}

/// Results of a reader.
#[derive(Clone, Default)]
pub(crate) struct Readings {
    /// Number of readings.
    pub(crate) readings: u64,
    /// The revisions seen.
    pub(crate) revisions: BTreeSet<u64>,
    /// Descriptions of violations.
    pub(crate) mistakes: Vec<String>,
}

impl Reader {
    pub(crate) fn new(tree: PathBuf) -> Self {
        Self {
            tree,
            found: Mutex::default(),
        }
    }

    /// Reads until the end.
    pub(crate) fn read_until(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            let read = read(&self.tree);
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.readings += 1;
            match read {
                Ok(revision) => drop(found.revisions.insert(revision)),
                Err(mistake) => found.mistakes.push(mistake),
            }
            drop(found);
            sleep(Duration::from_millis(2));
        }
    }

    /// The results so far.
    pub(crate) fn found(&self) -> Readings {
        let found = self.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Resolves the link once, and reads the whole tree; returns the revision.
fn read(link: &Path) -> Result<u64, String> {
    let tree = fs::canonicalize(link).map_err(|error| format!("{}: {error}", link.display()))?;
    let text = |name: &str| {
        let path = tree.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let one = text("one")?;
    let revision = one.parse().map_err(|_| format!("one says {one:?}"))?;
    if text("two")? != one {
        return Err(format!("one says {one}, two says another"));
    }
    if text("dir/long")? != format!("{one}\n").repeat(LINES) {
        return Err(format!("dir/long is not whole in {one}"));
    }
    let noise_path = tree.join("noise");
    let read = fs::read(&noise_path).map_err(|error| format!("noise of {one}: {error}"))?;
    if read != noise(revision) {
        return Err(format!("noise is not that of {one}"));
    }
    let only: Vec<String> = fs::read_dir(&tree)
        .map_err(|error| format!("{}: {error}", tree.display()))?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("only-"))
        .collect();
    if only != [format!("only-{one}")] {
        return Err(format!("{one} has {only:?}"));
    }
    Ok(revision)
}
