//! The content of the repository: what a revision's files are.

use remotes::Repo;

/// Number of lines of a file that is too long for a single write.
pub(crate) const LINES: usize = 2_000;
/// Number of files that are the same in each revision.
pub(crate) const UNCHANGED: usize = 30;
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
    let commit = (0..UNCHANGED).fold(commit, |commit, file| {
        commit.write(&unchanged_path(file), unchanged_content(file))
    });
    match number {
        0 => commit,
        _ => commit.remove(&format!("only-{}", number - 1)),
    }
    .push();
}

/// Incompressible bytes (splitmix64).
pub(crate) fn noise(seed: u64) -> Vec<u8> {
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

/// The path of a file that is the same in each revision.
pub(crate) fn unchanged_path(file: usize) -> String {
    format!("unchanged/{}/{file}", file % 3)
}

/// The content of that file.
pub(crate) fn unchanged_content(file: usize) -> String {
    format!("file {file}\n")
}
