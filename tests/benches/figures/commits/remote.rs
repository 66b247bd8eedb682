//! A repository of many files, some of which change with each commit.

use std::cell::Cell;
use std::path::Path;

use remotes::Repo;

/// The file whose content identifies the published revision.
pub(super) const STAMP: &str = "stamp";

/// A repository on the same file system.
pub(super) struct Remote {
    pub(super) repo: Repo,
    files: usize,
    commits: Cell<usize>,
}

impl Remote {
    pub(super) fn new(dir: &Path, files: usize) -> Self {
        let repo = Repo::in_dir(dir, "site.git");
        let mut commit = repo.commit().write(STAMP, "0");
        for file in 0..files {
            commit = commit.write(&path_of(file), content(file, 0));
        }
        commit.push();
        repo.run(&["gc", "--quiet"]);
        let commits = Cell::new(0);
        Self {
            repo,
            files,
            commits,
        }
    }

    /// Commits changes of three files and of the stamp.
    pub(super) fn commit(&self) {
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let mut commit = self.repo.commit().write(STAMP, self.stamp());
        for nth in 0..3 {
            let file = (number * 7919 + nth * 104_729) % self.files;
            commit = commit.write(&path_of(file), content(file, number));
        }
        commit.push();
    }

    /// The content of [`STAMP`] in the last commit.
    pub(super) fn stamp(&self) -> String {
        self.commits.get().to_string()
    }
}

fn path_of(file: usize) -> String {
    format!("dir-{}/sub-{}/file-{file}.txt", file / 1000, file / 50 % 20)
}

/// About two kilobytes that do not compress well.
fn content(file: usize, revision: usize) -> String {
    let mut state = (file * 1000 + revision) as u64;
    let mut line = || {
        // Knuth's linear congruential generator (MMIX).
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}\n")
    };
    (0..120).map(|_| line()).collect()
}
