//! The webhook's own server with a constant answer: the remaining cost is that of TLS, HTTP and the
//! server, to compare with that of a whole answer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use bytes::Bytes;
use tests::eventually::eventually;
use tests::process::Process;
use tests::settings;

use crate::load::Target;

/// A separate process, so that its CPU time and memory can be measured alone.
pub(crate) struct Constant {
    process: Process,
    target: Target,
}

impl Constant {
    /// Starts a server that answers requests with this body by this answer.
    pub(crate) fn start(dir: &Path, body: Bytes, answer: &[u8]) -> Result<Self> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("answer.json"), answer)?;
        let program = settings::constant_binary();
        let args = [dir.display().to_string()];
        let process = Process::start("constant", &program, &args, dir)
            .with_context(|| format!("start {}: make dist-bench builds it", program.display()))?;
        let address = eventually("a constant's address", Duration::from_secs(30), || {
            fs::read_to_string(dir.join("address")).map_err(|error| error.to_string())
        });
        let address = address.map_err(|error| anyhow::anyhow!(error))?;
        let ca = dir.join("ca.pem");
        Ok(Self {
            process,
            target: Target {
                address,
                ca,
                path: "/mutate",
                body,
            },
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}
