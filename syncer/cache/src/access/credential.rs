//! A follower's `Authorization`, and the identity by which two of them are compared.

use std::fmt;
use std::sync::Arc;

use args::cache::OriginAddress;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use hyper::header::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;

/// The longest credential in bytes.
const LONGEST: usize = 8 << 10;

/// Schemes whose header is the whole credential. Negotiate and NTLM authenticate a connection, and
/// a signature is for one request: those followers go direct.
const SCHEMES: [&str; 2] = ["basic", "bearer"];

/// The `Authorization` of a follower, or none.
#[derive(Clone)]
pub(crate) struct Credential(Option<HeaderValue>);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").finish_non_exhaustive()
    }
}

/// A credential that the cache does not support.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UnsupportedCredential;

impl Credential {
    /// The credential in a request's headers.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, UnsupportedCredential> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = value.to_str().map_err(|_| UnsupportedCredential)?;
        let scheme = text.split(' ').next().unwrap_or_default();
        let is_known = SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        if !is_known || values.next().is_some() || text.len() > LONGEST {
            return Err(UnsupportedCredential);
        }
        // A copy: a part of the request's buffer would keep all of it in memory while the follower waits.
        let mut value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| UnsupportedCredential)?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }

    /// The header for the origin.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        self.0.as_ref()
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }
}

/// A credential's HMAC under a random key of the process. It reveals nothing about the credential,
/// and tables that are keyed by it cannot be probed by timing.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct Identity([u8; 32]);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").finish_non_exhaustive()
    }
}

/// The key of the process's identities.
pub(crate) struct IdentityKey(hmac::Key);

impl IdentityKey {
    /// A new random key.
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        Ok(Self(key))
    }

    /// The identity of a credential. No credential has an identity, too.
    pub(crate) fn identity(&self, credential: &Credential) -> Identity {
        let mut context = hmac::Context::with_key(&self.0);
        if let Some(value) = credential.header() {
            context.update(b"+");
            context.update(value.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Identity(bytes)
    }
}

/// A repository as one identity sees it: the unit of everything that is known about access.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Scope {
    pub(crate) origin: Arc<OriginAddress>,
    pub(crate) identity: Identity,
}

/// A follower: its view of a repository, with the credential that proves it.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) scope: Scope,
    pub(crate) credential: Credential,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Credential, UnsupportedCredential> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        Credential::read(&headers)
    }

    #[test]
    fn equal_credentials_have_one_identity_per_process() {
        let key = IdentityKey::new().unwrap();
        let identity = |values: &[&str]| key.identity(&read(values).unwrap());
        assert_eq!(identity(&["Basic abc"]), identity(&["Basic abc"]));
        assert_ne!(identity(&["Basic abc"]), identity(&["Basic abd"]));
        assert_ne!(identity(&["Basic abc"]), identity(&[]));
        let other = IdentityKey::new().unwrap();
        let credential = read(&["Basic abc"]).unwrap();
        assert_ne!(other.identity(&credential), key.identity(&credential));
    }

    #[test]
    fn credentials_that_are_not_a_header_alone_are_refused() {
        for values in [
            &["Negotiate abc"][..],
            &["AWS4-HMAC-SHA256 x"],
            &["Basic a", "Basic a"],
            &[""],
            &[&"Basic ".repeat(2000)],
        ] {
            assert!(read(values).is_err(), "{values:?}");
        }
        assert!(read(&["bearer abc"]).is_ok());
    }

    #[test]
    fn a_credential_is_not_printed() {
        let credential = read(&["Basic c2VjcmV0"]).unwrap();
        assert!(!format!("{credential:?}{:?}", credential.header()).contains("c2VjcmV0"));
    }
}
