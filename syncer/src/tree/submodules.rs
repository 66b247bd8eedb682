//! Submodules: `git submodule update`, and the repairs that it needs.
//!
//! A submodule's own repository is `modules/NAME` in that of the tree, with nested submodules in
//! the same way. It is kept from commit to commit where consumers cannot write to it.

mod kept;
mod paths;

use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use args::Submodules;

use crate::git::GitError;
use crate::git::GitSession;
use crate::git::Hash;
use crate::git::WorkTree;
use crate::git::failure::FailureCause;
use crate::lfs;
use crate::system::files;
use crate::tree::TreeError;
use crate::tree::compare::is_equal;
use crate::tree::selection::Checkout;

pub(crate) use crate::tree::submodules::kept::CheckedOut;
pub(super) use crate::tree::submodules::paths::common_dir;
pub(crate) use crate::tree::submodules::paths::modules_of;

/// The file that lists a repository's submodules.
pub(crate) const LIST: &str = ".gitmodules";

/// The file in the repository that marks an unfinished `git submodule update`: its leftovers may
/// cause the next failure.
const UNFINISHED: &str = "gitvolume-submodules-unfinished";

/// The directory in the repository with submodules' repositories that are cloned again.
const ASIDE: &str = "gitvolume-submodules-aside";

/// Checks out the submodules of a tree whose own files exist: all, or those at these paths. `lender`
/// is the repository of an earlier tree, whose submodules' objects need not be fetched again. Returns
/// the submodules that are checked out, nested ones after those that contain them.
pub(crate) async fn update(
    tree: WorkTree<'_>,
    checkout: &Checkout,
    paths: &[String],
    lender: Option<&Path>,
) -> Result<Vec<CheckedOut>, TreeError> {
    let git_dir = tree.repository.git_dir;
    let modules = modules_of(git_dir);
    let failed = |source: io::Error| TreeError::Io {
        path: modules.clone(),
        source,
    };
    let unfinished = git_dir.join(UNFINISHED);
    let was_interrupted = unfinished.exists();
    files::write_atomic(&unfinished, b"", files::PLAIN_MODE).map_err(failed)?;
    if let Some(lender) = lender.filter(|_| !modules.exists()) {
        let (from, to) = (modules_of(lender), modules.clone());
        let copied = files::blocking(move || kept::copy(&from, &to)).await;
        copied.map_err(failed)?;
    }
    let is_kept = modules.is_dir();
    let update = || update_levels(tree, checkout, paths);
    let mut updated = update().await;
    if let Err(TreeError::Submodules(error @ GitError::Failed { .. })) = &updated
        && is_kept
        && (was_interrupted || may_be_of_kept(error))
    {
        tracing::info!(
            reason = error.to_string(),
            "recreating the submodules' repositories"
        );
        let aside = git_dir.join(ASIDE);
        files::remove_blocking(&aside).await.map_err(failed)?;
        files::rename(&modules, &aside).map_err(failed)?;
        // What was checked out names the old repositories.
        let listed = tree.ls_files_submodules().await;
        let dirs: Vec<PathBuf> = listed
            .map_err(TreeError::Submodules)?
            .iter()
            .map(|path| tree.dir.join(path))
            .collect();
        let emptied = files::blocking(move || dirs.iter().try_for_each(|dir| empty(dir))).await;
        emptied.map_err(failed)?;
        updated = update().await;
        if updated.is_err() {
            // The remote may be the cause, and then they are the only copy.
            files::remove_blocking(&modules).await.map_err(failed)?;
            files::rename(&aside, &modules).map_err(failed)?;
        }
        files::remove_blocking(&aside).await.map_err(failed)?;
    }
    if !matches!(
        updated,
        Err(TreeError::Submodules(
            GitError::TimedOut { .. } | GitError::Killed { .. }
        ))
    ) {
        files::remove_any(&unfinished).map_err(failed)?;
    }
    updated
}

/// Removes the content of a submodule's tree.
fn empty(dir: &Path) -> io::Result<()> {
    for name in files::names_in(dir)? {
        files::remove_any(&dir.join(name))?;
    }
    Ok(())
}

/// A tree whose submodules are to be checked out: the whole one, or that of a submodule.
struct Level {
    git_dir: PathBuf,
    dir: PathBuf,
    index: PathBuf,
    /// The paths of the wanted submodules; all if empty.
    paths: Vec<String>,
}

/// Checks out the submodules of each level in turn: git's own recursion would fetch from the address
/// that a kept repository was cloned from.
async fn update_levels(
    top: WorkTree<'_>,
    checkout: &Checkout,
    paths: &[String],
) -> Result<Vec<CheckedOut>, TreeError> {
    let git = top.repository.session;
    let mut levels = vec![Level {
        git_dir: top.repository.git_dir.to_owned(),
        dir: top.dir.to_owned(),
        index: top.index.to_owned(),
        paths: paths.to_owned(),
    }];
    let mut checked_out = Vec::new();
    while let Some(level) = levels.pop() {
        let failed = |source: io::Error| TreeError::Io {
            path: level.git_dir.clone(),
            source,
        };
        let files = git.at(&level.git_dir).work_tree(&level.dir, &level.index);
        forget_addresses(&level.git_dir).map_err(failed)?;
        if modules_of(&level.git_dir).is_dir() {
            let init = files.submodule_init(&level.paths).await;
            init.map_err(TreeError::Submodules)?;
            let git_dir = level.git_dir.clone();
            let removed = files::blocking(move || kept::remove_moved(&git_dir)).await;
            removed.map_err(failed)?;
        }
        let update = files.submodule_update(checkout.depth, &level.paths).await;
        update.map_err(TreeError::Submodules)?;
        let listed = files.ls_files_submodules().await;
        let listed = listed.map_err(TreeError::Submodules)?;
        let (git_dir, dir) = (level.git_dir.clone(), level.dir.clone());
        let used = files::blocking(move || kept::retain_used(&git_dir, &dir, &listed)).await;
        for module in used.map_err(failed)? {
            kept::repack(git.at(&module.git_dir)).await?;
            if checkout.selection.submodules == Submodules::Recursive
                && module.dir.join(LIST).is_file()
            {
                levels.push(Level {
                    index: module.index(),
                    git_dir: module.git_dir.clone(),
                    dir: module.dir.clone(),
                    paths: Vec::new(),
                });
            }
            checked_out.push(module);
        }
    }
    Ok(checked_out)
}

/// Whether the kept repositories of the submodules may be the cause, and not unreachable remotes:
/// they are damaged, or the remotes were replaced.
fn may_be_of_kept(error: &GitError) -> bool {
    matches!(
        error.why(),
        None | Some(
            FailureCause::Locked
                | FailureCause::Object
                | FailureCause::ObjectFormat
                | FailureCause::Submodule
                | FailureCause::Unusable
                | FailureCause::Vanished
        )
    )
}

/// Removes the stored addresses: `git submodule update --init` copies each address into the
/// configuration only once, but the submodules or the repository itself may have moved since.
fn forget_addresses(git_dir: &Path) -> io::Result<()> {
    let config = common_dir(git_dir)?.join("config");
    let text = fs::read_to_string(&config)?;
    let kept = without_submodules(&text);
    if kept == text {
        return Ok(());
    }
    files::write_atomic(&config, kept.as_bytes(), files::PLAIN_MODE)
}

/// A configuration without the sections of submodules.
pub(super) fn without_submodules(config: &str) -> String {
    let mut is_kept = true;
    let keep = |line: &&str| {
        if line.trim_start().starts_with('[') {
            is_kept = !line.trim_start().starts_with("[submodule \"");
        }
        is_kept
    };
    config.split_inclusive('\n').filter(keep).collect()
}

/// Updates each submodule's repository after its tree was moved: git stores the path to it.
pub(crate) fn follow_move(git_dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let (Some(from), Some(to)) = (part(from, to), part(to, from)) else {
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

/// The end of a directory's path, from where it differs from that of another one, as part of a
/// longer path.
fn part(dir: &Path, other: &Path) -> Option<String> {
    let ancestors = dir.ancestors();
    let common = ancestors.into_iter().find(|dir| other.starts_with(dir))?;
    let rest = dir.strip_prefix(common).ok()?;
    Some(format!("/{}/", rest.to_str()?))
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
    /// `None` for the repository itself.
    name: Option<String>,
    /// `.gitmodules` has `update = none`: git checks it out only if configured explicitly.
    is_left_out: bool,
    commit: Hash,
    git_dir: PathBuf,
    dir: PathBuf,
    level: u32,
}

/// Compares the submodules of a tree with those of its commit. With Git LFS, each pointer must be
/// replaced by its content.
pub(crate) async fn are_equal(
    top: WorkTree<'_>,
    commit: &Hash,
    checkout: &Checkout,
) -> Result<bool, TreeError> {
    let git = top.repository.session;
    let mut modules = vec![Module {
        name: None,
        is_left_out: false,
        commit: commit.clone(),
        git_dir: top.repository.git_dir.to_owned(),
        dir: top.dir.to_owned(),
        level: 0,
    }];
    while let Some(module) = modules.pop() {
        let is_wanted = match checkout.selection.submodules {
            Submodules::Off => false,
            Submodules::Shallow => module.level == 0,
            Submodules::Recursive => true,
        };
        for inner in modules_in(git, &module).await? {
            let is_there = files::names_in(&inner.dir).is_ok_and(|names| !names.is_empty());
            // Patterns may exclude a submodule.
            let may_be_absent = checkout.selection.sparse.is_some();
            match (is_there, is_wanted) {
                (true, true) => {}
                (false, false) => continue,
                (false, true) if may_be_absent => continue,
                (false, true) if inner.is_left_out => continue,
                (false, true) if is_switched_off(git, &module, &inner).await? => continue,
                _ => return Ok(false),
            }
            let files = git.at(&inner.git_dir).work_tree(&inner.dir, top.index);
            let (subdir, lfs) = (checkout.selection.subdir.as_ref(), checkout.selection.lfs);
            if !inner.git_dir.is_dir()
                || !is_equal(files, &inner.commit, &[], lfs).await?
                || lfs && !lfs::is_submodule_filled(top.dir, subdir, files).await?
            {
                return Ok(false);
            }
            modules.push(inner);
        }
    }
    Ok(true)
}

/// The submodules that a repository lists and has at this commit.
async fn modules_in(git: GitSession<'_>, module: &Module) -> Result<Vec<Module>, GitError> {
    let (repository, commit) = (git.at(&module.git_dir), &module.commit);
    if !repository.ls_tree_has(commit, LIST).await? {
        return Ok(Vec::new());
    }
    let pattern = r"^submodule\..*\.(path|update)$";
    let settings = repository.config_blob(commit, LIST, pattern).await?;
    let named = settings
        .iter()
        .filter_map(|(key, value)| named_path(key, value));
    let named: Vec<(&str, &str)> = named.collect();
    let paths: Vec<&str> = named.iter().map(|(_, path)| *path).collect();
    let gitlinks = repository.ls_tree_gitlinks(commit, &paths).await?;
    let modules = named.into_iter().filter_map(|(name, path)| {
        let update = format!("submodule.{name}.update");
        let is_none = |(key, value): &(String, String)| *key == update && value == "none";
        Some(Module {
            is_left_out: settings.iter().any(is_none),
            name: Some(name.to_owned()),
            commit: gitlinks.get(path)?.clone(),
            git_dir: modules_of(&module.git_dir).join(name),
            dir: module.dir.join(path),
            level: module.level + 1,
        })
    });
    Ok(modules.collect())
}

/// Whether the configuration, which may be the user's, disables a submodule.
async fn is_switched_off(
    git: GitSession<'_>,
    module: &Module,
    inner: &Module,
) -> Result<bool, GitError> {
    let name = inner.name.as_deref().unwrap_or_default();
    let key = format!("submodule.{name}.update");
    let update = git.at(&module.git_dir).config_get(&key).await?;
    Ok(update.as_deref() == Some("none"))
}

/// The name and the path of `submodule.NAME.path`; `None` for names that would lead out of the
/// directory, as in git.
fn named_path<'a>(key: &'a str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
    let is_inside = |path: &str| {
        Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    (is_inside(name) && is_inside(path)).then_some((name, path))
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
    fn the_moved_part_of_a_path_is_where_two_paths_differ() {
        let part = |one: &str, other: &str| super::part(Path::new(one), Path::new(other));
        let (scratch, tree) = ("/r/.worktrees/new", "/r/.worktrees/01");
        assert_eq!(part(scratch, tree).as_deref(), Some("/new/"));
        let (scratch, tree) = ("/r/.gitvolume/checkout", "/r/tree");
        assert_eq!(
            part(scratch, tree).as_deref(),
            Some("/.gitvolume/checkout/")
        );
        assert_eq!(part(tree, scratch).as_deref(), Some("/tree/"));
    }

    #[test]
    fn a_submodule_name_that_leads_out_of_the_directory_is_ignored() {
        for (key, path, expected) in [
            ("submodule.a.b.path", "x/y", Some(("a.b", "x/y"))),
            ("submodule.../../a.path", "x", None),
            ("submodule.a.path", "../x", None),
            ("submodule.a.url", "x", None),
        ] {
            assert_eq!(named_path(key, path), expected, "{key}");
        }
    }
}
