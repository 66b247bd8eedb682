use std::collections::BTreeMap;

use crate::RepoUrl;
use crate::address::mask::mask_addresses;
use crate::command_line::Setting;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::lex::FlagOccurrence;
use crate::command_line::lex::KnownFlag;
use crate::command_line::sensitive::is_secret;
use crate::command_line::usage_error::UsageError;
use crate::command_line::variables::Variables;
use crate::flags::FLAGS;
use crate::flags::Flag;
use crate::flags::kind::Kind;

/// The settings of all flags.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// Merges the command line and the environment; the command line takes precedence. Overridden
    /// variables are parsed too: git-sync rejects a malformed one in any case.
    pub(crate) fn new(
        given: &[FlagOccurrence],
        variables: &Variables,
        notices: &mut Vec<String>,
    ) -> Result<Self, UsageError> {
        let mut settings = BTreeMap::new();
        for flag in FLAGS.iter() {
            let variable = variables.of_flag(flag, notices)?;
            if let Some(setting) = merge(flag.kind, variable, typed(given, flag)) {
                settings.insert(flag.name, setting);
            }
        }
        Ok(Self(settings))
    }

    /// The same for the legacy flags; each variable adds a notice.
    pub(crate) fn of_old_flags(
        given: &[FlagOccurrence],
        variables: &Variables,
        notices: &mut Vec<String>,
    ) -> Result<Self, UsageError> {
        let mut settings = BTreeMap::new();
        for flag in OLD_FLAGS {
            let variable = variables.of_old_flag(flag)?;
            let is_it =
                |given: &&FlagOccurrence| matches!(given.flag, KnownFlag::Old(old) if old == flag);
            if variable.is_some() {
                notices.push(flag.deprecation());
            }
            if let Some(setting) = merge(flag.kind, variable, given.iter().filter(is_it)) {
                settings.insert(flag.name, setting);
            }
        }
        Ok(Self(settings))
    }

    /// The name of a legacy flag that is set.
    pub(crate) fn v3(&self) -> Option<String> {
        let mut settings = self.0.values();
        let first = settings.find(|setting| !setting.is_empty())?;
        Some(first.name.clone())
    }

    pub(crate) fn get(&self, flag: &str) -> Option<&Setting> {
        self.0.get(flag)
    }

    pub(crate) fn set(&mut self, flag: &'static str, setting: Setting) {
        self.0.insert(flag, setting);
    }

    /// The flags that are set, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Setting)> {
        self.0.iter().map(|(flag, setting)| (*flag, setting))
    }

    /// The settings for a log: without values that may be secret; of the repository only the
    /// address.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = |flag: &str, value: &String| match value.parse::<RepoUrl>() {
            Ok(url) if flag == "repo" => mask_addresses(&url.without_user()),
            _ if is_secret(flag) => "REDACTED".to_owned(),
            _ => value.clone(),
        };
        let each = self.0.iter().flat_map(|(flag, setting)| {
            let values = setting.values.iter();
            values.map(move |value| format!("--{flag}={}", shown(flag, value)))
        });
        each.collect()
    }

    /// The name under which each flag was set.
    pub(crate) fn into_names(self) -> BTreeMap<&'static str, String> {
        let settings = self.0.into_iter();
        settings
            .map(|(flag, setting)| (flag, setting.name))
            .collect()
    }
}

/// The occurrences of a flag on the command line.
pub(crate) fn typed<'a>(
    given: &'a [FlagOccurrence],
    flag: &Flag,
) -> impl Iterator<Item = &'a FlagOccurrence> {
    let is_it = move |given: &&FlagOccurrence| matches!(given.flag, KnownFlag::Present(name, _) if name == flag.name);
    given.iter().filter(is_it)
}

/// Merges the occurrences and the variable of one flag.
pub(crate) fn merge<'a>(
    kind: Kind,
    variable: Option<Setting>,
    typed: impl Iterator<Item = &'a FlagOccurrence>,
) -> Option<Setting> {
    // An empty secret on the command line counts as absent; the variable's value applies.
    let typed: Vec<_> = typed
        .filter(|given| kind != Kind::Secret || given.values != [""])
        .collect();
    let Some(last) = typed.last() else {
        return variable;
    };
    let mut values = match variable {
        Some(variable) if kind == Kind::Credentials => variable.values,
        _ => Vec::new(),
    };
    if kind.is_list() {
        values.extend(typed.iter().flat_map(|given| given.values.iter().cloned()));
    } else {
        values.clone_from(&last.values);
    }
    Some(Setting {
        values,
        name: last.typed.clone(),
    })
}
