use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::command_line::Refusal;
use crate::command_line::lex::shown;
use crate::command_line::old_names::MEANINGLESS_VARIABLES;
use crate::command_line::old_names::OLD_FLAGS;
use crate::command_line::old_names::OldFlag;
use crate::command_line::old_names::why_meaningless;
use crate::command_line::settings::Setting;
use crate::command_line::table::FLAGS;
use crate::command_line::table::Flag;
use crate::command_line::value::Kind;
use crate::nearest::nearest;
use crate::sensitive::is_secret;

/// What git-sync v4 puts in front of a flag's name, and what its elders did.
const PREFIXES: [&str; 2] = ["GITSYNC_", "GIT_SYNC_"];

/// The variables of the environment whose names are ours or look so.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, OsString>);

impl Variables {
    pub(crate) fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 is none of ours.
        let named = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.filter(|(name, _)| name.starts_with("GIT")).collect())
    }

    /// The value of a present flag: an old name wins over the present one, and of several old ones
    /// the last. Each old one is told of.
    pub(crate) fn of_flag(
        &self,
        flag: &Flag,
        notices: &mut Vec<String>,
    ) -> Result<Option<Setting>, Refusal> {
        let Some(env) = flag.env else {
            return Ok(None);
        };
        let is_set = |name: &&&str| self.0.contains_key(**name);
        let set: Vec<&str> = std::iter::once(&env)
            .chain(flag.old_env)
            .filter(is_set)
            .copied()
            .collect();
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

    /// The value of a flag of v2 or v3.
    pub(crate) fn of_old_flag(&self, flag: &OldFlag) -> Result<Option<Setting>, Refusal> {
        match flag.env.filter(|env| self.0.contains_key(*env)) {
            Some(env) => self.read(env, flag.kind, is_secret(flag.name)).map(Some),
            None => Ok(None),
        }
    }

    /// The plain text of a variable, of which nothing is expected.
    pub(crate) fn text(&self, name: &str) -> Option<&OsString> {
        self.0.get(name)
    }

    fn read(&self, name: &str, kind: Kind, is_secret: bool) -> Result<Setting, Refusal> {
        let value = self.0.get(name).cloned().unwrap_or_default();
        let value = value
            .into_string()
            .map_err(|_| Refusal::fatal(format!("{name}: expected a text in UTF-8")))?;
        let values = kind.read_variable(&value).map_err(|expected| {
            let value = shown(&value, is_secret);
            Refusal::fatal(format!("{name}: {value}: {expected}"))
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

    /// One sentence for each variable that looks like ours and is not.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let looks_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        self.0
            .iter()
            .filter(|(name, value)| {
                looks_ours(name) && !is_known(name) && !is_of_a_service(name, value)
            })
            .map(|(name, _)| sentence(name))
            .collect()
    }
}

fn is_known(name: &str) -> bool {
    FLAGS
        .iter()
        .any(|flag| flag.env == Some(name) || flag.old_env.contains(&name))
        || OLD_FLAGS.iter().any(|flag| flag.env == Some(name))
}

/// Tells whether Kubernetes made this variable, for a Service whose name begins like ours, such as
/// `git-sync` (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_of_a_service(name: &str, value: &OsString) -> bool {
    let is_address = value
        .to_str()
        .and_then(|value| value.split_once("://"))
        .is_some_and(|(scheme, _)| matches!(scheme, "tcp" | "udp" | "sctp"));
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
        return format!("env ${name} has no meaning any more: {why}");
    }
    // Each known name, old ones too, with the variable that is to be used.
    let present = FLAGS.iter().filter_map(|flag| Some((flag, flag.env?)));
    let present = present.flat_map(|(flag, env)| {
        let names = flag.old_env.iter().copied().chain([env]);
        names.map(move |name| (bare(name), env))
    });
    let old = OLD_FLAGS.iter().filter_map(|old| {
        let flag = FLAGS.iter().find(|flag| Some(flag.name) == old.instead)?;
        Some((bare(old.env?), flag.env?))
    });
    let known: Vec<(&str, &str)> = present.chain(old).collect();
    let near = nearest(bare(name), known.iter().map(|(known, _)| *known));
    let near = near.and_then(|near| known.iter().find(|(known, _)| *known == near));
    match near {
        Some((_, env)) => format!("env ${name} is unknown, and ignored; is it ${env}?"),
        None => format!("env ${name} is unknown, and ignored; --man lists those that are known"),
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
    fn an_unknown_variable_is_told_of_with_the_nearest_one() {
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
                format!("env ${name} is unknown, and ignored; is it ${near}?")
            );
        }
        assert_eq!(
            unknown("GITSYNC_ZZZ", "x").unwrap(),
            "env $GITSYNC_ZZZ is unknown, and ignored; --man lists those that are known"
        );
    }

    #[test]
    fn ssh_was_a_switch_once() {
        for name in ["GIT_SYNC_SSH", "GITSYNC_SSH"] {
            assert_eq!(
                unknown(name, "yes").unwrap(),
                format!(
                    "env ${name} has no meaning any more: the address says whether ssh is used"
                )
            );
        }
    }

    #[test]
    fn what_kubernetes_says_of_services_is_none_of_ours() {
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
    fn what_is_known_or_gits_own_is_not_told_of() {
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
