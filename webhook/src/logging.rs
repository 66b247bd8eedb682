//! Where log lines go, how they are written, and which: that may change while we run.

mod json;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::ParseError;
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

/// The filter of `--log`, and what puts another one in its place. There is one log per process.
struct Switch {
    flag: String,
    put: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

static SWITCH: OnceLock<Switch> = OnceLock::new();

/// Why a text is no filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?}: expected a level (off, error, warn, info, debug, trace), or several parts such as info,webhook=debug"
)]
pub struct FilterError {
    text: String,
    #[source]
    source: Option<ParseError>,
}

/// Reads a filter: a level, or targets with levels, such as `info,webhook=debug`. A target alone is
/// refused, which would be a misspelt level far more often: with it nearly nothing would be logged.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, FilterError> {
    let error = |source| FilterError {
        text: text.to_owned(),
        source,
    };
    for part in text.split(',').map(str::trim) {
        if part.is_empty() || !part.contains('=') && part.parse::<LevelFilter>().is_err() {
            return Err(error(None));
        }
    }
    let parsed = EnvFilter::builder().parse(text);
    parsed.map_err(|source| error(Some(source)))
}

/// Sends log lines to standard error; standard output belongs to results.
pub fn init(flag: &str, format: LogFormat) -> Result<(), FilterError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(flag)?)
        .with_writer(stderr());
    // Fails only where the log is gone: then nobody would read of it.
    let put: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
        LogFormat::Json => {
            let builder = builder.event_format(JsonLine).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
        LogFormat::Text => {
            let builder = builder.with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            Box::new(move |filter| drop(handle.reload(filter)))
        }
    };
    let flag = flag.to_owned();
    let _ = SWITCH.set(Switch { flag, put });
    Ok(())
}

/// Logs by this filter from now on, or by that of `--log` again.
pub(crate) fn set(text: Option<&str>) -> Result<(), FilterError> {
    let Some(switch) = SWITCH.get() else {
        return Ok(());
    };
    (switch.put)(filter(text.unwrap_or(&switch.flag))?);
    Ok(())
}

/// A line is one `write`. The standard library's own standard error has a lock around it, in which one
/// admission would wait for another one's line to be written.
fn stderr() -> BoxMakeWriter {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => BoxMakeWriter::new(File::from(stderr)),
        Err(_) => BoxMakeWriter::new(io::stderr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_levels() {
        for text in ["info", "OFF", "info,webhook=debug", "certs=trace, warn"] {
            filter(text).unwrap();
        }
        for text in ["", "debgu", "info,webhook", "webhook=debgu"] {
            let error = filter(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?}: expected a level")));
        }
    }
}
