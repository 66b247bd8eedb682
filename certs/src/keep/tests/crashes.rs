//! Replicas under a clock of our own, that die, race and disagree about the time. What must never
//! happen: one of them serves a certificate that some API server does not trust, however late that
//! one hears of a new caBundle within the time that is allowed for it.

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
use crate::keep::Keeper;
use crate::rotation::State;

const LIFETIMES: Lifetimes = Lifetimes {
    ca: Duration::from_secs(300),
    leaf: Duration::from_secs(60),
    propagation: Duration::from_secs(20),
};
/// From one look to the next.
const STEP: Duration = Duration::from_secs(5);
/// When the first CA is due.
const DUE: Duration = Duration::from_secs(200);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

struct Replica {
    serving: Arc<Serving>,
    cluster: Cluster,
    known: Option<State>,
    death: Arc<Mutex<Option<Death>>>,
    /// How far its clock is ahead of the true time, or behind it.
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

    async fn look(&mut self, now: SystemTime) {
        let now = now + self.ahead - self.behind;
        let names = Names::service("gitvolume", "ns");
        let mut keeper = Keeper {
            serving: &self.serving,
            cluster: &self.cluster,
            names: &names,
            lifetimes: LIFETIMES,
            clock: &move || now,
            known: self.known.take(),
        };
        // A dead one looks in vain.
        let _ = keeper.look().await;
        let _ = keeper.renew();
        self.known = keeper.known.take();
    }

    fn is_dead(&self) -> bool {
        matches!(*self.death.lock().unwrap(), Some(Death { calls: 0, .. }))
    }

    /// Whether it would be asked.
    fn is_ready(&self, now: SystemTime) -> bool {
        !self.is_dead() && self.serving.missing(now).is_empty()
    }
}

impl World {
    /// Replicas that have served for a while: every API server knows the first caBundle.
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
        world.look().await;
        world.run(LIFETIMES.propagation + STEP).await;
        world
    }

    /// All look at once, and their calls mingle.
    async fn look(&mut self) {
        self.server.objects().now = self.now;
        let now = self.now;
        join_all(self.replicas.iter_mut().map(|replica| replica.look(now))).await;
    }

    async fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.look().await;
        }
    }

    /// The same, looking at what each API server trusts.
    async fn run_trusted(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.look().await;
            for (index, replica) in self.replicas.iter().enumerate() {
                if !replica.is_dead() && replica.ahead < YEAR {
                    assert!(replica.is_ready(self.now), "{index}: {:?}", replica.serving);
                    self.assert_trusted(index);
                }
            }
        }
    }

    /// An API server knows the caBundle of now, or any that was in force not too long ago.
    fn assert_trusted(&self, index: usize) {
        let leaf = self.replicas[index].serving.leaf().unwrap();
        assert!(leaf.is_valid(self.now), "replica {index}");
        let objects = self.server.objects();
        let since = self.now - LIFETIMES.propagation;
        // The one that was in force then counts too.
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
            crate::rotation::Found::Usable(state) => state,
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

/// Each call of a rotation is once the last one of a replica's life, unsent or unanswered.
#[tokio::test]
async fn whenever_a_replica_dies_another_one_goes_on() {
    for is_done in [false, true] {
        for calls in 1..=28 {
            let mut world = World::with(2, calls).await;
            let first = world.state().signer.signer().clone();
            let asked = serde_json::json!({"gitvolume.dev/rotate-ca": ""});
            world.server.objects().secret["metadata"]["annotations"] = asked;
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
async fn replicas_that_come_and_go_in_any_order_serve_nothing_that_is_not_trusted() {
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
                // A new process: it knows nothing.
                world.replicas[index] = Replica::new(&world.server);
                let now = world.now;
                world.replicas[index].look(now).await;
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
async fn a_machine_that_slept_renews_what_ended_meanwhile() {
    for slept in [LIFETIMES.leaf, DUE, LIFETIMES.ca, YEAR] {
        let mut world = World::with(2, 3).await;
        world.now += slept;
        world.run(LIFETIMES.propagation + STEP * 2).await;
        world.run_trusted(STEP * 20).await;
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_and_went_back_is_no_end() {
    for back in [Duration::from_secs(30), Duration::from_secs(3600), YEAR] {
        let mut world = World::with(2, 4).await;
        world.run(DUE).await;
        world.now -= back;
        // The history is of a time that never was.
        world.run(LIFETIMES.propagation * 2 + STEP * 2).await;
        let now = world.now;
        world.server.objects().history.retain(|(at, _)| *at <= now);
        world.run_trusted(STEP * 60).await;
    }
}

/// Its certificates are refused, and it cannot sign with the others' CA. They go on.
#[tokio::test]
async fn a_replica_whose_clock_is_years_off_harms_no_other() {
    let mut world = World::with(3, 5).await;
    world.replicas[1].ahead = 10 * YEAR;
    world.run_trusted(STEP * 30).await;
    world.replicas[1].ahead = Duration::ZERO;
    world.run(LIFETIMES.propagation * 2).await;
    world.run_trusted(STEP * 60).await;
}

#[tokio::test]
async fn a_secret_that_was_emptied_or_spoilt_is_put_back_by_who_knows_it() {
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
async fn who_annotates_the_secret_gets_another_ca() {
    let mut world = World::with(2, 7).await;
    let first = world.state().signer.signer().clone();
    let asked = serde_json::json!({"gitvolume.dev/rotate-ca": "", "another": "stays"});
    world.server.objects().secret["metadata"]["annotations"] = asked;
    world.run_trusted(STEP * 10).await;
    assert_ne!(*world.state().signer.signer(), first);
    let left = world.server.objects().secret["metadata"]["annotations"].clone();
    assert_eq!(left, serde_json::json!({"another": "stays"}));
    world.run_trusted(STEP * 20).await;
    assert_eq!(world.state().trusted().count(), 1, "once is once");
}
