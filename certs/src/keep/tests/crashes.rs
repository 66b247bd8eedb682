//! Replicas under a simulated clock that crash, race and disagree about the time. The invariant: no
//! replica serves a certificate that some API server does not trust, however late within the
//! propagation time that API server receives a new caBundle.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use futures::future::join_all;
use k8s_openapi::ByteString;

use super::api_server::ApiServer;
use super::api_server::Death;
use crate::Cluster;
use crate::Lifetimes;
use crate::Names;
use crate::Serving;
use crate::bundle::read_certificates;
use crate::keep::Rotator;
use crate::rotation::state::State;

const LIFETIMES: Lifetimes = Lifetimes {
    ca: Duration::from_secs(300),
    leaf: Duration::from_secs(60),
    propagation: Duration::from_secs(20),
};
/// The time between two passes.
const STEP: Duration = Duration::from_secs(5);
/// The time at which the first CA is due for replacement.
const DUE: Duration = Duration::from_secs(200);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

struct Replica {
    serving: Arc<Serving>,
    cluster: Cluster,
    known: Option<State>,
    death: Arc<Mutex<Option<Death>>>,
    /// Offset of the replica's clock from the true time: forwards, and backwards.
    ahead: Duration,
    behind: Duration,
}

struct World {
    server: ApiServer,
    replicas: Vec<Replica>,
    now: SystemTime,
}

impl Replica {
    fn new(server: &ApiServer) -> Self {
        let death = Arc::new(Mutex::new(None));
        Self {
            serving: Serving::new(),
            cluster: server.mortal_cluster(Arc::clone(&death)),
            known: None,
            death,
            ahead: Duration::ZERO,
            behind: Duration::ZERO,
        }
    }

    async fn reconcile(&mut self, now: SystemTime) {
        let now = now + self.ahead - self.behind;
        let names = Names::service("gitvolume", "ns");
        let mut rotator = Rotator {
            serving: &self.serving,
            cluster: &self.cluster,
            names: &names,
            lifetimes: LIFETIMES,
            clock: &move || now,
            known: self.known.take(),
        };
        // A dead replica's pass fails.
        let _ = rotator.reconcile().await;
        let _ = rotator.renew();
        self.known = rotator.known.take();
    }

    fn is_dead(&self) -> bool {
        matches!(*self.death.lock().unwrap(), Some(Death { calls: 0, .. }))
    }

    /// Whether the API server would call this replica.
    fn is_ready(&self, now: SystemTime) -> bool {
        !self.is_dead() && self.serving.missing(now).is_empty()
    }
}

impl World {
    /// A world whose replicas have run for a while: every API server knows the first caBundle.
    async fn with(replicas: usize, seed: u64) -> Self {
        let server = ApiServer::new();
        server.objects().chance = fastrand::Rng::with_seed(seed);
        let replicas = (0..replicas).map(|_| Replica::new(&server)).collect();
        let now = SystemTime::UNIX_EPOCH + 50 * YEAR;
        let mut world = Self {
            server,
            replicas,
            now,
        };
        world.reconcile().await;
        world.run(LIFETIMES.propagation + STEP).await;
        world
    }

    /// Runs one pass of every replica; their calls interleave.
    async fn reconcile(&mut self) {
        self.server.objects().now = self.now;
        let now = self.now;
        join_all(
            self.replicas
                .iter_mut()
                .map(|replica| replica.reconcile(now)),
        )
        .await;
    }

    async fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.reconcile().await;
        }
    }

    /// The same, with a check of what each API server trusts.
    async fn run_trusted(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.reconcile().await;
            for (index, replica) in self.replicas.iter().enumerate() {
                if !replica.is_dead() && replica.ahead < YEAR {
                    assert!(replica.is_ready(self.now), "{index}: {:?}", replica.serving);
                    self.assert_trusted(index);
                }
            }
        }
    }

    /// Checks the leaf against every caBundle that an API server may know: the current one, and
    /// each that was in force within the propagation time.
    fn assert_trusted(&self, index: usize) {
        let leaf = self.replicas[index].serving.leaf().unwrap();
        assert!(leaf.is_valid(self.now), "replica {index}");
        let objects = self.server.objects();
        let since = self.now - LIFETIMES.propagation;
        // The one in force at that time counts too.
        let first = objects.history.iter().rposition(|(at, _)| *at <= since);
        for (at, bundle) in &objects.history[first.unwrap_or_default()..] {
            let bundle: ByteString = serde_json::from_value(bundle.clone()).unwrap();
            let trusted = read_certificates(&bundle.0).unwrap();
            assert!(
                trusted.contains(leaf.signer()),
                "replica {index} at {:?}: the caBundle since {at:?} lacks its CA",
                self.now
            );
        }
    }

    fn state(&self) -> State {
        let secret = self.server.objects().secret.clone();
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret).unwrap();
        match State::read(secret.data.as_ref()) {
            crate::rotation::state::Found::Usable(state) => state,
            found => panic!("{found:?}"),
        }
    }
}

#[tokio::test]
async fn replicas_that_start_together_converge_on_one_ca() {
    let world = World::with(5, 0).await;
    let ca = world.state().signer.signer().clone();
    for replica in &world.replicas {
        assert_eq!(*replica.serving.leaf().unwrap().signer(), ca);
        assert!(replica.is_ready(world.now));
    }
    let objects = world.server.objects();
    let secrets = objects.writes.iter().filter(|write| *write == "secret");
    assert_eq!(secrets.count(), 1);
    assert!(objects.conflicts > 0, "the race was real");
}

#[tokio::test]
async fn a_rotation_keeps_every_leaf_trusted_and_ends_with_one_ca() {
    let mut world = World::with(3, 1).await;
    let first = world.state().signer.signer().clone();
    world.run_trusted(DUE - STEP * 5).await;
    assert!(world.state().next.is_some(), "the next one is made");
    assert_eq!(*world.state().signer.signer(), first);
    world.run_trusted(LIFETIMES.propagation).await;
    assert_ne!(*world.state().signer.signer(), first);
    for replica in &world.replicas {
        let leaf = replica.serving.leaf().unwrap();
        assert_eq!(leaf.signer(), world.state().signer.signer());
        assert_eq!(replica.serving.rotations(), 1);
    }
    assert_eq!(world.state().previous, [first]);
    world
        .run_trusted(LIFETIMES.leaf + LIFETIMES.propagation)
        .await;
    assert_eq!(world.state().trusted().count(), 1);
}

/// Every call of a rotation is once the last one before a replica crashes, either unsent or
/// unanswered.
#[tokio::test]
async fn if_a_replica_dies_at_any_call_another_one_resumes_the_rotation() {
    for is_done in [false, true] {
        for calls in 1..=28 {
            let mut world = World::with(2, calls).await;
            let first = world.state().signer.signer().clone();
            let annotations = serde_json::json!({"gitvolume.dev/rotate-ca": ""});
            world.server.objects().secret["metadata"]["annotations"] = annotations;
            let calls = u32::try_from(calls).unwrap();
            *world.replicas[0].death.lock().unwrap() = Some(Death { calls, is_done });
            world.run_trusted(STEP * 30).await;
            let state = world.state();
            assert_ne!(*state.signer.signer(), first, "{calls} calls");
            assert_eq!(state.trusted().count(), 1, "{calls} calls");
            assert!(world.replicas[0].is_dead(), "{calls} calls");
        }
    }
}

#[tokio::test]
async fn replicas_that_crash_and_restart_at_random_serve_only_trusted_certificates() {
    for seed in 0..5 {
        let mut world = World::with(3, seed).await;
        let mut chance = fastrand::Rng::with_seed(seed);
        for replica in &mut world.replicas {
            replica.ahead = Duration::from_millis(chance.u64(0..3000));
        }
        for _ in 0..150 {
            let index = chance.usize(0..world.replicas.len());
            let others = world.replicas.iter().filter(|replica| !replica.is_dead());
            if world.replicas[index].is_dead() {
                // A new process without any state.
                world.replicas[index] = Replica::new(&world.server);
                let now = world.now;
                world.replicas[index].reconcile(now).await;
            } else if others.count() > 1 && chance.u32(0..4) == 0 {
                let death = Death {
                    calls: chance.u32(1..20),
                    is_done: chance.bool(),
                };
                *world.replicas[index].death.lock().unwrap() = Some(death);
            }
            world.run_trusted(STEP).await;
        }
        let objects = world.server.objects();
        assert!(
            objects.history.len() > 6,
            "{} changes",
            objects.history.len()
        );
    }
}

#[tokio::test]
async fn a_resumed_machine_renews_the_certificates_that_expired() {
    for slept in [LIFETIMES.leaf, DUE, LIFETIMES.ca, YEAR] {
        let mut world = World::with(2, 3).await;
        world.now += slept;
        world.run(LIFETIMES.propagation + STEP * 2).await;
        world.run_trusted(STEP * 20).await;
    }
}

#[tokio::test]
async fn the_rotation_survives_a_clock_that_was_ahead_and_went_back() {
    for back in [Duration::from_secs(30), Duration::from_secs(3600), YEAR] {
        let mut world = World::with(2, 4).await;
        world.run(DUE).await;
        world.now -= back;
        // Drop the history with times in the future.
        world.run(LIFETIMES.propagation * 2 + STEP * 2).await;
        let now = world.now;
        world.server.objects().history.retain(|(at, _)| *at <= now);
        world.run_trusted(STEP * 60).await;
    }
}

/// The replica's certificates are rejected and it cannot sign with the CA of the others, which
/// continue.
#[tokio::test]
async fn a_replica_with_a_clock_that_is_years_off_does_not_affect_others() {
    let mut world = World::with(3, 5).await;
    world.replicas[1].ahead = 10 * YEAR;
    world.run_trusted(STEP * 30).await;
    world.replicas[1].ahead = Duration::ZERO;
    world.run(LIFETIMES.propagation * 2).await;
    world.run_trusted(STEP * 60).await;
}

#[tokio::test]
async fn a_replica_restores_a_secret_that_was_emptied_or_corrupted() {
    for spoilt in [
        serde_json::json!(null),
        serde_json::json!({"ca.crt": "bm8="}),
    ] {
        let mut world = World::with(2, 6).await;
        world.server.objects().secret["data"] = spoilt;
        let first = world.replicas[0].serving.leaf().unwrap();
        world.run_trusted(STEP * 10).await;
        let state = world.state();
        assert_ne!(state.signer.signer(), first.signer(), "another one signs");
        world.run_trusted(STEP * 20).await;
        assert_eq!(world.state().trusted().count(), 1);
    }
}

#[tokio::test]
async fn the_annotation_of_the_secret_starts_a_rotation() {
    let mut world = World::with(2, 7).await;
    let first = world.state().signer.signer().clone();
    let annotations = serde_json::json!({"gitvolume.dev/rotate-ca": "", "another": "stays"});
    world.server.objects().secret["metadata"]["annotations"] = annotations;
    world.run_trusted(STEP * 10).await;
    assert_ne!(*world.state().signer.signer(), first);
    let left = world.server.objects().secret["metadata"]["annotations"].clone();
    assert_eq!(left, serde_json::json!({"another": "stays"}));
    world.run_trusted(STEP * 20).await;
    assert_eq!(world.state().trusted().count(), 1, "once is once");
}
