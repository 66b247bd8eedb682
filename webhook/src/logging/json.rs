use std::fmt;
use std::fmt::Debug;

use serde::Serialize;
use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::registry::LookupSpan;

/// An event as one JSON object on a line of its own: what tracing-subscriber's formatter writes, but for
/// spans, which no line of ours is in. That one checks and copies each piece of the line by itself,
/// and there is a line for each admission.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Vec::with_capacity(512));
        let metadata = event.metadata();
        event.record(&mut fields);
        fields.put("target", metadata.target());
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_str("\"")?;
        writer.write_str(str::from_utf8(&fields.0).map_err(|_| fmt::Error)?)?;
        writer.write_str("}\n")
    }
}

/// Members of an object, each with a comma before it.
struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Serialize) {
        self.0.push(b',');
        // Texts and numbers in memory: neither can fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
        let _ = serde_json::to_writer(&mut self.0, &value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Arc;
    use std::sync::Mutex;
    use tracing_subscriber::fmt::SubscriberBuilder;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// What was written, without the times.
        fn texts(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let without = |line: &str| {
                let (time, rest) = line.split_once(",\"level\"").unwrap();
                // As long as 2026-01-01T00:00:00.000000Z.
                assert_eq!(time.len(), "{\"timestamp\":\"".len() + 28, "{line}");
                let whole: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(whole.is_object(), "{line}");
                rest.to_owned()
            };
            text.lines().map(without).collect()
        }
    }

    fn log() {
        let error = io::Error::other("a \"quoted\" cause");
        tracing::info!(
            pod = "web-\u{7}\n\"ü\"",
            patch_bytes = 2500_usize,
            less = -1_i64,
            ratio = 0.5,
            dry_run = true,
            %error,
            debug = ?Some("x"),
            "answered"
        );
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "it has {} words",
            4
        );
    }

    #[test]
    fn a_line_is_that_of_the_librarys_own_formatter() {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let (to_ours, to_theirs) = (ours.clone(), theirs.clone());
        let subscriber = SubscriberBuilder::default()
            .with_writer(move || to_ours.clone())
            .event_format(JsonLine)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let subscriber = SubscriberBuilder::default()
            .with_writer(move || to_theirs.clone())
            .json()
            .flatten_event(true)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        assert_eq!(ours.texts().len(), 2);
        assert_eq!(ours.texts(), theirs.texts());
    }
}
