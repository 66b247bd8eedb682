//! Prometheus' text format, version 0.0.4.

use std::fmt::Write;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The media type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// The page while it is written; a family without samples is omitted.
#[derive(Default)]
pub(super) struct Text {
    text: String,
    name: &'static str,
    /// The family's first lines, until its first sample.
    head: Option<String>,
}

impl Text {
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = kind.as_str();
        self.head = Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.name = name;
    }

    pub(super) fn sample<'a>(
        &mut self,
        suffix: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) {
        self.text.extend(self.head.take());
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut open = '{';
        for (name, value) in labels {
            // Writing to a String never fails, here and below.
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(value));
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub(super) fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample("", std::iter::empty(), value);
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Seconds since 1970, the format's unit of time.
pub(super) fn unix(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
