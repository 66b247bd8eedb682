//! The default directory of a gitRepo volume's files is the one that git itself would create: the
//! kubelet left the choice to git.

use std::process::Command;

use inject::Namespace;
use inject::Outcome;
use inject::Review;
use inject::Settings;
use serde_json::json;

/// The directory that `git clone` would create for an address; git prints it before it connects.
fn gits_directory(address: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("git")
        .args(["-c", "protocol.allow=never", "clone", "--", address])
        .current_dir(folder.path())
        .env("LC_ALL", "C")
        .env("GIT_SSH_COMMAND", "false")
        .env_remove("GIT_ALLOW_PROTOCOL")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    let name = output.strip_prefix("Cloning into '").and_then(|rest| {
        let (name, _) = rest.split_once("'...\n")?;
        Some(name.to_owned())
    });
    assert!(
        name.is_some() || output.contains("No directory name could be guessed"),
        "{address}: {output}"
    );
    name
}

/// The directory in the injected container's flags; the error is the refusal of the Pod.
fn our_directory(address: &str) -> Result<String, String> {
    let pod = json!({"spec": {
        "containers": [{"name": "web", "image": "nginx"}],
        "volumes": [{"name": "source", "gitRepo": {"repository": address}}],
    }});
    let settings = Settings::new("syncer:1");
    let answer = inject::answer(&Review::of_pod(pod), &settings, &Namespace::default()).unwrap();
    match answer.outcome {
        Outcome::Inject(plan) => {
            let directory = plan.git_repos[0].directory.as_ref();
            Ok(directory.unwrap().to_string())
        }
        Outcome::Deny(refusal) => Err(refusal.to_string()),
        Outcome::Skip(reason) => panic!("{address}: {reason}"),
    }
}

#[test]
fn a_git_repo_volume_without_a_directory_gets_the_one_that_git_would_create() {
    for address in [
        "https://git.example/me/site.git",
        "https://git.example/me/site",
        "https://git.example/me/site/",
        "https://git.example/me/site.git///",
        "https://git.example/me/site/.git",
        "https://git.example/me/site/.git/",
        "https://git.example/me/site.git/.git",
        "https://git.example/me/site.git.git",
        "https://git.example/me/.github",
        "https://git.example/me/.github.git",
        "https://git.example/.git",
        "https://git.example:8443/site.git",
        "https://git.example:8443",
        "https://git.example",
        "https://git.example/",
        "https://git.example.git",
        "https://me:p4ss@git.example/site.git",
        "https://me:p%40ss@git.example",
        "https://git.example/@scope/site",
        "https://git.example/a:b",
        "https://git.example/site:8080",
        "https://git.example/site?x=/y",
        "https://git.example/b%C3%BCro.git",
        "http://git.example/büro.git",
        "https://git.example/site.GIT",
        "https://git.example/site.bundle",
        "ssh://git@git.example/site.git",
        "ssh://git@git.example:2222/~me/site.git",
        "ssh://git@git.example:2222/",
        "git://git.example:9418/site.git",
        "git@git.example:me/site.git",
        "git@git.example:site.git",
        "git@git.example:site",
        "git@git.example:/srv/git/site.git/",
        "git@git.example:me/site/.git",
        "git@git.example:2222.git",
        "git.example:site.git",
        "git.example:a:b.git",
        "git@git.example:a@b",
        "git@git.example:/",
        "ssh://git@git.example:/.git/",
    ] {
        assert_eq!(
            our_directory(address).ok(),
            gits_directory(address),
            "{address}"
        );
    }
}

#[test]
fn an_address_without_a_default_directory_is_refused() {
    for address in ["git@git.example:.git", "git.example:.git/"] {
        let refusal = our_directory(address).expect_err(address);
        match gits_directory(address) {
            None => assert!(
                refusal.contains("no directory name could be guessed"),
                "{refusal}"
            ),
            Some(name) => panic!("{address}: git makes {name:?}, and we say {refusal}"),
        }
    }
}
