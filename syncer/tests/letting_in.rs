//! Private repositories: ssh keys, host keys and passwords, and the error messages if they are
//! wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::SshServer;

use crate::world::Finished;
use crate::world::LAYOUTS;
use crate::world::PROGRAM;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::programs::copy_syncer;
use crate::world::write_secret;

const PASSWORD: &str = "hunter2-correct-horse";

fn ssh_world(secret: impl FnOnce(&SshServer, &Path)) -> (World, SshServer) {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let server = SshServer::start();
    let dir = world.path("secret");
    server.write_secret(&dir);
    secret(&server, &dir);
    (world, server)
}

fn once(world: &World, url: &str) -> Finished {
    world
        .syncer_of(url)
        .flag("secret-dir", world.path("secret"))
        .flag("max-failures", "0")
        .flag("one-time", "true")
        .finish()
}

#[test]
fn an_ssh_repository_syncs_with_the_secrets_key() {
    let (world, server) = ssh_world(|_, _| {});
    once(&world, &server.url(world.repo.path())).assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn a_key_of_kubernetes_own_type_without_a_final_newline_is_accepted() {
    let (world, server) = ssh_world(|server, dir| {
        fs::remove_file(dir.join("ssh")).unwrap();
        write_secret(dir, "ssh-privatekey", server.user_key().trim_end());
    });
    once(&world, &server.url(world.repo.path())).assert_code(0);
}

#[test]
fn a_wrong_host_key_is_refused_with_an_explanation() {
    let (world, server) = ssh_world(|server, dir| {
        write_secret(dir, "known_hosts", &server.wrong_known_hosts());
    });
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the server's ssh host key does not match known_hosts");
    assert_eq!(world.published(), None);
    let (ok, text) = world.probe();
    assert!(!ok);
    assert!(
        text.contains("host key does not match known_hosts"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn an_unknown_host_is_refused_with_an_explanation() {
    let (world, server) = ssh_world(|_, dir| {
        write_secret(dir, "known_hosts", "other.example ssh-ed25519 AAAA\n");
    });
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the server's ssh host key is not in known_hosts");
}

#[test]
fn the_error_for_a_secret_without_known_hosts_explains_how_to_add_one() {
    let (world, server) = ssh_world(|_, dir| fs::remove_file(dir.join("known_hosts")).unwrap());
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the Secret has no key known_hosts");
    run.assert_last_error("ssh-keyscan");
}

#[test]
fn the_error_for_a_secret_without_an_ssh_key_lists_the_possible_keys() {
    let (world, server) = ssh_world(|_, dir| fs::remove_file(dir.join("ssh")).unwrap());
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the Secret has none of the keys ssh, ssh-privatekey");
}

#[test]
fn a_key_unknown_to_the_server_is_reported() {
    let (world, server) = ssh_world(|server, dir| write_secret(dir, "ssh", &server.unknown_key()));
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the server rejects the ssh key");
    run.assert_last_error("Permission denied (publickey)");
}

#[test]
fn a_malformed_key_is_reported() {
    let (world, server) = ssh_world(|_, dir| write_secret(dir, "ssh", "not a key\n"));
    let run = once(&world, &server.url(world.repo.path()));
    run.assert_code(1);
    run.assert_last_error("the ssh private key cannot be read");
}

#[test]
fn a_password_is_taken_from_the_secret_and_its_rotation_needs_no_restart() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        let basic = |password: &str| Some(BasicAuth::Password("me".into(), password.into()));
        server.require(basic(PASSWORD));
        let secret = world.path("secret");
        write_secret(&secret, "username", "me\n");
        write_secret(&secret, "password", &format!("{PASSWORD}\n"));
        let running = world
            .syncer_of(&server.url("site.git"))
            .flag("secret-dir", &secret)
            .flag("verbose", "9")
            .start(&world.path("log"));
        world.eventually_published(&first);
        server.require(basic("rotated-battery-staple"));
        let second = world.repo.commit().write("a", "2").push();
        eventually("the old password is refused", || {
            running
                .log()
                .contains("rejects the user name")
                .then_some(())
        });
        write_secret(&secret, "password", "rotated-battery-staple");
        world.eventually_published(&second);
        assert_eq!(running.terminate().code(), Some(0));
        assert_eq!(
            seen_in(&world, &[PASSWORD, "rotated-battery-staple"]),
            [""; 0]
        );
    }
}

#[test]
fn a_corrected_secret_ends_the_wait() {
    let (world, server) = ssh_world(|_, dir| fs::remove_file(dir.join("known_hosts")).unwrap());
    let running = world
        .syncer_of(&server.url(world.repo.path()))
        .flag("secret-dir", world.path("secret"))
        // The change of the Secret must end this wait; otherwise the test would time out.
        .flag("period", "1h")
        .start(&world.path("log"));
    running.eventually_logs("no key known_hosts");
    write_secret(&world.path("secret"), "known_hosts", &server.known_hosts());
    eventually("it is published", || world.published());
}

/// The files of the log and the state that contain one of these texts.
fn seen_in(world: &World, texts: &[&str]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["-r", "-l", "-F"]);
    for text in texts {
        grep.args(["-e", text]);
    }
    let output = grep
        .args([world.path("log"), world.state(), world.root()])
        .output()
        .unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    files.lines().map(str::to_owned).collect()
}

#[test]
fn a_password_is_in_no_command_line_while_git_runs() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    let secret = world.path("secret");
    write_secret(&secret, "username", "me");
    write_secret(&secret, "password", PASSWORD);
    let _running = world
        .syncer_of(&server.url("site.git"))
        .flag("secret-dir", &secret)
        .flag("period", "10ms")
        // git runs at each pass.
        .flag("no-poller", "true")
        .start(&world.path("log"));
    let mut helpers_seen = 0;
    eventually("enough git commands have been looked at", || {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let dir = process.path();
            let (Ok(argv), Ok(environment)) =
                (fs::read(dir.join("cmdline")), fs::read(dir.join("environ")))
            else {
                continue;
            };
            let argv = String::from_utf8_lossy(&argv);
            let environment = String::from_utf8_lossy(&environment);
            assert!(!argv.contains(PASSWORD), "{argv}");
            assert!(!environment.contains(PASSWORD), "{argv}: {environment}");
            helpers_seen += usize::from(argv.contains("remote-http"));
        }
        (helpers_seen > 20).then_some(())
    });
}

#[test]
fn a_password_in_the_address_reaches_git_only_through_a_private_file() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        server.require(Some(BasicAuth::Password("me".into(), "p@ss/word".into())));
        let url = format!("http://me:p%40ss%2Fword@{}/site.git", server.address());
        let run = world
            .syncer_of(&url)
            .flag("one-time", "true")
            .flag("verbose", "9")
            .finish();
        run.assert_code(0);
        assert!(
            !run.log.contains("p@ss/word") && !run.log.contains("p%40ss"),
            "{}",
            run.log
        );
        let file = fs::metadata(world.state().join("credentials")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        let config = world.root().join(".git/config");
        if config.exists() {
            let config = fs::read_to_string(config).unwrap();
            assert!(
                !config.contains("p@ss") && !config.contains("p%40ss"),
                "{config}"
            );
        }
    }
}

#[test]
fn a_token_without_a_user_name_authenticates() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("git".into(), PASSWORD.into())));
    write_secret(&world.path("secret"), "token", PASSWORD);
    once(&world, &server.url("site.git")).assert_code(0);
}

#[test]
fn a_wrong_or_missing_password_is_reported() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    let secret = world.path("secret");
    fs::create_dir(&secret).unwrap();
    for wrong in [None, Some("wrong-password")] {
        if let Some(wrong) = wrong {
            write_secret(&secret, "password", wrong);
        }
        let run = once(&world, &server.url("site.git"));
        run.assert_code(1);
        run.assert_last_error("the server rejects the user name and password");
        assert!(!run.log.contains("wrong-password"), "{}", run.log);
    }
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let ours = HttpServer::start(world.repo.path().parent().unwrap());
    let other = HttpServer::start(world.repo.path().parent().unwrap());
    other.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    ours.redirect_to(Some(format!("http://{}", other.address())));
    let secret = world.path("secret");
    write_secret(&secret, "username", "me");
    write_secret(&secret, "password", PASSWORD);
    let run = once(&world, &ours.url("site.git"));
    run.assert_code(1);
    run.assert_last_error("the server rejects the user name and password");
    // The same password works for its own server.
    once(&world, &other.url("site.git")).assert_code(0);
}

#[test]
fn the_credential_helper_answers_only_for_its_repository() {
    let world = World::new("link");
    write_secret(&world.path("secret"), "password", PASSWORD);
    let list = world.path("list");
    let password = world.path("secret").join("password");
    fs::write(
        &list,
        format!(
            r#"[{{"url":"https://git.example/x","username":"git","password":{{"file":"{}"}}}}]"#,
            password.display()
        ),
    )
    .unwrap();
    let ask = |question: &str| {
        let script = format!(
            "printf '{question}' | {PROGRAM} credential --file {} get",
            list.display()
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        ask("protocol=https\\nhost=git.example\\n\\n"),
        format!("username=git\npassword={PASSWORD}\n")
    );
    assert_eq!(ask("protocol=https\\nhost=evil.example\\n\\n"), "");
}

#[test]
fn every_other_error_of_a_remote_is_reported() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let mut server = HttpServer::start(world.repo.path().parent().unwrap());
    let missing = "0123456789012345678901234567890123456789";
    for (url, rev, words) in [
        (
            server.url("nope.git"),
            "HEAD",
            "there is no repository at this address",
        ),
        (
            server.url("site.git"),
            "nope",
            "the repository has no such branch, tag or commit",
        ),
        (
            server.url("site.git"),
            missing,
            "the repository has no such branch, tag or commit",
        ),
        (
            "file:///nope".into(),
            "HEAD",
            "there is no repository at this address",
        ),
        (
            "http://host.invalid/x".into(),
            "HEAD",
            "the host name cannot be resolved (DNS)",
        ),
    ] {
        let run = world
            .syncer_of(&url)
            .flag("ref", rev)
            .flag("max-failures", "1")
            .finish();
        run.assert_code(1);
        run.assert_last_error(words);
    }
    server.stop();
    let run = world
        .syncer_of(&server.url("site.git"))
        .flag("max-failures", "0")
        .finish();
    run.assert_last_error("no server answers at the host's address and port");
}

/// Makes everything except one directory read-only, and runs a program there.
const READ_ONLY_ROOT: &str =
    r#"mount --bind "$0" "$0" && mount -o remount,bind,ro / && ! touch /tmp/x 2>&- && exec "$@""#;

/// Runs as a user without a passwd line who can write only to its own directories.
#[track_caller]
fn syncs_as_nobody_known(uid: &str, url: &dyn Fn(&World) -> String, secret: &dyn Fn(&Path)) {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o711)).unwrap();
        secret(&world.path("secret"));
        let program = world.path("gitvolume-syncer");
        copy_syncer(&program);
        for dir in [world.root(), world.state()] {
            fs::create_dir(&dir).unwrap();
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let syncer = Syncer::program("unshare")
            .arg("--mount")
            .args(["sh", "-c", READ_ONLY_ROOT])
            .arg(world.path(""))
            .arg("setpriv")
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={uid}"))
            .arg("--clear-groups")
            .arg("--no-new-privs")
            .arg("--bounding-set=-all")
            .arg("--inh-caps=-all")
            .arg(program);
        let run = world
            .flags(syncer, &url(&world))
            .flag("secret-dir", world.path("secret"))
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .without_env("HOME")
            .finish();
        run.assert_code(0);
        assert_eq!(world.published(), Some(commit), "{layout}");
    }
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn a_user_without_a_passwd_line_syncs_over_ssh() {
    for uid in ["101", "1234567890"] {
        let server = SshServer::start();
        syncs_as_nobody_known(uid, &|world| server.url(world.repo.path()), &|dir| {
            server.write_secret(dir)
        });
    }
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn a_user_without_a_passwd_line_syncs_over_http() {
    // A server for a directory above both worlds would not know their names, so each has its own.
    let servers = std::cell::RefCell::new(Vec::new());
    for uid in ["101", "1234567890"] {
        syncs_as_nobody_known(
            uid,
            &|world| {
                let server = HttpServer::start(world.repo.path().parent().unwrap());
                server.require(Some(BasicAuth::Password("git".into(), PASSWORD.into())));
                let url = server.url("site.git");
                servers.borrow_mut().push(server);
                url
            },
            &|dir| write_secret(dir, "token", PASSWORD),
        );
    }
}

#[test]
fn a_missing_wrapper_library_is_reported() {
    let text = "No user exists for uid 12345\nfatal: Could not read from remote repository.";
    // The library is installed here; a wrapper with ssh's message simulates a machine without it.
    let world = World::new("projected");
    let ssh = world.script("ssh", &format!("echo '{text}' >&2\nexit 255"));
    let run = world
        .syncer_of("git@host.example:x")
        .env("GIT_SSH_COMMAND", ssh)
        .flag("max-failures", "0")
        .finish();
    run.assert_last_error("libnss_wrapper.so");
}

#[test]
fn a_pasted_key_is_repaired_and_never_written_to_disk() {
    let (world, server) = ssh_world(|_, _| {});
    let secret = world.path("secret");
    let url = server.url(world.repo.path());
    let key = server.user_key();
    let encoded = Command::new("base64")
        .arg(secret.join("ssh"))
        .output()
        .unwrap();
    let encoded = String::from_utf8(encoded.stdout).unwrap();
    for (pasted, hosts) in [
        (
            key.replace('\n', "\r\n"),
            server.known_hosts().replace('\n', "\r\n"),
        ),
        (
            key.replace('\n', " "),
            server.known_hosts().replace('\n', "\\n"),
        ),
        (
            key.replace('\n', "\\n"),
            format!("\u{feff}{}", server.known_hosts()),
        ),
        (encoded, format!("\"{}\"", server.known_hosts().trim())),
    ] {
        write_secret(&secret, "ssh", &pasted);
        write_secret(&secret, "known_hosts", &hosts);
        let _ = fs::remove_dir_all(world.root());
        let running = world
            .syncer_of(&url)
            .flag("secret-dir", &secret)
            .env("TMPDIR", world.path(""))
            .start(&world.path("log"));
        eventually("it is published", || world.published());
        running.kill();
        let found = Command::new("grep")
            .args(["-r", "-l", "--exclude-dir=secret", "PRIVATE KEY"])
            .arg(world.path(""))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{pasted}");
    }
}

#[test]
fn unusable_keys_are_reported() {
    let (world, server) = ssh_world(|_, _| {});
    let secret = world.path("secret");
    let url = server.url(world.repo.path());
    let locked = server.another_key("ed25519", "passphrase");
    let public =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1FqLh4y7ZkV0dJ2sX0ZxwzD0Fh3xk1m7rQkq3h9Q2s me";
    for (text, words) in [
        (locked.as_str(), "has a passphrase"),
        (public, "is a public key"),
        ("PuTTY-User-Key-File-2: ssh-rsa\n", "is in PuTTY's format"),
        ("", "is empty"),
        ("hunter2", "is not a private key"),
    ] {
        write_secret(&secret, "ssh", text);
        let run = once(&world, &url);
        run.assert_code(1);
        run.assert_last_error(words);
        run.assert_last_error("secret/ssh");
        assert!(!run.log.contains("hunter2"), "{}", run.log);
    }
    // It is ignored if a usable one exists.
    write_secret(&secret, "ssh-privatekey", &server.user_key());
    once(&world, &url).assert_code(0);
    write_secret(&secret, "known_hosts", public);
    let run = once(&world, &url);
    run.assert_code(1);
    run.assert_last_error("no host key is in ");
}

#[test]
fn the_keys_of_other_programs_secrets_are_recognised() {
    let (world, server) = ssh_world(|_, dir| fs::remove_file(dir.join("ssh")).unwrap());
    let url = server.url(world.repo.path());
    let secret = world.path("secret");
    // Names of Flux, Argo CD and Airflow, and ssh-keygen's own.
    for key in [
        "identity",
        "sshPrivateKey",
        "gitSshKey",
        "id_ed25519",
        "id_rsa",
    ] {
        write_secret(&secret, key, &server.user_key());
        write_secret(&secret, "identity.pub", "ssh-ed25519 AAAA me");
        let _ = fs::remove_dir_all(world.root());
        once(&world, &url).assert_code(0);
        fs::remove_file(secret.join(key)).unwrap();
    }
    write_secret(&secret, "sshKey", &server.user_key());
    let run = once(&world, &url);
    run.assert_code(1);
    run.assert_last_error("it has identity.pub, known_hosts, sshKey");
    for (username, password, user) in [
        ("GITSYNC_USERNAME", "GITSYNC_PASSWORD", "reader"),
        ("GIT_SYNC_USERNAME", "GIT_SYNC_PASSWORD", "reader"),
        ("username", "bearerToken", "reader"),
        ("unknown", "bearerToken", "git"),
    ] {
        let world = World::new("projected");
        world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        server.require(Some(BasicAuth::Password(user.into(), PASSWORD.into())));
        let secret = world.path("secret");
        write_secret(&secret, username, "reader");
        write_secret(&secret, password, PASSWORD);
        // Argo CD writes keys without a value.
        write_secret(&secret, "password", "");
        once(&world, &server.url("site.git")).assert_code(0);
    }
}

#[test]
fn a_secret_without_http_credentials_is_reported_with_its_keys() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    let secret = world.path("secret");
    write_secret(&secret, "user", "me");
    write_secret(&secret, "pass", PASSWORD);
    let run = once(&world, &server.url("site.git"));
    run.assert_code(1);
    assert!(run.log.contains("\"keys\":\"pass, user\""), "{}", run.log);
    assert!(!run.log.contains(PASSWORD), "{}", run.log);
}
