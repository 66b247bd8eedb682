//! The CAs of the cache's own certificates, for followers.

use args::cache::CA;
use hyper::StatusCode;
use hyper::header::HeaderName;

use crate::service::gate::Service;
use crate::service::reply;
use crate::service::reply::Refused;
use crate::service::reply::Reply;

const CA_NAME: HeaderName = HeaderName::from_static(CA);

impl Service {
    /// Answers `GET /ca`.
    pub(crate) fn cas(&self) -> Result<Reply, Refused> {
        let cas = self.cas.as_ref().and_then(|cas| cas.get());
        let sentence = "the cache has no CAs to name; see --tls-ca";
        let cas = cas.ok_or_else(|| reply::text(StatusCode::NOT_FOUND, sentence))?;
        Ok(reply::git(
            "application/x-pem-file",
            reply::full(cas.pem.clone()),
        ))
    }

    /// Names the CAs in the header of an answer.
    pub(crate) fn name_cas(&self, reply: &mut Reply) {
        if let Some(cas) = self.cas.as_ref().and_then(|cas| cas.get()) {
            reply.headers_mut().insert(CA_NAME, cas.tag.clone());
        }
    }
}
