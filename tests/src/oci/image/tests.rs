use std::path::Path;

use super::Compression;
use super::Image;
use super::relative;

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
        let mut archive = tar::Archive::new(std::fs::File::open(&file.path).expect("the archive"));
        let mut blobs = std::collections::BTreeMap::new();
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
            blobs.insert(name, bytes);
        }
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
    let (packed, packed_ids) = layers("1", Compression::Gzip);
    let (next, next_ids) = layers("2", Compression::Gzip);
    assert_eq!(plain_ids, packed_ids);
    assert_eq!(plain[0]["digest"], plain_ids[0]);
    assert_ne!(packed[0]["digest"], packed_ids[0]);
    assert!(
        packed[0]["mediaType"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("+gzip"))
    );
    assert_eq!(packed[0], next[0]);
    assert_ne!(packed[1], next[1]);
    assert_ne!(packed_ids[1], next_ids[1]);
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
