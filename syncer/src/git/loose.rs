//! Commits, tags and refs that git has stored as files of their own (gitrepository-layout, "loose
//! objects"): reading one needs no process. A fetch of few objects stores them so.

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::git::hash::Hash;
use crate::system::files;

/// The maximum size of an object that is read, in bytes: a commit message is seldom longer.
const MAX_SIZE: usize = 1 << 20;

/// The maximum number of tags on the way to a commit.
const MAX_TAGS: usize = 5;

/// The commit of an object, through annotated tags, and its committer date. `None` if one of them
/// is in a pack, or is anything else.
pub(super) fn commit_of(git_dir: &Path, object: &Hash) -> Option<(Hash, SystemTime)> {
    let mut object = object.clone();
    for _ in 0..=MAX_TAGS {
        let (kind, text) = read(git_dir, &object)?;
        match kind.as_str() {
            "commit" => {
                let seconds = committer_seconds(&text)?;
                let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
                return Some((object, made));
            }
            "tag" => object = text.strip_prefix("object ")?.lines().next()?.parse().ok()?,
            _ => return None,
        }
    }
    None
}

/// The objects that the refs name. `None` if a ref is not a file of its own, or is anything else.
pub(super) fn ref_objects(git_dir: &Path) -> Option<Vec<String>> {
    // The second one is of `git init --ref-format=reftable`.
    if ["packed-refs", "reftable"]
        .iter()
        .any(|name| git_dir.join(name).exists())
    {
        return None;
    }
    let mut objects = Vec::new();
    let mut dirs = vec![git_dir.join("refs")];
    while let Some(dir) = dirs.pop() {
        for name in files::names_in(&dir).ok()? {
            let path = dir.join(&name);
            if path.is_dir() {
                dirs.push(path);
            } else if !name.as_encoded_bytes().ends_with(b".lock") {
                let text = fs::read_to_string(&path).ok()?;
                let object: Hash = text.trim_end().parse().ok()?;
                objects.push(object.to_string());
            }
        }
    }
    Some(objects)
}

/// The type of an object and its content, which begins with lines of text.
fn read(git_dir: &Path, object: &Hash) -> Option<(String, String)> {
    let (dir, name) = object.as_str().split_at(2);
    let packed = fs::read(git_dir.join("objects").join(dir).join(name)).ok()?;
    let bytes = decompress_to_vec_zlib_with_limit(&packed, MAX_SIZE).ok()?;
    // `TYPE SIZE<nul>CONTENT`
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let kind = str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?.0;
    // A message may have any encoding.
    let text = String::from_utf8_lossy(&bytes[end + 1..]);
    Some((kind.to_owned(), text.into_owned()))
}

/// The number of seconds in `committer NAME <ADDRESS> SECONDS ZONE`, among the headers.
fn committer_seconds(commit: &str) -> Option<u64> {
    let (headers, _) = commit.split_once("\n\n")?;
    let line = headers
        .lines()
        .find_map(|line| line.strip_prefix("committer "))?;
    line.rsplit(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use remotes::Repo;

    #[test]
    fn loose_refs_are_read_and_all_others_are_left_to_git() {
        let repo = Repo::new();
        let commit = repo.commit().write("a", "1").push();
        let other = repo.commit().write("a", "2").on("x/y").push();
        let tag = repo.annotated_tag("v1", &commit);
        let objects = || {
            let mut objects = ref_objects(repo.path())?;
            objects.sort();
            Some(objects)
        };
        let mut expected = [commit, other, tag];
        expected.sort();
        assert_eq!(objects().as_deref(), Some(&expected[..]));
        repo.run(&[
            "symbolic-ref",
            "refs/remotes/origin/HEAD",
            "refs/heads/main",
        ]);
        assert_eq!(objects(), None);
        repo.run(&["symbolic-ref", "--delete", "refs/remotes/origin/HEAD"]);
        assert_eq!(objects().as_deref(), Some(&expected[..]));
        repo.run(&["pack-refs", "--all"]);
        assert_eq!(objects(), None);
    }

    #[test]
    fn a_loose_commit_is_read_through_tags_and_all_else_is_left_to_git() {
        let repo = Repo::new();
        let commit = repo.commit().write("a", "1").push();
        let tag = repo.annotated_tag("v1", &commit);
        repo.run(&["tag", "--annotate", "--message=tag", "of-tag", "v1"]);
        let of_tag = repo.run(&["rev-parse", "refs/tags/of-tag"]);
        let tree = repo.run(&["rev-parse", &format!("{commit}^{{tree}}")]);
        let date = repo.run(&["show", "--no-patch", "--format=%ct", &commit]);
        let read = |object: &str| commit_of(repo.path(), &object.parse().unwrap());
        for object in [&commit, &tag, &of_tag] {
            let (found, made) = read(object).unwrap();
            assert_eq!(found.as_str(), commit);
            let since = made.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(since.as_secs().to_string(), date);
        }
        assert_eq!(read(&tree), None);
        assert_eq!(read(&"0".repeat(40)), None);
        repo.run(&["repack", "-a", "-d", "-q"]);
        repo.run(&["prune-packed"]);
        assert_eq!(read(&commit), None, "it is in a pack");
    }
}
