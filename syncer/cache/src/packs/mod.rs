//! Answers to `fetch`: one request to the origin for all followers with the same request.

pub(crate) mod flight;
pub(crate) mod flights;
pub(crate) mod source;
