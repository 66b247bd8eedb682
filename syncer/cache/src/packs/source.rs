//! Where an answer to `fetch` comes from: the git host, or another replica.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;

use crate::access::credential::Follower;
use crate::origin::client::FetchStream;
use crate::origin::client::Upstream;
use crate::origin::error::OriginError;
use crate::peers::client::PeerAnswer;
use crate::protocol::fetch_answer::FetchCheck;
use crate::protocol::request::Fetch;

/// How long the answer of another replica is kept back from followers: until then, the git host is
/// asked instead if the replica fails.
const HELD_BACK: Duration = Duration::from_secs(2);

/// An answer while it arrives.
pub(crate) enum PackSource {
    Origin(FetchStream),
    Peer(PeerAnswer),
}

impl PackSource {
    /// The next part of the answer; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, OriginError> {
        match self {
            Self::Origin(answer) => answer.next().await,
            Self::Peer(answer) => answer.next().await,
        }
    }

    /// The time before the first byte is passed on.
    pub(crate) fn held_back(&self) -> Duration {
        match self {
            Self::Origin(_) => Duration::ZERO,
            Self::Peer(_) => HELD_BACK,
        }
    }

    /// Keeps the connection; call it after the end.
    pub(crate) fn finish(self) {
        if let Self::Origin(answer) = self {
            answer.finish();
        }
    }

    /// Reads until the first packet is known to be git's, and no error.
    pub(crate) async fn first(&mut self, check: &mut FetchCheck) -> Result<Bytes, OriginError> {
        let mut bytes = Vec::new();
        while !check.has_begun() {
            let part = self.next().await?.ok_or(OriginError::Unusable)?;
            check.push(&part).map_err(|_| OriginError::Unusable)?;
            bytes.extend_from_slice(&part);
        }
        Ok(Bytes::from(bytes))
    }
}

/// The bytes of an answer that is not written to the disk, for one follower; checked as they pass.
/// The first part is read before, so that an error has a status of its own.
pub(crate) async fn direct(
    upstream: &Upstream,
    follower: &Follower,
    request: &Fetch,
) -> Result<impl Stream<Item = io::Result<Bytes>> + use<>, OriginError> {
    let answer = upstream.fetch(follower, request.to_body()).await?;
    let mut answer = PackSource::Origin(answer);
    let mut check = FetchCheck::new(request.object_format);
    let first = answer.first(&mut check).await?;
    let state = (answer, Some(check), Some(first));
    Ok(try_unfold(state, async |(mut answer, check, first)| {
        let Some(mut check) = check else {
            return Ok(None);
        };
        if let Some(first) = first {
            return Ok(Some((first, (answer, Some(check), None))));
        }
        match answer.next().await.map_err(io::Error::other)? {
            Some(bytes) => {
                let checked = check.push(&bytes);
                checked.map_err(|error| io::Error::other(format!("{error:?}")))?;
                Ok(Some((bytes, (answer, Some(check), None))))
            }
            None => {
                let finished = check.finish();
                finished.map_err(|error| io::Error::other(format!("{error:?}")))?;
                Ok(None)
            }
        }
    }))
}
