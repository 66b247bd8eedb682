//! The product's two images, made of Debian's files and of one static program each.

use std::path::Path;

use anyhow::Context;
use anyhow::Result;

use crate::oci::image::Image;
use crate::oci::licenses;
use crate::oci::root::Root;
use crate::settings;

/// The syncer's image, with the chart's name.
pub(crate) const SYNCER: &str =
    concat!("gitvolume.dev/gitvolume-syncer:", env!("CARGO_PKG_VERSION"));

/// The syncer's image with this program; `syncer/packages` has the reason for each package.
///
/// It has three layers, the one that changes most last. Layers are compressed on their own, and
/// git's programs contain the same code: side by side they need a fifth less.
pub(crate) fn syncer(root: Root, program: &Path) -> Result<Image> {
    let mut image = Image::like_debian_from(root.clone(), SYNCER)
        .program(&library(&root, "libnss_wrapper.so")?)?
        .program("/usr/bin/ssh")?
        .program("/usr/bin/curl")?
        .program("/usr/bin/socat")?
        .program("/bin/bash")?
        .symlink("/bin/sh", "bash");
    for program in ["/bin/grep", "/bin/gzip", "/bin/sed", "/bin/tar"] {
        image = image.program(program)?;
    }
    for program in root.programs_of("coreutils")? {
        image = image.program(&program)?;
    }
    let image = image
        // --add-user appends to it as any user.
        .file(
            "/etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\n\
              git-sync:x:65533:65533::/tmp:/sbin/nologin\n"
                .to_vec(),
            0o666,
        )
        .text("/etc/group", "root:x:0:\ngit-sync:x:65533:git-sync\n")
        .dir("/git", 0o2775)
        .owned_by("/git", 65533, 65533)
        .next_layer();
    let image = with_git(&root, image)?
        .package_records(&["ca-certificates"])?
        // What is above is Debian's, and most releases leave it as it is.
        .next_layer()
        .program_to(program, "/gitvolume-syncer")?
        // Manifests written for git-sync use this command.
        .symlink("/git-sync", "gitvolume-syncer")
        .env("GITSYNC_ROOT", "/git")
        .env("HOME", "/tmp")
        .workdir("/tmp")
        .entrypoint(&["/gitvolume-syncer"])
        .user("65533:65533");
    let about = "Puts the files of git repositories on a volume, and follows them";
    described(image, "syncer", "gitvolume-syncer", about)
}

/// The webhook's image with this program, and nothing of Debian.
pub(crate) fn webhook(root: Root, name: &str, program: &Path) -> Result<Image> {
    let image = Image::scratch_from(root, name)
        .program_to(program, "/gitvolume-webhook")?
        .entrypoint(&["/gitvolume-webhook"])
        .user("65532:65532");
    let about = "Admission webhook that puts git repositories into Pods";
    described(image, "webhook", "gitvolume", about)
}

/// Adds metadata to an image: labels, and the licences of everything that is linked.
fn described(image: Image, package: &str, title: &str, about: &str) -> Result<Image> {
    let license = std::fs::read_to_string(settings::root().join("LICENSE")).context("LICENSE")?;
    let label = |key: &str| format!("org.opencontainers.image.{key}");
    Ok(image
        .text("/licenses/LICENSE", &license)
        .text("/licenses/THIRD-PARTY", &licenses::third_party(package)?)
        .label(&label("title"), title)
        .label(&label("description"), about)
        .label(&label("version"), env!("CARGO_PKG_VERSION"))
        .label(&label("licenses"), "Apache-2.0")
        .label(&label("url"), "https://gitvolume.dev"))
}

/// Adds git as a client needs it: each program once, although Debian has `git` in two places and
/// the built-in commands as 150 links, which git itself does not need.
pub(crate) fn with_git(root: &Root, image: Image) -> Result<Image> {
    let core = "/usr/lib/git-core";
    let mut image = image
        .program("/usr/bin/git")?
        .symlink(&format!("{core}/git"), "../../bin/git")
        .program(&format!("{core}/git-remote-http"))?
        .symlink(&format!("{core}/git-remote-https"), "git-remote-http")
        // `git submodule` is a shell script before git 2.45, and includes these. Their program
        // git-sh-i18n--envsubst (2 MB) translates only messages about a missing work tree.
        .copy(&format!("{core}/git-sh-setup"))?
        .copy(&format!("{core}/git-sh-i18n"))?
        .dir("/usr/share/git-core/templates", 0o755)
        .copy("/etc/ssl/certs/ca-certificates.crt")?;
    for name in ["git-submodule", "git-upload-pack"] {
        let path = format!("{core}/{name}");
        // A link to `git` if the command is built in, otherwise a script.
        image = if root.at(&path).is_symlink() {
            image.symlink(&path, "git")
        } else {
            image.copy(&path)?
        };
    }
    // Part of libc since glibc 2.34; older versions load them by name.
    for name in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
        if let Ok(path) = library(root, name) {
            image = image.program(&path)?;
        }
    }
    Ok(image)
}

fn library(root: &Root, name: &str) -> Result<String> {
    let path = root.library(name);
    let path =
        path.with_context(|| format!("{name} is missing: run tests/tools/prerequisites.sh test"))?;
    Ok(path.to_string_lossy().into_owned())
}
