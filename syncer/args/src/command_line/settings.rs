use std::collections::BTreeMap;

use clap::CommandFactory;

use crate::Cli;
use crate::RepoUrl;
use crate::command_line::Refusal;
use crate::command_line::lex::Given;
use crate::command_line::lex::Known;
use crate::command_line::old_names::OLD_FLAGS;
use crate::command_line::table::FLAGS;
use crate::command_line::table::Flag;
use crate::command_line::value::Kind;
use crate::command_line::variables::Variables;
use crate::mask::mask_addresses;
use crate::sensitive::is_secret;

/// What was said of one flag.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// One text, or for a list any number, as clap takes them.
    pub(crate) values: Vec<String>,
    /// As whoever said it calls it: `--depth`, `-depth`, `GIT_SYNC_DEPTH`.
    pub(crate) name: String,
}

impl Setting {
    pub(crate) fn new(value: String, name: String) -> Self {
        let values = vec![value];
        Self { values, name }
    }

    /// Tells whether nothing but the name was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(String::is_empty)
    }
}

/// What was said of all flags.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// Brings the command line and the environment together: the command line wins. Every variable
    /// is read, those that lose too, since git-sync refuses a bad one in any case.
    pub(crate) fn new(
        given: &[Given],
        variables: &Variables,
        notices: &mut Vec<String>,
    ) -> Result<Self, Refusal> {
        let mut settings = BTreeMap::new();
        for flag in FLAGS {
            let variable = variables.of_flag(flag, notices)?;
            if let Some(setting) = merge(flag.kind, variable, typed(given, flag)) {
                settings.insert(flag.name, setting);
            }
        }
        Ok(Self(settings))
    }

    /// The same for the flags of v2 and v3; each variable is told of.
    pub(crate) fn of_old_flags(
        given: &[Given],
        variables: &Variables,
        notices: &mut Vec<String>,
    ) -> Result<Self, Refusal> {
        let mut settings = BTreeMap::new();
        for flag in OLD_FLAGS {
            let variable = variables.of_old_flag(flag)?;
            let is_it = |given: &&Given| matches!(given.flag, Known::Old(old) if old == flag);
            if variable.is_some() {
                notices.push(flag.deprecation());
            }
            if let Some(setting) = merge(flag.kind, variable, given.iter().filter(is_it)) {
                settings.insert(flag.name, setting);
            }
        }
        Ok(Self(settings))
    }

    /// Of the flags of v2 and v3: the name of one that says something.
    pub(crate) fn v3(&self) -> Option<String> {
        let mut settings = self.0.values();
        let said = settings.find(|setting| !setting.is_empty())?;
        Some(said.name.clone())
    }

    pub(crate) fn get(&self, flag: &str) -> Option<&Setting> {
        self.0.get(flag)
    }

    pub(crate) fn set(&mut self, flag: &'static str, setting: Setting) {
        self.0.insert(flag, setting);
    }

    /// Writes them as clap's parser takes them. An empty text is none, where there is no default it
    /// could stand against.
    pub(crate) fn to_argv(&self) -> Vec<String> {
        let command = Cli::command();
        let has_default = |flag: &str| {
            command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(flag) && !arg.get_default_values().is_empty())
        };
        let mut argv = Vec::new();
        for (flag, setting) in &self.0 {
            for value in &setting.values {
                if !value.is_empty() || has_default(flag) {
                    argv.push(format!("--{flag}={value}"));
                }
            }
        }
        argv
    }

    /// Writes them for a log: no value that may be secret, and of the repository the address alone.
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

    /// Under which name each flag was set.
    pub(crate) fn into_names(self) -> BTreeMap<&'static str, String> {
        let settings = self.0.into_iter();
        settings
            .map(|(flag, setting)| (flag, setting.name))
            .collect()
    }
}

/// Where the command line has a flag.
pub(crate) fn typed<'a>(given: &'a [Given], flag: &Flag) -> impl Iterator<Item = &'a Given> {
    let is_it =
        move |given: &&Given| matches!(given.flag, Known::Present(name, _) if name == flag.name);
    given.iter().filter(is_it)
}

/// Brings what was said of one flag together.
pub(crate) fn merge<'a>(
    kind: Kind,
    variable: Option<Setting>,
    typed: impl Iterator<Item = &'a Given>,
) -> Option<Setting> {
    // An empty secret on the command line is none, and leaves the variable's.
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
