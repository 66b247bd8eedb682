//! Each revision of a generated history with submodules equals a fresh clone whose smudge filter
//! does what git-lfs does: names, types, modes, content.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use remotes::Commit;
use remotes::Repo;

use crate::lfs::ATTRIBUTES;
use crate::lfs::server::LfsServer;
use crate::lfs::server::oid;
use crate::lfs::submodules::Family;
use crate::lfs::submodules::list;
use crate::world::LAYOUTS;
use crate::world::git;
use crate::world::listing::assert_equals_clone;

/// The number of histories: each layout, without and with linked trees.
const HISTORIES: u64 = 6;

const COMMITS: usize = 5;

const NAMES: [&str; 5] = ["a.bin", "d/a.bin", "d/e f/b.bin", "plain", "c.bin"];

/// The paths of the submodule in the repository, and of the nested one in that.
const PLACES: [&str; 2] = ["lib/child", "moved"];
const INNER: &str = "inner";

/// The contents that the smudge filter knows, by their hashes.
struct Contents<'a> {
    dir: &'a Path,
    next: u8,
}

impl Contents<'_> {
    /// A content, often an earlier one, and its pointer.
    fn add(&mut self, rng: &mut Rng, server: &LfsServer) -> String {
        self.next += 1;
        let content = super::content(rng.u8(0..self.next), 100);
        fs::write(self.dir.join(oid(&content)), &content).unwrap();
        server.add(&content)
    }
}

/// Adds random changes of a repository's own files.
fn change<'a>(
    mut commit: Commit<'a>,
    rng: &mut Rng,
    files: &mut BTreeSet<&'static str>,
    contents: &mut Contents<'_>,
    server: &LfsServer,
) -> Commit<'a> {
    for _ in 0..rng.usize(1..4) {
        let name = NAMES[rng.usize(..NAMES.len())];
        commit = match rng.u8(0..8) {
            0 if files.remove(name) => commit.remove(name),
            1 => commit.write(".gitattributes", "c.bin filter=lfs\n"),
            2 => commit.write(".gitattributes", ATTRIBUTES),
            kind => {
                files.insert(name);
                let pointer = contents.add(rng, server);
                match kind {
                    3 => commit.write(name, "not a pointer"),
                    4 => commit.write_executable(name, pointer),
                    _ => commit.write(name, pointer),
                }
            }
        };
    }
    commit
}

fn follow(seed: u64) {
    let layout = LAYOUTS[seed as usize % LAYOUTS.len()];
    let has_links = seed as usize / LAYOUTS.len() % 2 == 1;
    let mut rng = Rng::with_seed(seed);
    let family = Family::new(layout);
    let (world, dir) = (&family.site.world, family.site.world.path("contents"));
    fs::create_dir(&dir).unwrap();
    let mut contents = Contents { dir: &dir, next: 0 };
    let smudge = world.script(
        "smudge",
        &format!(
            "f=$(mktemp) || exit 1\ncat > \"$f\"\noid=$(sed -n 's/^oid sha256://p' \"$f\")\nif [ -n \"$oid\" ]; then cat '{}'/\"$oid\"; else cat \"$f\"; fi\ncode=$?\nrm -f \"$f\"\nexit $code\n",
            dir.display()
        ),
    );
    let mut files = [const { BTreeSet::new() }; 3];
    let repos: [(&Repo, &LfsServer); 3] = [
        (&world.repo, &family.site.lfs),
        (&family.child, &family.site.lfs),
        (&family.inner, &family.other),
    ];
    let mut heads = [String::new(), String::new()];
    let mut place = PLACES[0];
    let mut running = None;
    let syncer = || {
        let syncer = family.syncer().flag("stale-worktree-timeout", "0s");
        syncer.flag("link-trees", has_links.to_string())
    };
    for n in 0..COMMITS {
        // The innermost first: each contains the commit of the next one.
        for level in [2, 1, 0] {
            if n > 0 && level > 0 && rng.bool() {
                continue;
            }
            let (repo, server) = repos[level];
            let files = &mut files[level];
            let mut commit = change(repo.commit(), &mut rng, files, &mut contents, server);
            if n == 0 {
                commit = commit.write(".gitattributes", ATTRIBUTES);
            }
            if level == 1 {
                commit = match rng.u8(0..4) {
                    0 => commit.remove(INNER).write(".gitmodules", ""),
                    _ => {
                        let list = list(INNER, &family.other.url("/inner.git"));
                        let commit = commit.write(".gitmodules", list);
                        commit.submodule(INNER, &heads[1])
                    }
                };
            }
            if level == 0 {
                commit = commit.remove(place);
                place = PLACES[rng.usize(..PLACES.len())];
                let list = list(place, "../child.git");
                let commit = commit.write(".gitmodules", list);
                let hash = commit.submodule(place, &heads[0]).push();
                running.get_or_insert_with(|| syncer().start(&world.path("log")));
                world.eventually_published(&hash);
            } else {
                heads[level - 1] = commit.push();
            }
        }
        let fresh = world.path(&format!("fresh-{n}"));
        let filter = format!("filter.lfs.smudge={}", smudge.display());
        let url = family.site.lfs.url("/site.git");
        let fresh_name = fresh.to_str().unwrap();
        let settings = ["-c", &*filter, "-c", "filter.lfs.required=true"];
        let clone = ["clone", "-q", "--recurse-submodules", &url, fresh_name];
        git(&world.path(""), &[&settings[..], &clone].concat());
        let what = format!("seed {seed}, {layout}, commit {n}");
        assert_equals_clone(&world.tree(), &fresh, &what);
    }
    // Known content is requested from neither.
    let servers = [&family.site.lfs, &family.other].into_iter();
    for server in servers.filter(|server| !server.seen().is_empty()) {
        server.assert_protocol();
    }
}

#[test]
fn each_revision_with_submodules_equals_a_clone_with_git_lfs() {
    for seed in 0..HISTORIES {
        follow(seed);
    }
}
