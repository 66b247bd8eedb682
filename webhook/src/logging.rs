//! Logging: destination, format and filter. The filter can change at run time.

use std::io;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
    /// One line of text
    #[default]
    Text,
}

/// The filter of `--log`, and the function that replaces the active filter. There is one log per
/// process.
struct Switch {
    flag: String,
    put: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

static SWITCH: OnceLock<Switch> = OnceLock::new();

/// An invalid log filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?}: expected a level (off, error, warn, info, debug, trace), or several parts such as info,webhook=debug"
)]
pub struct FilterError {
    text: String,
    #[source]
    source: Option<ParseError>,
}

/// Parses a filter: a level, or targets with levels, such as `info,webhook=debug`. A target without
/// a level is rejected: it is nearly always a misspelt level, and would turn off nearly all
/// logging.
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

/// Sets up logging to standard error; standard output is for results.
pub fn init(flag: &str, format: LogFormat) -> Result<(), FilterError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(flag)?)
        .with_writer(stderr());
    // Fails only if the log itself is gone, so the error could not be logged.
    let put: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
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

/// Activates this filter; `None` restores the one of `--log`.
pub(crate) fn set(text: Option<&str>) -> Result<(), FilterError> {
    let Some(switch) = SWITCH.get() else {
        return Ok(());
    };
    (switch.put)(filter(text.unwrap_or(&switch.flag))?);
    Ok(())
}

/// Standard error, without the lock of the standard library: with it one admission would wait while
/// another one writes its line. Each line is one `write`.
#[cfg(unix)]
fn stderr() -> BoxMakeWriter {
    use std::fs::File;
    use std::os::fd::AsFd;
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(stderr) => BoxMakeWriter::new(File::from(stderr)),
        Err(_) => BoxMakeWriter::new(io::stderr),
    }
}

/// Standard error: on Windows only the command line runs, and it answers no admissions.
#[cfg(not(unix))]
fn stderr() -> BoxMakeWriter {
    BoxMakeWriter::new(io::stderr)
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
