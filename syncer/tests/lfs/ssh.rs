//! The server of an ssh repository is found over ssh, and must use https.

use std::fs;

use remotes::Answer;
use remotes::Asked;
use remotes::Repo;
use remotes::Stub;
use serde_json::json;

use crate::lfs::server::oid;
use crate::lfs::submodules::list;
use crate::world::World;

const CONTENT: &str = "content";
const TOKEN: &str = "RemoteAuth hunter2hunter2";

/// Answers the batch request with a download at the same address.
fn rule(asked: &Asked) -> Answer {
    let oid = oid(CONTENT.as_bytes());
    if asked.path == "/site.git/info/lfs/objects/batch" {
        if asked.header("authorization") != Some(TOKEN) {
            return Answer::new(401, "");
        }
        let host = asked.header("host").unwrap();
        let href = format!("https://{host}/media");
        let download = json!({"href": href, "header": {"Authorization": "of the download"}});
        let object = json!({"oid": oid, "size": 7, "actions": {"download": download}});
        return Answer::new(200, json!({"objects": [object]}).to_string());
    }
    match asked.header("authorization") {
        Some("of the download") if asked.path == "/media" => Answer::new(200, CONTENT),
        _ => Answer::new(404, ""),
    }
}

/// The pointer to the content.
fn pointer() -> String {
    let oid = oid(CONTENT.as_bytes());
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 7\n")
}

/// A world with an ssh program that runs the server's commands here.
fn world(href: &str) -> World {
    let world = World::new("projected");
    let commit = world.repo.commit();
    commit
        .write(".gitattributes", super::ATTRIBUTES)
        .write("model.bin", pointer())
        .push();
    let answer = json!({"href": href, "header": {"Authorization": TOKEN}, "expires_in": 60});
    fs::write(world.path("answer"), answer.to_string()).unwrap();
    let (asked, answer) = (world.path("asked"), world.path("answer"));
    world.script(
        "ssh",
        &format!(
            "for last; do :; done\ncase \"$last\" in\ngit-lfs-authenticate*) echo \"$last\" >> {}; cat {};;\n*) exec sh -c \"$last\";;\nesac\n",
            asked.display(),
            answer.display()
        ),
    );
    world
}

fn ssh_url(world: &World) -> String {
    format!("ssh://git@127.0.0.1{}", world.repo.path().display())
}

#[test]
fn the_server_of_an_ssh_repository_is_found_over_ssh() {
    let stub = Stub::start_tls(rule);
    let world = world(&stub.url("/site.git/info/lfs"));
    fs::write(world.path("ca.crt"), stub.ca_pem()).unwrap();
    let syncer = || {
        let syncer = world.syncer_of(&ssh_url(&world)).flag("lfs", "true");
        let syncer = syncer.env("GIT_SSH_COMMAND", world.path("ssh"));
        let ca = format!("http.sslCAInfo:{}", world.path("ca.crt").display());
        syncer
            .flag("ssh-known-hosts", "false")
            .flag("git-config", ca)
            .flag("verbose", "9")
    };
    let running = syncer().start(&world.path("log"));
    // The default port of https is allowed, and this is another one.
    running.eventually_logs("which is neither the repository's host nor in --lfs-allowed-hosts");
    assert!(stub.asked().is_empty());
    running.assert_not_logged("hunter2");
    drop(running);
    let syncer = syncer().flag("lfs-allowed-hosts", stub.address().to_string());
    let running = syncer.start(&world.path("log"));
    running.eventually_logs("updated successfully");
    assert_eq!(world.read("model.bin").as_deref(), Some(CONTENT));
    running.assert_not_logged("hunter2");
    let asked = world.lines("asked");
    let path = world.repo.path().display().to_string();
    assert_eq!(asked[0], format!("git-lfs-authenticate '{path}' download"));
}

#[test]
fn the_server_of_a_submodule_is_found_over_ssh_at_the_submodules_own_address() {
    let stub = Stub::start_tls(rule);
    let world = world(&stub.url("/site.git/info/lfs"));
    fs::write(world.path("ca.crt"), stub.ca_pem()).unwrap();
    let child = Repo::in_dir(&world.path(""), "child.git");
    let commit = child.commit().write(".gitattributes", super::ATTRIBUTES);
    let commit = commit.write("model.bin", pointer()).push();
    let address = format!("ssh://git@127.0.0.1{}", child.path().display());
    let list = list("sub", &address);
    let top = world.repo.commit().remove("model.bin");
    let top = top.write(".gitmodules", list).submodule("sub", &commit);
    let top = top.push();
    // The repository itself is a directory.
    let syncer = world.syncer().flag("lfs", "true");
    let syncer = syncer.env("GIT_SSH_COMMAND", world.path("ssh"));
    let ca = format!("http.sslCAInfo:{}", world.path("ca.crt").display());
    let syncer = syncer
        .flag("ssh-known-hosts", "false")
        .flag("git-config", ca)
        .flag("lfs-allowed-hosts", stub.address().to_string())
        .flag("verbose", "9");
    let running = syncer.start(&world.path("log"));
    world.eventually_published(&top);
    assert_eq!(world.read("sub/model.bin").as_deref(), Some(CONTENT));
    running.assert_not_logged("hunter2");
    let path = child.path().display().to_string();
    let expected = format!("git-lfs-authenticate '{path}' download");
    assert_eq!(world.lines("asked"), [expected]);
}

#[test]
fn an_unencrypted_server_of_an_ssh_repository_is_refused() {
    let stub = Stub::start(rule);
    let world = world(&stub.url("/site.git/info/lfs"));
    let syncer = world.syncer_of(&ssh_url(&world)).flag("lfs", "true");
    let syncer = syncer.env("GIT_SSH_COMMAND", world.path("ssh"));
    let syncer = syncer.flag("ssh-known-hosts", "false");
    let syncer = syncer.flag("lfs-allowed-hosts", stub.address().to_string());
    let running = syncer.start(&world.path("log"));
    running.eventually_logs("is not encrypted, but the repository's address is");
    assert!(stub.asked().is_empty());
}
