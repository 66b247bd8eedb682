//! Images of the tests, built from this machine's files, and of the product.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use crate::oci::image::Image;
use crate::oci::product;
use crate::oci::root::Architecture;
use crate::oci::root::Root;
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
/// Debian's Prometheus, as UID 65534, in the working directory of its official image.
pub const PROMETHEUS: &str = "gitvolume.test/prometheus:local";
/// Gitea with git, as UID 1000; has busybox.
pub const GITEA: &str = "gitvolume.test/gitea:local";
/// git, `git-http` and sshd as root; the Pod's `command` selects the program.
pub const GIT_SERVER: &str = "gitvolume.test/git-server:local";
/// The product's syncer, with the chart's image name.
pub const SYNCER: &str = product::SYNCER;
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

/// A monitoring server, for its example.
pub fn prometheus() -> Result<Image> {
    let prometheus = "/usr/bin/prometheus";
    Ok(Image::like_debian(PROMETHEUS)
        .program(prometheus)
        .context("prometheus is missing: run tests/tools/prerequisites.sh test-cluster")?
        // Debian's default of `--storage.tsdb.path`.
        .dir("/var/lib/prometheus/metrics2", 0o777)
        .entrypoint(&[prometheus])
        .user("65534:65534"))
}

/// A forge. Its pages have no styles and scripts, which the build of its server leaves out.
pub fn gitea() -> Result<Image> {
    let root = Root::of_this_machine();
    let program = tool("gitea");
    let files = program.with_file_name("../share/gitea");
    let image = product::with_git(&root, Image::like_debian(GITEA))?;
    Ok(with_server_commands(image)
        .program_to(&program, "/usr/bin/gitea")?
        .tree_to(&files, Path::new("/srv/gitea"))?
        // Of Gitea's hooks in each repository.
        .program("/usr/bin/bash")?
        .text("/etc/passwd", "git:x:1000:1000:git:/tmp:/bin/sh\n")
        .text("/etc/group", "git:x:1000:\n")
        .busybox()?
        .user("1000:1000"))
}

/// A git host: `git-http` for HTTP, sshd for ssh.
pub fn git_server() -> Result<Image> {
    let root = Root::of_this_machine();
    let mut image = product::with_git(&root, Image::like_debian(GIT_SERVER))?
        .program("/usr/lib/git-core/git-http-backend")?
        .program("/usr/bin/ssh")?
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
    image = with_server_commands(image);
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

/// The commands that ssh clients, and git with a path, request by name.
fn with_server_commands(image: Image) -> Image {
    let commands = ["git-upload-pack", "git-receive-pack", "git-upload-archive"];
    commands.iter().fold(image, |image, name| {
        image.symlink(&format!("/usr/bin/{name}"), "git")
    })
}

/// The syncer's image, equal to that of `syncer/Containerfile`, from this machine's files.
pub fn syncer() -> Result<Image> {
    let program = existing(settings::syncer_binary())?;
    product::syncer(Root::of_this_machine(), &program)
}

/// The webhook's image, equal to that of `webhook/Containerfile`: one static program.
pub fn webhook() -> Result<Image> {
    webhook_named(WEBHOOK)
}

/// The same under another name, for upgrades.
pub fn webhook_next() -> Result<Image> {
    webhook_named(WEBHOOK_NEXT)
}

fn webhook_named(name: &str) -> Result<Image> {
    let program = existing(settings::webhook_binary())?;
    product::webhook(Root::of_this_machine(), name, &program)
}

/// Both images of the product for an architecture, webhook first: of the packages that
/// `tests/tools/debian-root.sh` has unpacked and the programs of `make dist`.
pub fn for_release(architecture: Architecture) -> Result<[Image; 2]> {
    let root = Root::of_packages(architecture)?;
    let (webhook, syncer) = if architecture == Architecture::of_this_machine() {
        (settings::webhook_binary(), settings::syncer_binary())
    } else {
        let dist = settings::target().join("dist").join(architecture.name());
        (
            dist.join("gitvolume-webhook"),
            dist.join("gitvolume-syncer"),
        )
    };
    Ok([
        product::webhook(root.clone(), WEBHOOK, &existing(webhook)?)?,
        product::syncer(root, &existing(syncer)?)?,
    ])
}

fn existing(binary: PathBuf) -> Result<PathBuf> {
    if !binary.is_file() {
        bail!("{} is missing: run make dist", binary.display());
    }
    Ok(binary)
}
