//! The environment of a test: a cluster that all tests share, and its own namespaces.
//!
//! A test program's main is one call:
//!
//! ```no_run
//! use tests::oci::images;
//! use tests::installation::world::{Suite, TestResult, World};
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

use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::control_plane::Version;
use crate::kubernetes::enclosure;
use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::namespace::Namespace;
use crate::oci::image::Image;
use crate::settings;

/// Result of a test; `?` converts any error that can be displayed into a `Failed`.
pub type TestResult = Result<(), Failed>;

/// A test: its name, a sentence, and its function.
pub type Test = (&'static str, fn(&World) -> TestResult);

/// Lists tests by their paths: `tests![node_itself::a_pod_serves_a_page, …]`.
#[macro_export]
macro_rules! tests {
    ($($path:path),* $(,)?) => {
        &[$((stringify!($path), $path as fn(&$crate::installation::world::World) -> $crate::installation::world::TestResult)),*]
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
    /// Creates a namespace for this test, with these labels. It is deleted when the test ends; if
    /// the test fails, its contents are printed first.
    pub fn namespace(&self, labels: &[(&str, &str)]) -> Result<Arc<Namespace>, String> {
        let namespace = Arc::new(Namespace::create(self.kubectl(), self.test, labels)?);
        self.namespaces
            .lock()
            .map_err(|error| error.to_string())?
            .push(Arc::clone(&namespace));
        Ok(namespace)
    }

    /// kubectl without a namespace.
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

/// Read-locked by tests that run in parallel, write-locked by a test that runs alone.
static SHARING: RwLock<()> = RwLock::new(());

/// The tests of one program and their requirements.
#[derive(Debug)]
pub struct Suite {
    tests: &'static [Test],
    alone: &'static [Test],
    images: Vec<fn() -> Result<Image>>,
    prepare: Option<fn(&Cluster) -> Result<()>>,
}

impl Suite {
    /// A suite of these tests, on an unmodified cluster.
    pub fn new(tests: &'static [Test]) -> Self {
        Self {
            tests,
            alone: &[],
            images: Vec::new(),
            prepare: None,
        }
    }

    /// Adds tests that run alone, because they disturb what all tests share.
    #[must_use]
    pub fn with_tests_alone(mut self, tests: &'static [Test]) -> Self {
        self.alone = tests;
        self
    }

    /// Loads this image onto the node.
    #[must_use]
    pub fn with_image(mut self, image: fn() -> Result<Image>) -> Self {
        self.images.push(image);
        self
    }

    /// Runs this once, after the images are loaded and before the first test.
    #[must_use]
    pub fn prepared_by(mut self, prepare: fn(&Cluster) -> Result<()>) -> Self {
        self.prepare = Some(prepare);
        self
    }

    /// Runs the tests on a new node, or on the cluster of `KUBECONFIG`.
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

    /// Runs the tests on an API server without a node, so no Pod ever starts.
    #[must_use]
    pub fn run_on_an_api_server(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let wanted = self.wants_a_cluster(&arguments, "");
        let cluster = wanted.then(|| Cluster::without_a_node(Version::Newest));
        self.run_on(arguments, vec![(String::new(), cluster)])
    }

    /// Runs each test on an API server of each version, under the name `oldest::module::test` or
    /// `newest::module::test`. Starts only the versions that a selected test needs.
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
            // The panic of a missing program contains the command that installs it.
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
        // Tests spend more time waiting than computing.
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
            // The kernel ends the node with this process; stopping each program first would take
            // ten seconds.
            std::mem::forget(places.to_vec());
        }
        code
    }

    /// Whether a cluster is needed: listing tests, or filtering all of them out, starts nothing.
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

/// A cluster for tests, and the prefix of their names on it; no cluster if no test needs it.
type Place = (String, Option<Arc<Cluster>>);

fn trial((prefix, cluster): &Place, (name, test): &'static Test, alone: bool) -> Trial {
    let cluster = cluster.as_ref().map(Arc::downgrade);
    Trial::test(format!("{prefix}{name}"), move || {
        let cluster = cluster.and_then(|cluster| cluster.upgrade());
        let cluster = cluster.ok_or("there is no cluster")?;
        // A poisoned lock is harmless: it guards no data.
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
    // The report must be written before the namespaces are deleted, so a panic is caught first and
    // resumed after it.
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
