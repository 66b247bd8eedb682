//! What a test gets: a cluster it shares with the other tests, and namespaces of its own.
//!
//! A test program's main is one call:
//!
//! ```no_run
//! use tests::images;
//! use tests::world::{Suite, TestResult, World};
//!
//! fn a_pod_becomes_ready(world: &World) -> TestResult {
//!     let namespace = world.namespace(&[])?;
//!     namespace.apply("…")?;
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Suite::new(&[("a_pod_becomes_ready", a_pod_becomes_ready)])
//!         .with_image(images::nginx)
//!         .run_on_a_node()
//! }
//! ```

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::thread;
use std::thread::ScopedJoinHandle;

use anyhow::Result;
use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

use crate::cluster::Cluster;
use crate::control_plane::Version;
use crate::enclosure;
use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::namespace::Namespace;
use crate::settings;

/// What a test answers; any error that can be displayed becomes a `Failed` with `?`.
pub type TestResult = Result<(), Failed>;

/// A test: its name, a sentence, and its function.
pub type Test = (&'static str, fn(&World) -> TestResult);

/// Lists tests by their paths: `tests![node_itself::a_pod_serves_a_page, …]`.
#[macro_export]
macro_rules! tests {
    ($($path:path),* $(,)?) => {
        &[$((stringify!($path), $path as fn(&$crate::world::World) -> $crate::world::TestResult)),*]
    };
}

/// One test's view of the shared cluster.
#[derive(Debug)]
pub struct World {
    cluster: Arc<Cluster>,
    test: &'static str,
    namespaces: Mutex<Vec<Arc<Namespace>>>,
}

impl World {
    /// Makes a namespace of the test's own, with these labels. When the test ends it is deleted,
    /// and when the test fails what is in it is printed first.
    pub fn namespace(&self, labels: &[(&str, &str)]) -> Result<Arc<Namespace>, String> {
        let namespace = Arc::new(Namespace::create(self.kubectl(), self.test, labels)?);
        self.namespaces
            .lock()
            .map_err(|error| error.to_string())?
            .push(Arc::clone(&namespace));
        Ok(namespace)
    }

    /// kubectl for what belongs to no namespace.
    pub fn kubectl(&self) -> &Kubectl {
        self.cluster.kubectl()
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn report(&self) {
        let Ok(namespaces) = self.namespaces.lock() else {
            return;
        };
        for namespace in namespaces.iter() {
            eprintln!(
                "{} failed; its namespace {}:\n{}",
                self.test,
                namespace.name(),
                namespace.report()
            );
        }
    }
}

/// Read by tests that run beside others, written by one that runs alone.
static SHARING: RwLock<()> = RwLock::new(());

/// The tests of one program and what they need.
#[derive(Debug)]
pub struct Suite {
    tests: &'static [Test],
    alone: &'static [Test],
    images: Vec<fn() -> Result<Image>>,
    prepare: Option<fn(&Cluster) -> Result<()>>,
}

impl Suite {
    /// These tests, on a cluster as it comes.
    pub fn new(tests: &'static [Test]) -> Self {
        Self {
            tests,
            alone: &[],
            images: Vec::new(),
            prepare: None,
        }
    }

    /// And these tests, each of which runs while no other does: they disturb what all share.
    #[must_use]
    pub fn with_tests_alone(mut self, tests: &'static [Test]) -> Self {
        self.alone = tests;
        self
    }

    /// With this image on the node.
    #[must_use]
    pub fn with_image(mut self, image: fn() -> Result<Image>) -> Self {
        self.images.push(image);
        self
    }

    /// With this done once, before the first test and after the images are there.
    #[must_use]
    pub fn prepared_by(mut self, prepare: fn(&Cluster) -> Result<()>) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// Runs the tests on a node of their own, or on the cluster that `KUBECONFIG` names.
    #[must_use]
    pub fn run_on_a_node(self) -> ExitCode {
        if let Some(dir) = settings::janitor() {
            return finish(enclosure::clean_when_left(&dir).map(|()| ExitCode::SUCCESS));
        }
        let arguments = Arguments::from_args();
        if !self.wants_a_cluster(&arguments, "") {
            return self.run(arguments, &[(String::new(), None)]);
        }
        if settings::kubeconfig().is_none() && settings::enclosure().is_none() {
            return finish(enclosure::run_inside());
        }
        let place = (String::new(), Some(Cluster::for_pods(&self.images)));
        self.run_on(arguments, vec![place])
    }

    /// Runs the tests on a plain API server: no node, so no Pod ever starts.
    #[must_use]
    pub fn run_on_an_api_server(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let wanted = self.wants_a_cluster(&arguments, "");
        let cluster = wanted.then(|| Cluster::without_a_node(Version::Newest));
        self.run_on(arguments, vec![(String::new(), cluster)])
    }

    /// Runs each test on a plain API server of each version; its name begins with the version's:
    /// `oldest::module::test`. Only the versions of which a test is wanted are started.
    #[must_use]
    pub fn run_on_api_servers(self, versions: &[Version]) -> ExitCode {
        let arguments = Arguments::from_args();
        let started = thread::scope(|scope| {
            let starts: Vec<_> = versions
                .iter()
                .map(|&version| {
                    let prefix = format!("{}::", version.name());
                    let wanted = self.wants_a_cluster(&arguments, &prefix);
                    let start =
                        wanted.then(|| scope.spawn(move || Cluster::without_a_node(version)));
                    (prefix, start)
                })
                .collect();
            // A panic is a missing program's, and says how to get it.
            let joined = |start: ScopedJoinHandle<'_, Result<Cluster>>| {
                start.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            starts
                .into_iter()
                .map(|(prefix, start)| (prefix, start.map(joined)))
                .collect()
        });
        self.run_on(arguments, started)
    }

    fn run_on(
        self,
        arguments: Arguments,
        started: Vec<(String, Option<Result<Cluster>>)>,
    ) -> ExitCode {
        let mut places = Vec::new();
        for (prefix, cluster) in started {
            let prepared = cluster.map(|cluster| {
                let cluster = cluster?;
                self.prepare.map_or(Ok(()), |prepare| prepare(&cluster))?;
                Ok(Arc::new(cluster))
            });
            match prepared.transpose() {
                Ok(cluster) => places.push((prefix, cluster)),
                Err(error) => return finish(Err(error)),
            }
        }
        self.run(arguments, &places)
    }

    fn run(self, mut arguments: Arguments, places: &[Place]) -> ExitCode {
        // Tests wait more than they compute.
        arguments.test_threads.get_or_insert(4);
        let together = self.tests.iter().map(|test| (test, false));
        let tests: Vec<(&'static Test, bool)> = together
            .chain(self.alone.iter().map(|test| (test, true)))
            .collect();
        let trials = places
            .iter()
            .flat_map(|place| {
                tests
                    .iter()
                    .map(move |&(test, alone)| trial(place, test, alone))
            })
            .collect();
        let code = libtest_mimic::run(&arguments, trials).exit_code();
        if settings::enclosure().is_some() {
            // The kernel ends the node with us; asking each program first takes ten seconds.
            std::mem::forget(places.to_vec());
        }
        code
    }

    /// Listing tests, or filtering all of them out, starts nothing.
    fn wants_a_cluster(&self, arguments: &Arguments, prefix: &str) -> bool {
        let runs = |(name, _): &Test| {
            let name = format!("{prefix}{name}");
            let matches = |filter: &String| {
                if arguments.exact {
                    name == *filter
                } else {
                    name.contains(filter.as_str())
                }
            };
            arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
        };
        let mut all = self.tests.iter().chain(self.alone);
        !arguments.list && !arguments.ignored && all.any(runs)
    }
}

/// Where tests run, and what their names there begin with; no cluster where none of them is wanted.
type Place = (String, Option<Arc<Cluster>>);

fn trial((prefix, cluster): &Place, (name, test): &'static Test, alone: bool) -> Trial {
    let cluster = cluster.as_ref().map(Arc::downgrade);
    Trial::test(format!("{prefix}{name}"), move || {
        let cluster = cluster.and_then(|cluster| cluster.upgrade());
        let cluster = cluster.ok_or("there is no cluster")?;
        // A failed test poisons nothing: the lock guards no data.
        let _alone = alone.then(|| SHARING.write().unwrap_or_else(PoisonError::into_inner));
        let _shared = (!alone).then(|| SHARING.read().unwrap_or_else(PoisonError::into_inner));
        run_one(name, *test, cluster)
    })
}

fn run_one(
    name: &'static str,
    test: fn(&World) -> TestResult,
    cluster: Arc<Cluster>,
) -> TestResult {
    let world = World {
        cluster,
        test: name,
        namespaces: Mutex::default(),
    };
    // The report comes before the namespaces go, so a panic is held back until it is written.
    let ended = catch_unwind(AssertUnwindSafe(|| test(&world)));
    if !matches!(ended, Ok(Ok(()))) {
        world.report();
    }
    drop(world);
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

fn finish(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}
