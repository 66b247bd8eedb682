//! The operator's defaults for all repositories, set by variables: CAs in addition to the system's,
//! and host keys for repositories without their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use remotes::Answer;
use remotes::HttpServer;
use remotes::SshServer;
use remotes::Stub;

use crate::access::add_submodule;
use crate::access::once;
use crate::access::with_own_etc;
use crate::access::world;
use crate::access::write;
use crate::world::Finished;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces;

const CA: &str = "GITSYNC_CA_BUNDLE";
const KNOWN_HOSTS: &str = "GITSYNC_DEFAULT_KNOWN_HOSTS";

fn serve_tls(world: &World) -> HttpServer {
    HttpServer::start_tls(world.repo.path().parent().unwrap())
}

/// A Secret with the key for the server, and with these known_hosts if any.
fn secret(world: &World, server: &SshServer, known_hosts: Option<&str>) -> PathBuf {
    let dir = world.path("secret");
    let _ = fs::remove_dir_all(&dir);
    write(&dir.join("ssh"), &server.user_key());
    if let Some(known_hosts) = known_hosts {
        write(&dir.join("known_hosts"), known_hosts);
    }
    dir
}

#[track_caller]
fn assert_ours_alone(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
}

#[test]
fn cas_of_the_variable_are_trusted_in_addition_to_the_systems() {
    for layout in ["link", "projected", "clone"] {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let server = serve_tls(&world);
        let syncer = || once(world.syncer_of(&server.url("site.git")));
        let run = syncer().finish();
        run.assert_code(1);
        run.assert_last_error("the server's certificate is not trusted");
        syncer().env(CA, server.ca_pem()).finish().assert_code(0);
        assert_eq!(
            fs::read_to_string(world.root().join(match layout {
                "link" => "current/a",
                _ => "a",
            }))
            .unwrap(),
            "1"
        );
        let bundle = world.state().join("ca.crt");
        assert_ours_alone(&bundle);
        let bundle = fs::read_to_string(bundle).unwrap();
        let systems = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
        assert!(bundle.contains(&server.ca_pem()) && bundle.contains(&systems));
    }
}

#[test]
fn the_secrets_ca_is_trusted_in_addition_to_those_of_the_variable() {
    let world = world();
    let ours = serve_tls(&world);
    let elsewhere = World::new("link");
    elsewhere.repo.commit().write("s", "sub").push();
    let theirs = serve_tls(&elsewhere);
    add_submodule(&world, &elsewhere.repo, "sub", &theirs.url("site.git"));
    write(&world.path("secret/ca.crt"), &ours.ca_pem());
    let syncer =
        || once(world.syncer_of(&ours.url("site.git"))).flag("secret-dir", world.path("secret"));
    syncer().finish().assert_code(1);
    syncer().env(CA, theirs.ca_pem()).finish().assert_code(0);
    assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
}

#[test]
fn the_users_own_file_replaces_the_cas_of_the_variable() {
    let world = world();
    let server = serve_tls(&world);
    let other = "/etc/ssl/certs/ca-certificates.crt";
    let syncer = || once(world.syncer_of(&server.url("site.git"))).env(CA, server.ca_pem());
    for syncer in [
        syncer().flag("git-config", format!("http.sslCAInfo:{other}")),
        syncer().env("GIT_SSL_CAINFO", other),
    ] {
        let run = syncer.finish();
        run.assert_code(1);
        run.assert_last_error("the server's certificate is not trusted");
    }
}

#[test]
fn the_syncers_requests_trust_the_cas_of_the_variable() {
    let world = world();
    let stub = Stub::start_tls(|_| Answer::new(200, ""));
    let syncer = || {
        world
            .syncer()
            .flag("webhook-url", stub.url("/reload"))
            .flag("webhook-backoff", "1s")
    };
    let running = syncer().env(CA, stub.ca_pem()).start(&world.path("log"));
    eventually("the call is made", || stub.asked().pop());
    running.terminate();
}

#[test]
fn host_keys_of_the_variable_are_those_of_a_repository_without_its_own() {
    let world = world();
    let server = SshServer::start();
    let (right, wrong) = (server.known_hosts(), server.wrong_known_hosts());
    let run = |own: Option<&str>, default: Option<&str>| {
        // Replaces the files of the last run.
        let _ = fs::remove_dir_all(world.root());
        let syncer = once(world.syncer_of(&server.url(world.repo.path())))
            .flag("secret-dir", secret(&world, &server, own));
        let syncer = match default {
            Some(default) => syncer.env(KNOWN_HOSTS, default),
            None => syncer,
        };
        syncer.finish()
    };
    let refused = |run: &Finished| {
        run.assert_code(1);
        run.assert_last_error("the server's ssh host key does not match known_hosts");
        assert_eq!(world.published(), None);
    };
    let none = run(None, None);
    none.assert_code(1);
    none.assert_last_error("the Secret has no key known_hosts");
    run(None, Some(&right)).assert_code(0);
    assert_ours_alone(&world.state().join("known_hosts"));
    refused(&run(None, Some(&wrong)));
    // The Secret's own host keys override the defaults, correct or not.
    run(Some(&right), Some(&wrong)).assert_code(0);
    refused(&run(Some(&wrong), Some(&right)));
}

#[test]
fn flags_override_the_host_keys_of_the_variable() {
    let world = world();
    let server = SshServer::start();
    let key = secret(&world, &server, Some(&server.known_hosts()));
    fs::set_permissions(key.join("ssh"), fs::Permissions::from_mode(0o600)).unwrap();
    let syncer = |default: &str| {
        once(world.syncer_of(&server.url(world.repo.path())))
            .flag("ssh-key-file", key.join("ssh"))
            .env(KNOWN_HOSTS, default)
    };
    // git-sync's default files do not exist.
    syncer(&server.known_hosts()).finish().assert_code(0);
    syncer(&server.wrong_known_hosts()).finish().assert_code(1);
    syncer(&server.wrong_known_hosts())
        .flag("ssh-known-hosts-file", key.join("known_hosts"))
        .finish()
        .assert_code(0);
    syncer(&server.wrong_known_hosts())
        .flag("ssh-known-hosts", "false")
        .finish()
        .assert_code(0);
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn any_user_on_a_read_only_root_may_have_both() {
    let own_mounts = namespaces::with_own_mounts().expect("root");
    let world = world();
    let server = SshServer::start();
    let elsewhere = World::new("link");
    elsewhere.repo.commit().write("s", "sub").push();
    let tls = serve_tls(&elsewhere);
    add_submodule(&world, &elsewhere.repo, "sub", &tls.url("site.git"));
    let secret = secret(&world, &server, None);
    fs::set_permissions(secret.join("ssh"), fs::Permissions::from_mode(0o444)).unwrap();
    let content = world.root().parent().unwrap().display().to_string();
    let read_only = format!("mount --bind {content} {content}; mount -o remount,ro,bind /");
    let state = world.state();
    with_own_etc(&world, &own_mounts, &read_only, Some(4711))
        .flag("repo", server.url(world.repo.path()))
        .flag("root", world.root())
        .flag("link", "current")
        .flag("state", &state)
        .flag("secret-dir", secret)
        .flag("one-time", "true")
        .env("HOME", state.join("home"))
        .env("TMPDIR", state.join("tmp"))
        .env(CA, tls.ca_pem())
        .env(KNOWN_HOSTS, server.known_hosts())
        .finish()
        .assert_code(0);
    assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
}

#[test]
fn an_entry_of_several_has_the_variables_or_its_own() {
    let world = world();
    let one = serve_tls(&world);
    let other = serve_tls(&world);
    let entries = |more: serde_json::Value| {
        let mut entry = serde_json::json!({"repo": other.url("site.git")});
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let own = serde_json::json!({"repo": one.url("site.git")});
        let entries = serde_json::json!({"repos": {"one": own, "other": entry}});
        Syncer::new()
            .flag("root", world.root())
            .flag("one-time", "true")
            .env("GITSYNC_CONFIG_INLINE", entries.to_string())
            .env(CA, one.ca_pem())
            .finish()
    };
    entries(serde_json::json!({})).assert_code(1);
    entries(serde_json::json!({"ca-bundle": other.ca_pem()})).assert_code(0);
}

#[test]
fn a_variable_that_is_something_else_is_refused_and_not_repeated() {
    let world = world();
    let server = SshServer::start();
    for (name, value, sentence) in [
        (
            CA,
            server.user_key(),
            "GITSYNC_CA_BUNDLE: …: line 1 is not the start of a certificate: expected only PEM certificates, no private key",
        ),
        (
            KNOWN_HOSTS,
            server.user_key(),
            "GITSYNC_DEFAULT_KNOWN_HOSTS: …: line 1: expected host, key type and key, as ssh-keyscan prints them",
        ),
    ] {
        let run = once(world.syncer()).env(name, &value).finish();
        run.assert_code(1);
        assert!(run.log.contains(sentence), "{}", run.log);
        let line = value.lines().nth(1).unwrap();
        assert!(!run.log.contains(line), "{}", run.log);
    }
}
