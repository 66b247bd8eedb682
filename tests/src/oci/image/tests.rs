use std::path::Path;

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
