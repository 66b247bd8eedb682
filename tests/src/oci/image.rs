//! Builder of container images from local files: no registry, no Docker.
//!
//! The result is an OCI layout in a tar, with one uncompressed layer, that `ctr images import`,
//! `docker load` and `kind load image-archive` read. The same input gives the same digest: names
//! are sorted, times are zero.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use ring::digest::SHA256;
use ring::digest::digest;
use serde_json::Value;
use serde_json::json;

use crate::oci::libraries::libraries_of;

/// `PATH` of Debian's image.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image under construction; the methods that add to it can be chained.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    entries: BTreeMap<PathBuf, Entry>,
    config: serde_json::Map<String, Value>,
    env: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    what: What,
    mode: u32,
    owner: (u64, u64),
}

#[derive(Clone, Debug)]
enum What {
    Dir,
    File(Vec<u8>),
    Link(PathBuf),
}

/// An image archive.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Image name that Pods use.
    pub name: String,
    /// The tar file.
    pub path: PathBuf,
    /// The digest of its manifest.
    pub digest: String,
    /// Size of its layer, unpacked.
    pub layer_bytes: usize,
}

impl Image {
    /// An empty image.
    pub fn scratch(name: &str) -> Self {
        let (entries, config) = (BTreeMap::new(), serde_json::Map::new());
        let env = vec![format!("PATH={PATH}")];
        Self {
            name: name.to_owned(),
            entries,
            config,
            env,
        }
    }

    /// An image with the directories that Debian's programs expect; `/bin` and others are links
    /// into `/usr`, as in Debian.
    pub fn like_debian(name: &str) -> Self {
        let mut image = Self::scratch(name)
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

    /// Copies a file of this machine to the same path, with its permissions; links are followed.
    pub fn copy(self, path: &str) -> Result<Self> {
        self.copy_to(path, path)
    }

    /// Copies a file of this machine to another path.
    pub fn copy_to(mut self, from: &str, at: &str) -> Result<Self> {
        self.copy_file(Path::new(from), Path::new(at))?;
        Ok(self)
    }

    /// Copies a program of this machine with the shared libraries it needs.
    pub fn program(self, path: &str) -> Result<Self> {
        self.program_to(Path::new(path), path)
    }

    /// Copies a program to another path, with the shared libraries it needs.
    pub fn program_to(mut self, from: &Path, at: &str) -> Result<Self> {
        self.copy_file(from, Path::new(at))?;
        for library in libraries_of(from)? {
            self.copy_file(&library, &library)?;
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

    /// Writes the image as `<last part of its name>.tar` into a folder.
    pub fn write_to(&self, dir: &Path) -> Result<ImageFile> {
        let layer = self.layer()?;
        let layer_digest = hash(&layer);
        let mut config = self.config.clone();
        config.insert("Env".to_owned(), json!(self.env));
        let config = serde_json::to_vec(&json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        }))?;
        let mut described = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        let tag = self.name.rsplit(':').next().unwrap_or("latest");
        described["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag,
        });
        let index = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [described],
        }))?;

        fs::create_dir_all(dir)?;
        let stem = self.name.rsplit('/').next().unwrap_or(&self.name);
        let path = dir.join(format!("{}.tar", stem.split(':').next().unwrap_or(stem)));
        let mut tar = tar::Builder::new(fs::File::create(&path)?);
        let blob = |bytes: &[u8]| PathBuf::from(format!("blobs/sha256/{}", hash(bytes)));
        for (name, bytes) in [
            (
                PathBuf::from("oci-layout"),
                &br#"{"imageLayoutVersion":"1.0.0"}"#[..],
            ),
            (PathBuf::from("index.json"), &index),
            (blob(&manifest), &manifest),
            (blob(&config), &config),
            (blob(&layer), &layer),
        ] {
            append(&mut tar, &name, &What::File(bytes.to_vec()), 0o644, (0, 0))?;
        }
        tar.into_inner()?
            .sync_all()
            .with_context(|| format!("write {}", path.display()))?;
        let digest = format!("sha256:{}", hash(&manifest));
        Ok(ImageFile {
            name: self.name.clone(),
            path,
            digest,
            layer_bytes: layer.len(),
        })
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
        let at = relative(at);
        for parent in at
            .ancestors()
            .skip(1)
            .filter(|parent| *parent != Path::new(""))
        {
            let dir = Entry {
                what: What::Dir,
                mode: 0o755,
                owner: (0, 0),
            };
            self.entries.entry(parent.to_path_buf()).or_insert(dir);
        }
        self.entries.insert(
            at,
            Entry {
                what,
                mode,
                owner: (0, 0),
            },
        );
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        // The map's order puts each directory before its contents.
        for (path, Entry { what, mode, owner }) in &self.entries {
            append(&mut tar, path, what, *mode, *owner)?;
        }
        Ok(tar.into_inner()?)
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

fn append<W: std::io::Write>(
    tar: &mut tar::Builder<W>,
    path: &Path,
    what: &What,
    mode: u32,
    (uid, gid): (u64, u64),
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(0);
    header.set_size(0);
    match what {
        What::Dir => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, path.join(""), std::io::empty())?;
        }
        What::File(content) => {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, &content[..])?;
        }
        What::Link(to) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, to)?;
        }
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    let digest = format!("sha256:{}", hash(bytes));
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

#[cfg(test)]
mod containerfile;
#[cfg(test)]
mod tests;
