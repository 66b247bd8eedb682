//! Builder of container images from local files: no registry, no Docker.

mod archive;
mod entry;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use serde_json::Value;
use serde_json::json;

use crate::oci::image::archive::Contents;
use crate::oci::image::entry::Entry;
use crate::oci::image::entry::What;
use crate::oci::libraries::libraries_of;
use crate::oci::root::Root;

pub use archive::Compression;
pub use archive::ImageFile;

/// `PATH` of Debian's image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image under construction; the methods that add to it can be chained.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    /// Where the files of Debian come from.
    root: Root,
    entries: BTreeMap<PathBuf, Entry>,
    config: serde_json::Map<String, Value>,
    env: Vec<String>,
    /// The layer that the next entry is added to.
    layer: usize,
}

impl Image {
    /// An empty image for this machine.
    pub fn scratch(name: &str) -> Self {
        Self::scratch_from(Root::of_this_machine(), name)
    }

    /// An empty image for the architecture of a root, whose files it can take.
    pub fn scratch_from(root: Root, name: &str) -> Self {
        let (entries, config) = (BTreeMap::new(), serde_json::Map::new());
        let env = vec![format!("PATH={PATH}")];
        Self {
            name: name.to_owned(),
            root,
            entries,
            config,
            env,
            layer: 0,
        }
    }

    /// An image with the directories that Debian's programs expect; `/bin` and others are links
    /// into `/usr`, as in Debian.
    pub fn like_debian(name: &str) -> Self {
        Self::like_debian_from(Root::of_this_machine(), name)
    }

    /// The same for the architecture of a root.
    pub fn like_debian_from(root: Root, name: &str) -> Self {
        let mut image = Self::scratch_from(root, name)
            .dir("/tmp", 0o1777)
            .dir("/var/tmp", 0o1777);
        for dir in ["bin", "sbin", "lib", "lib64"] {
            image = image
                .dir(&format!("/usr/{dir}"), 0o755)
                .symlink(&format!("/{dir}"), &format!("usr/{dir}"));
        }
        image
            .dir("/root", 0o700)
            .dir("/run", 0o755)
            .symlink("/var/run", "/run")
            .text(
                "/etc/nsswitch.conf",
                "passwd: files\ngroup: files\nhosts: files dns\n",
            )
            .text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
            .text("/etc/group", "root:x:0:\n")
    }

    /// Adds a text file that every user can read.
    #[must_use]
    pub fn text(self, at: &str, text: &str) -> Self {
        self.file(at, text.as_bytes().to_vec(), 0o644)
    }

    /// Adds a file with this content.
    #[must_use]
    pub fn file(mut self, at: &str, content: Vec<u8>, mode: u32) -> Self {
        self.add(Path::new(at), What::File(content), mode);
        self
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(mut self, at: &str, mode: u32) -> Self {
        self.add(Path::new(at), What::Dir, mode);
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(mut self, at: &str, to: &str) -> Self {
        self.add(Path::new(at), What::Link(to.into()), 0o777);
        self
    }

    /// Sets the owner of the entry at this path.
    #[must_use]
    pub fn owned_by(mut self, at: &str, uid: u64, gid: u64) -> Self {
        if let Some(entry) = self.entries.get_mut(&relative(Path::new(at))) {
            entry.owner = (uid, gid);
        }
        self
    }

    /// Copies a file of the root to the same path, with its permissions; links are followed.
    pub fn copy(mut self, path: &str) -> Result<Self> {
        let from = self.root.file(path)?;
        self.copy_file(&from, Path::new(path))?;
        Ok(self)
    }

    /// Copies a program of the root with the shared libraries it needs.
    pub fn program(self, path: &str) -> Result<Self> {
        let from = self.root.file(path)?;
        self.program_to(&from, path)
    }

    /// Copies a program of this machine to another path, with the shared libraries it needs, which
    /// are the root's.
    pub fn program_to(mut self, from: &Path, at: &str) -> Result<Self> {
        self.copy_file(from, Path::new(at))?;
        for library in libraries_of(&self.root, from)? {
            // What an earlier layer has is not stored again.
            if !self.entries.contains_key(&relative(&library)) {
                let from = self.root.file(&library)?;
                self.copy_file(&from, &library)?;
            }
        }
        Ok(self)
    }

    /// Copies the files below a directory of this machine, with their permissions.
    pub fn tree_to(mut self, from: &Path, at: &Path) -> Result<Self> {
        let entries = fs::read_dir(from).with_context(|| format!("read {}", from.display()))?;
        for entry in entries {
            let entry = entry?;
            let (from, at) = (entry.path(), at.join(entry.file_name()));
            if from.is_dir() {
                self = self.tree_to(&from, &at)?;
            } else {
                self.copy_file(&from, &at)?;
            }
        }
        Ok(self)
    }

    /// Adds what Debian requires beside a package's files, and what scanners read, for each package
    /// that files of this image are from: its licence, and its entry in dpkg's database. The scripts
    /// of some packages make files, which no list names.
    pub fn package_records(mut self, with_scripts: &[&str]) -> Result<Self> {
        for (name, entry) in self.root.packages()? {
            let Ok(files) = self.root.files_of(&name) else {
                // Removed, and only its configuration is left.
                continue;
            };
            let is_used = |path: &String| {
                let entry = self.entries.get(&relative(Path::new(path)));
                entry.is_some_and(|entry| matches!(entry.what, What::File(_)))
            };
            if !files.iter().any(is_used) && !with_scripts.contains(&name.as_str()) {
                continue;
            }
            let license = format!("/usr/share/doc/{name}/copyright");
            // This machine may have been set up without documentation.
            if self.root.has(&license) || !self.root.is_this_machine() {
                self = self.copy(&license)?;
            }
            self = self.text(&format!("/var/lib/dpkg/status.d/{name}"), &entry);
        }
        Ok(self)
    }

    /// Adds busybox as `/bin/sh` and every other command that has no entry yet.
    pub fn busybox(self) -> Result<Self> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .context("busybox is missing: run tests/tools/prerequisites.sh test")?;
        let mut image = self.program_to(Path::new(busybox), "/usr/bin/busybox")?;
        let commands = std::process::Command::new(busybox).arg("--list").output()?;
        for command in String::from_utf8_lossy(&commands.stdout).lines() {
            let at = PathBuf::from(format!("/usr/bin/{command}"));
            let elsewhere = PathBuf::from(format!("/usr/sbin/{command}"));
            let taken = |path| image.entries.contains_key(&relative(path));
            if command != "busybox" && !taken(&at) && !taken(&elsewhere) {
                image.add(&at, What::Link("busybox".into()), 0o777);
            }
        }
        Ok(image)
    }

    /// Begins another layer: a node pulls it without the layers before, if it has those already.
    #[must_use]
    pub fn next_layer(mut self) -> Self {
        self.layer += 1;
        self
    }

    /// Sets the command that a container runs.
    #[must_use]
    pub fn entrypoint(self, command: &[&str]) -> Self {
        self.config("Entrypoint", json!(command))
    }

    /// Sets the user, as `uid:gid`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.config("User", json!(user))
    }

    /// Adds a label, which registries and scanners show.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        let labels = self.config.entry("Labels").or_insert_with(|| json!({}));
        labels[name] = json!(value);
        self
    }

    /// Sets the directory that a container starts in.
    #[must_use]
    pub fn workdir(self, dir: &str) -> Self {
        self.config("WorkingDir", json!(dir))
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Writes the image, uncompressed, as `<last part of its name>.tar` into a folder.
    pub fn write_to(&self, dir: &Path) -> Result<ImageFile> {
        self.write_compressed_to(dir, Compression::None)
    }

    /// Writes the image as `<last part of its name>.tar` into a folder.
    pub fn write_compressed_to(&self, dir: &Path, compression: Compression) -> Result<ImageFile> {
        self.contents().write_to(dir, compression)
    }

    /// Writes images of one name for several architectures, compressed, with an index of them, as
    /// `<last part of their name>.tar` into a folder.
    pub fn write_index(images: &[Self], dir: &Path) -> Result<ImageFile> {
        let contents: Vec<Contents<'_>> = images.iter().map(Self::contents).collect();
        archive::write_index(&contents, dir)
    }

    fn contents(&self) -> Contents<'_> {
        let mut config = self.config.clone();
        config.insert("Env".to_owned(), json!(self.env));
        Contents {
            name: &self.name,
            architecture: self.root.architecture(),
            entries: &self.entries,
            layers: self.layer + 1,
            config,
        }
    }

    fn config(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn copy_file(&mut self, from: &Path, at: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
        self.add(at, What::File(content), mode);
        Ok(())
    }

    fn add(&mut self, at: &Path, what: What, mode: u32) {
        let (at, layer) = (relative(at), self.layer);
        for parent in at
            .ancestors()
            .skip(1)
            .filter(|parent| *parent != Path::new(""))
        {
            let dir = Entry {
                what: What::Dir,
                mode: 0o755,
                owner: (0, 0),
                layer,
            };
            self.entries.entry(parent.to_path_buf()).or_insert(dir);
        }
        self.entries.insert(
            at,
            Entry {
                what,
                mode,
                owner: (0, 0),
                layer,
            },
        );
    }
}

/// `/lib/x/../y` becomes `usr/lib/y`: without the leading slash and dots, and in `/usr` where
/// Debian has links, so that no library is placed behind a link.
fn relative(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let merged = ["bin", "sbin", "lib", "lib64"];
    match clean.components().next() {
        Some(Component::Normal(first))
            if merged.iter().any(|dir| first == *dir) && clean.components().count() > 1 =>
        {
            Path::new("usr").join(clean)
        }
        _ => clean,
    }
}

#[cfg(test)]
mod containerfile;
#[cfg(test)]
mod tests;
