//! Images of the tests and of the product, built from this machine's files.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use crate::oci::image::Image;
use crate::oci::licenses;
use crate::settings;
use crate::tools::tool;

/// The sandbox container, which owns each Pod's network namespace: sleeps for ever and reaps.
pub const PAUSE: &str = "gitvolume.test/pause:local";
/// Debian's busybox, as UID 65534.
pub const BUSYBOX: &str = "gitvolume.test/busybox:local";
/// Debian's nginx; listens on 8080 under any UID, needs a writable `/tmp`, has busybox.
pub const NGINX: &str = "gitvolume.test/nginx:local";
/// Open Policy Agent, as UID 65534.
pub const OPA: &str = "gitvolume.test/opa:local";
/// Debian's Hugo, with busybox, as UID 65534.
pub const HUGO: &str = "gitvolume.test/hugo:local";
/// Debian's HAProxy under the UID of its official image, without a configuration; has busybox.
pub const HAPROXY: &str = "gitvolume.test/haproxy:local";
/// git, `git-http` and sshd as root; the Pod's `command` selects the program.
pub const GIT_SERVER: &str = "gitvolume.test/git-server:local";
/// The product's syncer, with the chart's image name.
pub const SYNCER: &str = concat!("gitvolume.dev/gitvolume-syncer:", env!("CARGO_PKG_VERSION"));
/// The product's webhook, with the chart's image name.
pub const WEBHOOK: &str = concat!("gitvolume.dev/gitvolume:", env!("CARGO_PKG_VERSION"));
/// The same image under the name of another build.
pub const WEBHOOK_NEXT: &str = concat!("gitvolume.dev/gitvolume-next:", env!("CARGO_PKG_VERSION"));

/// Writes only a pidfile and a temporary directory; a Pod may mount its own configuration over it.
const NGINX_CONF: &str = r"# Runs under any UID with a read-only root, given a writable /tmp.
daemon off;
worker_processes 1;
error_log stderr;
pid /tmp/nginx.pid;
events { worker_connections 256; }
http {
    include /etc/nginx/mime.types;
    access_log /dev/stdout;
    client_body_temp_path /tmp/client-body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {
        listen 8080;
        root /usr/share/nginx/html;
    }
}
";

const PAUSE_C: &str = r"#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
    signal(SIGINT, end);
    signal(SIGTERM, end);
    signal(SIGCHLD, reap);
    for (;;) pause();
}
";

/// The sandbox image, a static C program of ten lines.
pub fn pause() -> Result<Image> {
    let dir = tempfile::tempdir()?;
    let (source, program) = (dir.path().join("pause.c"), dir.path().join("pause"));
    std::fs::write(&source, PAUSE_C)?;
    let cc = Command::new("cc")
        .args(["-static", "-Os", "-s", "-o"])
        .args([&program, &source])
        .output()
        .context("run cc: tests/tools/prerequisites.sh test installs it")?;
    if !cc.status.success() {
        bail!("cc pause.c: {}", String::from_utf8_lossy(&cc.stderr));
    }
    let image = Image::scratch(PAUSE).program_to(&program, "/pause")?;
    Ok(image.entrypoint(&["/pause"]).user("65535:65535"))
}

/// A shell and its commands. Do not use `wget -T`: Debian's busybox crashes with a segmentation
/// fault.
pub fn busybox() -> Result<Image> {
    Ok(Image::like_debian(BUSYBOX)
        .busybox()?
        .entrypoint(&["/bin/sh"])
        .user("65534:65534"))
}

/// The app of the tests: a real web server.
pub fn nginx() -> Result<Image> {
    Ok(Image::like_debian(NGINX)
        .program("/usr/sbin/nginx")?
        .copy("/etc/nginx/mime.types")?
        .text("/etc/nginx/nginx.conf", NGINX_CONF)
        .text(
            "/usr/share/nginx/html/index.html",
            "nginx without a repository\n",
        )
        // nginx opens it at start, before it reads its own error_log directive.
        .dir("/var/log/nginx", 0o755)
        .symlink("/var/log/nginx/error.log", "/dev/stderr")
        .busybox()?
        .entrypoint(&["/usr/sbin/nginx"])
        .user("101:101"))
}

/// A program that loads every file below a directory, except those below one that begins with a dot.
pub fn opa() -> Result<Image> {
    Ok(Image::scratch(OPA)
        .program_to(&tool("opa"), "/opa")?
        .entrypoint(&["/opa"])
        .user("65534:65534"))
}

/// A site generator, which walks its content directory.
pub fn hugo() -> Result<Image> {
    let hugo = "/usr/bin/hugo";
    Ok(Image::like_debian(HUGO)
        .program(hugo)
        .context("hugo is missing: run tests/tools/prerequisites.sh test-cluster")?
        .busybox()?
        .entrypoint(&[hugo])
        .user("65534:65534"))
}

/// A load balancer, for its example.
pub fn haproxy() -> Result<Image> {
    Ok(Image::like_debian(HAPROXY)
        .program("/usr/sbin/haproxy")?
        .busybox()?
        .user("99:99"))
}

/// A git host: `git-http` for HTTP, sshd for ssh.
pub fn git_server() -> Result<Image> {
    let mut image = with_git(Image::like_debian(GIT_SERVER))?
        .program("/usr/lib/git-core/git-http-backend")?
        .program("/usr/sbin/sshd")?
        .program("/usr/bin/ssh-keygen")?
        .dir("/run/sshd", 0o755)
        .dir("/etc/ssh", 0o755)
        .dir("/srv/git", 0o777)
        .text(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\n\
             sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
             git:x:1000:1000:git:/srv/git:/bin/sh\n",
        )
        // Root creates the repositories, and the user git serves them.
        .text("/etc/gitconfig", "[safe]\n\tdirectory = *\n")
        // sshd rejects even keys for a locked password ("!").
        .file(
            "/etc/shadow",
            b"root:*:1::::::\nsshd:*:1::::::\ngit:*:1::::::\n".to_vec(),
            0o640,
        )
        .text("/etc/group", "root:x:0:\nnogroup:x:65534:\ngit:x:1000:\n");
    for name in ["git-upload-pack", "git-receive-pack", "git-upload-archive"] {
        // ssh clients request these commands by name.
        image = image.symlink(&format!("/usr/bin/{name}"), "git");
    }
    // Since OpenSSH 9.8 sshd consists of several programs.
    for part in [
        "/usr/lib/openssh/sshd-session",
        "/usr/lib/openssh/sshd-auth",
    ] {
        if Path::new(part).exists() {
            image = image.program(part)?;
        }
    }
    let git_http = settings::git_http_binary();
    if git_http.exists() {
        image = image.program_to(&git_http, "/usr/bin/git-http")?;
    }
    Ok(image.busybox()?.entrypoint(&["/bin/sh"]).user("0:0"))
}

/// The syncer's image, equal to that of `syncer/Containerfile`, from this machine's files.
pub fn syncer() -> Result<Image> {
    syncer_of(&existing(settings::syncer_binary())?)
}

/// The syncer's image with this program.
pub(crate) fn syncer_of(program: &Path) -> Result<Image> {
    let nss_wrapper = library("libnss_wrapper.so")?;
    let mut image = with_git(Image::like_debian(SYNCER))?
        .program_to(&nss_wrapper, &nss_wrapper.to_string_lossy())?
        .program("/usr/bin/curl")?
        .program("/usr/bin/socat")?
        .program("/bin/bash")?
        .symlink("/bin/sh", "bash");
    for program in ["/bin/grep", "/bin/gzip", "/bin/sed", "/bin/tar"] {
        image = image.program(program)?;
    }
    for program in programs_of("coreutils")? {
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

/// The webhook's image, equal to that of `webhook/Containerfile`: one static program.
pub fn webhook() -> Result<Image> {
    webhook_of(&existing(settings::webhook_binary())?)
}

/// The same under another name, for upgrades.
pub fn webhook_next() -> Result<Image> {
    webhook_named(WEBHOOK_NEXT, &existing(settings::webhook_binary())?)
}

/// The webhook's image with this program.
pub(crate) fn webhook_of(program: &Path) -> Result<Image> {
    webhook_named(WEBHOOK, program)
}

fn webhook_named(name: &str, program: &Path) -> Result<Image> {
    let image = Image::scratch(name)
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
fn with_git(image: Image) -> Result<Image> {
    let core = "/usr/lib/git-core";
    let mut image = image
        .program("/usr/bin/git")?
        .symlink(&format!("{core}/git"), "../../bin/git")
        .program(&format!("{core}/git-remote-http"))?
        .symlink(&format!("{core}/git-remote-https"), "git-remote-http")
        // `git submodule` is a shell script before git 2.45, and includes these.
        .copy(&format!("{core}/git-sh-setup"))?
        .program(&format!("{core}/git-sh-i18n--envsubst"))?
        .copy(&format!("{core}/git-sh-i18n"))?
        .dir("/usr/share/git-core/templates", 0o755)
        .program("/usr/bin/ssh")?
        .copy("/etc/ssl/certs/ca-certificates.crt")?;
    for name in ["git-submodule", "git-upload-pack"] {
        let path = format!("{core}/{name}");
        // A link to `git` if the command is built in, otherwise a script.
        let is_link = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        image = if is_link {
            image.symlink(&path, "git")
        } else {
            image.copy(&path)?
        };
    }
    // Part of libc since glibc 2.34; older versions load them by name.
    for name in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
        if let Ok(path) = library(name) {
            image = image.program_to(&path, &path.to_string_lossy())?;
        }
    }
    Ok(image)
}

fn library(name: &str) -> Result<PathBuf> {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib", "/lib"]
        .into_iter()
        .flat_map(|lib| [format!("{lib}/{multiarch}/{name}"), format!("{lib}/{name}")])
        .map(PathBuf::from)
        .find(|path| path.exists())
        .with_context(|| format!("{name} is missing: run tests/tools/prerequisites.sh test"))
}

/// The programs of a package of this machine.
fn programs_of(package: &str) -> Result<Vec<String>> {
    let listed = Command::new("dpkg")
        .args(["--listfiles", package])
        .output()
        .context("run dpkg: the images are made on Debian")?;
    let programs: Vec<String> = String::from_utf8(listed.stdout)?
        .lines()
        .filter(|path| {
            ["/bin/", "/usr/bin/"]
                .iter()
                .any(|dir| path.starts_with(dir))
        })
        .map(str::to_owned)
        .collect();
    if programs.is_empty() {
        bail!("dpkg knows no program of {package}");
    }
    Ok(programs)
}

fn existing(binary: PathBuf) -> Result<PathBuf> {
    if !binary.is_file() {
        bail!("{} is missing: run make dist", binary.display());
    }
    Ok(binary)
}
