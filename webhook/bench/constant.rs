//! The webhook's server with a constant answer: it measures the cost of TLS, HTTP and logging
//! alone. `make bench` measures it beside `gitvolume-webhook` and builds it in the same way: the
//! same allocator, and static.
//!
//! Its argument is a directory: it answers with the file `answer.json` in it, writes the CA's
//! certificate to `ca.pem` and then its address to `address`, and serves until it is killed.

use std::fs;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Serving;
use inject::Settings;
use webhook::args::LogFormat;
use webhook::cluster::known::Known;
use webhook::logging;
use webhook::serve;
use webhook::server;
use webhook::server::Config;
use webhook::server::Limits;
use webhook::server::judge::Failure;
use webhook::server::judge::Verdict;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The length of a typical patch.
const PATCH_BYTES: usize = 2500;

fn main() -> anyhow::Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.context("expected a directory")?;
    let answer = fs::read(dir.join("answer.json")).context("answer.json")?;
    logging::init("info", LogFormat::Json)?;
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
            namespace: "shop".to_owned(),
            pod: "web-".to_owned(),
            decision: "inject",
            reason: "requested",
            patch_bytes: PATCH_BYTES,
            dry_run: false,
        })
    };
    let runtime = serve::runtime()?;
    let known = Known::only(Settings::new("none"));
    let running = runtime.block_on(server::start(config, serving, known, Arc::new(judge)))?;
    fs::write(dir.join("ca.pem"), bundle.pem())?;
    let partial = dir.join("address.partial");
    fs::write(&partial, running.address().to_string())?;
    fs::rename(&partial, dir.join("address")).context("tell the address")?;
    runtime.block_on(pending())
}
