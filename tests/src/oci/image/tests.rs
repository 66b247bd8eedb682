use std::path::Path;

use super::Compression;
use super::Image;
use super::ImageFile;
use super::relative;
use crate::oci::root::Architecture;
use crate::oci::root::Root;

fn image() -> Image {
    Image::like_debian("gitvolume.test/some:local")
        .text("/srv/file", "content")
        .dir("/srv/dir", 0o1777)
        .symlink("/srv/link", "file")
        .entrypoint(&["/bin/true"])
}

#[test]
fn the_same_input_gives_the_same_digest() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = image().write_to(&dir.path().join("1")).expect("an image");
    let second = image().write_to(&dir.path().join("2")).expect("an image");
    assert_eq!(first.digest, second.digest);
    let other = image()
        .text("/srv/file", "other")
        .write_to(dir.path())
        .expect("an image");
    assert_ne!(other.digest, first.digest);
}

#[test]
fn a_change_of_the_last_layer_leaves_the_others_and_compression_the_content() {
    let dir = tempfile::tempdir().expect("a folder");
    let layers = |program: &str, compression| {
        let image = image().next_layer().text("/program", program);
        let file = image
            .write_compressed_to(dir.path(), compression)
            .expect("an image");
        let blobs = blobs_of(&file);
        let json = |digest: &serde_json::Value| -> serde_json::Value {
            let digest = digest
                .as_str()
                .expect("a digest")
                .replace("sha256:", "blobs/sha256/");
            serde_json::from_slice(&blobs[&digest]).expect("JSON")
        };
        let manifest = json(&file.digest.as_str().into());
        let config = json(&manifest["config"]["digest"]);
        (
            manifest["layers"].clone(),
            config["rootfs"]["diff_ids"].clone(),
        )
    };
    let (plain, plain_ids) = layers("1", Compression::None);
    let (packed, packed_ids) = layers("1", Compression::Zstd);
    let (next, next_ids) = layers("2", Compression::Zstd);
    assert_eq!(plain_ids, packed_ids);
    assert_eq!(plain[0]["digest"], plain_ids[0]);
    assert_ne!(packed[0]["digest"], packed_ids[0]);
    assert!(
        packed[0]["mediaType"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("+zstd"))
    );
    assert_eq!(packed[0], next[0]);
    assert_ne!(packed[1], next[1]);
    assert_ne!(packed_ids[1], next_ids[1]);
}

#[test]
fn an_index_names_each_architecture_and_the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let images = [Architecture::Amd64, Architecture::Arm64].map(|architecture| {
        let root = Root::at_dir(dir.path().to_owned(), architecture);
        let image = Image::scratch_from(root, "gitvolume.test/some:1.2.3");
        image.text("/architecture", architecture.name())
    });
    let write =
        |folder: &str| Image::write_index(&images, &dir.path().join(folder)).expect("an index");
    let (first, second) = (write("1"), write("2"));
    let bytes = |file: &ImageFile| std::fs::read(&file.path).expect("the archive");
    assert_eq!(bytes(&first), bytes(&second));
    let blobs = blobs_of(&first);
    let json = |name: &str| -> serde_json::Value {
        let name = name.replace("sha256:", "blobs/sha256/");
        serde_json::from_slice(&blobs[&name]).expect("JSON")
    };
    let outer = json("index.json");
    let entries = outer["manifests"].as_array().expect("a list");
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["digest"], first.digest);
    let index = json(&first.digest);
    for (nth, name) in ["amd64", "arm64"].into_iter().enumerate() {
        let platform = &index["manifests"][nth]["platform"];
        assert_eq!(
            *platform,
            serde_json::json!({"architecture": name, "os": "linux"})
        );
        let digest = index["manifests"][nth]["digest"].as_str();
        let manifest = json(digest.expect("a digest"));
        let config = json(manifest["config"]["digest"].as_str().expect("a digest"));
        assert_eq!(config["architecture"], name);
        let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
        let layer = &blobs[&layer.replace("sha256:", "blobs/sha256/")];
        let unpacked = zstd::bulk::decompress(layer, 1 << 20).expect("Zstandard");
        let mut tar = tar::Archive::new(&unpacked[..]);
        let mut entry = tar.entries().expect("a tar").next().expect("an entry");
        let mut content = String::new();
        let entry = entry.as_mut().expect("an entry");
        std::io::Read::read_to_string(entry, &mut content).expect("text");
        assert_eq!(content, name);
    }
}

/// The files of an archive, by their path.
fn blobs_of(file: &ImageFile) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(std::fs::File::open(&file.path).expect("the archive"));
    let mut blobs = std::collections::BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
        blobs.insert(name, bytes);
    }
    blobs
}

#[test]
fn files_in_directories_that_debian_links_are_placed_in_usr() {
    for (path, expected) in [
        (
            "/lib64/ld-linux-x86-64.so.2",
            "usr/lib64/ld-linux-x86-64.so.2",
        ),
        ("/bin/sh", "usr/bin/sh"),
        ("/bin", "bin"),
        ("/usr/lib/../bin/git", "usr/bin/git"),
        ("/library/x", "library/x"),
    ] {
        assert_eq!(relative(Path::new(path)), Path::new(expected));
    }
}
