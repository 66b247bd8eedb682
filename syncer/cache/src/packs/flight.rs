//! One request to an origin whose answer is written to the store and read by followers meanwhile.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::timeout;

use crate::access::credential::Follower;
use crate::access::registry::Registry;
use crate::origin::client::Upstream;
use crate::origin::error::OriginError;
use crate::packs::source::PackSource;
use crate::peers::table::Peers;
use crate::protocol::fetch_answer::Complete;
use crate::protocol::fetch_answer::FetchCheck;
use crate::protocol::request::Fetch;
use crate::store::answer_file::AnswerFile;
use crate::store::disk::Spool;
use crate::store::disk::Store;
use crate::store::key::Key;

/// The bytes after which followers are woken; fewer wake-ups, the same bytes.
const STEP: u64 = 128 << 10;

/// The time after which they are woken for fewer bytes.
const STEP_TIME: Duration = Duration::from_millis(50);

/// The timeout of a whole answer.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How far a flight is.
#[derive(Clone)]
pub(crate) enum Progress {
    /// The origin has not answered, or other replicas are asked for what they have.
    Waiting,
    /// Another replica is asked to request the answer from the origin. A flight that waits for another
    /// replica must not be waited for by one.
    AtPeer,
    /// This many bytes are in the file, and more will be.
    Running { file: Arc<AnswerFile>, written: u64 },
    /// The answer is complete.
    Complete { file: Arc<AnswerFile>, length: u64 },
    /// There is no complete answer.
    Failed(FlightError),
}

/// Why a flight has no complete answer.
#[derive(Clone, Debug)]
pub(crate) enum FlightError {
    Origin(OriginError),
    /// The answer cannot be written to the disk.
    Store,
}

/// A flight, as its followers see it.
pub(crate) struct Flight {
    progress: watch::Receiver<Progress>,
    /// The follower whose credential the request has.
    pub(crate) leader: Follower,
}

/// Where a flight asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SourceOrder {
    /// The other replicas, then the origin.
    PeersFirst,
    /// The origin alone.
    OriginOnly,
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// Everything that a flight needs.
#[derive(Clone)]
pub(crate) struct Hangar {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) peers: Option<Arc<Peers>>,
}

impl Flight {
    /// Starts a flight. It goes on whatever becomes of its followers; `on_end` runs at its end.
    pub(crate) fn start(
        hangar: Hangar,
        leader: Follower,
        request: Fetch,
        key: Key,
        order: SourceOrder,
        on_end: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (sender, progress) = watch::channel(Progress::Waiting);
        let (follower, store) = (leader.clone(), Arc::clone(&hangar.store));
        tokio::spawn(async move {
            // Also if the task panics.
            let on_end = OnDrop(Some(on_end));
            let flying = hangar.fly(&follower, &request, key, order, &sender);
            let flown = timeout(TIMEOUT, flying).await;
            let flown = flown.unwrap_or_else(|_| {
                Err(FlightError::Origin(OriginError::Away("timeout".to_owned())))
            });
            if matches!(flown, Err(FlightError::Store)) {
                store.refuse(key);
            }
            drop(on_end);
            if let Err(error) = flown {
                sender.send_replace(Progress::Failed(error));
            }
        });
        Self { progress, leader }
    }

    /// Waits until there are bytes to send, or none will be.
    pub(crate) async fn begun(&self) -> Progress {
        let mut progress = self.progress.clone();
        let is_begun = |now: &Progress| !matches!(now, Progress::Waiting | Progress::AtPeer);
        let begun = progress.wait_for(is_begun);
        begun.await.map_or_else(|_| crashed(), |now| now.clone())
    }

    /// How far the flight is now.
    pub(crate) fn now(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// The bytes of the answer, from its beginning.
    pub(crate) fn bytes(&self) -> impl Stream<Item = io::Result<Bytes>> + use<> {
        try_unfold((self.progress.clone(), 0), async |(mut progress, at)| {
            loop {
                let now = progress.borrow_and_update().clone();
                let (file, end, is_complete) = match now {
                    Progress::Waiting | Progress::AtPeer => (None, 0, false),
                    Progress::Running { file, written } => (Some(file), written, false),
                    Progress::Complete { file, length } => (Some(file), length, true),
                    Progress::Failed(_) => {
                        return Err(io::Error::other("the answer of the git host is incomplete"));
                    }
                };
                match file {
                    Some(file) if at < end => {
                        let bytes = file.read(at, end).await?;
                        let next = at + bytes.len() as u64;
                        return Ok(Some((bytes, (progress, next))));
                    }
                    _ if is_complete => return Ok(None),
                    _ => progress.changed().await.map_err(io::Error::other)?,
                }
            }
        })
    }
}

/// The bytes of a complete answer.
pub(crate) fn stored(file: Arc<AnswerFile>, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    try_unfold((file, length, 0), async |(file, length, at)| {
        if at >= length {
            return Ok(None);
        }
        let bytes = file.read(at, length).await?;
        let next = at + bytes.len() as u64;
        Ok(Some((bytes, (file, length, next))))
    })
}

fn crashed() -> Progress {
    Progress::Failed(FlightError::Origin(OriginError::Away(
        "the request was aborted".to_owned(),
    )))
}

impl Hangar {
    async fn fly(
        self,
        leader: &Follower,
        request: &Fetch,
        key: Key,
        order: SourceOrder,
        progress: &watch::Sender<Progress>,
    ) -> Result<(), FlightError> {
        let body = request.to_body();
        if order == SourceOrder::PeersFirst
            && let Some(peers) = &self.peers
        {
            let on_lead = || drop(progress.send_replace(Progress::AtPeer));
            if let Some(answer) = peers.pack(leader, &body, key, on_lead).await {
                let source = PackSource::Peer(answer);
                let received = self.receive(source, request, key, progress).await;
                // What followers have got cannot be continued with another answer.
                let has_begun = matches!(*progress.borrow(), Progress::Running { .. });
                if received.is_ok() || has_begun {
                    return received.map(drop);
                }
            }
            progress.send_replace(Progress::Waiting);
        }
        let fetched = self.upstream.fetch(leader, body).await;
        let source = PackSource::Origin(fetched.map_err(FlightError::Origin)?);
        let complete = self.receive(source, request, key, progress).await?;
        if complete == Complete::Pack {
            self.registry.grant(&leader.scope, key.0);
        }
        Ok(())
    }

    /// Writes an answer to the store while it arrives.
    async fn receive(
        &self,
        mut answer: PackSource,
        request: &Fetch,
        key: Key,
        progress: &watch::Sender<Progress>,
    ) -> Result<Complete, FlightError> {
        let mut check = FetchCheck::new(request.object_format);
        let first = answer.first(&mut check).await;
        let mut part = first.map_err(FlightError::Origin)?;
        let mut spool = self.blocking(|store| store.begin()).await?;
        let held_back_until = Instant::now() + answer.held_back();
        let mut published = (0, Instant::now());
        loop {
            spool = self
                .blocking(move |store| {
                    store.write(&mut spool, &part)?;
                    Ok(spool)
                })
                .await?;
            let (bytes, at) = published;
            let is_due = match bytes {
                0 => Instant::now() >= held_back_until,
                _ => spool.written - bytes >= STEP || at.elapsed() >= STEP_TIME,
            };
            if is_due {
                published = (spool.written, Instant::now());
                progress.send_replace(Progress::Running {
                    file: Arc::clone(&spool.file),
                    written: spool.written,
                });
            }
            match answer.next().await.map_err(FlightError::Origin)? {
                Some(next) => {
                    let checked = check.push(&next);
                    checked.map_err(|_| FlightError::Origin(OriginError::Unusable))?;
                    part = next;
                }
                None => break,
            }
        }
        let complete = check.finish();
        let complete = complete.map_err(|_| FlightError::Origin(OriginError::Unusable))?;
        answer.finish();
        let done = Progress::Complete {
            file: Arc::clone(&spool.file),
            length: spool.written,
        };
        if complete == Complete::Pack {
            self.keep(spool, key).await?;
        }
        progress.send_replace(done);
        Ok(complete)
    }

    async fn keep(&self, spool: Spool, key: Key) -> Result<(), FlightError> {
        self.blocking(move |store| {
            store.keep(spool, key);
            Ok(())
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> Result<T, FlightError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(io::Error::other)
            .flatten()
            .map_err(|_| FlightError::Store)
    }
}
