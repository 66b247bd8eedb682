use std::path::PathBuf;
use std::time::Duration;

use args::GitDuration;
use args::RepoArgs;
use reqwest::Method;
use url::Url;

use crate::config::ConfigError;
use crate::config::error::http_url;

/// The hooks that run for each new tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct HooksConfig {
    pub(crate) exec: Option<ExecHook>,
    pub(crate) pre_publish: Option<ExecHook>,
    pub(crate) webhook: Option<Webhook>,
}

/// A program that is started in the tree.
#[derive(Clone, Debug)]
pub(crate) struct ExecHook {
    pub(crate) command: PathBuf,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Duration,
}

/// An address that is requested.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// The status that means success; `None` ignores the response.
    pub(crate) success_status: Option<u16>,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Duration,
}

impl HooksConfig {
    /// Checks the values of the hooks that are set, and ignores those of the others.
    pub(crate) fn new(args: &RepoArgs) -> Result<Self, ConfigError> {
        let exec = |prefix: &str, command: &Option<PathBuf>, timeout, backoff| {
            let hook = |command: &PathBuf| -> Result<ExecHook, ConfigError> {
                Ok(ExecHook {
                    command: command.clone(),
                    timeout: at_least_a_second(&format!("{prefix}-timeout"), timeout)?,
                    backoff: at_least_a_second(&format!("{prefix}-backoff"), backoff)?,
                })
            };
            command.as_ref().map(hook).transpose()
        };
        Ok(Self {
            exec: exec(
                "exechook",
                &args.exechook_command,
                args.exechook_timeout,
                args.exechook_backoff,
            )?,
            pre_publish: exec(
                "pre-publish-exechook",
                &args.pre_publish_exechook_command,
                args.pre_publish_exechook_timeout,
                args.pre_publish_exechook_backoff,
            )?,
            webhook: match &args.webhook_url {
                Some(url) => Some(Webhook::new(url, args)?),
                None => None,
            },
        })
    }
}

impl Webhook {
    fn new(url: &str, args: &RepoArgs) -> Result<Self, ConfigError> {
        Ok(Self {
            url: http_url("webhook-url", url, "http://localhost:9300/")?,
            method: method(&args.webhook_method)?,
            success_status: success_status(args.webhook_success_status)?,
            timeout: at_least_a_second("webhook-timeout", args.webhook_timeout)?,
            backoff: at_least_a_second("webhook-backoff", args.webhook_backoff)?,
        })
    }
}

/// Parses a method; empty means GET, as in Go's client.
fn method(text: &str) -> Result<Method, ConfigError> {
    match text {
        "" => Ok(Method::GET),
        text => Method::from_bytes(text.as_bytes())
            .map_err(|_| ConfigError::value("webhook-method", &text, "a method such as POST")),
    }
}

/// Parses a status; 0, and -1 as in git-sync v3, mean none.
fn success_status(status: i64) -> Result<Option<u16>, ConfigError> {
    match u16::try_from(status) {
        Ok(0) => Ok(None),
        Ok(status) => Ok(Some(status)),
        Err(_) if status == -1 => Ok(None),
        Err(_) => {
            let expected = "an HTTP status such as 200, or 0 for any";
            Err(ConfigError::value(
                "webhook-success-status",
                &status,
                expected,
            ))
        }
    }
}

fn at_least_a_second(flag: &str, value: GitDuration) -> Result<Duration, ConfigError> {
    if value < GitDuration::from_secs(1) {
        let expected = "a duration of at least 1s, such as 30s or 5m";
        return Err(ConfigError::value(flag, &value, expected));
    }
    Ok(value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(change: impl FnOnce(&mut RepoArgs)) -> Result<HooksConfig, String> {
        let mut args = RepoArgs::default();
        change(&mut args);
        HooksConfig::new(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_times_of_a_hook_that_is_not_set_may_be_anything() {
        let short = GitDuration::from_millis(1);
        assert!(hooks(|args| args.exechook_timeout = short).is_ok());
        let error = hooks(|args| {
            args.exechook_command = Some("/bin/true".into());
            args.exechook_timeout = short;
        });
        assert_eq!(
            error.unwrap_err(),
            "--exechook-timeout (or GITSYNC_EXECHOOK_TIMEOUT): \"1ms\": expected a duration of \
             at least 1s, such as 30s or 5m"
        );
    }

    #[test]
    fn a_webhook_has_an_address_and_a_status() {
        let webhook = |status| {
            hooks(|args| {
                args.webhook_url = Some("http://localhost:9300/api".to_owned());
                args.webhook_success_status = status;
            })
            .map(|hooks| hooks.webhook.unwrap().success_status)
        };
        assert_eq!(webhook(200), Ok(Some(200)));
        assert_eq!(webhook(0), Ok(None));
        assert_eq!(webhook(-1), Ok(None));
        assert!(webhook(-2).is_err());
        let method = |method: &str| {
            hooks(|args| {
                args.webhook_url = Some("http://localhost:9300/api".to_owned());
                args.webhook_method = method.to_owned();
            })
            .map(|hooks| hooks.webhook.unwrap().method.to_string())
        };
        assert_eq!(method("PUT"), Ok("PUT".to_owned()));
        assert_eq!(method(""), Ok("GET".to_owned()));
        assert!(method("P T").is_err());
        for url in ["localhost:9300", "ftp://x/", "x"] {
            assert!(hooks(|args| args.webhook_url = Some(url.to_owned())).is_err());
        }
    }
}
