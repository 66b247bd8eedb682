//! The command line and the environment of the program, compatible with git-sync v2, v3 and v4.
//!
//! `flags` declares every flag, `legacy_flags` those of v2 and v3. `lex` splits the command line,
//! `variables` reads the environment, `settings` merges both and `translate` replaces legacy flags.
//! The result is parsed into the fields of the flags' structs. clap describes the flags, and parses
//! only subcommands.

use crate::command_line::reference::help;
use crate::command_line::reference::manual;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;

use crate::CacheArgs;
use crate::CredentialArgs;
use crate::ProbeArgs;
use crate::ProcessArgs;
use crate::PushArgs;
use crate::RepoArgs;
use crate::SshArgs;
use crate::SyncArgs;
use crate::command_line::lex::FlagOccurrence;
use crate::command_line::lex::KnownFlag;
use crate::command_line::lex::PRINTS;
use crate::command_line::lex::shown;
use crate::command_line::reference::help::command;
use crate::command_line::sensitive::is_secret;
use crate::command_line::setting::Setting;
use crate::command_line::settings::Settings;
use crate::command_line::usage_error::UsageError;
use crate::command_line::variables::Variables;
use crate::flags;
use crate::flags::Cli;
use crate::flags::Command;
use crate::flags::Flag;
use crate::flags::flag_value::WrongValue;
use crate::flags::kind::Kind;
use crate::paths;

pub(crate) mod legacy_flags;
mod lex;
pub(crate) mod reference;
pub(crate) mod sensitive;
mod setting;
mod settings;
mod translate;
pub(crate) mod usage_error;
pub(crate) mod variables;

/// The task of the program.
#[derive(Debug)]
pub enum Action {
    /// Run the pull-through cache.
    Cache(Box<CacheArgs>),
    /// Answer git as its credential helper.
    Credential(CredentialArgs),
    /// Print this text and exit.
    Print(String),
    /// Report whether a complete tree is published.
    Probe(ProbeArgs),
    /// Receive push webhooks.
    Push(Box<PushArgs>),
    /// Run git's command on an ssh server.
    Ssh(SshArgs),
    /// Sync.
    Sync(Box<ParsedSync>),
}

/// The parsed command line and environment of a sync.
#[derive(Debug)]
pub struct ParsedSync {
    /// The values.
    pub sync: SyncArgs,
    /// The flags that are set, without secrets; for the log.
    pub flags: Vec<String>,
    /// The name under which each flag was set.
    pub names: Names,
    /// Notices for the user, one sentence each.
    pub notices: Vec<String>,
    /// Those of the notices that are about variables and arguments without effect.
    pub ignored: Vec<String>,
    /// Whether the root comes from the image's environment only.
    pub is_root_the_images: bool,
    /// Whether the depth is git-sync v3's default: a name of v3 is used and the depth is not set.
    pub has_v3_depth: bool,
}

/// The name under which each flag was set; for messages about its value.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<&'static str, String>);

impl Names {
    /// The name under which a flag was set, or all names that can set it.
    pub fn of(&self, flag: &str) -> String {
        if let Some(name) = self.0.get(flag) {
            return name.clone();
        }
        match flags::find(flag) {
            Some(Flag {
                kind: Kind::Secret,
                env: [env, ..],
                ..
            }) => (*env).to_owned(),
            Some(Flag { env: [env, ..], .. }) => format!("--{flag} (or {env})"),
            _ => format!("--{flag}"),
        }
    }
}

/// Parses the arguments (without the program's name) and the environment of a process.
pub fn read(
    argv: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Action, UsageError> {
    let variables = Variables::new(environment);
    let argv: Vec<String> = argv
        .into_iter()
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .map_err(|_| UsageError::usage("an argument is not valid UTF-8".to_owned()))?;
    if let Some(action) = subcommand(&argv, &variables) {
        return action;
    }
    let mut notices = Vec::new();
    let mut error_file = None;
    sync(argv, &variables, &mut notices, &mut error_file).map_err(|refusal| UsageError {
        notices,
        error_file,
        ..refusal
    })
}

/// Parses the flags of a subcommand with clap; `None` if there is no subcommand.
fn subcommand(argv: &[String], variables: &Variables) -> Option<Result<Action, UsageError>> {
    let first = argv
        .first()
        .filter(|first| Command::has_subcommand(first))?;
    let mut argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    // A probe shares the container's environment, but not the argv of the sync.
    let state = variables
        .text("GITSYNC_STATE")
        .filter(|state| !state.is_empty());
    if let (Some(state), "probe") = (state, first.as_str()) {
        let mut flag = OsString::from("--state=");
        flag.push(state);
        argv.insert(1, flag);
    }
    let program = std::iter::once(OsString::from(help::NAME));
    let action = match Cli::try_parse_from(program.chain(argv)) {
        Ok(cli) => match cli.command? {
            Command::Cache(args) => Ok(Action::Cache(args)),
            Command::Credential(args) => Ok(Action::Credential(args)),
            Command::Probe(args) => Ok(Action::Probe(args)),
            Command::Push(args) => Ok(Action::Push(args)),
            Command::Ssh(args) => Ok(Action::Ssh(args)),
        },
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            Err(UsageError::usage(text.trim_end().to_owned()))
        }
        Err(help) => Ok(Action::Print(help.to_string())),
    };
    Some(action)
}

fn sync(
    argv: Vec<String>,
    variables: &Variables,
    notices: &mut Vec<String>,
    error_file: &mut Option<PathBuf>,
) -> Result<Action, UsageError> {
    let lexed = lex::lex(argv)?;
    for print in PRINTS {
        let is_it =
            |given: &&FlagOccurrence| matches!(given.flag, KnownFlag::Print(name) if name == print);
        let last = lexed.given.iter().rfind(is_it);
        if last.is_some_and(|given| given.values == ["true"]) {
            return Ok(Action::Print(crate::command_line::print(print)));
        }
    }
    *error_file = error_file_of(&lexed.given, variables);
    let mut ignored = variables.unknown();
    ignored.extend(lexed.ignored());
    notices.extend_from_slice(&ignored);
    notices.extend(lexed.notices());
    let mut settings = Settings::new(&lexed.given, variables, notices)?;
    let old = Settings::of_old_flags(&lexed.given, variables, notices)?;
    crate::command_line::translate::apply(&old, &mut settings, notices)?;
    let v3 = lexed.v3().or(old.v3()).or(variables.v3());
    let has_v3_depth = v3.is_some() && settings.get("depth").is_none();
    if let (Some(name), true) = (v3, has_v3_depth) {
        notices.push(format!(
            "the full history is fetched, as in git-sync v3, because {name} is a v3 name; --depth=1 fetches only the newest commit"
        ));
        settings.set("depth", Setting::new("0".to_owned(), name));
    }
    let is_the_images =
        |root: &Setting| root.name == "GITSYNC_ROOT" && root.values == [paths::IMAGE_ROOT];
    let is_root_the_images = settings.get("root").is_some_and(is_the_images);
    let is_set = |flag| {
        settings
            .get(flag)
            .is_some_and(|setting| !setting.is_empty())
    };
    if !["root", "config", "config-inline"]
        .iter()
        .any(|flag| is_set(flag))
    {
        return Err(UsageError::fatal(format!(
            "{}: required: expected the directory to publish in",
            Names::default().of("root")
        )));
    }
    let mut sync = SyncArgs {
        process: ProcessArgs::default(),
        repo: RepoArgs::default(),
    };
    for (flag, setting) in settings.iter() {
        let texts = &setting.values;
        // A flag set to no text, such as an empty path, keeps its default.
        if !texts.is_empty() {
            let set = sync.process.set(flag, texts);
            set.and_then(|()| sync.repo.set(flag, texts))
                .map_err(|wrong| refusal(flag, &wrong, &setting.name))?;
        }
    }
    let flags = settings.shown();
    let names = Names(settings.into_names());
    Ok(Action::Sync(Box::new(ParsedSync {
        sync,
        flags,
        names,
        notices: std::mem::take(notices),
        ignored,
        is_root_the_images,
        has_v3_depth,
    })))
}

/// The error file, as far as it is known before every value is parsed.
fn error_file_of(given: &[FlagOccurrence], variables: &Variables) -> Option<PathBuf> {
    let path = |name| {
        let flag = flags::find(name)?;
        let variable = variables.of_flag(flag, &mut Vec::new()).ok().flatten();
        let setting = settings::merge(flag.kind, variable, settings::typed(given, flag))?;
        setting.values.last().map(PathBuf::from)
    };
    // A relative path is below the root.
    let file = path("error-file")?;
    if file.is_absolute() {
        Some(file)
    } else {
        Some(path("root")?.join(file))
    }
}

/// Error for a value, under the name by which it was set. The value is well formed and only its
/// meaning is wrong, so it is not a usage error.
fn refusal(flag: &str, wrong: &WrongValue, name: &str) -> UsageError {
    let WrongValue { value, expected } = wrong;
    let value = shown(value, is_secret(flag));
    UsageError::fatal(format!("{name}: {value}: {expected}"))
}

/// The output of `--help`, `--man` or `--version`.
pub(crate) fn print(which: &str) -> String {
    match which {
        "man" => manual::manual(),
        "version" => command().render_version(),
        _ => command().render_help().to_string(),
    }
}

#[cfg(test)]
mod tests;
