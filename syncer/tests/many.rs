//! Several repositories in one process, independent of each other.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;
use remotes::Trouble;
use serde_json::Value;
use serde_json::json;

use crate::world::PROGRAM;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::ask;
use crate::world::eventually;

/// The world of a process with several repositories, whose roots are `roots/NAME` and whose links
/// are `current`.
struct Many {
    world: World,
}

impl Many {
    fn new() -> Self {
        Self {
            world: World::new("link"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// A bare repository beside the world's own.
    fn repo(&self, name: &str) -> Repo {
        Repo::in_dir(&self.path(""), name)
    }

    /// An entry with its own root and a short period.
    fn entry(&self, name: &str, url: &str) -> Value {
        json!({
            "repo": url,
            "root": self.path("roots").join(name),
            "link": "current",
            "period": "50ms",
            "max-failures": -1,
        })
    }

    /// The command line for these entries.
    fn syncer(&self, entries: &Value) -> Syncer {
        let file = self.path("repos.json");
        fs::write(&file, json!({ "repos": entries }).to_string()).unwrap();
        Syncer::new()
            .flag("config", file)
            .flag("state", self.world.state())
            .flag("http-bind", "127.0.0.1:0")
            .flag("http-metrics", "true")
    }

    fn start(&self, syncer: Syncer) -> Running {
        syncer.start(&self.path("log"))
    }

    /// The commit that an entry publishes.
    fn published(&self, name: &str) -> Option<String> {
        let link = self.path("roots").join(name).join("current");
        let target = fs::read_link(link).ok()?;
        Some(target.file_name()?.to_str()?.split('-').next()?.to_owned())
    }

    fn read(&self, name: &str, file: &str) -> Option<String> {
        let link = self.path("roots").join(name).join("current");
        fs::read_to_string(link.join(file)).ok()
    }

    #[track_caller]
    fn eventually_published(&self, name: &str, commit: &str) {
        eventually(&format!("{name} shows {commit}"), || {
            (self.published(name).as_deref() == Some(commit)).then_some(())
        });
    }
}

/// Sends a request to the process's HTTP server; returns the status and the body.
fn get(running: &Running, path: &str) -> (u16, String) {
    let answer = ask(running.port(), "GET", path).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// One repository on the status page.
fn status_of(running: &Running, name: &str) -> Value {
    let (status, page) = get(running, "/status");
    assert_eq!(status, 200);
    let page: Value = serde_json::from_str(&page).unwrap();
    let repos = page["repos"].as_array().unwrap();
    let found = repos.iter().find(|repo| repo["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {page}"))
        .clone()
}

#[test]
fn each_repository_has_a_root_a_period_a_layout_and_rights_of_its_own() {
    let many = Many::new();
    let (site, data, docs) = (
        &many.world.repo,
        many.repo("data.git"),
        many.repo("docs.git"),
    );
    let commits: Vec<String> = [site, &data, &docs]
        .iter()
        .zip(["site", "data", "docs"])
        .map(|(repo, name)| repo.commit().write("name", name).push())
        .collect();
    let mine = HttpServer::start(&many.path(""));
    mine.require(Some(BasicAuth::Password("me".into(), "my secret".into())));
    let yours = HttpServer::start(&many.path(""));
    yours.require(Some(BasicAuth::Password(
        "you".into(),
        "your secret".into(),
    )));
    let secret = many.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("username"), "me").unwrap();
    fs::write(secret.join("password"), "my secret").unwrap();
    fs::write(many.path("password"), "your secret").unwrap();

    let mut entries = json!({
        "site": many.entry("site", &site.url()),
        "data": many.entry("data", &mine.url("data.git")),
        "docs": many.entry("docs", &yours.url("docs.git")),
    });
    entries["data"]["secret-dir"] = json!(secret);
    entries["data"]["period"] = json!("100ms");
    entries["docs"]["username"] = json!("you");
    entries["docs"]["password-file"] = json!(many.path("password"));
    entries["docs"]["layout"] = json!("projected");
    entries["docs"].as_object_mut().unwrap().remove("link");
    let running = many.start(many.syncer(&entries).flag("verbose", "9"));
    many.eventually_published("site", &commits[0]);
    many.eventually_published("data", &commits[1]);
    let docs_root = many.path("roots").join("docs");
    eventually("docs is there", || {
        fs::read_to_string(docs_root.join("name")).ok()
    });
    assert_eq!(many.read("data", "name").as_deref(), Some("data"));
    assert!(!docs_root.join(".git").exists());

    assert_eq!(status_of(&running, "site")["poller"], "off");
    assert_eq!(status_of(&running, "data")["poller"], "on");

    // Each is updated independently.
    let second = data.commit().write("name", "more data").push();
    many.eventually_published("data", &second);
    let second = site.commit().write("name", "more site").push();
    many.eventually_published("site", &second);
    docs.commit().write("name", "more docs").push();
    eventually("docs is changed", || {
        let name = fs::read_to_string(docs_root.join("name")).ok()?;
        (name == "more docs").then_some(())
    });

    // An entry's own files are below its state directory.
    for name in ["site", "data", "docs"] {
        assert!(many.world.state().join(name).join("status.json").exists());
    }
    let told = running.log() + &get(&running, "/status").1 + &get(&running, "/metrics").1;
    assert!(
        !told.contains("my secret") && !told.contains("your secret"),
        "{told}"
    );
    assert_eq!(running.terminate().code(), Some(0));
}

#[test]
fn yaml_json_a_file_and_a_variable_say_the_same() {
    let many = Many::new();
    let commit = many.world.repo.commit().write("a", "1").push();
    let json = json!({ "repos": { "site": many.entry("site", &many.world.repo.url()) } });
    let yaml = format!(
        "repos:\n  site:\n    repo: {}\n    root: {}\n    link: current # the default is site.git\n",
        many.world.repo.url(),
        many.path("roots/site").display(),
    );
    let file = many.path("repos.yaml");
    fs::write(&file, &yaml).unwrap();
    for syncer in [
        Syncer::new().flag("config", &file),
        Syncer::new().env("GITSYNC_CONFIG", &file),
        Syncer::new().env("GITSYNC_CONFIG_INLINE", &yaml),
        Syncer::new().env("GITSYNC_CONFIG_INLINE", json.to_string()),
    ] {
        let run = syncer.flag("one-time", "true").finish();
        run.assert_code(0);
        assert_eq!(many.published("site").as_deref(), Some(&*commit));
        fs::remove_dir_all(many.path("roots")).unwrap();
    }
}

#[test]
fn each_entry_has_its_own_directories_below_the_root_and_state_of_the_flags() {
    let many = Many::new();
    many.world.repo.commit().write("a", "1").push();
    let url = many.world.repo.url();
    let entries = json!({"one": {"repo": url}, "two": {"repo": url, "link": "here"}});
    let run = many
        .syncer(&entries)
        .flag("root", many.path("all"))
        .flag("one-time", "true")
        .finish();
    run.assert_code(0);
    for link in ["all/one/site.git", "all/two/here"] {
        let file = many.path(link).join("a");
        assert_eq!(fs::read_to_string(file).unwrap(), "1", "{link}");
    }
}

#[test]
fn mistakes_of_the_file_are_one_sentence_and_git_syncs_code() {
    let many = Many::new();
    let url = many.world.repo.url();
    let file = many.path("repos.json");
    let refused = |text: &str, flags: &[&str], sentence: &str| {
        fs::write(&file, text).unwrap();
        let syncer = Syncer::new().flag("config", &file);
        let run = syncer.args(flags.iter().copied()).finish();
        run.assert_code(1);
        assert!(
            run.log.contains(sentence),
            "{sentence:?} is not in {}",
            run.log
        );
    };
    let named = file.display();
    let entry = format!(r#"{{"repos": {{"site": {{"repo": "{url}", "root": "/r"}}}}}}"#);
    refused(
        &entry.replace(r#""root""#, r#""rooot""#),
        &[],
        &format!("{named}: repos.site.rooot: unknown key: did you mean root?"),
    );
    refused(
        &entry.replace(r#""root": "/r""#, r#""root": "/r", "depth": -1"#),
        &[],
        &format!("{named}: repos.site.depth: "),
    );
    refused(
        &entry,
        &["--repo=https://git.example/x"],
        "--repo: expected no value together with --config, whose entries set their own",
    );
    refused("repos:\n- a\n", &[], &format!("{named}: "));
    fs::remove_file(&file).unwrap();
    let run = Syncer::new().flag("config", &file).finish();
    run.assert_code(1);
    assert!(
        run.log.contains(&format!("cannot read {named}")),
        "{}",
        run.log
    );
    let run = Syncer::new()
        .flag("config", &file)
        .env("GITSYNC_CONFIG_INLINE", &entry)
        .finish();
    run.assert_code(1);
    let sentence = "--config: expected no $GITSYNC_CONFIG_INLINE together with it";
    assert!(run.log.contains(sentence), "{}", run.log);
}

#[test]
fn a_remote_that_hangs_delays_no_other() {
    let many = Many::new();
    let site = &many.world.repo;
    site.commit().write("a", "0").push();
    many.repo("data.git").commit().write("a", "0").push();
    let server = HttpServer::start(&many.path(""));
    server.hang(true);
    let mut entries = json!({ "site": many.entry("site", &site.url()) });
    for name in ["hung", "hung-too", "hung-three"] {
        entries[name] = many.entry(name, &server.url("data.git"));
        entries[name]["sync-timeout"] = json!("1h");
    }
    // Nor does a hook that never ends.
    let hook = many.world.script("slow-hook", "sleep 3600");
    entries["slow"] = many.entry("slow", &site.url());
    entries["slow"]["exechook-command"] = json!(hook);
    entries["slow"]["exechook-timeout"] = json!("1h");
    let syncer = many.syncer(&entries).flag("max-git-processes", "4");
    let running = many.start(syncer);
    eventually("all of them hang", || {
        (server.requests() >= 3).then_some(())
    });
    for n in 1..5 {
        let commit = site.commit().write("a", n.to_string()).push();
        many.eventually_published("site", &commit);
        many.eventually_published("slow", &commit);
    }
    assert_eq!(status_of(&running, "hung")["phase"], "syncing");
    let (status, page) = get(&running, "/readyz");
    assert_eq!(status, 503);
    assert!(
        page.contains("repo hung is not ready: no sync has succeeded yet"),
        "{page}"
    );
    assert!(!page.contains("repo site"), "{page}");
    assert_eq!(running.terminate().code(), Some(0));
}

#[test]
fn repositories_that_fail_and_then_hang_leave_permits_to_the_others() {
    let many = Many::new();
    let site = &many.world.repo;
    site.commit().write("a", "0").push();
    let mut server = HttpServer::start(&many.path(""));
    server.hang(true);
    server.stop();
    let mut entries = json!({ "site": many.entry("site", &site.url()) });
    let hung: Vec<String> = (0..6).map(|n| format!("hung-{n}")).collect();
    for name in &hung {
        entries[name] = many.entry(name, &server.url("data.git"));
        entries[name]["sync-timeout"] = json!("1h");
    }
    let syncer = many.syncer(&entries).flag("max-git-processes", "2");
    let running = many.start(syncer);
    let all = |key: &str, check: fn(&Value) -> bool| {
        let mut names = hung.iter();
        names
            .all(|name| check(&status_of(&running, name)[key]))
            .then_some(())
    };
    eventually("each has failed", || all("failures", |count| *count != 0));
    server.start_again();
    eventually("all of them hang", || {
        all("phase", |phase| phase == "syncing")
    });
    for n in 1..5 {
        let commit = site.commit().write("a", n.to_string()).push();
        many.eventually_published("site", &commit);
    }
}

#[test]
fn no_more_git_commands_run_at_once_than_allowed() {
    let many = Many::new();
    let site = &many.world.repo;
    let commit = site.commit().write("a", "1").push();
    // A second command finds the first one's directory.
    let script = format!(
        "mkdir {lock} || echo \"$@\" >>{overlaps}\n/usr/bin/git \"$@\"\ncode=$?\nrmdir {lock}\nexit $code",
        lock = many.path("lock").display(),
        overlaps = many.path("overlaps").display(),
    );
    let wrapper = many.world.script("git-one", &script);
    let mut entries = json!({});
    for name in ["a", "b", "c", "d"] {
        entries[name] = many.entry(name, &site.url());
    }
    let run = many
        .syncer(&entries)
        .flag("git", wrapper)
        .flag("max-git-processes", "1")
        .flag("one-time", "true")
        .finish();
    run.assert_code(0);
    for name in ["a", "b", "c", "d"] {
        assert_eq!(many.published(name).as_deref(), Some(&*commit), "{name}");
    }
    assert_eq!(fs::read_to_string(many.path("overlaps")).ok(), None);
}

#[test]
fn an_unusable_directory_is_reported_and_retried() {
    let many = Many::new();
    let site = &many.world.repo;
    site.commit().write("a", "1").push();
    // One root is below a file, the other is owned by another syncer.
    fs::create_dir(many.path("roots")).unwrap();
    fs::write(many.path("roots/bad"), "a file").unwrap();
    let other = many.repo("other.git");
    other.commit().write("a", "1").push();
    let owner = Syncer::new()
        .flag("repo", other.url())
        .flag("root", many.path("roots/taken"))
        .flag("link", "current")
        .start(&many.path("owner-log"));
    eventually("the owner has it", || many.published("taken"));
    let mut entries = json!({});
    for name in ["bad", "taken", "good"] {
        entries[name] = many.entry(name, &site.url());
    }
    let running = many.start(many.syncer(&entries));
    eventually("the good one is there", || many.published("good"));
    let error_of = |name: &str| {
        eventually(&format!("{name} has failed"), || {
            Some(status_of(&running, name)["lastError"].as_str()?.to_owned())
        })
    };
    assert!(error_of("bad").contains("roots/bad"));
    assert!(error_of("taken").contains("is in use by another syncer"));
    let commit = site.commit().write("a", "2").push();
    many.eventually_published("good", &commit);
    // Repaired without a restart.
    fs::remove_file(many.path("roots/bad")).unwrap();
    many.eventually_published("bad", &commit);
    owner.terminate();
    eventually("the taken one is ours", || {
        (status_of(&running, "taken")["published"]["commit"] == *commit).then_some(())
    });
    eventually("all are ready", || {
        (get(&running, "/readyz").0 == 200).then_some(())
    });
}

#[test]
fn a_repository_that_fails_too_often_is_given_up_and_the_others_continue() {
    let many = Many::new();
    let site = &many.world.repo;
    site.commit().write("a", "1").push();
    let mut entries = json!({
        "site": many.entry("site", &site.url()),
        "lost": many.entry("lost", &site.url()),
    });
    entries["lost"]["ref"] = json!("nowhere");
    entries["lost"]["max-failures"] = json!(2);
    let mut running = many.start(many.syncer(&entries));
    eventually("lost is given up", || {
        (status_of(&running, "lost")["phase"] == "gaveUp").then_some(())
    });
    let lost = status_of(&running, "lost");
    assert_eq!(lost["failures"], 2);
    assert_eq!(lost["nextPass"], Value::Null);
    let error = lost["lastError"].as_str().unwrap();
    assert!(error.contains("no such branch, tag or commit"), "{error}");
    let commit = site.commit().write("a", "2").push();
    many.eventually_published("site", &commit);
    assert!(!running.has_ended());
    assert_eq!(get(&running, "/readyz").0, 503);
    assert_eq!(get(&running, "/").0, 503);
}

#[test]
fn one_time_ends_when_all_are_done_and_its_exit_code_reports_a_failure() {
    let many = Many::new();
    let site = &many.world.repo;
    let commit = site.commit().write("a", "1").push();
    let mut entries = json!({
        "a": many.entry("a", &site.url()),
        "b": many.entry("b", &site.url()),
    });
    let one_time = |entries: &Value| {
        let syncer = many.syncer(entries).flag("one-time", "true");
        syncer.finish()
    };
    one_time(&entries).assert_code(0);
    assert_eq!(many.published("a").as_deref(), Some(&*commit));
    assert_eq!(many.published("b").as_deref(), Some(&*commit));

    fs::remove_dir_all(many.path("roots")).unwrap();
    entries["a"]["ref"] = json!("nowhere");
    entries["a"]["max-failures"] = json!(0);
    let run = one_time(&entries);
    run.assert_code(1);
    assert_eq!(many.published("a"), None);
    assert_eq!(many.published("b").as_deref(), Some(&*commit));
    assert!(run.log.contains(r#""repo":"a""#), "{}", run.log);

    // A bad directory counts like any other failure.
    entries["a"]["ref"] = json!("main");
    entries["a"]["root"] = json!("/proc/nowhere");
    one_time(&entries).assert_code(1);
}

/// The command line and the variable that an injector sets for the init container of gitRepo
/// volumes.
fn cloning(many: &Many, entries: &Value) -> Syncer {
    let inline = json!({ "repos": entries }).to_string();
    Syncer::new()
        .flag("ref", "HEAD")
        .flag("root", many.path("content"))
        .flag("layout", "clone")
        .flag("state", many.world.state())
        .flag("depth", "0")
        .flag("period", "50ms")
        .flag("one-time", "true")
        .flag("max-failures", "-1")
        .flag("sync-timeout", "10m")
        .flag("stale-worktree-timeout", "1m")
        .flag("verbose", "0")
        .env("HOME", many.world.state().join("home"))
        .env("TMPDIR", many.world.state().join("tmp"))
        .env("GITSYNC_STATE", many.world.state())
        .env("GITSYNC_CONFIG_INLINE", inline)
}

#[test]
fn one_process_makes_clones_in_parallel_and_ends_after_the_last() {
    let many = Many::new();
    let site = &many.world.repo;
    let first = site.commit().write("a", "1").push();
    site.commit().write("a", "2").push();
    many.repo("data.git").commit().write("b", "1").push();
    let mut refusing = HttpServer::start(&many.path(""));
    refusing.stop();
    let mut hanging = HttpServer::start(&many.path(""));
    hanging.hang(true);
    let entries = json!({
        "config": {"link": "conf/d", "ref": "HEAD~1", "repo": site.url(), "submodules": "off"},
        // Names of directories that the syncer itself creates.
        "home": {"repo": site.url(), "submodules": "off"},
        "hung": {"link": "data", "repo": hanging.url("data.git"), "submodules": "off"},
        "lost": {"repo": refusing.url("data.git"), "submodules": "off"},
        "tmp": {"link": "site", "repo": site.url(), "submodules": "off"},
    });
    let mut running = many.start(cloning(&many, &entries));
    let content = many.path("content");
    let read = |path: &str| fs::read_to_string(content.join(path)).ok();
    for path in ["config/conf/d/a", "home/a", "tmp/site/a"] {
        eventually("what can be cloned is", || read(path));
    }
    let config = content.join("config/conf/d/.git");
    eventually("all of it is there", || {
        config.join("gitvolume-cloned").exists().then_some(())
    });
    assert_eq!(read("config/conf/d/.git/HEAD").unwrap().trim(), first);
    eventually("the one without a server was tried again", || {
        let log = running.log();
        let is_its = |line: &&str| line.contains(r#""repo":"lost""#);
        let failures = log.lines().filter(is_its);
        let failures = failures.filter(|line| line.contains("will retry"));
        (failures.count() > 2).then_some(())
    });
    refusing.start_again();
    eventually("it is cloned", || read("lost/b"));
    assert!(hanging.requests() > 0, "it was not begun with the others");
    assert!(!running.has_ended(), "one is missing");
    hanging.stop();
    hanging.hang(false);
    hanging.start_again();
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(read("hung/data/b").as_deref(), Some("1"));
    assert!(many.world.probe().0);

    // A restart of the container after the app has run, without a remote.
    fs::write(content.join("home/a"), "the app's").unwrap();
    fs::remove_dir_all(content.join("tmp/site/.git")).unwrap();
    refusing.stop();
    hanging.stop();
    fs::remove_dir_all(site.path()).unwrap();
    let run = cloning(&many, &entries).finish();
    run.assert_code(0);
    assert!(!run.log.contains("cloning"), "{}", run.log);
    assert_eq!(read("home/a").as_deref(), Some("the app's"));
    assert!(!content.join("tmp/site/.git").exists());
}

#[test]
fn all_pages_list_clones_and_followed_repositories() {
    let many = Many::new();
    let site = &many.world.repo;
    let first = site.commit().write("a", "1").push();
    let mut server = HttpServer::start(&many.path(""));
    let away = server.url("site.git");
    server.stop();
    let mut entries = json!({ "followed": many.entry("followed", &site.url()) });
    for (name, url) in [("cloned", site.url()), ("late", away)] {
        entries[name] = many.entry(name, &url);
        entries[name]["layout"] = json!("clone");
        entries[name].as_object_mut().unwrap().remove("link");
        entries[name]["stale-after"] = json!("1s");
    }
    entries["once"] = many.entry("once", &site.url());
    entries["once"]["one-time"] = json!(true);
    let running = many.start(many.syncer(&entries));
    many.eventually_published("followed", &first);
    eventually("the late one has failed", || {
        (status_of(&running, "late")["failures"] != 0).then_some(())
    });
    for name in ["cloned", "once"] {
        let found = eventually("what is once done is done", || {
            Some(status_of(&running, name)).filter(|found| found["phase"] == "done")
        });
        assert_eq!(found["published"]["commit"], *first, "{name}");
        assert_eq!(found["nextPass"], Value::Null, "{name}");
        assert_eq!(found["lastError"], Value::Null, "{name}");
    }
    let (is_content, text) = many.world.probe();
    assert!(!is_content && text.starts_with("late: "), "{text}");
    let (status, page) = get(&running, "/readyz");
    assert_eq!(status, 503);
    assert!(
        page.contains("repo late") && !page.contains("cloned"),
        "{page}"
    );

    server.start_again();
    eventually("the late one is cloned", || {
        (status_of(&running, "late")["phase"] == "done").then_some(())
    });
    assert_eq!(status_of(&running, "late")["lastError"], Value::Null);
    assert_eq!(many.world.probe(), (true, String::new()));
    let second = site.commit().write("a", "2").push();
    many.eventually_published("followed", &second);
    eventually("all are ready, however old a clone is", || {
        let cloned = status_of(&running, "cloned")["lastSuccess"].clone();
        let cloned: Timestamp = cloned.as_str()?.parse().ok()?;
        let is_old = Timestamp::now().duration_since(cloned).as_secs() > 1;
        (is_old && get(&running, "/readyz").0 == 200).then_some(())
    });
    let (_, metrics) = get(&running, "/metrics");
    for name in ["cloned", "late", "once", "followed"] {
        let line = format!("git_sync_count_total{{repo=\"{name}\",status=\"success\"}}");
        assert!(metrics.contains(&line), "{name}: {metrics}");
    }
    let of = |name: &str, word: &str| {
        let label = format!("repo=\"{name}\"");
        let mut lines = metrics.lines();
        lines.any(|line| line.contains(&label) && line.contains(word))
    };
    assert!(of("late", "error"), "{metrics}");
    assert!(!of("cloned", "error"), "{metrics}");
    assert!(of("cloned", &first), "{metrics}");
    assert!(of("followed", &second), "{metrics}");
    // The app may change its clone.
    let clone = many.path("roots/cloned");
    fs::remove_dir_all(clone.join(".git")).unwrap();
    fs::write(clone.join("a"), "the app's").unwrap();
    assert_eq!(many.world.probe(), (true, String::new()));
    assert_eq!(running.terminate().code(), Some(0));
}

#[test]
fn log_metrics_and_status_name_the_repository() {
    let many = Many::new();
    let site = &many.world.repo;
    let commit = site.commit().write("a", "1").push();
    let mut entries = json!({
        "site": many.entry("site", &site.url()),
        "lost": many.entry("lost", "http://me:hunter22@127.0.0.1:1/x.git"),
    });
    entries["site"]["ref"] = json!("main");
    entries["site"]["exechook-command"] = json!("/bin/true");
    let running = many.start(many.syncer(&entries));
    many.eventually_published("site", &commit);
    eventually("lost has failed", || {
        (status_of(&running, "lost")["failures"] != 0).then_some(())
    });
    running.eventually_logs("exechook");

    for line in running.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let is_ones = line["logger"] != ""
            || line["msg"]
                .as_str()
                .is_some_and(|msg| msg.contains("syncing repo"));
        if is_ones {
            assert!(line["repo"] == "site" || line["repo"] == "lost", "{line}");
        }
        if line["msg"] == "starting up" {
            assert_eq!(line.get("repo"), None);
        }
    }
    let site = status_of(&running, "site");
    assert_eq!(site["repo"], many.world.repo.url());
    assert_eq!(site["ref"], "main");
    assert_eq!(site["published"]["commit"], *commit);
    assert!(site["published"]["since"].as_str().unwrap().ends_with('Z'));
    assert!(site["lastSuccess"].is_string());
    assert_eq!(site["lastError"], Value::Null);
    assert_eq!(site["failures"], 0);
    assert_eq!(site["poller"], "off");
    let lost = status_of(&running, "lost");
    assert_eq!(lost["repo"], "http://127.0.0.1:1/x.git");
    assert_eq!(lost["published"], Value::Null);
    assert_eq!(lost["lastSuccess"], Value::Null);
    assert!(
        lost["lastError"]
            .as_str()
            .unwrap()
            .contains("no server answers")
    );
    let (_, page) = get(&running, "/status");
    assert!(!page.contains("hunter22"), "{page}");

    let (_, metrics) = get(&running, "/metrics");
    let has = |name: &str, labels: &[&str]| {
        let mut lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.any(|line| labels.iter().all(|label| line.contains(label)))
    };
    assert!(
        has(
            "git_sync_count_total{",
            &[r#"repo="site""#, r#"status="success""#]
        ),
        "{metrics}"
    );
    assert!(
        has(
            "git_sync_count_total{",
            &[r#"repo="lost""#, r#"status="error""#]
        ),
        "{metrics}"
    );
}

#[test]
fn the_probe_succeeds_when_all_trees_are_complete() {
    let many = Many::new();
    let site = &many.world.repo;
    let commit = site.commit().write("a", "1").push();
    let mut server = HttpServer::start(&many.path(""));
    server.stop();
    let mut entries = json!({
        "near": many.entry("near", &site.url()),
        "far": many.entry("far", &server.url("site.git")),
    });
    // One has its state directory elsewhere.
    entries["far"]["state"] = json!(many.path("elsewhere"));
    let probe = || {
        let output = Command::new(PROGRAM)
            .arg("probe")
            .env_clear()
            .env("GITSYNC_STATE", many.world.state())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let running = many.start(many.syncer(&entries));
    eventually("the near one is there", || many.published("near"));
    eventually("the probe tells of the far one alone", || {
        let (is_content, text) = probe();
        assert!(!is_content, "{text}");
        (text.starts_with("far: no server answers") && !text.contains("near:")).then_some(())
    });
    server.start_again();
    eventually("the probe is content", || probe().0.then_some(()));
    assert_eq!(many.published("far").as_deref(), Some(&*commit));
    running.kill();
    // Only the disk is checked.
    assert!(probe().0);
    fs::remove_file(many.path("roots/near/current")).unwrap();
    assert_eq!(
        probe(),
        (false, "near: the first clone is still running\n".into())
    );

    // The record of a process with one repository is in the directory itself again.
    let one = many.world.syncer().flag("one-time", "true").finish();
    one.assert_code(0);
    assert_eq!(probe(), (true, String::new()));
}

#[test]
fn a_signal_wakes_all_of_them() {
    let many = Many::new();
    let site = &many.world.repo;
    site.commit().write("a", "1").push();
    let mut entries = json!({
        "a": many.entry("a", &site.url()),
        "b": many.entry("b", &site.url()),
    });
    for name in ["a", "b"] {
        entries[name]["period"] = json!("1h");
    }
    let running = many.start(many.syncer(&entries).flag("sync-on-signal", "SIGHUP"));
    eventually("a is there", || many.published("a"));
    eventually("b is there", || many.published("b"));
    let commit = site.commit().write("a", "2").push();
    running.signal(Signal::SIGHUP);
    many.eventually_published("a", &commit);
    many.eventually_published("b", &commit);
}

#[test]
fn a_servers_pause_applies_to_all_repositories_with_the_same_credentials() {
    // Through a poll, and through git, which does not pass on the server's header.
    for no_poller in ["false", "true"] {
        let many = Many::new();
        let commit = many.world.repo.commit().write("a", "1").push();
        let busy = HttpServer::start(&many.path(""));
        let idle = HttpServer::start(&many.path(""));
        let mut entries = json!({});
        for name in ["a", "b"] {
            entries[name] = many.entry(name, &busy.url("site.git"));
            entries[name]["period"] = json!("20ms");
        }
        entries["other"] = many.entry("other", &idle.url("site.git"));
        entries["other"]["period"] = json!("20ms");
        let syncer = many
            .syncer(&entries)
            .flag("sync-on-signal", "HUP")
            .flag("no-poller", no_poller);
        let running = many.start(syncer);
        for name in ["a", "b", "other"] {
            many.eventually_published(name, &commit);
        }
        busy.trouble(Some(Trouble::RetryAfter(429, 1000)));
        eventually("both know the pause", || {
            let are_at_rest = ["a", "b"].iter().all(|name| is_at_rest(&running, name));
            are_at_rest.then_some(())
        });
        let before = (busy.requests(), idle.requests());
        // With back-off alone there would have been a dozen requests by now.
        eventually("the other one goes on", || {
            (idle.requests() > before.1 + 50).then_some(())
        });
        assert_eq!(busy.requests(), before.0, "--no-poller={no_poller}");
        // The last revision stays published all the time, and a signal ends the wait.
        assert_eq!(many.read("a", "a").as_deref(), Some("1"));
        busy.trouble(None);
        let commit = many.world.repo.commit().write("a", "2").push();
        running.signal(Signal::SIGHUP);
        many.eventually_published("a", &commit);
        many.eventually_published("b", &commit);
    }
}

#[test]
fn a_busy_server_without_retry_after_is_treated_like_any_failure() {
    let many = Many::new();
    many.world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(&many.path(""));
    server.trouble(Some(Trouble::Status(503)));
    let mut entries = json!({ "site": many.entry("site", &server.url("site.git")) });
    entries["site"]["period"] = json!("20ms");
    let running = many.start(many.syncer(&entries));
    eventually("it has been asked again and again", || {
        (status_of(&running, "site")["failures"].as_u64() >= Some(4)).then_some(())
    });
    let error = status_of(&running, "site")["lastError"].clone();
    assert!(error.as_str().unwrap().contains("(503)"), "{error}");
    server.trouble(None);
    eventually("it is there", || many.published("site"));
}

/// Whether the next pass is more than ten minutes away.
fn is_at_rest(running: &Running, name: &str) -> bool {
    let next = status_of(running, name)["nextPass"].clone();
    let next: Option<Timestamp> = next.as_str().and_then(|next| next.parse().ok());
    next.is_some_and(|next| next.duration_since(Timestamp::now()).as_mins() > 10)
}

#[test]
fn two_entries_with_one_path_are_refused_before_anything_is_written() {
    let many = Many::new();
    let url = many.world.repo.url();
    let mut entries = json!({
        "a": many.entry("a", &url),
        "b": many.entry("b", &url),
    });
    entries["b"]["root"] = json!(many.path("roots/a"));
    let run = many.syncer(&entries).finish();
    run.assert_code(1);
    assert!(run.log.contains("repos.b.root"), "{}", run.log);
    assert!(run.log.contains("repos.a.root"), "{}", run.log);
    assert!(!Path::new(&many.path("roots")).exists());
}
