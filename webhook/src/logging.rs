//! Where log lines go, and how they are written.

mod json;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use json::JsonLine;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
    /// One line of text
    #[default]
    Text,
}

/// Sends log lines to standard error; standard output belongs to results.
pub fn init(filter: EnvFilter, format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr());
    match format {
        LogFormat::Json => builder.event_format(JsonLine).init(),
        LogFormat::Text => builder.with_ansi(false).init(),
    }
}

/// A line is one `write`. The standard library's own standard error has a lock around it, in which one
/// admission would wait for another one's line to be written.
fn stderr() -> BoxMakeWriter {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => BoxMakeWriter::new(File::from(stderr)),
        Err(_) => BoxMakeWriter::new(io::stderr),
    }
}
