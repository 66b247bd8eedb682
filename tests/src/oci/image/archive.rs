//! Archives of images: an OCI layout in a tar, which `ctr images import`, `docker load` and `kind
//! load image-archive` read. The same input gives the same digest: names are sorted, times are zero.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use flate2::GzBuilder;
use ring::digest::SHA256;
use ring::digest::digest;
use serde_json::Value;
use serde_json::json;

use crate::oci::image::entry::Entry;
use crate::oci::image::entry::What;

/// How the layers of an archive are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// As they are, for a node that imports the archive from its own disk.
    None,
    /// With gzip, for registries.
    Gzip,
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
    /// Size of its layers, unpacked.
    pub unpacked_bytes: usize,
    /// Size of its layers as they are stored: what a node pulls.
    pub stored_bytes: usize,
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
pub(super) struct Archive<'a> {
    pub(super) name: &'a str,
    pub(super) entries: &'a BTreeMap<PathBuf, Entry>,
    /// The number of layers.
    pub(super) layers: usize,
    /// The configuration of containers.
    pub(super) config: serde_json::Map<String, Value>,
}

impl Archive<'_> {
    /// Writes it as `<last part of its name>.tar` into a folder.
    pub(super) fn write_to(self, dir: &Path, compression: Compression) -> Result<ImageFile> {
        let layers = (0..self.layers).map(|number| self.layer(number, compression));
        let layers = layers.collect::<Result<Vec<Layer>>>()?;
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = serde_json::to_vec(&json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))?;
        let described: Vec<Value> = layers
            .iter()
            .map(|layer| descriptor(layer.media_type, &layer.stored))
            .collect();
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": described,
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
        let stem = self.name.rsplit('/').next().unwrap_or(self.name);
        let path = dir.join(format!("{}.tar", stem.split(':').next().unwrap_or(stem)));
        let mut tar = tar::Builder::new(fs::File::create(&path)?);
        let blob = |bytes: &[u8]| PathBuf::from(format!("blobs/sha256/{}", hash(bytes)));
        let mut files = vec![
            (
                PathBuf::from("oci-layout"),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            (PathBuf::from("index.json"), index),
            (blob(&config), config),
        ];
        let digest = format!("sha256:{}", hash(&manifest));
        files.push((blob(&manifest), manifest));
        let unpacked_bytes = layers.iter().map(|layer| layer.unpacked_bytes).sum();
        let stored_bytes = layers.iter().map(|layer| layer.stored.len()).sum();
        files.extend(
            layers
                .into_iter()
                .map(|layer| (blob(&layer.stored), layer.stored)),
        );
        for (name, bytes) in files {
            let entry = Entry {
                what: What::File(bytes),
                mode: 0o644,
                owner: (0, 0),
                layer: 0,
            };
            append(&mut tar, &name, &entry)?;
        }
        tar.into_inner()?
            .sync_all()
            .with_context(|| format!("write {}", path.display()))?;
        Ok(ImageFile {
            name: self.name.to_owned(),
            path,
            digest,
            unpacked_bytes,
            stored_bytes,
        })
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
            Compression::Gzip => (
                "application/vnd.oci.image.layer.v1.tar+gzip",
                unpacked.len(),
            ),
        };
        Ok(Layer {
            media_type,
            unpacked_bytes,
            diff_id: format!("sha256:{}", hash(&unpacked)),
            stored: match compression {
                Compression::None => unpacked,
                Compression::Gzip => gzip(&unpacked)?,
            },
        })
    }
}

/// Compresses, without a time or a name in the header.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
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
