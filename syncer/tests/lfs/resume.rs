//! Interrupted downloads continue, and memory stays bounded.

use std::fs;

use nix::sys::signal::Signal;

use crate::lfs::Site;
use crate::lfs::content;
use crate::lfs::server::Lie;
use crate::lfs::server::oid;
use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::SWITCHED;
use crate::world::eventually;

/// The peak of the resident memory in kilobytes.
fn peak_memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[test]
fn a_killed_download_is_continued_by_the_next_process() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        let expected = content(5, 3_000_000);
        let commit = site.commit(&expected);
        site.lfs.lie(Lie::Hang(1_000_000));
        let running = site.start();
        let part = || {
            let parts = site.world.find(&oid(&expected));
            let part = parts.iter().find(|path| path.is_file())?;
            Some(fs::metadata(part).unwrap().len())
        };
        eventually("a part is on the disk", || {
            (part() == Some(1_000_000)).then_some(())
        });
        running.signal(Signal::SIGKILL);
        drop(running);
        assert_eq!(site.world.published(), None);
        site.lfs.lie(Lie::None);
        let _running = site.start();
        site.world.eventually_published(&commit);
        assert!(site.model().unwrap() == expected);
        let downloads = site.lfs.downloads();
        assert_eq!(downloads.len(), 2);
        assert_eq!(downloads[1].header("range"), Some("bytes=1000000-"));
        site.lfs.assert_protocol();
    }
}

#[test]
fn an_interrupted_download_is_continued_whatever_the_server_makes_of_ranges() {
    for (lie, requests) in [(Lie::None, 2), (Lie::NoRange, 2), (Lie::WrongRange, 3)] {
        let site = Site::new("projected");
        let expected = content(6, 500_000);
        let commit = site.commit(&expected);
        site.lfs.lie(Lie::Hang(200_000));
        let running = site.start();
        eventually("the download hangs", || {
            (site.lfs.downloads().len() == 1).then_some(())
        });
        eventually("a part is on the disk", || {
            let part = site.world.find(&oid(&expected));
            (fs::metadata(part.first()?).ok()?.len() == 200_000).then_some(())
        });
        drop(running);
        site.lfs.lie(lie.clone());
        let _running = site.start();
        site.world.eventually_published(&commit);
        assert!(site.model().unwrap() == expected, "{lie:?}");
        assert_eq!(site.lfs.downloads().len(), requests, "{lie:?}");
    }
}

#[test]
fn a_connection_that_is_cut_is_continued_within_the_same_sync() {
    let site = Site::new("projected");
    let expected = content(7, 400_000);
    let commit = site.commit(&expected);
    site.lfs.lie(Lie::Cut(100_000));
    let running = site.start();
    site.world.eventually_published(&commit);
    assert!(site.model().unwrap() == expected);
    let ranges: Vec<_> = site.lfs.downloads();
    let ranges: Vec<_> = ranges
        .iter()
        .map(|request| request.header("range"))
        .collect();
    let expected = ["bytes=100000-", "bytes=200000-", "bytes=300000-"].map(Some);
    assert_eq!(ranges, [&[None], &expected[..]].concat());
    running.assert_not_logged("\"level\":\"error\"");
}

#[test]
fn a_part_with_other_bytes_is_discarded() {
    let site = Site::new("link");
    let expected = content(8, 50_000);
    let commit = site.commit(&expected);
    let dir = site.world.root().join(".git/lfs/incomplete");
    let first = site.syncer().flag("one-time", "true");
    site.lfs.lie(Lie::Missing);
    let _ = first.flag("max-failures", "0").finish();
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(oid(&expected)), [b'x'; 10_000]).unwrap();
    site.lfs.lie(Lie::None);
    let _running = site.start();
    site.world.eventually_published(&commit);
    assert!(site.model().unwrap() == expected);
    let downloads = site.lfs.downloads();
    let ranges = downloads.iter().map(|request| request.header("range"));
    assert_eq!(ranges.collect::<Vec<_>>(), [Some("bytes=10000-"), None]);
}

#[test]
fn large_files_need_little_memory() {
    const SIZE: usize = 80 << 20;
    const BOUND: u64 = 32 << 10;
    let site = Site::new("projected");
    let first = site.commit(b"small");
    let running = site.start();
    site.world.eventually_published(&first);
    let before = peak_memory(&running);
    let expected = content(9, SIZE);
    let commit = site.world.repo.commit();
    let commit = (0..4u8).fold(commit, |commit, n| {
        let part = &expected[usize::from(n) * (SIZE / 4)..];
        let pointer = site.lfs.add(&part[..SIZE / 4]);
        commit.write(&format!("part-{n}.bin"), pointer)
    });
    let commit = commit.write("model.bin", site.lfs.add(&expected)).push();
    site.world.eventually_published(&commit);
    assert!(site.model().unwrap() == expected);
    let grown = peak_memory(&running) - before;
    println!("{grown} kB more for downloads of {} MB", 2 * (SIZE >> 20));
    assert!(grown < BOUND, "{grown} kB");
}

#[test]
fn a_kill_at_each_step_leaves_a_complete_revision() {
    for layout in SWITCHED {
        let site = Site::new(layout);
        let content = |n: usize| format!("{n} {}", "x".repeat(5000)).into_bytes();
        let run = |step: i64| {
            let run = site.syncer().flag("one-time", "true");
            let run = run.flag("max-failures", "0");
            run.env("GITVOLUME_CRASH_AT", step.to_string()).finish()
        };
        let mut commits = vec![site.commit(&content(0))];
        run(-1).assert_code(0);
        for step in 0.. {
            commits.push(site.commit(&content(commits.len())));
            let finished = run(step);
            let published = site.world.published().unwrap();
            let at = commits.iter().position(|commit| *commit == published);
            assert!(site.model().unwrap() == content(at.unwrap()), "{step}");
            if finished.status.success() {
                assert!(step > 20, "{layout}: the steps are not there");
                break;
            }
        }
        assert_eq!(site.world.published(), commits.last().cloned());
        assert!(site.world.find(".new-*").is_empty(), "{layout}");
        site.lfs.assert_protocol();
    }
}
