//! Readers in the app's container, in tight loops, during a hundred revisions.

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::shell_pod;

/// One commit changes `a` and `b` together, adds one file, removes one, and rewrites a longer file
/// whose lines are all equal.
const HUNDRED_COMMITS: &str = r#"
for i in $(seq 1 100); do
    echo $i > a; echo $i > b; echo $i > added-$i; git rm -q --ignore-unmatch added-$((i - 1))
    for line in $(seq 1 200); do echo "$i"; done > long
    git add -A; git commit -qm "$i"; git push -q; sleep 0.2
done
"#;

/// Reads forever, counts, and records violations. `$TREE` is the path of the tree.
const READERS: &str = r#"
pair() {
    while :; do
        # One look-up of the tree, then only names below it.
        cd -P "$TREE" || { echo "no tree" >> /tmp/bad; continue; }
        a=; b=
        read -r a < a || echo "a is missing in $PWD" >> /tmp/bad
        read -r b < b || echo "b is missing in $PWD" >> /tmp/bad
        [ "$a" = "$b" ] || echo "mixed: $a $b in $PWD" >> /tmp/bad
        [ "$a" = "$last" ] || { echo "$a" >> /tmp/seen; last=$a; }
    done
}
plain() {
    while :; do
        first=; count=0
        while read -r line; do
            first=${first:-$line}; count=$((count + 1))
            [ "$line" = "$first" ] || echo "torn: $first $line" >> /tmp/bad
        done < "$PLAIN/long" || echo "long is missing" >> /tmp/bad
        [ "$count" = 200 ] || echo "short: $count lines" >> /tmp/bad
        reads=$((reads + 1)); [ $((reads % 100)) != 0 ] || echo "$reads" > /tmp/reads
    done
}
: > /tmp/bad; : > /tmp/seen; echo 0 > /tmp/reads
pair & plain
"#;

pub(crate) fn readers_of_the_projected_layout_never_see_an_incomplete_revision(
    world: &World,
) -> TestResult {
    let namespace = readers_see_whole_revisions(world, json!({}), "/data/..data", "/data")?;
    // Nothing of git is reachable through the app's mount.
    let found = namespace.exec(
        "reader",
        Some("app"),
        &["find", "/data/", "-name", "*.git*"],
    )?;
    assert_eq!(found, "", "git's files in the app's view");
    Ok(())
}

pub(crate) fn readers_of_the_link_layout_never_see_an_incomplete_revision(
    world: &World,
) -> TestResult {
    let link = json!({"gitvolume.dev/link": "current"});
    readers_see_whole_revisions(world, link, "/data/current", "/data/current")?;
    Ok(())
}

fn readers_see_whole_revisions(
    world: &World,
    layout: Value,
    tree: &str,
    plain: &str,
) -> Result<std::sync::Arc<tests::kubernetes::namespace::Namespace>, libtest_mimic::Failed> {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let data = host.repository("data")?;
    let lines = "0\n".repeat(200);
    data.commit(&[("a", "0\n"), ("b", "0\n"), ("long", &lines)])?;

    let mut annotations = json!({
        "gitvolume.dev/repo": data.http(),
        "gitvolume.dev/mount-path": "/data",
        "gitvolume.dev/period": "100ms",
    });
    if let (Some(all), Some(more)) = (annotations.as_object_mut(), layout.as_object()) {
        all.extend(more.clone());
    }
    let script = format!("TREE={tree} PLAIN={plain}\n{READERS}");
    namespace.apply(&shell_pod("reader", annotations, &script).to_string())?;
    namespace.wait_ready("reader", READY)?;

    data.work(HUNDRED_COMMITS)?;
    let look = |file: &str| namespace.exec("reader", Some("app"), &["cat", file]);
    eventually("the last revision", SEEN, || match look("/tmp/seen")? {
        seen if seen.lines().last() == Some("100") => Ok(()),
        seen => Err(seen),
    })?;

    assert_eq!(look("/tmp/bad")?, "");
    let seen = look("/tmp/seen")?.lines().count();
    let reads: u64 = look("/tmp/reads")?.trim().parse()?;
    assert!(
        seen >= 20,
        "only {seen} of 100 revisions were read: no test of anything"
    );
    assert!(
        reads >= 1000,
        "only {reads} reads by plain path: no test of anything"
    );
    eprintln!(
        "{}: {seen} revisions seen, {reads} reads by plain path",
        namespace.name()
    );
    Ok(namespace)
}
