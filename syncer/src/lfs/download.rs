//! The download of one content: hashed while it is written, continued after an interruption.

use std::fs::File;
use std::io;
use std::io::Seek;
use std::io::Write;

use bytes::Bytes;
use reqwest::Response;
use reqwest::StatusCode;
use reqwest::header::CONTENT_LENGTH;
use reqwest::header::CONTENT_RANGE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;
use reqwest::header::RANGE;
use ring::digest;
use tokio::sync::mpsc;

use crate::lfs::LfsError;
use crate::lfs::PointerFile;
use crate::lfs::Problem;
use crate::lfs::http;
use crate::lfs::http::Access;
use crate::lfs::http::Outgoing;
use crate::lfs::pointer::Oid;
use crate::lfs::pointer::Pointer;
use crate::lfs::pointer::hash_into;
use crate::lfs::store::Store;
use crate::remote::web;
use crate::system::files;

/// The number of attempts for one content: after each the next one continues.
const ATTEMPTS: u32 = 5;

/// The number of received parts that wait to be written; each has at most some hundred kilobytes.
const QUEUED: usize = 2;

/// The reason why an attempt failed.
enum Failure {
    Problem(Problem),
    Disk(io::Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// The beginning of a content.
struct Part {
    file: File,
    context: digest::Context,
    length: u64,
}

/// Downloads a content into the store.
pub(super) async fn fetch(
    access: std::sync::Arc<Access>,
    store: Store,
    request: Outgoing,
    file: PointerFile,
) -> Result<(), LfsError> {
    let mut attempts = 1;
    loop {
        let before = store.incomplete_length(&file.pointer.oid);
        let Err(failure) = attempt(&access, &store, &request, &file.pointer).await else {
            return Ok(());
        };
        let problem = match failure {
            Failure::Disk(source) => return Err(store.io(source)),
            Failure::Problem(problem) => problem,
        };
        // Only an attempt that made progress is repeated, or one whose beginning was wrong.
        let may_go_on = match &problem {
            Problem::Cut { .. } | Problem::Stalled(_) | Problem::Web(_) => {
                store.incomplete_length(&file.pointer.oid) > before
            }
            Problem::Content | Problem::Range => before > 0,
            _ => false,
        };
        if !may_go_on || attempts == ATTEMPTS {
            return Err(LfsError::Download {
                file: crate::redact::redact(&file.path.display().to_string()),
                host: web::host(&request.url),
                problem,
            });
        }
        attempts += 1;
    }
}

async fn attempt(
    access: &Access,
    store: &Store,
    request: &Outgoing,
    pointer: &Pointer,
) -> Result<(), Failure> {
    let mut part = begin(store, pointer).await.map_err(Failure::Disk)?;
    if part.length < pointer.size {
        let mut request = request.clone();
        if part.length > 0 {
            request.public = range_from(part.length);
        }
        let response = access.send(&request).await;
        let response = match response {
            Err(Problem::Status { status, .. })
                if status == StatusCode::RANGE_NOT_SATISFIABLE && part.length > 0 =>
            {
                store.discard(&pointer.oid).await.map_err(Failure::Disk)?;
                return Err(Problem::Range.into());
            }
            other => other?,
        };
        part = receive(response, part, pointer, store).await?;
    }
    finish(store, pointer, part).await
}

fn range_from(offset: u64) -> HeaderMap {
    let range = HeaderValue::try_from(format!("bytes={offset}-"));
    range.map(|range| (RANGE, range)).into_iter().collect()
}

/// Opens what an earlier attempt received, and hashes it.
async fn begin(store: &Store, pointer: &Pointer) -> io::Result<Part> {
    let (store, pointer) = (store.clone(), pointer.clone());
    files::blocking(move || {
        let mut file = store.open_incomplete(&pointer.oid)?;
        let mut context = digest::Context::new(&digest::SHA256);
        let length = hash_into(&mut context, &mut file)?;
        let mut part = Part {
            file,
            context,
            length,
        };
        if length > pointer.size {
            part.restart()?;
        }
        Ok(part)
    })
    .await
}

impl Part {
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.context = digest::Context::new(&digest::SHA256);
        self.length = 0;
        Ok(())
    }

    /// Writes what arrives until the sender is dropped.
    fn write_all(mut self, mut parts: mpsc::Receiver<Bytes>) -> io::Result<Self> {
        while let Some(bytes) = parts.blocking_recv() {
            self.file.write_all(&bytes)?;
            self.context.update(&bytes);
            self.length += bytes.len() as u64;
        }
        Ok(self)
    }
}

/// Appends a response to the part, and never more than the content's size.
async fn receive(
    mut response: Response,
    mut part: Part,
    pointer: &Pointer,
    store: &Store,
) -> Result<Part, Failure> {
    let expected = pointer.size;
    let is_continued = response.status() == StatusCode::PARTIAL_CONTENT;
    if is_continued {
        let begins = format!("bytes {}-", part.length);
        let range = response.headers().get(CONTENT_RANGE);
        if !range.is_some_and(|range| range.as_bytes().starts_with(begins.as_bytes())) {
            store.discard(&pointer.oid).await.map_err(Failure::Disk)?;
            return Err(Problem::Range.into());
        }
    } else if part.length > 0 {
        // The server ignores ranges.
        part.restart().map_err(Failure::Disk)?;
    }
    let is_page = http::is_page(&response);
    let found = response.headers().get(CONTENT_LENGTH);
    let found = found.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let found = found.map(|length| part.length.saturating_add(length));
    if let Some(found) = found.filter(|found| *found != expected) {
        return Err(match is_page {
            true => Problem::Page.into(),
            false => Problem::Size { found, expected }.into(),
        });
    }
    let mut received = part.length;
    let (sender, parts) = mpsc::channel(QUEUED);
    let writing = tokio::task::spawn_blocking(move || part.write_all(parts));
    let outcome = loop {
        match http::chunk(&mut response).await {
            Ok(Some(bytes)) => {
                received = received.saturating_add(bytes.len() as u64);
                if received > expected {
                    break Err(Problem::Longer { expected });
                }
                if sender.send(bytes).await.is_err() {
                    // The writer has failed, and returns the reason.
                    break Ok(());
                }
            }
            Ok(None) if received < expected => break Err(Problem::Cut { received, expected }),
            Ok(None) => break Ok(()),
            Err(problem) => break Err(problem),
        }
    };
    drop(sender);
    let written = writing.await.map_err(io::Error::other);
    let part = written.and_then(|part| part).map_err(Failure::Disk)?;
    match outcome {
        Ok(()) => Ok(part),
        Err(problem @ Problem::Longer { .. }) => {
            store.discard(&pointer.oid).await.map_err(Failure::Disk)?;
            Err(problem.into())
        }
        Err(problem) => Err(problem.into()),
    }
}

/// Verifies a content and moves it to its final place.
async fn finish(store: &Store, pointer: &Pointer, part: Part) -> Result<(), Failure> {
    let Part { file, context, .. } = part;
    if Oid::of(&context.finish()) != pointer.oid {
        store.discard(&pointer.oid).await.map_err(Failure::Disk)?;
        return Err(Problem::Content.into());
    }
    let (store, oid) = (store.clone(), pointer.oid.clone());
    files::blocking(move || store.complete(&oid, &file))
        .await
        .map_err(Failure::Disk)
}
