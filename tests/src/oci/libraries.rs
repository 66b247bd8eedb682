//! Detection of the shared libraries of a program, of any architecture: it is read, not run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use object::Endianness;
use object::elf::DT_NEEDED;
use object::elf::ELFMAG;
use object::elf::FileHeader64;
use object::read::elf::FileHeader as _;
use object::read::elf::ProgramHeader as _;

use crate::oci::root::Root;

/// The libraries of a program, including its loader, by the paths where the loader looks for them
/// in this root; none for a static program or a file that is not ELF, such as a script.
pub(crate) fn libraries_of(root: &Root, program: &Path) -> Result<Vec<PathBuf>> {
    // By name, as the loader does: libraries name the loader itself, too.
    let mut found = BTreeMap::new();
    let mut unread = vec![program.to_owned()];
    while let Some(file) = unread.pop() {
        let content = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        let linked = linked(&content).with_context(|| file.display().to_string())?;
        let loader = linked.loader.map(PathBuf::from);
        let loader = loader.and_then(|path| Some((path.file_name()?.to_owned(), Some(path))));
        let needed = linked.needed.into_iter();
        for (name, path) in loader
            .into_iter()
            .chain(needed.map(|name| (name.into(), None)))
        {
            if found.contains_key(&name) {
                continue;
            }
            let path = path
                .or_else(|| root.library(&name))
                .with_context(|| format!("{}: {} is missing", file.display(), name.display()))?;
            unread.push(root.file(&path)?);
            found.insert(name, path);
        }
    }
    Ok(found.into_values().collect())
}

/// What an ELF file names.
#[derive(Debug, Default)]
struct LinkedNames {
    loader: Option<String>,
    needed: Vec<String>,
}

fn linked(file: &[u8]) -> Result<LinkedNames> {
    let mut names = LinkedNames::default();
    if !file.starts_with(&ELFMAG) {
        return Ok(names);
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
    let elf = FileHeader64::<Endianness>::parse(file)?;
    let endian = elf.endian()?;
    for segment in elf.program_headers(endian, file)? {
        if let Some(loader) = segment.interpreter(endian, file)? {
            names.loader = Some(text(loader)?);
        }
    }
    let table = elf.sections(endian, file)?.dynamic_table(endian, file)?;
    for entry in &table {
        if entry.tag == DT_NEEDED {
            names.needed.push(text(table.string(entry)?)?);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::libraries_of;
    use super::linked;
    use crate::oci::root::Root;

    #[test]
    fn the_libraries_of_a_program_are_those_that_ldd_prints() {
        let git = Path::new("/usr/bin/git");
        let found = libraries_of(&Root::of_this_machine(), git).expect("git's libraries");
        let ldd = std::process::Command::new("ldd").arg(git).output();
        let printed = String::from_utf8(ldd.expect("ldd").stdout).expect("text");
        let names = printed
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        let mut expected: Vec<_> = names.map(|path| Path::new(path).file_name()).collect();
        let mut found: Vec<_> = found.iter().map(|path| path.file_name()).collect();
        expected.sort();
        found.sort();
        assert!(found.len() > 2, "{found:?}");
        assert_eq!(found, expected);
    }

    #[test]
    fn a_script_has_no_libraries() {
        let script = linked(b"#!/bin/sh\n").expect("no ELF");
        assert!(script.loader.is_none() && script.needed.is_empty());
    }

    #[test]
    fn a_missing_library_is_named_in_the_error() {
        let git = fs::read("/usr/bin/git").expect("git");
        let at = git.windows(9).position(|text| text == b"libz.so.1");
        let mut broken = git;
        broken[at.expect("git uses zlib") + 3] = b'Z';
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), broken).expect("a program");
        let error = libraries_of(&Root::of_this_machine(), file.path()).expect_err("no such one");
        assert!(
            error.to_string().contains("libZ.so.1 is missing"),
            "{error}"
        );
    }
}
