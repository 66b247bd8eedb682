//! The space that the files of revisions need.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Result;

/// The disk space of directories, in MB; a file with several names counts once.
pub(super) fn space(dirs: &[&Path]) -> Result<f64> {
    let mut blocks = HashMap::new();
    visit(dirs, &mut |metadata| {
        blocks.insert((metadata.dev(), metadata.ino()), metadata.blocks());
    })?;
    Ok(blocks.values().sum::<u64>() as f64 * 512.0 / 1e6)
}

/// The page cache that all files of directories need together, in MB.
pub(super) fn cache(dirs: &[&Path]) -> Result<f64> {
    const PAGE: u64 = 4096;
    let mut pages = HashMap::new();
    visit(dirs, &mut |metadata| {
        if metadata.is_file() {
            let count = metadata.len().div_ceil(PAGE);
            pages.insert((metadata.dev(), metadata.ino()), count);
        }
    })?;
    Ok((pages.values().sum::<u64>() * PAGE) as f64 / 1e6)
}

fn visit(dirs: &[&Path], see: &mut impl FnMut(&fs::Metadata)) -> Result<()> {
    let mut dirs: Vec<PathBuf> = dirs.iter().map(|dir| (*dir).to_owned()).collect();
    while let Some(dir) = dirs.pop() {
        // The program that is measured may remove files meanwhile.
        let Some(entries) = found(fs::read_dir(dir))? else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let Some(metadata) = found(entry.metadata())? else {
                continue;
            };
            see(&metadata);
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}

/// `None` if the path does not exist.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
