//! git's protocol, version 2, upload-pack over HTTP: the requests that the cache accepts, and the
//! checks of an origin's answers (<https://git-scm.com/docs/gitprotocol-v2>). Pure.

pub(crate) mod advertisement;
pub(crate) mod fetch_answer;
pub(crate) mod inflate;
pub(crate) mod packets;
pub(crate) mod refs_answer;
pub(crate) mod request;
