use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// The one door to the process's environment, and what we take from it besides the flags.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) home: Option<OsString>,
    pub(crate) path: Option<OsString>,
    pub(crate) ssh_command: Option<String>,
    /// The CA file that git is told to use (`GIT_SSL_CAINFO`).
    pub(crate) git_ssl_ca_info: Option<PathBuf>,
    /// The CA file that programs use in the system's place (`SSL_CERT_FILE`).
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// Where libnss_wrapper.so is, should it be in none of the usual places.
    pub(crate) nss_wrapper: Option<PathBuf>,
}

impl Environment {
    /// All variables, for the flags.
    pub(crate) fn variables() -> impl Iterator<Item = (OsString, OsString)> {
        env::vars_os()
    }

    /// Reads the process's environment.
    pub(crate) fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in Self::variables().filter(|(_, value)| !value.is_empty()) {
            match name.to_str() {
                Some("GITVOLUME_NSS_WRAPPER") => environment.nss_wrapper = Some(value.into()),
                Some("GIT_SSH_COMMAND") => environment.ssh_command = value.into_string().ok(),
                Some("GIT_SSL_CAINFO") => environment.git_ssl_ca_info = Some(value.into()),
                Some("SSL_CERT_FILE") => environment.ssl_cert_file = Some(value.into()),
                Some("HOME") => environment.home = Some(value),
                Some("PATH") => environment.path = Some(value),
                _ => {}
            }
        }
        environment
    }
}
