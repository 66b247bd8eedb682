use args::RepoKind;
use args::is_service_variable;

use crate::config::Environment;
use crate::poll::allowed::setting::Setting;
use crate::remote::web::with_port;

/// Prefixes of variables that change neither git's remote nor its credentials: interaction with
/// users, and legacy names of the syncer's own settings.
const HARMLESS: [&str; 19] = [
    "GIT_ADVICE",
    "GIT_ASKPASS_URL",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_COOKIE_FILE",
    "GIT_CURL_VERBOSE",
    "GIT_EDITOR",
    "GIT_HTTP_LOW_SPEED_",
    "GIT_KNOWN_HOSTS",
    "GIT_MERGE_AUTOEDIT",
    "GIT_OPTIONAL_LOCKS",
    "GIT_PAGER",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH_KEY_FILE",
    "GIT_SSH_KNOWN_HOSTS_FILE",
    "GIT_SYNC_",
    "GIT_TEMPLATE_DIR",
    "GIT_TERMINAL_PROMPT",
    "GIT_TRACE",
];

/// Variables that the syncer sets or removes for every git command, whatever their value in the
/// environment; the last two are in the credentials.
const OURS: [&str; 20] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
];

/// Checks the variables that could change what git does; the error is the first one that is not on
/// the list.
pub(super) fn judge(environment: &Environment, kind: RepoKind) -> Result<(), Setting> {
    let vars = environment.gits.iter();
    for (name, value) in vars {
        // git knows no such names.
        if !is_allowed(name, value, kind) && !is_service_variable(name, value) {
            return Err(Setting::of(name));
        }
    }
    Ok(())
}

fn is_allowed(name: &str, value: &str, kind: RepoKind) -> bool {
    match name {
        "ALL_PROXY" | "HTTPS_PROXY" | "all_proxy" | "http_proxy" | "https_proxy" => {
            kind == RepoKind::Ssh || with_port(value).is_some()
        }
        // curl ignores the first.
        "HTTP_PROXY" | "NO_PROXY" | "no_proxy" => true,
        // Only the program curl reads the first; the syncer passes the others to git in a CA
        // bundle.
        "CURL_CA_BUNDLE" | "SSL_CERT_DIR" | "SSL_CERT_FILE" => true,
        // GIT_SSH_COMMAND, which the syncer sets, takes precedence.
        "GIT_SSH" => true,
        "GIT_SSH_VARIANT" => kind == RepoKind::Http || value == "ssh",
        // An agent may have a certificate for one of the syncer's keys.
        "SSH_AUTH_SOCK" => kind == RepoKind::Http,
        _ => OURS.contains(&name) || HARMLESS.iter().any(|beginning| name.starts_with(beginning)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_variables_are_accepted() {
        let harmless = Environment::with_git_variables(&[
            ("GIT_TRACE", "1"),
            ("GIT_TRACE_CURL", "1"),
            ("GIT_SYNC_REPO", "x"),
            ("GIT_KNOWN_HOSTS", "false"),
            ("GIT_DIR", "/x"),
            ("GIT_CONFIG_COUNT", "1"),
            ("http_proxy", "http://me:pw@proxy.example:3128"),
            ("https_proxy", "proxy.example:3128"),
            ("HTTP_PROXY", "socks5://x"),
            ("no_proxy", "*"),
            ("all_proxy", "proxy.example"),
            ("SSL_CERT_FILE", "/x"),
            ("SSL_CERT_DIR", "/x"),
            ("CURL_CA_BUNDLE", "/x"),
            ("GIT_SSH", "/x"),
            ("GIT_SERVICE_HOST", "10.0.0.1"),
            ("GIT_HOST_SERVICE_PORT", "80"),
            ("GIT_HOST_SERVICE_PORT_HTTP", "80"),
            ("GIT_HOST_PORT", "tcp://10.0.0.1:80"),
            ("GIT_HOST_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("GIT_HOST_PORT_80_TCP_PROTO", "tcp"),
            ("GIT_HOST_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("GIT_HOST_PORT_80_TCP_PORT", "80"),
        ]);
        assert_eq!(judge(&harmless, RepoKind::Http), Ok(()));
        assert_eq!(judge(&harmless, RepoKind::Ssh), Ok(()));
    }

    #[test]
    fn unsupported_settings_are_named() {
        for (name, value, kind) in [
            ("GIT_SSL_NO_VERIFY", "1", RepoKind::Http),
            ("GIT_SSL_CERT", "/x", RepoKind::Http),
            ("GIT_ASKPASS", "/x", RepoKind::Http),
            ("GIT_ALLOW_PROTOCOL", "https", RepoKind::Http),
            ("GIT_PROXY_COMMAND", "x", RepoKind::Ssh),
            ("GIT_PROTOCOL", "version=1", RepoKind::Http),
            ("GIT_EXEC_PATH", "/x", RepoKind::Http),
            ("GIT_CONFIG_KEY_0", "a.b", RepoKind::Http),
            ("GIT_HTTP_USER_AGENT", "x", RepoKind::Http),
            ("GIT_UNKNOWN", "x", RepoKind::Http),
            ("GIT_UNKNOWN_PORT", "80", RepoKind::Http),
            ("GIT_PORT_X_TCP", "80", RepoKind::Http),
            ("GIT_SSH_VARIANT", "plink", RepoKind::Ssh),
            ("SSH_AUTH_SOCK", "/x", RepoKind::Ssh),
            ("https_proxy", "socks5://proxy.example:1080", RepoKind::Http),
            ("https_proxy", "https://proxy.example:443", RepoKind::Http),
            ("LD_PRELOAD", "/x.so", RepoKind::Http),
        ] {
            let judged = judge(&Environment::with_git_variables(&[(name, value)]), kind);
            assert_eq!(judged, Err(Setting::of(name)), "{name}={value}");
        }
    }
}
