//! Tests of injected containers that Pods wait for.

use super::super::judge;
use super::super::time;
use super::cases::Case;
use super::healthy::healthy;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::syncer::At;
use crate::commands::doctor::syncer::Syncer;

/// Makes the first Pod a quarter of an hour old, with its container in this state.
fn with(facts: &mut Facts, at: At) -> &mut Syncer {
    facts.pods[0].created = ago(facts, 15);
    facts.pods[0].phase = "Pending".to_owned();
    facts.pods[0].syncer.insert(Syncer {
        container: "gitvolume".to_owned(),
        at,
        restarts: 0,
        ended: None,
        warned: None,
    })
}

/// The time this many minutes ago.
fn ago(facts: &Facts, minutes: i64) -> String {
    time(facts.now - minutes * 60)
}

/// Makes the container run since this many minutes.
fn runs(facts: &mut Facts, minutes: i64) -> &mut Syncer {
    let since = ago(facts, minutes);
    with(facts, At::Running(since))
}

/// Makes the container serve, with its last end this many minutes ago.
fn serves(facts: &mut Facts, minutes: i64) -> &mut Syncer {
    let since = ago(facts, minutes);
    with(facts, At::Serving(since))
}

pub(super) const SYNCERS: &[Case] = &[
    (
        f::SYNCER_WAITS,
        |facts| {
            runs(facts, 12);
        },
        "Container gitvolume has run for 12m and has published no tree yet.",
    ),
    (
        f::SYNCER_WAITS,
        |facts| {
            let syncer = runs(facts, 12);
            let printed =
                "site: the first clone is still running; the first clone is still running";
            syncer.warned = Some(printed.to_owned());
        },
        "no tree yet: site: the first clone is still running",
    ),
    (
        f::SYNCER_FAILS,
        |facts| {
            let syncer = runs(facts, 12);
            let printed = "the first clone is still running; rules: no such host";
            syncer.warned = Some(printed.to_owned());
        },
        "rules: no such host.",
    ),
    (
        f::SYNCER_FAILS,
        |facts| {
            let syncer = runs(facts, 0);
            syncer.restarts = 4;
            syncer.ended = Some("code 137, OOMKilled".to_owned());
        },
        "was restarted 4 times in 15m and has published no tree yet; its last run ended with code 137, \
         OOMKilled.",
    ),
    (
        f::SYNCER_FAILS,
        |facts| {
            let why = "ImagePullBackOff: Back-off pulling image \"x\"".to_owned();
            with(facts, At::Waiting(why));
        },
        "has not started for 15m: ImagePullBackOff: Back-off pulling image \"x\".",
    ),
    (
        f::SYNCER_FAILS,
        |facts| {
            let missing = "MountVolume.SetUp failed for volume \"gitvolume-secret\"";
            with(facts, At::NotBegun).warned = Some(missing.to_owned());
        },
        "has not started for 15m: MountVolume.SetUp failed",
    ),
    (
        f::SYNCER_FAILS,
        |facts| {
            let syncer = with(facts, At::Ended);
            syncer.restarts = 2;
            syncer.ended = Some("code 1, Error: no such flag".to_owned());
        },
        "ended with code 1, Error: no such flag; it was restarted 2 times.",
    ),
    (
        f::SYNCER_RESTARTS,
        |facts| {
            let syncer = serves(facts, 10);
            syncer.restarts = 3;
            syncer.ended = Some("code 137, OOMKilled".to_owned());
        },
        "was restarted 3 times; 10m ago its last run ended with code 137, OOMKilled.",
    ),
];

#[test]
fn a_pod_that_has_not_waited_long_is_no_finding() {
    let ways: [fn(&mut Facts); 5] = [
        // The Pod was created just now.
        |facts| {
            with(facts, At::Waiting("ErrImagePull".to_owned()));
            facts.pods[0].created = ago(facts, 1);
        },
        // The Pod waited for a node, and the injected container has just started.
        |facts| {
            runs(facts, 1);
        },
        // Volumes of the Pod itself may be missing.
        |facts| {
            with(facts, At::NotBegun);
        },
        // The last end is too long ago.
        |facts| {
            serves(facts, 75);
        },
        // Only the mesh is reported.
        |facts| {
            runs(facts, 12);
            facts.pods[0].mesh = Some("Istio");
        },
    ];
    for (index, way) in ways.into_iter().enumerate() {
        let mut facts = healthy();
        way(&mut facts);
        let findings = judge(&facts);
        let ours = findings
            .iter()
            .filter(|own| own.check.id.starts_with("syncer-"));
        assert_eq!(ours.count(), 0, "{index}: {findings:?}");
    }
}

#[test]
fn the_pods_of_one_controller_that_wait_for_the_same_reason_are_one_finding() {
    let mut facts = healthy();
    let why = At::Waiting("ErrImagePull".to_owned());
    let syncer = with(&mut facts, why).clone();
    facts.pods[1].syncer = Some(syncer);
    // The Pod that has waited longest is named.
    facts.pods[1].created = ago(&facts, 75);
    let findings = judge(&facts);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = &findings[0];
    assert_eq!((finding.at.name.as_str(), finding.more), ("web-2", 1));
    assert_eq!(
        finding.what,
        "Container gitvolume has not started for 1h15m: ErrImagePull."
    );
    let command = finding.command.as_deref();
    assert_eq!(command, Some("kubectl describe pod web-2 -n shop"));
}
