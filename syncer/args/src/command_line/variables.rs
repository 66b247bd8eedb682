use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::command_line::legacy_flags::MEANINGLESS_VARIABLES;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::legacy_flags::OldFlag;
use crate::command_line::legacy_flags::why_meaningless;
use crate::command_line::lex::shown;
use crate::command_line::sensitive::is_secret;
use crate::command_line::setting::Setting;
use crate::command_line::usage_error::UsageError;
use crate::flags::FLAGS;
use crate::flags::Flag;
use crate::flags::find;
use crate::flags::kind::Kind;
use crate::nearest::nearest;

/// Prefixes of the variables of git-sync v4, and of v2 and v3.
const PREFIXES: [&str; 2] = ["GITSYNC_", "GIT_SYNC_"];

/// The environment variables whose names begin with `GIT`.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, OsString>);

impl Variables {
    pub(crate) fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 cannot be one of these.
        let named = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| name.starts_with("GIT")).collect())
    }

    /// The value of a present flag: a legacy name takes precedence over the present one, and of
    /// several legacy names the last. Each legacy name adds a notice.
    pub(crate) fn of_flag(
        &self,
        flag: &Flag,
        notices: &mut Vec<String>,
    ) -> Result<Option<Setting>, UsageError> {
        let Some(env) = flag.variable() else {
            return Ok(None);
        };
        let is_set = |name: &&str| self.0.contains_key(*name);
        let set: Vec<&str> = flag.env.iter().copied().filter(is_set).collect();
        for old in set.iter().filter(|name| **name != env) {
            notices.push(format!(
                "env ${old} has been deprecated, use ${env} instead"
            ));
        }
        let Some((winner, others)) = set.split_last() else {
            return Ok(None);
        };
        for other in others {
            notices.push(format!("env ${other} was overridden by ${winner}"));
        }
        self.read(winner, flag.kind, is_secret(flag.name)).map(Some)
    }

    /// The value of a legacy flag (v2, v3).
    pub(crate) fn of_old_flag(&self, flag: &OldFlag) -> Result<Option<Setting>, UsageError> {
        match flag.env.filter(|env| self.0.contains_key(*env)) {
            Some(env) => self.read(env, flag.kind, is_secret(flag.name)).map(Some),
            None => Ok(None),
        }
    }

    /// The plain text of a variable, without any grammar.
    pub(crate) fn text(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    fn read(&self, name: &str, kind: Kind, is_secret: bool) -> Result<Setting, UsageError> {
        let value = self.0.get(name).cloned().unwrap_or_default();
        let value = value
            .into_string()
            .map_err(|_| UsageError::fatal(format!("{name}: expected valid UTF-8")))?;
        let values = kind.read_variable(&value).map_err(|expected| {
            let value = shown(&value, is_secret);
            UsageError::fatal(format!("{name}: {value}: {expected}"))
        })?;
        Ok(Setting {
            values,
            name: name.to_owned(),
        })
    }

    /// A variable of v2 or v3 that v4 does not read.
    pub(crate) fn v3(&self) -> Option<String> {
        let mut names = MEANINGLESS_VARIABLES.iter();
        names
            .find(|name| self.0.get(**name).is_some_and(|value| !value.is_empty()))
            .map(|name| (*name).to_owned())
    }

    /// One notice for each unknown variable with such a prefix.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let looks_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        self.0
            .iter()
            .filter(|(name, value)| {
                looks_ours(name)
                    && !is_known(name)
                    && !is_service_variable(name, &value.to_string_lossy())
            })
            .map(|(name, _)| sentence(name))
            .collect()
    }
}

fn is_known(name: &str) -> bool {
    FLAGS.iter().any(|flag| flag.env.contains(&name))
        || OLD_FLAGS.iter().any(|flag| flag.env == Some(name))
}

/// Whether Kubernetes has set a variable for a Service in the Pod's namespace, such as `git-sync` or
/// `git-host`
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
pub fn is_service_variable(name: &str, value: &str) -> bool {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme);
    let is_address = name.ends_with("_PORT") && matches!(scheme, Some("tcp" | "udp" | "sctp"));
    let is_port_of = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        number.parse::<u16>().is_ok()
            && ["TCP", "UDP", "SCTP"].contains(&protocol.split('_').next().unwrap_or_default())
    };
    is_address
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split("_PORT_").skip(1).any(is_port_of)
}

/// The part of a name after the prefix.
fn bare(name: &str) -> &str {
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

fn sentence(name: &str) -> String {
    if MEANINGLESS_VARIABLES.iter().any(|m| bare(m) == bare(name)) {
        let why = why_meaningless(bare(name));
        return format!("env ${name} is ignored: {why}");
    }
    // Each known name, legacy ones included, with the variable to use.
    let present = FLAGS.iter().flat_map(|flag| {
        let names = flag.env.iter().rev();
        names.map(|name| (bare(name), flag.env[0]))
    });
    let old = OLD_FLAGS.iter().filter_map(|old| {
        let flag = find(old.instead?)?;
        Some((bare(old.env?), flag.variable()?))
    });
    let known: Vec<(&str, &str)> = present.chain(old).collect();
    let near = nearest(bare(name), known.iter().map(|(known, _)| *known));
    let near = near.and_then(|near| known.iter().find(|(known, _)| *known == near));
    match near {
        Some((_, env)) => format!("env ${name} is unknown, and ignored; did you mean ${env}?"),
        None => format!("env ${name} is unknown, and ignored; --man lists the known variables"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pairs = pairs.iter();
        Variables::new(pairs.map(|(name, value)| (name.into(), value.into())))
    }

    fn unknown(name: &str, value: &str) -> Option<String> {
        variables(&[(name, value)]).unknown().pop()
    }

    #[test]
    fn an_unknown_variable_is_reported_with_the_most_similar_name() {
        for (name, near) in [
            ("GITSYNC_PERIDO", "GITSYNC_PERIOD"),
            ("GITSYNC_BRANCH", "GITSYNC_REF"),
            ("GITSYNC_DEST", "GITSYNC_LINK"),
            ("GITSYNC_WAIT", "GITSYNC_PERIOD"),
            ("GIT_SYNC_REF", "GITSYNC_REF"),
            (
                "GIT_SYNC_STALE_WORKTREE_TIMEOUT",
                "GITSYNC_STALE_WORKTREE_TIMEOUT",
            ),
            ("GITSYNC_KNOWN_HOSTS", "GITSYNC_SSH_KNOWN_HOSTS"),
            ("GITSYNC_WEBHOOK", "GITSYNC_WEBHOOK_URL"),
            ("GITSYNC_PERMISSIONS", "GITSYNC_GROUP_WRITE"),
        ] {
            assert_eq!(
                unknown(name, "x").unwrap(),
                format!("env ${name} is unknown, and ignored; did you mean ${near}?")
            );
        }
        assert_eq!(
            unknown("GITSYNC_ZZZ", "x").unwrap(),
            "env $GITSYNC_ZZZ is unknown, and ignored; --man lists the known variables"
        );
    }

    #[test]
    fn the_boolean_ssh_variable_is_ignored_with_a_notice() {
        for name in ["GIT_SYNC_SSH", "GITSYNC_SSH"] {
            assert_eq!(
                unknown(name, "yes").unwrap(),
                format!("env ${name} is ignored: the repository address selects ssh")
            );
        }
    }

    #[test]
    fn the_service_variables_of_kubernetes_are_ignored() {
        for (name, value) in [
            ("GIT_SYNC_PORT", "tcp://10.0.0.1:80"),
            ("GIT_SYNC_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("GIT_SYNC_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("GIT_SYNC_PORT_80_TCP_PORT", "80"),
            ("GIT_SYNC_PORT_80_TCP_PROTO", "tcp"),
            ("GIT_SYNC_SERVICE_HOST", "10.0.0.1"),
            ("GIT_SYNC_SERVICE_PORT", "80"),
            ("GIT_SYNC_SERVICE_PORT_HTTP", "80"),
            ("GITSYNC_HTTP_PORT_53_UDP_PROTO", "udp"),
            ("GIT_SYNC_WEBHOOK_PORT", "udp://10.0.0.1:53"),
        ] {
            assert_eq!(unknown(name, value), None, "{name}");
        }
        assert!(unknown("GITSYNC_HTTP_PORT", "8080").is_some());
        assert!(unknown("GIT_SYNC_PORT_HTTP", "8080").is_some());
    }

    #[test]
    fn known_variables_and_those_of_git_cause_no_notice() {
        for name in [
            "GITSYNC_REPO",
            "GIT_SYNC_REPO",
            "GIT_SYNC_DEST",
            "GIT_SSH_COMMAND",
        ] {
            assert_eq!(unknown(name, "x"), None, "{name}");
        }
    }
}
