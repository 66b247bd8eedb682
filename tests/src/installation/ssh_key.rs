//! Keys of ssh.

use std::fs;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

/// A new key in OpenSSH's formats.
#[derive(Clone, Debug)]
pub struct SshKey {
    /// The private key.
    pub private: String,
    /// The line with the public key.
    pub public: String,
}

impl SshKey {
    /// Creates a key.
    pub fn generate() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(&file)
            .output()
            .context("run ssh-keygen: tests/tools/prerequisites.sh test installs it")?;
        if !made.status.success() {
            bail!("ssh-keygen: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Self {
            private: fs::read_to_string(&file)?,
            public: fs::read_to_string(file.with_extension("pub"))?,
        })
    }
}
