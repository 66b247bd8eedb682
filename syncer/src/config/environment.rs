use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Variables without the prefix `GIT_` that can change git's remote, its credentials or its trust.
const ALSO_GITS: [&str; 17] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LOCALDOMAIN",
    "NO_PROXY",
    "RES_OPTIONS",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The process's environment, except the flags. The syncer reads variables only here.
#[derive(Default)]
pub(crate) struct Environment {
    pub(crate) home: Option<OsString>,
    pub(crate) path: Option<OsString>,
    pub(crate) ssh_command: Option<String>,
    /// The CA file for git (`GIT_SSL_CAINFO`).
    pub(crate) git_ssl_ca_info: Option<PathBuf>,
    /// The CA file that replaces the system's (`SSL_CERT_FILE`).
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// Directories of additional CA files (`SSL_CERT_DIR`).
    pub(crate) ssl_cert_dirs: Vec<PathBuf>,
    /// The path of libnss_wrapper.so, if it is not in a default location.
    pub(crate) nss_wrapper: Option<PathBuf>,
    /// The step before which the program exits, for the crash tests.
    #[cfg(debug_assertions)]
    pub(crate) crash_at: Option<i64>,
    /// The variables that git, or a program that git starts, may read.
    pub(crate) gits: Vec<(String, String)>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a proxy may contain a password.
        f.write_str("Environment")
    }
}

impl Environment {
    /// An environment with only these variables for git.
    #[cfg(test)]
    pub(crate) fn with_git_variables(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter();
        Self {
            gits: variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Self::default()
        }
    }

    /// All variables, for the parser of the flags.
    pub(crate) fn variables() -> impl Iterator<Item = (OsString, OsString)> {
        env::vars_os()
    }

    /// The value of one variable, for what is read before or without the configuration.
    pub(crate) fn variable(wanted: &str) -> Option<OsString> {
        let mut variables = Self::variables();
        variables.find_map(|(name, value)| (name == wanted).then_some(value))
    }

    /// `TZ`, read before the configuration because the log's clock needs it; empty differs from
    /// unset.
    pub(crate) fn time_zone() -> Option<OsString> {
        Self::variable("TZ")
    }

    /// Reads the process's environment.
    pub(crate) fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in Self::variables() {
            // An empty proxy variable has a meaning: no proxy is used.
            if value.is_empty() && !name.to_string_lossy().ends_with("_proxy") {
                continue;
            }
            if let Some(name) = name.to_str()
                && (name.starts_with("GIT_") || ALSO_GITS.contains(&name))
            {
                let value = value.to_string_lossy().into_owned();
                environment.gits.push((name.to_owned(), value));
            }
            match name.to_str() {
                Some("GITVOLUME_NSS_WRAPPER") => environment.nss_wrapper = Some(value.into()),
                #[cfg(debug_assertions)]
                Some("GITVOLUME_CRASH_AT") => {
                    environment.crash_at = value.to_str().and_then(|step| step.parse().ok());
                }
                Some("GIT_SSH_COMMAND") => environment.ssh_command = value.into_string().ok(),
                Some("GIT_SSL_CAINFO") => environment.git_ssl_ca_info = Some(value.into()),
                Some("SSL_CERT_FILE") => environment.ssl_cert_file = Some(value.into()),
                Some("SSL_CERT_DIR") => {
                    environment.ssl_cert_dirs = env::split_paths(&value).collect();
                }
                Some("HOME") => environment.home = Some(value),
                Some("PATH") => environment.path = Some(value),
                _ => {}
            }
        }
        environment
    }
}
