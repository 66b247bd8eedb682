//! Each revision of a generated history equals a fresh clone: names, types, modes, content.
//! `GITVOLUME_HISTORIES` is the number of histories; `make soak` follows 300.

use std::collections::BTreeMap;
use std::env;

use fastrand::Rng;
use remotes::Repo;

use crate::linked::start;
use crate::world::World;
use crate::world::git;
use crate::world::listing::assert_equals_clone;

/// The number of histories in `make test`.
const HISTORIES: u64 = 6;

const COMMITS: usize = 5;

/// The names of files and directories; some are prefixes of others, or sort around a slash.
const NAMES: [&str; 12] = [
    "a",
    "a-b",
    "a.b",
    "a0",
    "b c",
    "d",
    "\u{e9}",
    "-x",
    "x\"y",
    "y\\z",
    "with'quote",
    "Z",
];

const CONTENTS: [&[u8]; 6] = [
    b"",
    b"text\nlines\n",
    b"crlf\r\nlines\r\n",
    b"$Id$\n$Format:%H$\n",
    b"\0binary\xff",
    b"text without end",
];

const ATTRIBUTES: [&str; 5] = [
    "* text=auto eol=crlf\n",
    "* -text\n",
    "a* text eol=lf\n* ident\n",
    "*.b binary\n[attr]x text\n",
    "d/** working-tree-encoding=UTF-16LE\n*c* text eol=crlf\n",
];

/// The files of a history's last commit.
type Files = BTreeMap<String, &'static str>;

fn path(rng: &mut Rng) -> String {
    let depth = rng.usize(1..4);
    let names: Vec<&str> = (0..depth)
        .map(|_| NAMES[rng.usize(..NAMES.len())])
        .collect();
    names.join("/")
}

/// In fast-import, a path with special characters is quoted as a C string.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Removes what cannot exist beside a file at a path: its parents and its content.
fn make_room(files: &mut Files, path: &str) -> Vec<String> {
    let below = format!("{path}/");
    let is_in_the_way = |other: &String| {
        other != path && (other.starts_with(&below) || path.starts_with(&format!("{other}/")))
    };
    let removed: Vec<String> = files
        .keys()
        .filter(|other| is_in_the_way(other))
        .cloned()
        .collect();
    for path in &removed {
        files.remove(path);
    }
    removed
}

/// Adds a commit with random changes of every kind.
fn commit(
    world: &World,
    inner: (&Repo, &[String]),
    rng: &mut Rng,
    files: &mut Files,
    is_first: bool,
) -> String {
    let changes = if is_first { 30 } else { rng.usize(0..6) };
    let mut commit = world.repo.commit();
    if is_first {
        let list = format!(
            "[submodule \"s\"]\n\tpath = sub/s\n\turl = {}\n",
            inner.0.url()
        );
        commit = commit.write(".gitmodules", list);
    }
    for _ in 0..changes {
        match rng.u8(0..12) {
            0..=6 => {
                let path = path(rng);
                for other in make_room(files, &path) {
                    commit = commit.remove(&quoted(&other));
                }
                let content = CONTENTS[rng.usize(..CONTENTS.len())];
                let (kind, next) = match rng.u8(0..4) {
                    0 => (
                        "link",
                        commit.symlink(&quoted(&path), NAMES[rng.usize(..NAMES.len())]),
                    ),
                    1 => ("run", commit.write_executable(&quoted(&path), content)),
                    _ => ("file", commit.write(&quoted(&path), content)),
                };
                files.insert(path, kind);
                commit = next;
            }
            7..=9 if !files.is_empty() => {
                let path = files.keys().nth(rng.usize(..files.len())).cloned().unwrap();
                files.remove(&path);
                commit = commit.remove(&quoted(&path));
            }
            10 => {
                let dir = ["", "d2/"][rng.usize(..2)];
                let text = ATTRIBUTES[rng.usize(..ATTRIBUTES.len())];
                commit = commit.write(&format!("{dir}.gitattributes"), text);
            }
            _ => {
                let inside = &inner.1[rng.usize(..inner.1.len())];
                commit = match rng.bool() {
                    true => commit.remove("sub").submodule("sub/s", inside),
                    false => commit.remove("sub"),
                };
            }
        }
    }
    commit.push()
}

/// Follows a history and compares each revision with a fresh clone.
fn follow(seed: u64, layout: &'static str) {
    let mut rng = Rng::with_seed(seed);
    let world = World::new(layout);
    let inner = Repo::in_dir(&world.path(""), "inner.git");
    let inside = [1, 2].map(|n| inner.commit().write("file", format!("{n}")).push());
    let mut files = Files::new();
    let mut running = None;
    let url = world.repo.url();
    for n in 0..COMMITS {
        let hash = commit(&world, (&inner, &inside), &mut rng, &mut files, n == 0);
        running.get_or_insert_with(|| start(&world, &[]));
        world.eventually_published(&hash);
        let fresh = world.path(&format!("fresh-{n}"));
        let fresh_name = fresh.to_str().unwrap();
        let allowed = "protocol.file.allow=always";
        let clone = [
            "-c",
            allowed,
            "clone",
            "-q",
            "--recurse-submodules",
            &url,
            fresh_name,
        ];
        git(&world.path(""), &clone);
        let what = format!("seed {seed}, {layout}, commit {n}");
        assert_equals_clone(&world.tree(), &fresh, &what);
    }
}

#[test]
fn each_revision_of_a_generated_history_equals_a_fresh_clone() {
    let histories = env::var("GITVOLUME_HISTORIES").ok();
    let histories = histories.map_or(HISTORIES, |count| count.parse().unwrap());
    for seed in 0..histories {
        follow(seed, ["link", "projected"][usize::from(seed % 2 == 1)]);
    }
}
