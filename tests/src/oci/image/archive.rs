//! Archives of images: an OCI layout in a tar, which `ctr images import`, `docker load` and `kind
//! load image-archive` read. The same input gives the same digest: names are sorted, times are zero.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use ring::digest::SHA256;
use ring::digest::digest;
use serde_json::Value;
use serde_json::json;

use crate::oci::image::entry::Entry;
use crate::oci::image::entry::What;
use crate::oci::root::Architecture;

/// How the layers of an archive are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// As they are, for a node that imports the archive from its own disk.
    None,
    /// With Zstandard, for registries: a quarter smaller than with gzip. containerd 1.5, CRI-O 1.18
    /// and Docker 23 read it, which are older than the oldest Kubernetes that is supported.
    Zstd,
}

/// An image archive.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Image name that Pods use.
    pub name: String,
    /// The tar file.
    pub path: PathBuf,
    /// The digest of its manifest, or of the index of several.
    pub digest: String,
    /// What it costs a node of each architecture.
    pub sizes: Vec<ImageSize>,
}

/// The size of an image for one architecture.
#[derive(Clone, Debug)]
pub struct ImageSize {
    /// The architecture, by OCI's name.
    pub architecture: &'static str,
    /// Size of its layers, unpacked.
    pub unpacked_bytes: usize,
    /// Size of each layer as it is stored: what a node pulls.
    pub stored_bytes: Vec<usize>,
}

/// Zstandard's level: from 20 on a reader needs more than 8 MB of memory.
const LEVEL: i32 = 19;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The files of an archive, by their digest.
#[derive(Debug, Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a file; returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let described = descriptor(media_type, &bytes);
        self.0.insert(hash(&bytes), bytes);
        described
    }
}

/// A layer of an image.
struct Layer {
    media_type: &'static str,
    stored: Vec<u8>,
    unpacked_bytes: usize,
    /// The digest of the unpacked layer.
    diff_id: String,
}

/// What an image consists of.
pub(super) struct Contents<'a> {
    pub(super) name: &'a str,
    pub(super) architecture: Architecture,
    pub(super) entries: &'a BTreeMap<PathBuf, Entry>,
    /// The number of layers.
    pub(super) layers: usize,
    /// The configuration of containers.
    pub(super) config: serde_json::Map<String, Value>,
}

/// Writes images of one name for several architectures, compressed, with an index of them, as `<last
/// part of their name>.tar` into a folder.
pub(super) fn write_index(images: &[Contents<'_>], dir: &Path) -> Result<ImageFile> {
    let name = images.first().context("an index of no image")?.name;
    let mut blobs = Blobs::default();
    let mut manifests = Vec::new();
    let mut sizes = Vec::new();
    for image in images {
        let (mut manifest, size) = image.manifest(Compression::Zstd, &mut blobs)?;
        manifest["platform"] = json!({"architecture": size.architecture, "os": "linux"});
        manifests.push(manifest);
        sizes.push(size);
    }
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
    }))?;
    let index = blobs.add(INDEX, index);
    write(name, index, sizes, blobs, dir)
}

impl Contents<'_> {
    /// Writes it as `<last part of its name>.tar` into a folder.
    pub(super) fn write_to(&self, dir: &Path, compression: Compression) -> Result<ImageFile> {
        let mut blobs = Blobs::default();
        let (manifest, size) = self.manifest(compression, &mut blobs)?;
        write(self.name, manifest, vec![size], blobs, dir)
    }

    /// Adds the image's files; returns the descriptor of its manifest.
    fn manifest(&self, compression: Compression, blobs: &mut Blobs) -> Result<(Value, ImageSize)> {
        let layers = (0..self.layers).map(|number| self.layer(number, compression));
        let layers = layers.collect::<Result<Vec<Layer>>>()?;
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let architecture = self.architecture.name();
        let config = serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))?;
        let size = ImageSize {
            architecture,
            unpacked_bytes: layers.iter().map(|layer| layer.unpacked_bytes).sum(),
            stored_bytes: layers.iter().map(|layer| layer.stored.len()).collect(),
        };
        let config = blobs.add("application/vnd.oci.image.config.v1+json", config);
        let layers = layers.into_iter();
        let layers: Vec<Value> = layers
            .map(|layer| blobs.add(layer.media_type, layer.stored))
            .collect();
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
        }))?;
        Ok((blobs.add(MANIFEST, manifest), size))
    }

    fn layer(&self, number: usize, compression: Compression) -> Result<Layer> {
        let mut tar = tar::Builder::new(Vec::new());
        // The map's order puts each directory before its contents.
        for (path, entry) in self.entries {
            if entry.layer == number {
                append(&mut tar, path, entry)?;
            }
        }
        let unpacked = tar.into_inner()?;
        let (media_type, unpacked_bytes) = match compression {
            Compression::None => ("application/vnd.oci.image.layer.v1.tar", unpacked.len()),
            Compression::Zstd => (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                unpacked.len(),
            ),
        };
        Ok(Layer {
            media_type,
            unpacked_bytes,
            diff_id: format!("sha256:{}", hash(&unpacked)),
            stored: match compression {
                Compression::None => unpacked,
                Compression::Zstd => zstd::bulk::compress(&unpacked, LEVEL)?,
            },
        })
    }
}

/// Writes an archive whose only entry is the described one.
fn write(
    name: &str,
    mut entry: Value,
    sizes: Vec<ImageSize>,
    blobs: Blobs,
    dir: &Path,
) -> Result<ImageFile> {
    let digest = entry["digest"].as_str().unwrap_or_default().to_owned();
    entry["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(':').next().unwrap_or("latest"),
    });
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entry],
    }))?;
    let mut files = vec![
        (
            PathBuf::from("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ),
        (PathBuf::from("index.json"), index),
    ];
    let blobs = blobs.0.into_iter();
    files.extend(blobs.map(|(hash, bytes)| (Path::new("blobs/sha256").join(hash), bytes)));

    fs::create_dir_all(dir)?;
    let stem = name.rsplit('/').next().unwrap_or(name);
    let path = dir.join(format!("{}.tar", stem.split(':').next().unwrap_or(stem)));
    let mut tar = tar::Builder::new(fs::File::create(&path)?);
    for (at, bytes) in files {
        let entry = Entry {
            what: What::File(bytes),
            mode: 0o644,
            owner: (0, 0),
            layer: 0,
        };
        append(&mut tar, &at, &entry)?;
    }
    tar.into_inner()?
        .sync_all()
        .with_context(|| format!("write {}", path.display()))?;
    Ok(ImageFile {
        name: name.to_owned(),
        path,
        digest,
        sizes,
    })
}

fn append<W: std::io::Write>(tar: &mut tar::Builder<W>, path: &Path, entry: &Entry) -> Result<()> {
    let (uid, gid) = entry.owner;
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(0);
    header.set_size(0);
    match &entry.what {
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
