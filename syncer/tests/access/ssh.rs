//! Keys and host keys of git-sync's flags.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use remotes::SshServer;

use crate::access::PASSWORD;
use crate::access::add_submodule;
use crate::access::once;
use crate::access::server_for;
use crate::access::with_own_etc;
use crate::access::world;
use crate::access::write;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces;

/// A key file with the mode that ssh requires.
fn key(world: &World, name: &str, content: &str) -> PathBuf {
    let path = world.path("keys").join(name);
    write(&path, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn known_hosts(world: &World, servers: &[&SshServer]) -> PathBuf {
    let lines: String = servers.iter().map(|server| server.known_hosts()).collect();
    let path = world.path("keys/known_hosts");
    write(&path, &lines);
    path
}

fn syncer(world: &World, url: &str, keys: &[&Path]) -> Syncer {
    keys.iter().fold(world.syncer_of(url), |syncer, key| {
        syncer.flag("ssh-key-file", key)
    })
}

#[test]
fn the_matching_key_of_several_is_found() {
    let world = world();
    let server = SshServer::start();
    let wrong = key(&world, "wrong", &server.unknown_key());
    let right = key(&world, "right", &server.user_key());
    let absent = world.path("keys/absent");
    let url = server.url(world.repo.path());
    let known_hosts = known_hosts(&world, &[&server]);
    let with = |keys: &[&Path]| {
        once(syncer(&world, &url, keys))
            .flag("ssh-known-hosts-file", &known_hosts)
            .finish()
    };
    let run = with(&[&wrong, &absent]);
    run.assert_code(1);
    run.assert_last_error("the server rejects the ssh key");
    assert_eq!(world.published(), None);
    with(&[&absent, &wrong, &right]).assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn the_scp_form_works_and_the_users_ssh_command_is_kept() {
    let world = world();
    let server = SshServer::start();
    let key = key(&world, "right", &server.user_key());
    let url = server.url(world.repo.path());
    let user = url
        .strip_prefix("ssh://")
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    let scp = format!("{user}@127.0.0.1:{}", world.repo.path().display());
    // The scp form cannot contain a port.
    let command = format!("ssh -p {}", server.address().port());
    once(syncer(&world, &scp, &[&key]))
        .flag("ssh-known-hosts-file", known_hosts(&world, &[&server]))
        .env("GIT_SSH_COMMAND", command)
        .finish()
        .assert_code(0);
}

#[test]
fn host_keys_are_checked_unless_they_are_not_to_be() {
    let world = world();
    let server = SshServer::start();
    let right = key(&world, "right", &server.user_key());
    let url = server.url(world.repo.path());
    let wrong = world.path("keys/wrong_known_hosts");
    write(&wrong, &server.wrong_known_hosts());
    let with = |name: &str, value: &Path| {
        once(syncer(&world, &url, &[&right]))
            .flag("ssh-known-hosts-file", &wrong)
            .flag(name, value)
            .finish()
    };
    let run = with("verbose", Path::new("0"));
    run.assert_code(1);
    run.assert_last_error("the server's ssh host key does not match known_hosts");
    with("ssh-known-hosts", Path::new("false")).assert_code(0);
    let nowhere = Path::new("/nonexistent/known_hosts");
    let run = with("ssh-known-hosts-file", nowhere);
    run.assert_code(1);
    run.assert_last_error("ssh-keyscan");
    run.assert_last_error("GIT_KNOWN_HOSTS=false");
}

#[test]
fn a_version_2_secret_works_with_host_keys_or_without_the_check() {
    let Some(own_mounts) = namespaces::with_own_mounts() else {
        return;
    };
    let world = world();
    let server = SshServer::start();
    let key = key(&world, "ssh", &server.user_key());
    let known = known_hosts(&world, &[&server]);
    // All users can read a Secret's files, which ssh refuses if the files belong to its user.
    let place = |more: &str| {
        format!(
            "cp {} /etc/git-secret/ssh; chmod 444 /etc/git-secret/ssh{more}",
            key.display()
        )
    };
    let run = |prepare: &str, env: &[(&str, &str)]| {
        // Replaces the files of the last run.
        let _ = fs::remove_dir_all(world.path("etc"));
        let syncer = with_own_etc(&world, &own_mounts, prepare, None)
            .env("GIT_SYNC_REPO", server.url(world.repo.path()))
            .env("GIT_SYNC_ROOT", world.root())
            .env("GIT_SYNC_DEST", "current")
            .env("GIT_SYNC_BRANCH", "main")
            .env("GIT_SYNC_SSH", "yes")
            .env("GIT_SYNC_ONE_TIME", "true");
        env.iter()
            .fold(syncer, |syncer, (name, value)| syncer.env(name, value))
            .finish()
    };
    let refused = run(&place(""), &[]);
    refused.assert_code(1);
    refused.assert_last_error("ssh-keyscan");
    refused.assert_last_error("GIT_KNOWN_HOSTS=false");
    run(&place(""), &[("GIT_KNOWN_HOSTS", "false")]).assert_code(0);
    let with_known_hosts = format!("; cp {} /etc/git-secret/known_hosts", known.display());
    run(&place(&with_known_hosts), &[]).assert_code(0);
}

#[test]
fn a_secret_without_known_hosts_works_if_they_are_not_checked() {
    let world = world();
    let server = SshServer::start();
    let secret = world.path("secret");
    server.write_secret(&secret);
    fs::remove_file(secret.join("known_hosts")).unwrap();
    once(world.syncer_of(&server.url(world.repo.path())))
        .flag("secret-dir", secret)
        .flag("ssh-known-hosts", "false")
        .finish()
        .assert_code(0);
}

#[test]
fn two_keys_of_one_name_are_both_tried_whatever_their_modes() {
    let world = world();
    let server = SshServer::start();
    let other = SshServer::start();
    let wrong = key(&world, "a/ssh", &other.user_key());
    let right = key(&world, "b/ssh", &server.user_key());
    for key in [&wrong, &right] {
        fs::set_permissions(key, fs::Permissions::from_mode(0o444)).unwrap();
    }
    once(syncer(
        &world,
        &server.url(world.repo.path()),
        &[&right, &wrong],
    ))
    .flag("ssh-known-hosts-file", known_hosts(&world, &[&server]))
    .finish()
    .assert_code(0);
}

#[test]
fn a_new_key_needs_no_restart() {
    let world = world();
    let server = SshServer::start();
    let wrong = key(&world, "ssh", &server.unknown_key());
    let running = syncer(&world, &server.url(world.repo.path()), &[&wrong])
        .flag("ssh-known-hosts-file", known_hosts(&world, &[&server]))
        // The change of the file must end this wait; otherwise the test would time out.
        .flag("period", "1h")
        .start(&world.path("log"));
    eventually("the key is refused", || {
        running
            .log()
            .contains("the server rejects the ssh key")
            .then_some(())
    });
    key(&world, "ssh", &server.user_key());
    eventually("it is published", || world.published());
}

#[test]
fn ssh_is_verbose_at_high_verbosity() {
    let world = world();
    let server = SshServer::start();
    let key = key(&world, "ssh", &server.user_key());
    let known_hosts = known_hosts(&world, &[&server]);
    for (verbosity, expected) in [
        ("4", ""),
        ("6", "debug1:"),
        ("8", "debug2:"),
        ("9", "debug3:"),
    ] {
        let run = once(syncer(&world, &server.url(world.repo.path()), &[&key]))
            .flag("ssh-known-hosts-file", &known_hosts)
            .flag("verbose", verbosity)
            .finish();
        run.assert_code(0);
        let found = ["debug1:", "debug2:", "debug3:"]
            .into_iter()
            .rfind(|words| run.log.contains(words));
        assert_eq!(found.unwrap_or_default(), expected, "{}", run.log);
    }
}

#[test]
fn a_submodule_may_need_another_key() {
    let world = world();
    let ours = SshServer::start();
    let theirs = SshServer::start();
    let elsewhere = World::new("link");
    elsewhere.repo.commit().write("s", "sub").push();
    add_submodule(
        &world,
        &elsewhere.repo,
        "sub",
        &theirs.url(elsewhere.repo.path()),
    );
    let first = key(&world, "first", &ours.user_key());
    let second = key(&world, "second", &theirs.user_key());
    let with = |keys: &[&Path]| {
        once(syncer(&world, &ours.url(world.repo.path()), keys))
            .flag(
                "ssh-known-hosts-file",
                known_hosts(&world, &[&ours, &theirs]),
            )
            .finish()
    };
    with(&[&first]).assert_code(1);
    with(&[&first, &second]).assert_code(0);
    assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn a_user_without_a_passwd_line_is_given_one() {
    let own_mounts = namespaces::with_own_mounts().expect("root");
    let world = world();
    let server = SshServer::start();
    let key = key(&world, "ssh", &server.user_key());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o444)).unwrap();
    let known_hosts = known_hosts(&world, &[&server]);
    let run = |prepare: &str| {
        // Replaces the files of the last run.
        let _ = fs::remove_dir_all(world.path("etc"));
        once(with_own_etc(&world, &own_mounts, prepare, Some(4711)))
            .flag("repo", server.url(world.repo.path()))
            .flag("root", world.root())
            .flag("state", world.state())
            .flag("link", "current")
            .flag("ssh-key-file", &key)
            .flag("ssh-known-hosts-file", &known_hosts)
            .flag("add-user", "true")
            // No other source gives the user a passwd line.
            .env("GITVOLUME_NSS_WRAPPER", "/nonexistent")
            .env("HOME", "/home/of-git-sync")
            .finish()
    };
    // Without ssh the missing line is no error.
    fs::set_permissions(world.repo.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let http = server_for(&world, "me", PASSWORD);
    http.require(None);
    let unneeded = once(with_own_etc(
        &world,
        &own_mounts,
        "chmod 644 /etc/passwd",
        Some(4711),
    ))
    .flag("repo", http.url("site.git"))
    .flag("root", world.root())
    .flag("state", world.state())
    .flag("link", "current")
    .flag("add-user", "true")
    .finish();
    unneeded.assert_code(0);
    assert!(
        unneeded.log.contains("--add-user: cannot add an entry"),
        "{}",
        unneeded.log
    );
    fs::remove_dir_all(world.root()).unwrap();
    fs::remove_dir_all(world.state()).unwrap();
    let refused = run("chmod 644 /etc/passwd");
    refused.assert_code(1);
    assert!(
        refused
            .log
            .contains("--add-user: cannot add an entry for the syncer's user to /etc/passwd"),
        "{}",
        refused.log
    );
    run("chmod 666 /etc/passwd").assert_code(0);
    let passwd = fs::read_to_string(world.path("etc/passwd")).unwrap();
    let line = "git-sync:x:4711:4711::/home/of-git-sync:/sbin/nologin";
    assert_eq!(
        passwd.lines().filter(|found| *found == line).count(),
        1,
        "{passwd}"
    );
}
