use std::path::Path;
use std::path::PathBuf;

use args::CaBundle;
use args::Credential;
use args::KnownHosts;
use args::RepoArgs;
use args::RepoUrl;
use args::Secret;
use args::UserInfo;
use url::Url;

use crate::config::ConfigError;
use crate::config::error::http_url;

/// git-sync's cookie file; no flag changes its path.
pub(crate) const COOKIE_FILE: &str = "/etc/git-secret/cookie_file";

/// The credentials and trust settings for the remote, from git-sync's flags.
#[derive(Clone, Debug)]
pub(crate) struct AccessConfig {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) credential: Vec<Credential>,
    pub(crate) ssh_keys: Vec<PathBuf>,
    /// None: the host's key is not checked.
    pub(crate) known_hosts: Option<PathBuf>,
    /// Default host keys, for when that file does not exist.
    pub(crate) default_known_hosts: Option<KnownHosts>,
    /// CAs in addition to the system's.
    pub(crate) ca_bundle: Option<CaBundle>,
    pub(crate) cookie_file: bool,
    pub(crate) askpass_url: Option<Url>,
    pub(crate) github_base_url: Url,
    pub(crate) github_app_client_id: Option<String>,
    pub(crate) github_app_application_id: Option<u64>,
    pub(crate) github_app_installation_id: Option<u64>,
    pub(crate) github_app_private_key: Option<Secret>,
    pub(crate) github_app_private_key_file: Option<PathBuf>,
}

impl AccessConfig {
    /// Reads the flags; contradictory ones are an error.
    pub(crate) fn new(args: &RepoArgs) -> Result<Self, ConfigError> {
        let askpass_url = args.askpass_url.as_deref().filter(|url| !url.is_empty());
        let access = Self {
            username: args.username.clone(),
            password: args
                .password
                .clone()
                .filter(|secret| !secret.reveal().is_empty()),
            password_file: args.password_file.clone(),
            credential: args.credential.clone(),
            ssh_keys: args.ssh_key_file.clone(),
            known_hosts: args
                .ssh_known_hosts
                .then(|| args.ssh_known_hosts_file.clone()),
            default_known_hosts: args.default_known_hosts.clone(),
            ca_bundle: args.ca_bundle.clone(),
            cookie_file: args.cookie_file,
            askpass_url: askpass_url
                .map(|url| http_url("askpass-url", url, "http://localhost:8080/"))
                .transpose()?,
            github_base_url: github_base_url(args)?,
            github_app_client_id: args.github_app_client_id.clone(),
            // As in git-sync, zero means unset.
            github_app_application_id: args.github_app_application_id.filter(|id| *id != 0),
            github_app_installation_id: args.github_app_installation_id.filter(|id| *id != 0),
            github_app_private_key: args
                .github_app_private_key
                .clone()
                .filter(|secret| !secret.reveal().is_empty()),
            github_app_private_key_file: args.github_app_private_key_file.clone(),
        };
        access.check_user(args)?;
        access.check_github_app()?;
        if access.cookie_file && !Path::new(COOKIE_FILE).exists() {
            let problem = format!("expected a file {COOKIE_FILE}, which does not exist");
            return Err(ConfigError::new("cookie-file", problem));
        }
        Ok(access)
    }

    fn check_user(&self, args: &RepoArgs) -> Result<(), ConfigError> {
        let (password, file) = (self.password.is_some(), self.password_file.is_some());
        let user = args.repo.as_ref().map(RepoUrl::user_info);
        let user = user.unwrap_or(UserInfo::None);
        if self.username.is_none() && user.name().is_none() {
            let without = "expected a --username to go with it";
            return match (password, file) {
                (true, _) => Err(ConfigError::new("password", without)),
                (_, true) => Err(ConfigError::new("password-file", without)),
                (false, false) => Ok(()),
            };
        }
        let is_named = self.username.is_some();
        let (flag, problem) = match (password, file) {
            (true, true) => (
                if is_named {
                    "username"
                } else {
                    "password-file"
                },
                "expected $GITSYNC_PASSWORD or --password-file, not both",
            ),
            // The other half may come from the address or from the Secret.
            (false, false) if user.has_secret() || args.secret_dir.is_some() => return Ok(()),
            (false, false) if is_named => (
                "username",
                "expected $GITSYNC_PASSWORD or --password-file to go with it",
            ),
            _ if user.has_secret() => (
                "username",
                "expected an address in --repo without credentials",
            ),
            _ => return Ok(()),
        };
        Err(ConfigError::new(flag, problem))
    }

    fn check_github_app(&self) -> Result<(), ConfigError> {
        const ID: &str = "--github-app-application-id or --github-app-client-id";
        const KEY: &str = "$GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file";
        let id = match (self.github_app_application_id, &self.github_app_client_id) {
            (None, None) => {
                return match self.github_app_installation_id {
                    Some(_) => Err(ConfigError::new(
                        "github-app-installation-id",
                        format!("expected {ID} to go with it"),
                    )),
                    None => Ok(()),
                };
            }
            (Some(_), Some(_)) => {
                let problem = format!("expected {ID}, not both");
                return Err(ConfigError::new("github-app-client-id", problem));
            }
            (Some(_), None) => "github-app-application-id",
            (None, Some(_)) => "github-app-client-id",
        };
        let keys = (
            &self.github_app_private_key,
            &self.github_app_private_key_file,
        );
        let problem = if self.github_app_installation_id.is_none() {
            "expected a --github-app-installation-id to go with it".to_owned()
        } else {
            match keys {
                (None, None) => format!("expected {KEY} to go with it"),
                (Some(_), Some(_)) => format!("expected {KEY}, not both"),
                _ if self.username.is_some() => {
                    "expected no --username together with a GitHub App".to_owned()
                }
                _ => return Ok(()),
            }
        };
        Err(ConfigError::new(id, problem))
    }
}

/// Parses the address of GitHub's API. Without an app any text is accepted, as in git-sync: charts
/// set it to the empty string.
fn github_base_url(args: &RepoArgs) -> Result<Url, ConfigError> {
    let example = RepoArgs::default().github_base_url;
    let is_asked = args.github_app_client_id.is_some()
        || args.github_app_application_id.is_some()
        || args.secret_dir.is_some();
    let text = if is_asked && !args.github_base_url.is_empty() {
        &args.github_base_url
    } else {
        &example
    };
    http_url("github-base-url", text, &example)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = Box<dyn FnOnce(&mut RepoArgs)>;

    fn access(change: impl FnOnce(&mut RepoArgs)) -> Result<AccessConfig, String> {
        let mut args = RepoArgs::new("https://git.example/x".parse().unwrap(), "/git");
        change(&mut args);
        AccessConfig::new(&args).map_err(|error| error.to_string())
    }

    fn secret(text: &str) -> Option<Secret> {
        text.parse().ok()
    }

    #[test]
    fn a_user_has_one_password() {
        let refused: [(Change, &str); 5] = [
            (
                Box::new(|args| args.username = Some("me".to_owned())),
                "--username (or GITSYNC_USERNAME): expected $GITSYNC_PASSWORD or --password-file \
                 to go with it",
            ),
            (
                Box::new(|args| args.password = secret("x")),
                "GITSYNC_PASSWORD: expected a --username to go with it",
            ),
            (
                Box::new(|args| args.password_file = Some("/p".into())),
                "--password-file (or GITSYNC_PASSWORD_FILE): expected a --username to go with it",
            ),
            (
                Box::new(|args| {
                    args.username = Some("me".to_owned());
                    args.password = secret("x");
                    args.password_file = Some("/p".into());
                }),
                "--username (or GITSYNC_USERNAME): expected $GITSYNC_PASSWORD or --password-file, \
                 not both",
            ),
            (
                Box::new(|args| {
                    args.repo = Some("https://me:x@git.example/x".parse().unwrap());
                    args.username = Some("me".to_owned());
                    args.password = secret("x");
                }),
                "--username (or GITSYNC_USERNAME): expected an address in --repo without credentials",
            ),
        ];
        for (change, sentence) in refused {
            assert_eq!(access(change).unwrap_err(), sentence);
        }
        for beside in [
            (|args: &mut RepoArgs| args.secret_dir = Some("/s".into())) as fn(&mut RepoArgs),
            |args| args.repo = Some("https://you:x@git.example/x".parse().unwrap()),
        ] {
            access(|args| {
                args.username = Some("me".to_owned());
                beside(args);
            })
            .unwrap();
        }
        let allowed = access(|args| {
            args.username = Some("me".to_owned());
            args.password = secret("");
            args.password_file = Some("/p".into());
        });
        assert!(allowed.is_ok());
    }

    #[test]
    fn a_user_name_in_the_address_is_combined_with_a_password_of_the_flags() {
        let acme = || "https://acme@git.example/x".parse().ok();
        let allowed: [Change; 4] = [
            Box::new(move |args| args.repo = acme()),
            Box::new(move |args| {
                args.repo = acme();
                args.password = secret("x");
            }),
            Box::new(move |args| {
                args.repo = acme();
                args.password_file = Some("/p".into());
            }),
            // git-sync v3 accepted this.
            Box::new(move |args| {
                args.repo = acme();
                args.username = Some("me".to_owned());
                args.password = secret("x");
            }),
        ];
        for change in allowed {
            assert!(access(change).is_ok());
        }
        let both = access(|args| {
            args.repo = "https://acme@git.example/x".parse().ok();
            args.password = secret("x");
            args.password_file = Some("/p".into());
        });
        assert_eq!(
            both.unwrap_err(),
            "--password-file (or GITSYNC_PASSWORD_FILE): expected $GITSYNC_PASSWORD or \
             --password-file, not both"
        );
    }

    #[test]
    fn addresses_are_read_and_not_repeated() {
        for (change, sentence) in [
            (
                Box::new(|args: &mut RepoArgs| args.askpass_url = Some("a:hunter2@b".to_owned()))
                    as Change,
                "--askpass-url (or GITSYNC_ASKPASS_URL): expected an address such as \
                 http://localhost:8080/",
            ),
            (
                Box::new(|args| {
                    args.secret_dir = Some("/secret".into());
                    args.github_base_url = "api.github.com".to_owned();
                }),
                "--github-base-url (or GITSYNC_GITHUB_BASE_URL): expected an address such as \
                 https://api.github.com/",
            ),
        ] {
            assert_eq!(access(change).unwrap_err(), sentence);
        }
        assert!(access(|args| args.askpass_url = Some(String::new())).is_ok());
        // Without an app the value is not used.
        assert!(access(|args| args.github_base_url = "x".to_owned()).is_ok());
    }

    #[test]
    fn a_github_app_has_one_id_an_installation_and_one_key() {
        let app = |change: Change| {
            access(|args| {
                args.github_app_client_id = Some("Iv1".to_owned());
                args.github_app_installation_id = Some(5);
                args.github_app_private_key_file = Some("/key".into());
                change(args);
            })
            .map(|_| ())
        };
        assert_eq!(app(Box::new(|_| {})), Ok(()));
        assert_eq!(
            app(Box::new(|args| args.github_app_application_id = Some(0))),
            Ok(())
        );
        let id = "--github-app-client-id (or GITSYNC_GITHUB_APP_CLIENT_ID)";
        let refused: [(Change, &str); 6] = [
            (
                Box::new(|args| args.github_app_application_id = Some(3)),
                "expected --github-app-application-id or --github-app-client-id, not both",
            ),
            (
                Box::new(|args| args.github_app_installation_id = None),
                "expected a --github-app-installation-id to go with it",
            ),
            (
                Box::new(|args| args.github_app_installation_id = Some(0)),
                "expected a --github-app-installation-id to go with it",
            ),
            (
                Box::new(|args| args.github_app_private_key_file = None),
                "expected $GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file to go \
                 with it",
            ),
            (
                Box::new(|args| args.github_app_private_key = secret("x")),
                "expected $GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file, not \
                 both",
            ),
            (
                Box::new(|args| {
                    args.username = Some("me".to_owned());
                    args.password = secret("x");
                }),
                "expected no --username together with a GitHub App",
            ),
        ];
        for (change, problem) in refused {
            assert_eq!(app(change).unwrap_err(), format!("{id}: {problem}"));
        }
        let lone = access(|args| args.github_app_installation_id = Some(5));
        assert_eq!(
            lone.unwrap_err(),
            "--github-app-installation-id (or GITSYNC_GITHUB_APP_INSTALLATION_ID): expected \
             --github-app-application-id or --github-app-client-id to go with it"
        );
    }
}
