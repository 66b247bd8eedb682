//! The syncer is killed before each step of a pass that links a tree.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::linked::commit_many;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;

/// Kills before every third step: the crash test of all layouts has every step of a plain pass.
const STRIDE: usize = 3;

#[test]
fn a_killed_syncer_leaves_a_complete_tree_and_the_next_one_continues() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let mut published = commit_many(&world);
        world.sync_once(&[("link-trees", "true")]);
        let mut kills = 0;
        for step in (0..).step_by(STRIDE) {
            let next = world.repo.commit().write("changed", step.to_string());
            let next = next.push();
            let mut running = world
                .syncer()
                .flag("link-trees", "true")
                .flag("period", "1h")
                .flag("sync-on-signal", "HUP")
                .env("GITVOLUME_CRASH_AT", step.to_string())
                .start(&world.path("log"));
            let mut is_following = false;
            // The first pass writes all files, and the second one links them.
            let second = eventually("it is killed, or follows", || {
                if running.has_ended() {
                    return Some(None);
                }
                if !is_following && world.published().as_deref() == Some(&*next) {
                    is_following = true;
                    let second = world.repo.commit().write("changed", format!("{step}-2"));
                    let second = second.push();
                    running.signal(Signal::SIGHUP);
                    published = second;
                }
                (is_following && world.published().as_deref() == Some(&*published))
                    .then_some(Some(()))
            });
            let wanted = if is_following { &published } else { &next };
            let is_whole = || {
                let text = world.read("changed").expect("a tree is published");
                let same = world.read("d1/same");
                assert_eq!(
                    same.as_deref(),
                    Some("same 1\n"),
                    "{layout}, step {step}: {text}"
                );
            };
            is_whole();
            if second.is_some() {
                break;
            }
            assert_eq!(running.wait().signal(), Some(9), "{}", running.log());
            kills += 1;
            world.sync_once(&[("link-trees", "true")]);
            assert_eq!(
                world.published().as_ref(),
                Some(wanted),
                "{layout}, step {step}"
            );
            is_whole();
            assert_eq!(world.files().len(), 9, "{layout}, step {step}");
        }
        println!("{layout}: {kills} kills");
        assert!(kills > 10, "{layout}: {kills} kills");
    }
}
