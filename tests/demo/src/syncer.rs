use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;

use super::container::Container;
use super::show::Show;

/// Time that the syncer gets to end its git, as for a Pod that is deleted.
const GRACE: Duration = Duration::from_secs(10);

/// The injected syncer as a process; dropping it ends it and its children.
pub(super) struct Syncer {
    child: Child,
}

impl Syncer {
    /// Starts it, with its log lines on our standard output.
    pub(super) fn start(container: &Container, show: &Show) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut command = container.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C must reach only the demo, which then ends the syncer properly.
            .process_group(0);
        let mut child = command.spawn().context("cannot run the syncer")?;
        let (begin, end) = show.log_prefix();
        tell(child.stdout.take(), begin, end);
        tell(child.stderr.take(), begin, end);
        Ok(Self { child })
    }

    /// Checks that it still runs.
    pub(super) fn still_runs(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the syncer exited unexpectedly: {status}");
        }
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, Signal::SIGTERM)?;
        let begun = Instant::now();
        while begun.elapsed() < GRACE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("the syncer did not exit within {GRACE:?} and was killed")
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("gitvolume: {error:#}");
        }
    }
}

fn tell(output: Option<impl Read + Send + 'static>, begin: &'static str, end: &'static str) {
    let Some(output) = output else { return };
    // A thread, not a task: it ends with the pipe, independently of the runtime.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("           {begin}syncer: {}{end}", brief(&line));
        }
    });
}

/// A log line for people: the message and its subject, without time, place and process.
fn brief(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
        return line.to_owned();
    };
    let mut text = fields
        .get("msg")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for name in ["ref", "remote", "why", "err", "error", "signal"] {
        match fields.get(name) {
            Some(Value::String(value)) => text.push_str(&format!("  {name}={value}")),
            Some(value) => text.push_str(&format!("  {name}={value}")),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_is_shortened_and_other_text_is_unchanged() {
        let line = r#"{"logger":"","ts":"2026","level":0,"msg":"update required","ref":"main"}"#;
        assert_eq!(brief(line), "update required  ref=main");
        assert_eq!(brief("fatal: no"), "fatal: no");
    }
}
