//! The program itself: its log, its files, its signals.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStderr;
use tokio::process::Command;

use crate::common::connect;
use crate::common::handshake;
use crate::common::post;
use crate::common::review;

struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    seen: String,
    ca: tempfile::TempDir,
}

impl Program {
    fn start(further: &[&str]) -> anyhow::Result<Self> {
        let ca = tempfile::tempdir()?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_gitvolume-webhook"))
            .args(["--tls=in-memory", "--listen=127.0.0.1:0"])
            .args(["--admin-listen=127.0.0.1:0", "--log-format=json"])
            .arg("--syncer-image=registry.example/syncer:1")
            .arg("--ca-out")
            .arg(ca.path().join("ca.crt"))
            .args(further)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().context("no standard error")?;
        Ok(Self {
            child,
            lines: BufReader::new(stderr).lines(),
            seen: String::new(),
            ca,
        })
    }

    async fn line(&mut self, message: &str) -> anyhow::Result<Value> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen.push_str(&line);
                self.seen.push('\n');
                let line: Value = serde_json::from_str(&line)?;
                if line["message"] == message {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended without saying {message:?}")
        };
        tokio::time::timeout(Duration::from_secs(60), found).await?
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        let status = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()?;
        anyhow::ensure!(status.success(), "kill: {status}");
        Ok(())
    }

    async fn client(&mut self) -> anyhow::Result<crate::common::Client> {
        let line = self.line("listening").await?;
        let address: SocketAddr = line["address"].as_str().unwrap_or_default().parse()?;
        let pem = std::fs::read_to_string(self.ca.path().join("ca.crt"))?;
        // The key does not matter to a client.
        let key = certs::Bundle::generate(std::time::SystemTime::now())?.key_pem();
        let trusted = certs::Bundle::from_pem(&pem, &key)?;
        handshake(connect(address, &trusted).await?).await
    }
}

#[tokio::test]
async fn a_decision_is_one_line_and_no_secret_is_in_any() -> anyhow::Result<()> {
    let mut program = Program::start(&["--log=trace", "--drain-delay=10ms"])?;
    let mut client = program.client().await?;
    for repo in [
        "https://user:hunter2@git.example/site.git",
        "https://user:hunter2@git.example/ site.git",
        "hunter2",
    ] {
        let annotations = json!({"gitvolume.dev/repo": repo, "another/annotation": "hunter2"});
        post(&mut client, review(&annotations)).await?;
        let line = program.line("answered").await?;
        assert_eq!(line["namespace"], "shop");
        assert_eq!(line["pod"], "web-5d9c7b8f4-");
        assert!(line["duration_us"].is_u64());
    }
    program.signal("TERM")?;
    program.line("drained").await?;
    assert!(program.child.wait().await?.success());
    assert!(!program.seen.contains("hunter2"), "{}", program.seen);
    assert!(!program.seen.contains("PRIVATE"), "{}", program.seen);
    Ok(())
}

#[tokio::test]
async fn the_log_filter_changes_with_the_settings_file() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("settings.yaml");
    std::fs::write(&file, "log: webhook=debug,info\n")?;
    let config = format!("--config={}", file.display());
    let mut program = Program::start(&["--log=info", &config, "--drain-delay=10ms"])?;
    let mut client = program.client().await?;
    // The server closes a connection without a first request within seconds.
    post(&mut client, crate::common::good_review()).await?;
    let line = program.line("the log filter has changed").await?;
    assert_eq!(line["log"], "webhook=debug,info");

    // An invalid filter changes nothing.
    std::fs::write(&file, "log: debgu\n")?;
    let line = program
        .line("the new settings cannot be used; the previous ones stay in force")
        .await?;
    let error = line["error"].as_str().unwrap_or_default();
    let expected = "the settings cannot be used: log: \"debgu\": expected a level";
    assert!(error.starts_with(expected), "{error}");
    post(&mut client, crate::common::good_review()).await?;
    program.line("answered").await?;

    std::fs::write(&file, "log: info\n")?;
    program.line("the log filter has changed").await?;
    std::fs::write(&file, "{}\n")?;
    let line = program.line("the log filter has changed").await?;
    assert_eq!(line["log"], "as the flag says");
    // The settings of the injection stay the same all the time: no Pod is affected.
    assert!(!program.seen.contains("the settings have changed"));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_at_once() -> anyhow::Result<()> {
    let mut program = Program::start(&["--drain-delay=1m"])?;
    program.line("listening").await?;
    program.signal("TERM")?;
    program.line("draining").await?;
    program.signal("TERM")?;
    let ended = tokio::time::timeout(Duration::from_secs(5), program.child.wait());
    assert!(ended.await??.success());
    Ok(())
}

#[tokio::test]
async fn a_wrong_setting_is_one_sentence() -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_gitvolume-webhook"))
        .arg("--tls=in-memory")
        .output()
        .await?;
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        text,
        "gitvolume-webhook: --syncer-image must be set, or `image` in the file of --config\n"
    );
    Ok(())
}
