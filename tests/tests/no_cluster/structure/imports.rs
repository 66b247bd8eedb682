//! The import graph of a crate: the files whose names each file uses.
//!
//! A path is followed through `use` and `pub use` to the file that defines its last name, so an
//! import through a re-exporting parent counts as an import of the defining file. Tests are
//! ignored.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use quote::ToTokens;

/// Imports between files: importer → imported → the names.
pub(super) type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// A module by its path in the crate; the root is empty.
type ModulePath = Vec<String>;

/// Maximum number of re-exports followed for one name; more means a loop of globs.
const MAX_DEPTH: usize = 16;

#[derive(Default)]
struct Module {
    file: PathBuf,
    defined: BTreeSet<String>,
    /// A name in scope → the path that `use` gave it.
    imported: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path with two segments or more, whether in `use` or in code.
    paths: BTreeSet<Vec<String>>,
}

/// The files of the crate whose first file is `root`.
pub(super) fn files(root: &Path) -> BTreeSet<PathBuf> {
    let modules = modules(root).into_values();
    modules.map(|module| module.file).collect()
}

fn modules(root: &Path) -> BTreeMap<ModulePath, Module> {
    let mut modules = BTreeMap::new();
    let dir = root.parent().expect("a file is in a directory");
    read(root, dir, Vec::new(), &mut modules);
    modules
}

/// The imports between the files of the crate whose first file is `root`.
pub(super) fn of_crate(root: &Path) -> Imports {
    let modules = modules(root);
    let mut imports = Imports::new();
    for (at, module) in &modules {
        for path in &module.paths {
            let Some((file, name)) = resolve(&modules, at, path, 0) else {
                continue;
            };
            if file != module.file {
                let names = imports
                    .entry(module.file.clone())
                    .or_default()
                    .entry(file)
                    .or_default();
                names.insert(name);
            }
        }
    }
    imports
}

/// Parses `file`, the module `at`, whose children are in `dir`.
fn read(file: &Path, dir: &Path, at: ModulePath, modules: &mut BTreeMap<ModulePath, Module>) {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed =
        syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read_items(parsed.items, file, dir, at, modules);
}

fn read_items(
    items: Vec<syn::Item>,
    file: &Path,
    dir: &Path,
    at: ModulePath,
    modules: &mut BTreeMap<ModulePath, Module>,
) {
    let mut module = Module {
        file: file.to_owned(),
        ..Module::default()
    };
    for item in items {
        let (attributes, name) = described(&item);
        if attributes.iter().any(is_for_tests) {
            continue;
        }
        module.defined.extend(name);
        match item {
            syn::Item::Use(item) => read_use(&item.tree, &mut Vec::new(), &mut module),
            syn::Item::Mod(item) => {
                let name = item.ident.to_string();
                let child = [at.clone(), vec![name.clone()]].concat();
                let child_dir = dir.join(&name);
                match item.content {
                    Some((_, items)) => read_items(items, file, &child_dir, child, modules),
                    None => {
                        let beside = dir.join(format!("{name}.rs"));
                        let (file, child_dir) = match path_of(&item.attrs) {
                            Some(path) => {
                                let file = file.parent().unwrap_or(dir).join(path);
                                let beside = file.parent().unwrap_or(dir).to_owned();
                                (file, beside)
                            }
                            None if beside.exists() => (beside, child_dir),
                            None => (child_dir.join("mod.rs"), child_dir),
                        };
                        read(&file, &child_dir, child, modules);
                    }
                }
            }
            item => paths_in(item.to_token_stream(), &mut module.paths),
        }
    }
    modules.insert(at, module);
}

/// The attributes of an item, and the name that it defines.
fn described(item: &syn::Item) -> (&[syn::Attribute], Option<String>) {
    use syn::Item;
    let (attributes, name) = match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Mod(item) => (&item.attrs, None),
        Item::Use(item) => (&item.attrs, None),
        _ => return (&[], None),
    };
    (attributes, name.map(ToString::to_string))
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .meta
            .to_token_stream()
            .to_string()
            .contains("test")
}

/// The file that `#[path = "…"]` names.
fn path_of(attributes: &[syn::Attribute]) -> Option<String> {
    let path = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    let text = path.meta.to_token_stream().to_string();
    Some(text.split('"').nth(1)?.to_owned())
}

fn read_use(tree: &syn::UseTree, before: &mut Vec<String>, module: &mut Module) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            read_use(&path.tree, before, module);
            before.pop();
        }
        syn::UseTree::Name(name) => import(
            name.ident.to_string(),
            &name.ident.to_string(),
            before,
            module,
        ),
        syn::UseTree::Rename(name) => import(
            name.rename.to_string(),
            &name.ident.to_string(),
            before,
            module,
        ),
        syn::UseTree::Glob(_) => module.globs.push(before.clone()),
        syn::UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| read_use(tree, before, module)),
    }
}

fn import(known_as: String, name: &str, before: &[String], module: &mut Module) {
    let path = [before, &[name.to_owned()]].concat();
    module.paths.insert(path.clone());
    module.imported.insert(known_as, path);
}

/// Collects paths `a::b::c` in code, including macros; generic arguments end a path.
fn paths_in(tokens: TokenStream, paths: &mut BTreeSet<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end_path(&mut path, paths);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                end_path(&mut path, paths);
                colons = 0;
                paths_in(group.stream(), paths);
            }
            _ => {
                end_path(&mut path, paths);
                colons = 0;
            }
        }
    }
    end_path(&mut path, paths);
}

fn end_path(path: &mut Vec<String>, paths: &mut BTreeSet<Vec<String>>) {
    if path.len() > 1 {
        paths.insert(std::mem::take(path));
    }
    path.clear();
}

/// The file that defines the target of `path` in the module `at`, with the name. `None` for a name
/// of another crate and for a module itself.
fn resolve(
    modules: &BTreeMap<ModulePath, Module>,
    at: &[String],
    path: &[String],
    depth: usize,
) -> Option<(PathBuf, String)> {
    let (first, rest) = path.split_first()?;
    if depth > MAX_DEPTH {
        return None;
    }
    match first.as_str() {
        "crate" => find(modules, &[], rest, depth),
        "self" => find(modules, at, rest, depth),
        "super" => {
            let (_, parent) = at.split_last()?;
            match rest.first() {
                Some(next) if next == "super" => resolve(modules, parent, rest, depth + 1),
                _ => find(modules, parent, rest, depth),
            }
        }
        _ => find(modules, at, path, depth),
    }
}

/// Looks `names` up inside the module `at`.
fn find(
    modules: &BTreeMap<ModulePath, Module>,
    at: &[String],
    names: &[String],
    depth: usize,
) -> Option<(PathBuf, String)> {
    let (first, rest) = names.split_first()?;
    if depth > MAX_DEPTH {
        return None;
    }
    let module = modules.get(at)?;
    // A function may have a module's name.
    let child = [at, std::slice::from_ref(first)].concat();
    if !rest.is_empty() && modules.contains_key(&child) {
        return find(modules, &child, rest, depth);
    }
    if module.defined.contains(first) {
        return Some((module.file.clone(), first.clone()));
    }
    if let Some(path) = module.imported.get(first) {
        return resolve(modules, at, &[path, rest].concat(), depth + 1);
    }
    module
        .globs
        .iter()
        .find_map(|glob| resolve(modules, at, &[glob, names].concat(), depth + 1))
}

fn reachable<'a>(imports: &'a Imports, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        let to = imports
            .get(file)
            .into_iter()
            .flatten()
            .map(|(to, _)| to.as_path());
        next.extend(to.filter(|to| seen.insert(*to)));
    }
    seen
}

/// Each import cycle between files, one line per import in it.
pub(super) fn cycles(imports: &Imports) -> Vec<String> {
    let reach: BTreeMap<&Path, BTreeSet<&Path>> = imports
        .keys()
        .map(|file| (file.as_path(), reachable(imports, file)))
        .collect();
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for (file, reached) in &reach {
        if !reached.contains(file) || done.contains(file) {
            continue;
        }
        let circle: BTreeSet<&Path> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        found.push(format!("{} files import one another:", circle.len()));
        for from in &circle {
            for (to, names) in &imports[*from] {
                if circle.contains(to.as_path()) {
                    let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
                    found.push(format!("  {} -> {}: {names}", from.display(), to.display()));
                }
            }
        }
        done.extend(circle);
    }
    found
}
