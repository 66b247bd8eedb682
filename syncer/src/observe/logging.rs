//! The log in git-sync's format: one JSON object per line on standard error, with its order of
//! keys.
//!
//! `tracing::info!(v = 5, …)` is git-sync's verbosity 5; without `v` it is 0, a change that every
//! user should see. An error has the key `error` and no level. With several repositories, a line
//! about one of them has its name in the key `repo`. `logger = "webhook"` names the component, as
//! git-sync names its hooks.

use std::fmt;
use std::fmt::Write;
use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;
use tokio::task::JoinHandle;
use tracing::Event;
use tracing::Level;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;

use crate::config::Environment;
use crate::observe::zone;
use crate::redact::redact;

// The process has one log.
static VERBOSITY: AtomicU8 = AtomicU8::new(0);

/// The verbosity; programs that the syncer starts use the same.
pub(crate) fn verbosity() -> u8 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Starts the log; lines above `verbose` are not written.
pub(crate) fn init(verbose: u8) {
    VERBOSITY.store(verbose, Ordering::Relaxed);
    // A second call, which only tests make, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(JsonLines {
        verbose,
        zone: zone::local(Environment::time_zone().as_deref()),
    });
}

tokio::task_local! {
    /// The repository that this task logs about.
    static REPO: Arc<str>;
}

/// Runs a future whose log lines carry a repository's name, if it has one.
pub(crate) async fn about<F: Future>(name: Option<&str>, future: F) -> F::Output {
    match name {
        Some(name) => REPO.scope(name.into(), future).await,
        None => future.await,
    }
}

/// Starts a task whose log lines carry the same name as those of the current one.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match REPO.try_get() {
        Ok(name) => tokio::spawn(REPO.scope(name, future)),
        Err(_) => tokio::spawn(future),
    }
}

struct JsonLines {
    verbose: u8,
    /// The local time zone (`TZ`, `/etc/localtime`), as in git-sync; UTC if the system has none.
    zone: TimeZone,
}

impl Subscriber for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_of = |name| metadata.target().split("::").next() == Some(name);
        metadata.is_event() && ["syncer", "poll", "cache", "push"].into_iter().any(is_of)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let is_error = *event.metadata().level() == Level::ERROR;
        // Most lines exceed the verbosity: their values are not formatted.
        let mut verbosity = Verbosity(0);
        event.record(&mut verbosity);
        if !is_error && verbosity.0 > u64::from(self.verbose) {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let now = Zoned::new(Timestamp::now(), self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.6f");
        let text = line.render(event.metadata(), is_error, &now.to_string());
        // An error of the log itself cannot be reported.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// git-sync's level of a line: its field `v`.
struct Verbosity(u64);

impl Visit for Verbosity {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "v" {
            self.0 = value.unsigned_abs();
        }
    }
}

/// The parts of one line, collected from the event.
#[derive(Default)]
struct Line {
    verbosity: u64,
    logger: String,
    message: String,
    error: String,
    fields: String,
}

impl Line {
    fn render(&self, metadata: &Metadata<'_>, is_error: bool, now: &str) -> String {
        let file = metadata.file().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        let mut text = format!(
            r#"{{"logger":{},"ts":"{now}","caller":{{"file":"{file}","line":{}}}"#,
            quoted(&self.logger),
            metadata.line().unwrap_or_default()
        );
        if !is_error {
            // Writing to a String never fails, here and below.
            let _ = write!(text, r#","level":{}"#, self.verbosity);
        }
        let _ = write!(text, r#","msg":{}"#, quoted(&self.message));
        if is_error {
            let _ = write!(text, r#","error":{}"#, quoted(&self.error));
        } else if !self.error.is_empty() {
            let _ = write!(text, r#","reason":{}"#, quoted(&self.error));
        }
        // A line about no single repository, or about the only one, has no such key.
        let _ = REPO.try_with(|name| write!(text, r#","repo":{}"#, quoted(name)));
        text.push_str(&self.fields);
        text.push_str("}\n");
        text
    }

    fn field(&mut self, field: &Field, json: &str) {
        let _ = write!(self.fields, ",{}:{json}", quoted(field.name()));
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(redact(text)).to_string()
}

impl Visit for Line {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "error" => self.error = text,
            // A list of strings in Rust's debug format is valid JSON too.
            _ => match serde_json::from_str::<Vec<String>>(&text) {
                Ok(list) => {
                    let list: Vec<String> = list.iter().map(|text| quoted(text)).collect();
                    self.field(field, &format!("[{}]", list.join(",")));
                }
                Err(_) => self.field(field, &quoted(&text)),
            },
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "v" {
            self.verbosity = value.unsigned_abs();
        } else {
            self.field(field, &value.to_string());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "error" => value.clone_into(&mut self.error),
            "logger" => value.clone_into(&mut self.logger),
            _ => self.field(field, &quoted(value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "v" {
            self.verbosity = value;
        } else {
            self.field(field, &value.to_string());
        }
    }
}
