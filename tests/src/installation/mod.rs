//! An installation of gitvolume in a cluster, and the environment of each test.

pub mod chart;
pub mod forge;
pub mod git_host;
pub mod load;
pub mod product;
pub mod serving;
pub mod ssh_key;
pub mod world;
