//! What git asks the server for when the ref has moved.

use std::fs;

use crate::world::World;

/// Syncs once and returns the different lines of that kind which git sent: each round of a
/// negotiation repeats some.
fn sent(world: &World, kind: &str) -> Vec<String> {
    let trace = world.path("trace");
    fs::write(&trace, "").unwrap();
    let syncer = world.syncer().flag("one-time", "true");
    let syncer = syncer.flag("max-failures", "0");
    let run = syncer.env("GIT_TRACE_PACKET", &trace).finish();
    run.assert_code(0);
    let text = fs::read_to_string(&trace).unwrap();
    // `12:00:00.000000 pkt-line.c:80           packet:        fetch> have 0123…`
    let lines = text.lines().filter_map(|line| line.split_once("fetch> "));
    let lines = lines.map(|(_, sent)| sent.to_owned());
    let mut sent: Vec<String> = lines.filter(|sent| sent.starts_with(kind)).collect();
    sent.dedup();
    sent
}

#[test]
fn a_fetch_depends_on_the_published_commit_alone() {
    // The link layout's repository belongs to its consumers too, who may have refs of their own.
    let world = World::new("projected");
    let mut commits = Vec::new();
    for n in 0..4 {
        commits.push(world.repo.commit().write("a", n.to_string()).push());
        world.sync_once(&[]);
    }
    // The branch moves back, so that its next commit is on no earlier one's way.
    world.repo.branch("main", &commits[0]);
    let [shallow, have] = ["shallow ", "have "].map(|kind| {
        world.repo.commit().write("b", kind).push();
        sent(&world, kind)
    });
    assert_eq!(have.len(), 1, "{have:?}");
    assert_eq!(shallow.len(), 1, "{shallow:?}");
}
