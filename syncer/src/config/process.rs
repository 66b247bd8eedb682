use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use args::ProcessArgs;
use tokio::signal::unix::SignalKind;

use crate::config::ConfigError;
use crate::config::Environment;
use crate::signals;

/// What the process does once, however many repositories it syncs.
#[derive(Debug)]
pub(crate) struct ProcessConfig {
    /// The program, a path or a name to find in `PATH`.
    pub(crate) git: String,
    pub(crate) no_poller: bool,
    pub(crate) max_git_processes: usize,
    pub(crate) group_write: bool,
    pub(crate) add_user: bool,
    pub(crate) sync_on_signal: Option<SignalKind>,
    pub(crate) http_bind: Option<SocketAddr>,
    pub(crate) http_metrics: bool,
    pub(crate) http_pprof: bool,
    pub(crate) verbose: u8,
    pub(crate) environment: Arc<Environment>,
}

impl ProcessConfig {
    /// Checks every value.
    pub(crate) fn new(
        args: ProcessArgs,
        environment: Arc<Environment>,
    ) -> Result<Self, ConfigError> {
        // Taken apart without `..`: a flag that nobody uses does not compile.
        let ProcessArgs {
            config: _,
            config_inline: _,
            git,
            no_poller,
            max_git_processes,
            group_write,
            add_user,
            sync_on_signal,
            http_bind,
            http_metrics,
            http_pprof,
            verbose,
        } = args;
        Ok(Self {
            git,
            no_poller,
            max_git_processes,
            group_write,
            add_user,
            sync_on_signal: sync_on_signal.map(sync_signal).transpose()?,
            http_bind: http_bind.as_deref().map(bind_address).transpose()?,
            http_metrics,
            http_pprof,
            verbose,
            environment,
        })
    }
}

fn sync_signal(text: String) -> Result<SignalKind, ConfigError> {
    signals::parse(&text).ok_or_else(|| ConfigError::Value {
        flag: "sync-on-signal".to_owned(),
        value: text,
        expected: "a number or a name such as SIGHUP or HUP, and none that ends the program",
    })
}

/// Reads Go's notation: `:1234` is every address of this machine.
fn bind_address(text: &str) -> Result<SocketAddr, ConfigError> {
    let parsed = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| ConfigError::Value {
        flag: "http-bind".to_owned(),
        value: text.to_owned(),
        expected: "an address such as :1234 or 127.0.0.1:1234",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_gos_notation() {
        assert_eq!(bind_address(":1234").unwrap().port(), 1234);
        assert_eq!(
            bind_address("1234").unwrap_err().to_string(),
            "--http-bind (or GITSYNC_HTTP_BIND): \"1234\": expected an address such as :1234 or 127.0.0.1:1234"
        );
    }
}
