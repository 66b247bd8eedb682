//! Test environments, and the tests that need more than one crate. There are no mocks: the programs
//! are Kubernetes' own, built from source by `tests/tools/build.sh`.
//!
//! A test program (`tests/tests/*/main.rs`) passes its tests to an [`installation::world::Suite`];
//! each test gets an [`installation::world::World`]. Layers, from the top down:
//!
//! - [`installation`]: gitvolume installed by its chart, a git host in the cluster, and the
//!   environment of one test
//! - [`kubernetes`]: what tests share: a real etcd and API server, a whole node inside kernel
//!   namespaces that end with it, or your cluster (`KUBECONFIG`)
//! - [`oci`]: container images from local files, without registry or daemon, and their bills of
//!   materials
//! - [`contained`], [`proc`], [`samples`]: a program in an environment like a container's, and its
//!   costs
//! - [`examples`]: the manifests under `examples/`
//! - [`eventually`], [`http`], [`https`], [`authority`], [`metrics`], [`process`], [`tools`],
//!   [`settings`]: helpers
//!
//! Durations on two cores: the programs' first build 14–18 minutes, an API server 5 s, the node 10
//! s, a Pod 1–3 s.

pub mod authority;
pub mod contained;
pub mod eventually;
pub mod examples;
pub mod http;
pub mod https;
pub mod installation;
pub mod kubernetes;
pub mod metrics;
pub mod oci;
pub mod proc;
pub mod process;
pub mod samples;
pub mod settings;
pub mod tools;
