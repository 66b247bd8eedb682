//! A server that lies: its content is refused, and the old revision stays.

use std::fs;

use crate::lfs::Site;
use crate::lfs::content;
use crate::lfs::server::LfsServer;
use crate::lfs::server::Lie;
use crate::world::LAYOUTS;

#[test]
fn an_answer_that_is_not_the_content_is_refused_with_a_sentence() {
    let site = Site::new("projected");
    let evil = LfsServer::start(None);
    let host = evil.url("");
    evil.add(&content(2, 300_000));
    let first = site.commit(b"first");
    let once = || {
        let once = site.syncer().flag("one-time", "true");
        once.flag("max-failures", "0").finish()
    };
    once().assert_code(0);
    let foreign = "which is neither the repository's host nor in --lfs-allowed-hosts";
    site.commit(&content(2, 300_000));
    for (lie, sentence) in [
        (
            Lie::WrongBytes,
            "the content does not match the file's SHA-256 hash".to_owned(),
        ),
        (
            Lie::Endless,
            "the content is longer than the expected 300000 bytes".to_owned(),
        ),
        (
            Lie::WrongLength,
            "the content has 300001 bytes: expected 300000".to_owned(),
        ),
        (Lie::Page, "the server answers with a web page".to_owned()),
        (
            Lie::Cut(0),
            "cannot download the Git LFS content of model.bin".to_owned(),
        ),
        (
            Lie::Redirect(host.clone()),
            format!("the answer redirects to {host}, {foreign}"),
        ),
        (
            Lie::Href(host.clone()),
            format!("the answer names {host}, {foreign}"),
        ),
        (
            Lie::Href("file:///etc/passwd?".to_owned()),
            "the answer has an address that cannot be parsed".to_owned(),
        ),
        (
            Lie::BatchSize,
            "the content has 300001 bytes: expected 300000".to_owned(),
        ),
        (
            Lie::BatchPage,
            "cannot request the Git LFS content of model.bin".to_owned(),
        ),
        (
            Lie::BatchEndless,
            "the answer of the batch API is too long".to_owned(),
        ),
        (
            Lie::Missing,
            "the server answers 404 for this file (Object does not exist)".to_owned(),
        ),
        (
            Lie::Transfer,
            "the server chose the transfer \\\"tus\\\"".to_owned(),
        ),
        (
            Lie::Batch(404),
            "the server answers 404 Not Found (no, thanks)".to_owned(),
        ),
        (
            Lie::Batch(503),
            "the server answers 503 Service Unavailable (no, thanks)".to_owned(),
        ),
    ] {
        site.lfs.lie(lie.clone());
        let words = format!("{}: {sentence}", site.lfs.url(""));
        let words = match lie {
            // The address of the content is another one.
            Lie::Href(_) | Lie::Cut(_) | Lie::BatchPage => sentence,
            _ => words,
        };
        let finished = once();
        assert!(!finished.status.success(), "{lie:?}");
        assert!(
            finished.log.contains(&words),
            "{lie:?}: {words:?} is not in {}",
            finished.log
        );
        let is_pause = finished
            .log
            .contains("the server requests a pause (Retry-After)");
        assert_eq!(is_pause, lie == Lie::Batch(503));
        assert_eq!(site.world.published().as_deref(), Some(&*first));
        assert_eq!(site.model().unwrap(), b"first");
    }
    assert!(evil.seen().is_empty(), "it was never contacted");
    site.lfs.lie(Lie::None);
    once().assert_code(0);
    assert!(site.model().unwrap() == content(2, 300_000));
    site.lfs.assert_protocol();
}

#[test]
fn the_address_in_lfsconfig_is_used_only_if_its_host_is_allowed() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        let other = LfsServer::start(None);
        let pointer = other.add(b"content");
        let config = format!("[lfs]\n\turl = {}\n", other.url("/x/info/lfs"));
        let commit = site.world.repo.commit();
        let commit = commit
            .write(".gitattributes", super::ATTRIBUTES)
            .write(".lfsconfig", &config)
            .write("model.bin", &pointer)
            .push();
        let running = site.start();
        let host = other.url("");
        running.eventually_logs(&format!("the answer names {host}"));
        assert!(other.seen().is_empty() && site.world.published().is_none());
        drop(running);
        let allowed = other.address().to_string();
        let running = site.syncer().flag("lfs-allowed-hosts", allowed);
        let _running = running.start(&site.world.path("log"));
        site.world.eventually_published(&commit);
        assert_eq!(site.model().unwrap(), b"content");
        other.assert_protocol();
        let seen = other.seen();
        assert!(seen[0].line.starts_with("POST /x/info/lfs/objects/batch "));
    }
}

#[test]
fn a_repository_without_a_server_is_refused_with_a_sentence() {
    let site = Site::new("projected");
    site.commit(b"content");
    let running = site.world.syncer().flag("lfs", "true");
    let running = running.start(&site.world.path("log"));
    running.eventually_logs("the repository's address has no Git LFS server");
    assert!(fs::read_link(site.world.tree()).is_err());
}
