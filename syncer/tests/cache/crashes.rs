//! What is on the disk after a crash, and after damage.

use std::fs;
use std::thread;

use nix::sys::signal::Signal;
use remotes::Trouble;

use crate::cache::world::CacheWorld;
use crate::cache::world::first_clone;
use crate::cache::world::ls_refs;
use crate::world::eventually;
use crate::world::git;

impl CacheWorld {
    fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let files = fs::read_dir(self.path("store").join(folder)).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }
}

#[test]
fn a_kill_in_the_middle_of_a_pack_leaves_nothing_that_is_served() {
    let mut world = CacheWorld::new();
    let content: String = (0..100_000).map(|it| format!("{it:x}\n")).collect();
    let commit = world.repo.commit().write("large", &content).push();
    assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
    world.origin.trouble(Some(Trouble::HangingPack));
    let body = first_clone(&commit);
    thread::scope(|scope| {
        let path = world.cached("site.git") + "/git-upload-pack";
        let head = crate::cache::world::head("POST", &path, &[], body.len());
        let (world, body) = (&world, &body);
        let follower = scope.spawn(move || world.raw(&head, body));
        eventually("a part of the pack is on the disk", || {
            let files = world.files("spool");
            let file = files.first()?;
            (fs::metadata(file).ok()?.len() > 1000).then_some(())
        });
        world.signal(Signal::SIGKILL);
        let reply = follower.join().unwrap();
        assert!(reply.is_none_or(|reply| !reply.is_complete));
    });
    assert!(!world.wait());
    assert_eq!(world.files("entries"), Vec::<std::path::PathBuf>::new());
    world.origin.trouble(None);
    world.start();
    assert_eq!(world.files("spool"), Vec::<std::path::PathBuf>::new());
    let follower = world.follower("follower");
    assert_eq!(world.fetch(&follower, None, &["--depth=1"]), commit);
    assert_eq!(
        git(&follower, &["show", "FETCH_HEAD:large"]),
        content.trim_end()
    );
}

#[test]
fn stored_answers_survive_a_restart_and_still_need_a_credential() {
    let mut world = CacheWorld::private();
    let login = crate::cache::world::login();
    let first = world.follower("first");
    let commit = world.fetch(&first, Some(&login), &["--depth=1"]);
    world.signal(Signal::SIGKILL);
    world.wait();
    world.start();
    let wrong = crate::cache::world::wrong_login();
    assert_eq!(
        world.upload_pack(&[&wrong], &first_clone(&commit)).status,
        401
    );
    let second = world.follower("second");
    assert_eq!(world.fetch(&second, Some(&login), &["--depth=1"]), commit);
    // Only the wrong credential has made the cache ask the origin for a pack.
    assert_eq!(world.sent("fetch"), 1, "{}", world.log());
}

#[test]
fn a_damaged_entry_is_fetched_again() {
    let world = CacheWorld::new();
    let first = world.follower("first");
    let commit = world.fetch(&first, None, &["--depth=1"]);
    let entries = world.files("entries");
    assert_eq!(entries.len(), 1);
    let mut bytes = fs::read(&entries[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&entries[0], bytes).unwrap();
    let second = world.follower("second");
    assert_eq!(world.fetch(&second, None, &["--depth=1"]), commit);
    assert_eq!(world.sent("fetch"), 2);
    assert_eq!(world.metric("gitvolume_cache_store_errors_total"), 1);
    let third = world.follower("third");
    assert_eq!(world.fetch(&third, None, &["--depth=1"]), commit);
    assert_eq!(world.sent("fetch"), 2);
}

#[test]
fn no_file_contains_a_credential() {
    let world = CacheWorld::private();
    let login = crate::cache::world::login();
    let follower = world.follower("follower");
    world.fetch(&follower, Some(&login), &["--depth=1"]);
    let (_, secret) = login.rsplit_once(' ').unwrap();
    let plain = crate::cache::world::LOGIN.1;
    assert!(
        !world.log().contains(secret) && !world.log().contains(plain),
        "{}",
        world.log()
    );
    for file in [world.files("entries"), world.files("spool")].concat() {
        let bytes = fs::read(&file).unwrap();
        for word in [secret, plain] {
            assert!(
                !bytes.windows(word.len()).any(|it| it == word.as_bytes()),
                "{file:?}"
            );
        }
    }
    assert!(!world.admin("/metrics").contains(plain));
}
