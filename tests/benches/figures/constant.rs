//! Our own server with an answer that is always the same: what remains is what TLS, HTTP and the
//! way through the server cost, and how much of a whole answer that is.

use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::Result;
use bytes::Bytes;
use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Serving;
use inject::Settings;
use tests::eventually::eventually;
use tests::process::Process;
use webhook::judge::Failure;
use webhook::judge::Verdict;
use webhook::known::Known;
use webhook::server;
use webhook::server::Config;
use webhook::server::Limits;

use crate::load::Target;

/// The first argument that makes this program such a server.
pub(crate) const ARGUMENT: &str = "serve-a-constant";

/// A process of its own, so that its CPU time and memory are its own too.
pub(crate) struct Constant {
    process: Process,
    target: Target,
}

impl Constant {
    /// Starts one that answers requests with this body by that answer.
    pub(crate) fn start(dir: &Path, body: Bytes, answer: &[u8]) -> Result<Self> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("answer.json"), answer)?;
        let program = std::env::current_exe()?;
        let args = [ARGUMENT.to_owned(), dir.display().to_string()];
        let process = Process::start("constant", &program, &args, dir)?;
        let address = eventually("a constant's address", Duration::from_secs(30), || {
            fs::read_to_string(dir.join("address")).map_err(|error| error.to_string())
        });
        let address = address.map_err(|error| anyhow::anyhow!(error))?;
        let ca = dir.join("ca.pem");
        Ok(Self {
            process,
            target: Target { address, ca, body },
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}

/// What the process does: serves until it is killed.
pub(crate) fn serve(dir: &Path) -> Result<Infallible> {
    let answer = fs::read(dir.join("answer.json"))?;
    // As `gitvolume serve` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let bundle = Bundle::generate(SystemTime::now())?;
    let serving = Serving::new();
    serving.set_leaf(Leaf::issue(&bundle, &Names::local(), SystemTime::now())?);
    let listen = "127.0.0.1:0".parse()?;
    let config = Config {
        listen,
        admin_listen: listen,
        limits: Limits::default(),
    };
    let judge = move |_: &[u8]| -> Result<Verdict, Failure> {
        Ok(Verdict {
            body: answer.clone(),
            namespace: String::new(),
            pod: String::new(),
            decision: "inject",
            reason: "requested",
            patch_bytes: 0,
            dry_run: false,
        })
    };
    let running = runtime.block_on(server::start(
        config,
        serving,
        Known::only(Settings::new("none")),
        Arc::new(judge),
    ))?;
    fs::write(dir.join("ca.pem"), bundle.pem())?;
    let partial: PathBuf = dir.join("address.partial");
    fs::write(&partial, running.address().to_string())?;
    fs::rename(&partial, dir.join("address")).context("tell the address")?;
    runtime.block_on(pending())
}
