//! Builders and tests that need more than one room. Nothing here is a mock: the programs are
//! Kubernetes' own, built from source by `tests/tools/build.sh`.
//!
//! A test program (`tests/tests/*/main.rs`) hands its tests to a [`world::Suite`]; each test gets a
//! [`world::World`]. Behind it, from the top down:
//!
//! - [`world`]: the tests of one program, and one test's view
//! - [`cluster`]: what they share: a node of our own, somebody's cluster (`KUBECONFIG`), or an API
//!   server alone
//! - [`node`]: a whole real node, in namespaces of the kernel's that vanish with it (`enclosure`)
//! - [`control_plane`]: a real etcd and kube-apiserver
//! - [`namespace`], [`kubectl`]: what tests do all day
//! - [`load`]: admissions at a steady rate, each answer counted
//! - [`product`]: gitvolume itself, installed by its chart; [`git_host`]: a git server in the cluster
//! - [`images`], [`image`]: container images from local files, without registry or Docker
//! - [`chart`]: what helm renders of the chart
//! - [`licenses`]: whose work is in our programs
//! - [`contained`], [`proc`], [`samples`]: a program as a container runs it, and what it costs
//! - [`eventually`], [`http`], [`process`], [`tools`], [`settings`]: small things
//!
//! How long things take on two cores: the programs' first build 14–18 minutes, an API server
//! 5 s, the node 10 s, a Pod 1–3 s.

pub mod authority;
pub mod chart;
pub mod cluster;
pub mod contained;
pub mod control_plane;
pub mod cut;
mod enclosure;
pub mod eventually;
pub mod git_host;
pub mod http;
pub mod https;
pub mod image;
pub mod images;
pub mod kubectl;
mod libraries;
pub mod licenses;
pub mod load;
pub mod metrics;
pub mod namespace;
pub mod node;
mod node_files;
pub mod proc;
pub mod process;
pub mod product;
pub mod samples;
pub mod serving;
pub mod settings;
pub mod tools;
pub mod world;
