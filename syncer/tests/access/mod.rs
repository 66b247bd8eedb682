//! Every authentication method of git-sync's flags, through the program: passwords, keys, tokens,
//! cookies, CAs, proxies and git's own configuration.

mod askpass;
mod client_certificates;
mod config;
mod defaults;
mod github;
mod http;
mod ssh;
mod user_names;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;

use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::programs::copy_syncer;

const USER: &str = "me@git.example";

const PASSWORD: &str = "correct-horse-battery";

/// Serves the world's repositories to this user with this password.
fn server_for(world: &World, user: &str, password: &str) -> HttpServer {
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password(user.into(), password.into())));
    server
}

/// The world's repository with one commit.
fn world() -> World {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world
}

/// One pass that must succeed.
fn once(syncer: Syncer) -> Syncer {
    syncer.flag("one-time", "true").flag("max-failures", "0")
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Renamed into place, as the kubelet does.
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// The metrics of a syncer that was started with `--http-bind=127.0.0.1:0 --http-metrics`.
fn metrics(running: &Running) -> String {
    let address = eventually("the address is logged", || {
        let log = running.log();
        let (_, rest) = log.split_once("\"endpoint\":\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Adds a submodule at `path` to the world's repository; its address is `url`.
fn add_submodule(world: &World, sub: &Repo, path: &str, url: &str) -> String {
    let commit = sub.run(&["rev-parse", "HEAD"]);
    let modules = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    let present = world.repo.run(&["ls-tree", "--name-only", "HEAD"]);
    let present = if present.lines().any(|name| name == ".gitmodules") {
        world.repo.run(&["show", "HEAD:.gitmodules"]) + "\n"
    } else {
        String::new()
    };
    world
        .repo
        .commit()
        .write(".gitmodules", present + &modules)
        .submodule(path, &commit)
        .push()
}

/// A syncer in a mount namespace whose /etc has a passwd file and a git-secret directory of its
/// own, which `prepare`, a part of a shell script, changes before the syncer starts as this user,
/// which only root can become. `own_mounts` is the command line's beginning of
/// `namespaces::with_own_mounts`.
fn with_own_etc(world: &World, own_mounts: &[&str], prepare: &str, user: Option<u32>) -> Syncer {
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let program = world.path("gitvolume-syncer");
    copy_syncer(&program);
    let (etc, real) = (world.path("etc"), world.path("real-etc"));
    let (etc, real) = (etc.display(), real.display());
    let script = format!(
        "set -e; mkdir -p {etc}/git-secret {real}; mount --bind /etc {real}; ln -s {real}/* {etc}; \
         rm {etc}/passwd; cp {real}/passwd {etc}; mount --bind {etc} /etc; {prepare}; exec \"$@\""
    );
    let syncer = Syncer::program(own_mounts[0])
        .args(own_mounts[1..].iter().copied())
        .args(["sh", "-c", &script, "sh"]);
    let syncer = match user {
        None => syncer,
        Some(uid) => {
            for dir in [world.root(), world.state()] {
                fs::create_dir_all(&dir).unwrap();
                fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
            }
            syncer
                .arg("setpriv")
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={uid}"))
                .arg("--clear-groups")
        }
    };
    syncer.arg(program)
}
