use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// What we take from the environment besides the flags.
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
    /// Reads the process's environment: the one place besides clap that does.
    pub(crate) fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in env::vars_os().filter(|(_, value)| !value.is_empty()) {
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
