use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;

use args::ProcessArgs;
use tokio::signal::unix::SignalKind;

use crate::config::ConfigError;
use crate::config::Environment;
use crate::system::signals;

/// The settings of the process, independent of the number of repositories.
#[derive(Debug)]
pub(crate) struct ProcessConfig {
    /// The git program: a path, or a name to look up in `PATH`.
    pub(crate) git: String,
    pub(crate) no_poller: bool,
    pub(crate) max_git_processes: usize,
    pub(crate) group_write: bool,
    pub(crate) add_user: bool,
    pub(crate) sync_on_signal: Option<SignalKind>,
    pub(crate) http_bind: Option<SocketAddr>,
    pub(crate) http_metrics: bool,
    pub(crate) http_pprof: bool,
    pub(crate) push_secret_file: Option<PathBuf>,
    pub(crate) environment: Arc<Environment>,
}

impl ProcessConfig {
    /// Checks every value.
    pub(crate) fn new(
        args: ProcessArgs,
        environment: Arc<Environment>,
    ) -> Result<Self, ConfigError> {
        // Destructured without `..`, so that an unused flag does not compile.
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
            push_secret_file,
            // The log uses it before there is a configuration.
            verbose: _,
        } = args;
        let needs_http = [
            ("http-metrics", http_metrics),
            ("http-pprof", http_pprof),
            ("push-secret-file", push_secret_file.is_some()),
        ];
        let first = needs_http.iter().find(|(_, is_set)| *is_set);
        if let (None, Some((flag, _))) = (&http_bind, first) {
            return Err(ConfigError::new(
                flag,
                "expected an --http-bind to go with it",
            ));
        }
        if max_git_processes == 0 {
            return Err(ConfigError::value("max-git-processes", &0, "at least 1"));
        }
        Ok(Self {
            git,
            no_poller,
            max_git_processes,
            group_write,
            add_user,
            sync_on_signal: sync_on_signal.as_deref().map(sync_signal).transpose()?,
            http_bind: http_bind.as_deref().map(bind_address).transpose()?,
            http_metrics,
            http_pprof,
            push_secret_file,
            environment,
        })
    }
}

fn sync_signal(text: &str) -> Result<SignalKind, ConfigError> {
    signals::parse(text).ok_or_else(|| {
        let expected =
            "a signal number or a name such as SIGHUP or HUP that does not terminate the syncer";
        ConfigError::value("sync-on-signal", &text, expected)
    })
}

/// Parses Go's notation: `:1234` is every local address; a name is resolved.
fn bind_address(text: &str) -> Result<SocketAddr, ConfigError> {
    let parsed = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        None => text.to_socket_addrs().ok().and_then(|mut all| all.next()),
    };
    parsed.ok_or_else(|| {
        let expected = "an address such as :1234 or 127.0.0.1:1234";
        ConfigError::value("http-bind", &text, expected)
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

    #[test]
    fn http_endpoints_require_a_bind_address() {
        let process = |http_bind: Option<&str>| {
            let args = ProcessArgs {
                push_secret_file: Some("/secret".into()),
                http_bind: http_bind.map(str::to_owned),
                ..ProcessArgs::default()
            };
            ProcessConfig::new(args, Arc::default()).map_err(|error| error.to_string())
        };
        assert!(process(Some(":0")).is_ok());
        assert_eq!(
            process(None).unwrap_err(),
            "--push-secret-file (or GITSYNC_PUSH_SECRET_FILE): expected an --http-bind to go with it"
        );
    }
}
