//! Users and passwords: flags, files and lists, and the places where they must not appear.

use std::fs;
use std::process::Command;

use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;

use crate::access::PASSWORD;
use crate::access::USER;
use crate::access::add_submodule;
use crate::access::once;
use crate::access::server_for;
use crate::access::with_own_etc;
use crate::access::world;
use crate::access::write;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces;

#[test]
fn a_user_and_a_password_of_the_environment_authenticate() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let syncer = |password: &str| {
        once(world.syncer_of(&server.url("site.git")))
            .flag("username", USER)
            .env("GITSYNC_PASSWORD", password)
            .finish()
    };
    let run = syncer("wrong-password");
    run.assert_code(1);
    run.assert_last_error("the server rejects the user name and password");
    assert_eq!(world.published(), None);
    syncer(PASSWORD).assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn a_password_with_a_line_break_behind_it_is_taken_without() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    once(world.syncer_of(&server.url("site.git")))
        .flag("username", USER)
        .env("GITSYNC_PASSWORD", format!("{PASSWORD}\n"))
        .finish()
        .assert_code(0);
}

#[test]
fn a_user_and_a_password_in_the_address_authenticate() {
    let world = world();
    let server = server_for(&world, "me", PASSWORD);
    let url = |password: &str| format!("http://me:{password}@{}/site.git", server.address());
    once(world.syncer_of(&url("wrong"))).finish().assert_code(1);
    once(world.syncer_of(&url(PASSWORD)))
        .finish()
        .assert_code(0);
    // A token as the user name needs no password, as on GitHub.
    server.require(Some(BasicAuth::Password("token".into(), String::new())));
    let url = format!("http://token@{}/site.git", server.address());
    once(world.syncer_of(&url)).finish().assert_code(0);
}

/// The address of the server's repository with a user name, as "Clone" buttons create it.
fn url_with_user(server: &HttpServer, user: &str, name: &str) -> String {
    format!("http://{user}@{}/{name}", server.address())
}

#[test]
fn a_user_name_in_the_address_is_combined_with_the_secrets_password() {
    let world = world();
    let secret = world.path("secret");
    for (key, username, expected) in [
        // The name from the address, the password from the Secret.
        ("token", None, "acme"),
        ("password", None, "acme"),
        // The Secret's own name.
        ("password", Some("bot"), "bot"),
        ("token", Some("bot"), "bot"),
    ] {
        let server = server_for(&world, expected, PASSWORD);
        let _ = fs::remove_dir_all(&secret);
        write(&secret.join(key), PASSWORD);
        if let Some(username) = username {
            write(&secret.join("username"), username);
        }
        let _ = fs::remove_dir_all(world.root());
        let run = once(world.syncer_of(&url_with_user(&server, "acme", "site.git")))
            .flag("secret-dir", &secret)
            .finish();
        run.assert_code(0);
        assert_eq!(world.read("a").as_deref(), Some("1"));
    }
}

#[test]
fn a_user_name_in_the_address_is_combined_with_a_password_of_the_flags() {
    let world = world();
    let file = world.path("password");
    write(&file, PASSWORD);
    for (username, expected) in [(None, "me@corp.example"), (Some("bot"), "bot")] {
        let server = server_for(&world, expected, PASSWORD);
        let url = url_with_user(&server, "me%40corp.example", "site.git");
        let syncer = || {
            let _ = fs::remove_dir_all(world.root());
            let syncer = once(world.syncer_of(&url));
            match username {
                None => syncer,
                // git-sync v3's name of the variable.
                Some(name) => syncer.env("GIT_SYNC_USERNAME", name),
            }
        };
        let by_variable = syncer().env("GIT_SYNC_PASSWORD", PASSWORD).finish();
        by_variable.assert_code(0);
        let by_file = syncer().flag("password-file", &file).finish();
        by_file.assert_code(0);
    }
}

#[test]
fn a_user_name_in_the_address_picks_one_of_several_credentials() {
    let world = world();
    let server = server_for(&world, "acme", PASSWORD);
    let of = |name: &str, password: &str| {
        let url = server.url("");
        format!(r#"{{"url":"{url}","username":"{name}","password":"{password}"}}"#)
    };
    once(world.syncer_of(&url_with_user(&server, "acme", "site.git")))
        .flag("credential", of("other", "of-another"))
        .flag("credential", of("acme", PASSWORD))
        .finish()
        .assert_code(0);
}

#[test]
fn a_user_name_in_the_address_is_combined_with_a_users_credential_helper() {
    let world = world();
    let server = server_for(&world, "acme", PASSWORD);
    let helper = format!("!f() {{ cat; echo password={PASSWORD}; }}; f");
    once(world.syncer_of(&url_with_user(&server, "acme", "site.git")))
        .flag("git-config", format!("\"credential.helper\":\"{helper}\""))
        .finish()
        .assert_code(0);
}

#[test]
fn a_submodule_whose_address_has_a_user_name_gets_the_repositorys_password() {
    for (username, expected) in [(None, "acme"), (Some("bot"), "bot")] {
        let world = world();
        let server = server_for(&world, expected, PASSWORD);
        let sub = Repo::in_dir(world.repo.path().parent().unwrap(), "sub.git");
        sub.commit().write("s", "sub").push();
        let address = url_with_user(&server, "acme", "sub.git");
        add_submodule(&world, &sub, "sub", &address);
        let secret = world.path("secret");
        write(&secret.join("token"), PASSWORD);
        if let Some(username) = username {
            write(&secret.join("username"), username);
        }
        once(world.syncer_of(&url_with_user(&server, "acme", "site.git")))
            .flag("secret-dir", &secret)
            .finish()
            .assert_code(0);
        assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
    }
}

#[test]
fn a_password_file_is_read_at_each_sync() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let file = world.path("secret/password");
    write(&file, &format!("{PASSWORD}\n"));
    let running = world
        .syncer_of(&server.url("site.git"))
        .flag("username", USER)
        .flag("password-file", &file)
        .start(&world.path("log"));
    eventually("it is published", || world.published());
    server.require(Some(BasicAuth::Password(USER.into(), "rotated".into())));
    let second = world.repo.commit().write("a", "2").push();
    eventually("the old password is refused", || {
        running
            .log()
            .contains("rejects the user name")
            .then_some(())
    });
    write(&file, "rotated");
    world.eventually_published(&second);
}

#[test]
fn a_new_password_ends_the_wait_after_a_failure() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let file = world.path("secret/password");
    write(&file, "wrong-password");
    let running = world
        .syncer_of(&server.url("site.git"))
        .flag("username", USER)
        .flag("password-file", &file)
        // The change of the file must end this wait; otherwise the test would time out.
        .flag("period", "1h")
        .start(&world.path("log"));
    eventually("the error is logged", || {
        running
            .log()
            .contains("rejects the user name")
            .then_some(())
    });
    write(&file, PASSWORD);
    eventually("it is published", || world.published());
}

#[test]
fn a_password_file_that_is_not_there_is_named() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let run = once(world.syncer_of(&server.url("site.git")))
        .flag("username", USER)
        .flag("password-file", "/nonexistent/password")
        .finish();
    run.assert_code(1);
    run.assert_last_error("cannot read /nonexistent/password");
}

#[test]
fn a_submodule_on_another_host_has_a_credential_of_its_own() {
    let world = world();
    let ours = server_for(&world, USER, PASSWORD);
    let elsewhere = World::new("link");
    elsewhere.repo.commit().write("s", "sub").push();
    let other = server_for(&elsewhere, "sub-user", "sub-password");
    let url = other.url("site.git");
    add_submodule(&world, &elsewhere.repo, "sub", &url);
    let file = world.path("secret/sub");
    write(&file, "sub-password\n");
    let credential = |password: &str| {
        format!(
            r#"{{"url":"{}","username":"sub-user",{password}}}"#,
            other.url("")
        )
    };
    let syncer = || {
        once(world.syncer_of(&ours.url("site.git")))
            .flag("username", USER)
            .env("GITSYNC_PASSWORD", PASSWORD)
    };
    let run = syncer().finish();
    run.assert_code(1);
    run.assert_last_error("the server rejects the user name and password");
    for password in [
        r#""password":"sub-password""#.to_owned(),
        format!(r#""password-file":"{}""#, file.display()),
    ] {
        // Replaces the files of the last round.
        let _ = fs::remove_dir_all(world.root());
        let run = syncer().flag("credential", credential(&password)).finish();
        run.assert_code(0);
        assert!(!run.log.contains("sub-password"), "{}", run.log);
        assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
    }
}

#[test]
fn a_credential_without_an_address_is_reported() {
    let world = world();
    let run = once(world.syncer())
        .flag(
            "credential",
            r#"{"url":"git.example","username":"me","password":"secret-word"}"#,
        )
        .finish();
    run.assert_code(1);
    run.assert_last_error("expected an address such as https://git.example");
    assert!(!run.log.contains("secret-word"), "{}", run.log);
}

#[test]
fn two_repositories_of_one_host_may_have_different_credentials() {
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let sub = Repo::in_dir(world.repo.path().parent().unwrap(), "sub.git");
    sub.commit().write("s", "sub").push();
    server.require(Some(BasicAuth::Paths(vec![
        ("/site.git", "site-user", "site-password"),
        ("/sub.git", "sub-user", "sub-password"),
    ])));
    add_submodule(&world, &sub, "sub", &server.url("sub.git"));
    let of = |name: &str| {
        format!(
            r#"{{"url":"{}","username":"{name}-user","password":"{name}-password"}}"#,
            server.url(&format!("{name}.git"))
        )
    };
    once(world.syncer_of(&server.url("site.git")))
        .flag("credential", of("sub"))
        .flag("credential", of("site"))
        .finish()
        .assert_code(0);
    assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
}

#[test]
fn cookies_of_the_file_are_sent_to_the_server() {
    let Some(own_mounts) = namespaces::with_own_mounts() else {
        return;
    };
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Header(
        "cookie",
        "session=sesame-opens".into(),
    )));
    let cookies = "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tsesame-opens\n";
    // From git-sync's fixed path.
    let file = world.path("cookies");
    fs::write(&file, cookies).unwrap();
    let place = "/etc/git-secret/cookie_file";
    let syncer = |prepare: &str| {
        once(with_own_etc(&world, &own_mounts, prepare, None))
            .flag("repo", server.url("site.git"))
            .flag("root", world.root())
            .flag("link", "current")
            .flag("cookie-file", "true")
            .flag("verbose", "9")
            .finish()
    };
    let run = syncer("true");
    run.assert_code(1);
    assert!(
        run.log
            .contains("expected a file /etc/git-secret/cookie_file"),
        "{}",
        run.log
    );
    fs::remove_dir_all(world.path("etc")).unwrap();
    let run = syncer(&format!("cp {} {place}", file.display()));
    run.assert_code(0);
    assert!(!run.log.contains("sesame-opens"), "{}", run.log);
    // By convention.
    fs::remove_dir_all(world.root()).unwrap();
    write(&world.path("secret/cookie_file"), cookies);
    once(world.syncer_of(&server.url("site.git")))
        .flag("secret-dir", world.path("secret"))
        .finish()
        .assert_code(0);
}

#[test]
fn a_password_is_in_no_log_command_line_or_environment_while_git_clones() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let other = r#"{"url":"https://other.example","username":"x","password":"other-secret"}"#;
    let running = world
        .syncer_of(&server.url("site.git"))
        .flag("username", USER)
        .flag("period", "10ms")
        .flag("verbose", "9")
        .flag(
            "git-config",
            r#""http.http://other.example.extraHeader":"X-Key: header-secret""#,
        )
        .flag("error-file", world.path("error"))
        .env("GITSYNC_PASSWORD", PASSWORD)
        .env("GITSYNC_CREDENTIAL", other)
        .start(&world.path("log"));
    let secrets = [PASSWORD, "other-secret"];
    let ours = running.id().to_string();
    // Each git command gets a configuration file there.
    let ours_alone = format!("GIT_CONFIG_GLOBAL={}", world.state().display());
    let mut seen = 0;
    eventually("enough git commands have been looked at", || {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            if process.file_name().to_string_lossy() == ours {
                continue;
            }
            let dir = process.path();
            let read = |name: &str| fs::read(dir.join(name));
            let (Ok(argv), Ok(environment)) = (read("cmdline"), read("environ")) else {
                continue;
            };
            let argv = String::from_utf8_lossy(&argv);
            let environment = String::from_utf8_lossy(&environment);
            // Other tests run syncers too.
            if !environment.contains(&ours_alone) {
                continue;
            }
            for secret in secrets {
                assert!(!argv.contains(secret), "{argv}");
                assert!(!environment.contains(secret), "{argv}: {environment}");
            }
            seen += 1;
        }
        // A new commit each time, so that there is something to clone.
        world.repo.commit().write("a", seen.to_string()).push();
        (seen > 60).then_some(())
    });
    server.require(Some(BasicAuth::Password(USER.into(), "rotated".into())));
    eventually("a failure is logged, too", || {
        running
            .log()
            .contains("rejects the user name")
            .then_some(())
    });
    let output = Command::new("grep")
        .args([
            "-r",
            "-l",
            "-F",
            "-e",
            PASSWORD,
            "-e",
            "other-secret",
            "-e",
            "header-secret",
        ])
        .args([world.path("log"), world.path("error"), world.root()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}
