//! The repositories inside the repository: `git submodule update`, and what has to be put right
//! after it.
//!
//! A submodule's own repository is `modules/NAME` in that of the tree, its submodules' are in it in
//! the same way. Each commit's are made anew, as git-sync makes them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use args::Submodules;
use tokio::time::Instant;

use crate::checkout::Checkout;
use crate::checkout::Place;
use crate::files;
use crate::git::Git;
use crate::git::GitError;
use crate::git::Hash;
use crate::git::failure::Why;
use crate::tree::TreeError;

/// The file in which a repository lists its submodules.
pub(crate) const LIST: &str = ".gitmodules";

/// The file, in the repository, that says that `git submodule update` was not seen to end: what it
/// left may be the reason of the next failure.
const UNFINISHED: &str = "gitvolume-submodules-unfinished";

/// The mode of an entry that is a submodule.
const GITLINK: &str = "160000";

/// Lists the submodules that the patterns chose when the tree's own files were written.
pub(crate) async fn chosen(
    git: &Git,
    place: Place<'_>,
    deadline: Instant,
) -> Result<Vec<String>, GitError> {
    let listed = place
        .command(git, "ls-files")
        .lists_files()
        .arg("-t")
        .arg("--stage")
        .arg("-z")
        .run(deadline)
        .await?;
    let chosen = listed.split_terminator('\0').filter_map(chosen_path);
    Ok(chosen.map(str::to_owned).collect())
}

/// Reads `TAG MODE HASH STAGE<tab>PATH`; `H` is the tag of what is checked out.
fn chosen_path(line: &str) -> Option<&str> {
    let (head, path) = line.split_once('\t')?;
    let mut head = head.split(' ');
    (head.next() == Some("H") && head.next() == Some(GITLINK)).then_some(path)
}

/// Checks out the submodules of a tree whose own files are there: all, or those at these paths.
pub(crate) async fn update(
    git: &Git,
    place: Place<'_>,
    checkout: &Checkout,
    paths: Option<&[String]>,
    deadline: Instant,
) -> Result<(), TreeError> {
    if paths.is_some_and(<[_]>::is_empty) {
        return Ok(());
    }
    let modules = modules_of(place.git_dir);
    let failed = |source: io::Error| TreeError::Io {
        path: modules.clone(),
        source,
    };
    forget_addresses(place.git_dir).map_err(failed)?;
    let unfinished = place.git_dir.join(UNFINISHED);
    let was_interrupted = unfinished.exists();
    let is_kept = modules.is_dir();
    files::write_atomic(&unfinished, b"", files::PLAIN_MODE).map_err(failed)?;
    let mut updated = run_update(git, place, checkout, paths, deadline).await;
    if let Err(error @ GitError::Failed { .. }) = &updated
        && is_kept
        && (was_interrupted || is_of_disk(error))
    {
        tracing::info!(
            reason = error.to_string(),
            "making the submodules' repositories anew"
        );
        let modules = modules.clone();
        files::blocking(move || files::remove_any(&modules))
            .await
            .map_err(failed)?;
        updated = run_update(git, place, checkout, paths, deadline).await;
    }
    if !matches!(
        updated,
        Err(GitError::TimedOut { .. } | GitError::Killed { .. })
    ) {
        files::remove_any(&unfinished).map_err(failed)?;
    }
    updated.map_err(TreeError::Submodules)
}

/// Tells whether git found the submodules' repositories on our disk damaged, and not their remotes
/// out of reach.
fn is_of_disk(error: &GitError) -> bool {
    matches!(
        error.why(),
        Some(Why::Object | Why::Unusable | Why::Locked | Why::Vanished)
    )
}

async fn run_update(
    git: &Git,
    place: Place<'_>,
    checkout: &Checkout,
    paths: Option<&[String]>,
    deadline: Instant,
) -> Result<(), GitError> {
    let mut update = place.command(git, "submodule").arg("update").arg("--init");
    if checkout.selection.submodules == Submodules::Recursive {
        update = update.arg("--recursive");
    }
    if checkout.depth > 0 {
        update = update.arg("--depth").arg(checkout.depth.to_string());
    }
    update = update.arg("--");
    for path in paths.unwrap_or_default() {
        update = update.arg(format!(":(literal){path}"));
    }
    update.run(deadline).await.map(drop)
}

/// Where the repositories of a repository's submodules are.
pub(crate) fn modules_of(git_dir: &Path) -> PathBuf {
    git_dir.join("modules")
}

/// `git submodule update --init` copies each address once and for ever into the configuration; the
/// repository may have moved its submodules since, or have moved itself.
fn forget_addresses(git_dir: &Path) -> io::Result<()> {
    let common = files::absent_is_none(fs::read_to_string(git_dir.join("commondir")))?;
    let config = git_dir
        .join(common.as_deref().unwrap_or_default().trim())
        .join("config");
    let text = fs::read_to_string(&config)?;
    let kept = without_submodules(&text);
    if kept == text {
        return Ok(());
    }
    files::write_atomic(&config, kept.as_bytes(), files::PLAIN_MODE)
}

fn without_submodules(config: &str) -> String {
    let mut is_kept = true;
    let keep = |line: &&str| {
        if line.trim_start().starts_with('[') {
            is_kept = !line.trim_start().starts_with("[submodule \"");
        }
        is_kept
    };
    config.split_inclusive('\n').filter(keep).collect()
}

/// Tells whether a commit has a list of submodules.
pub(crate) async fn has_list(
    git: &Git,
    git_dir: &Path,
    commit: &Hash,
    deadline: Instant,
) -> Result<bool, GitError> {
    let listed = git
        .command("ls-tree")
        .git_dir(git_dir)
        .arg("--name-only")
        .arg(commit.as_str())
        .arg(LIST)
        .run(deadline)
        .await?;
    Ok(!listed.is_empty())
}

/// Tells each submodule's repository that its tree was moved: git remembers the way to it.
pub(crate) fn follow_move(git_dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let (Some(from), Some(to)) = (part(from), part(to)) else {
        return Ok(());
    };
    let mut dirs = vec![modules_of(git_dir)];
    while let Some(dir) = dirs.pop() {
        for name in files::names_in(&dir)? {
            let path = dir.join(&name);
            if name == "config" && path.is_file() {
                let text = fs::read_to_string(&path)?;
                files::write_atomic(
                    &path,
                    text.replace(&from, &to).as_bytes(),
                    files::PLAIN_MODE,
                )?;
            } else if name != "objects" && name != "refs" && path.is_dir() {
                dirs.push(path);
            }
        }
    }
    Ok(())
}

/// A directory's name as a part of a longer path.
fn part(dir: &Path) -> Option<String> {
    Some(format!("/{}/", dir.file_name()?.to_str()?))
}

/// Removes every trace of git from a tree that has submodules.
pub(crate) fn hide(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == ".git" {
            files::remove_any(&entry.path())?;
        } else if entry.file_type()?.is_dir() {
            hide(&entry.path())?;
        }
    }
    Ok(())
}

/// A submodule, or the repository itself.
struct Module {
    /// None of the repository itself.
    name: Option<String>,
    /// `.gitmodules` says `update = none`: git checks it out only where it was told so.
    is_left_out: bool,
    commit: Hash,
    git_dir: PathBuf,
    dir: PathBuf,
    level: u32,
}

/// Compares the submodules of a tree with what its commit wants of them.
pub(crate) async fn are_equal(
    git: &Git,
    commit: &Hash,
    top: Place<'_>,
    checkout: &Checkout,
    deadline: Instant,
) -> Result<bool, GitError> {
    let mut modules = vec![Module {
        name: None,
        is_left_out: false,
        commit: commit.clone(),
        git_dir: top.git_dir.to_owned(),
        dir: top.dir.to_owned(),
        level: 0,
    }];
    while let Some(module) = modules.pop() {
        let is_wanted = match checkout.selection.submodules {
            Submodules::Off => false,
            Submodules::Shallow => module.level == 0,
            Submodules::Recursive => true,
        };
        for inner in modules_in(git, &module, deadline).await? {
            let is_there = files::names_in(&inner.dir).is_ok_and(|names| !names.is_empty());
            // Patterns may leave a submodule out.
            let may_be_absent = checkout.selection.sparse.is_some();
            match (is_there, is_wanted) {
                (true, true) => {}
                (false, false) => continue,
                (false, true) if may_be_absent => continue,
                (false, true) if inner.is_left_out => continue,
                (false, true) if is_switched_off(git, &module, &inner, deadline).await? => continue,
                _ => return Ok(false),
            }
            let place = Place {
                git_dir: &inner.git_dir,
                dir: &inner.dir,
                index: top.index,
            };
            if !inner.git_dir.is_dir() || !place.is_equal(git, &inner.commit, deadline).await? {
                return Ok(false);
            }
            modules.push(inner);
        }
    }
    Ok(true)
}

/// How many paths one command is given; a command line has its limit.
const PATHS_AT_ONCE: usize = 200;

/// The submodules that a repository lists and has at this commit.
async fn modules_in(
    git: &Git,
    module: &Module,
    deadline: Instant,
) -> Result<Vec<Module>, GitError> {
    if !has_list(git, &module.git_dir, &module.commit, deadline).await? {
        return Ok(Vec::new());
    }
    let listed = git
        .command("config")
        .git_dir(&module.git_dir)
        .arg("--blob")
        .arg(format!("{}:{LIST}", module.commit))
        .arg("--null")
        .arg("--get-regexp")
        .arg(r"^submodule\..*\.(path|update)$")
        .run(deadline)
        .await?;
    let named: Vec<_> = listed
        .split_terminator('\0')
        .filter_map(named_path)
        .collect();
    let mut entries = String::new();
    for some in named.chunks(PATHS_AT_ONCE) {
        let list = git
            .command("ls-tree")
            .git_dir(&module.git_dir)
            .arg("--full-tree")
            .arg("-z")
            .arg(module.commit.as_str())
            .user_args(some.iter().map(|(_, path)| *path));
        entries += &list.run(deadline).await?;
    }
    let modules = named.into_iter().filter_map(|(name, path)| {
        let update = format!("submodule.{name}.update\nnone");
        Some(Module {
            is_left_out: listed.split_terminator('\0').any(|line| line == update),
            name: Some(name.to_owned()),
            commit: gitlink(&entries, path)?,
            git_dir: modules_of(&module.git_dir).join(name),
            dir: module.dir.join(path),
            level: module.level + 1,
        })
    });
    Ok(modules.collect())
}

/// Tells whether the configuration, which may be the user's, keeps git from checking a submodule out.
async fn is_switched_off(
    git: &Git,
    module: &Module,
    inner: &Module,
    deadline: Instant,
) -> Result<bool, GitError> {
    let name = inner.name.as_deref().unwrap_or_default();
    let found = git
        .command("config")
        .git_dir(&module.git_dir)
        .arg("--get")
        .arg(format!("submodule.{name}.update"))
        .run(deadline)
        .await;
    match found {
        Ok(update) => Ok(update.trim() == "none"),
        // It is not set.
        Err(GitError::Failed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads `submodule.NAME.path<newline>PATH`; names that would lead elsewhere are none, as for git.
fn named_path(line: &str) -> Option<(&str, &str)> {
    let (key, path) = line.split_once('\n')?;
    let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
    let is_inside = |path: &str| {
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    (is_inside(name) && is_inside(path)).then_some((name, path))
}

/// Finds the commit of a submodule in `MODE TYPE HASH<tab>PATH<nul>…`.
fn gitlink(entries: &str, path: &str) -> Option<Hash> {
    let mut entries = entries.split_terminator('\0');
    entries.find_map(|entry| {
        let (head, found) = entry.split_once('\t')?;
        let mut head = head.split(' ');
        let is_gitlink = head.next() == Some(GITLINK) && found == path;
        is_gitlink.then(|| head.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_submodules_are_forgotten_and_nothing_else() {
        let config = "[core]\n\tbare = false\n[submodule \"a b\"]\n\turl = x\n[submodule]\n\tactive = .\n[submodule \"c\"]\n\turl = y\n[remote \"origin\"]\n\turl = z\n";
        assert_eq!(
            without_submodules(config),
            "[core]\n\tbare = false\n[submodule]\n\tactive = .\n[remote \"origin\"]\n\turl = z\n"
        );
    }

    #[test]
    fn gits_lists_are_read() {
        assert_eq!(named_path("submodule.a.b.path\nx/y"), Some(("a.b", "x/y")));
        assert_eq!(chosen_path("H 160000 0123 0\ta dir/x"), Some("a dir/x"));
        assert_eq!(chosen_path("S 160000 0123 0\tx"), None);
        assert_eq!(chosen_path("H 100644 0123 0\tx"), None);
        assert_eq!(named_path("submodule.../../a.path\nx"), None);
        assert_eq!(named_path("submodule.a.url\nx"), None);
        let hash = "0123456789012345678901234567890123456789";
        let entries = format!("100644 blob {hash}\ta\0160000 commit {hash}\tx/y\0");
        assert_eq!(gitlink(&entries, "x/y").unwrap().as_str(), hash);
        assert!(gitlink(&entries, "a").is_none());
    }
}
