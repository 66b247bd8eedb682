//! Serves all repositories below a directory over smart HTTP; for test images.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use remotes::BasicAuth;

/// Serve git repositories over smart HTTP.
#[derive(Debug, Parser)]
struct Args {
    /// The directory of the repositories
    #[arg(long)]
    root: PathBuf,
    /// The address to listen on, such as 0.0.0.0:8080
    #[arg(long)]
    listen: SocketAddr,
    /// The user who may read; everybody by default
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// The file with the user's password, read at each request
    #[arg(long, requires = "user")]
    password_file: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let Args {
        root,
        listen,
        user,
        password_file,
    } = Args::parse();
    let auth = user
        .zip(password_file)
        .map(|(user, file)| BasicAuth::PasswordFile(user, file));
    let root = root
        .canonicalize()
        .with_context(|| format!("--root {}", root.display()))?;
    remotes::serve_for_ever(&root, listen, auth)
}
