//! The listeners: HTTPS for followers, plain HTTP for probes and Prometheus.

pub(crate) mod admin;
pub(crate) mod certificate;
pub(crate) mod followers;
pub(crate) mod listen;
pub(crate) mod write_deadline;
