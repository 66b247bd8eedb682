//! The header of a request from one replica to another.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

/// The header.
pub(crate) const PEER: HeaderName = HeaderName::from_static("gitvolume-peer");

/// What a replica requests from another one. A client that sends the header gets the same as without
/// it, or less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PeerPurpose {
    /// What the replica has now; it sends no request to the git host.
    Stored,
    /// A pack that the replica requests from the git host if it does not have it, for both.
    Lead,
}

impl PeerPurpose {
    /// The purpose of a request from another replica; `None` for a follower's. An unknown value is the
    /// purpose of which a replica answers the least.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(PEER)?;
        Some(match value == Self::Lead.header() {
            true => Self::Lead,
            false => Self::Stored,
        })
    }

    /// The value of the header.
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Stored => "stored",
            Self::Lead => "lead",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_purpose_is_the_smaller_one() {
        let read = |value: &'static str| {
            let headers = HeaderMap::from_iter([(PEER, HeaderValue::from_static(value))]);
            PeerPurpose::read(&headers)
        };
        assert_eq!(PeerPurpose::read(&HeaderMap::new()), None);
        assert_eq!(read("lead"), Some(PeerPurpose::Lead));
        for value in ["stored", "", "Lead", "lead, stored"] {
            assert_eq!(read(value), Some(PeerPurpose::Stored), "{value}");
        }
    }
}
