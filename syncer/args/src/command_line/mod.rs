//! The command line and the environment of the program, as git-sync v2, v3 and v4 had them.
//!
//! `table` lists every flag and `old_names` those of the elders. What was typed is taken apart by
//! `lex`, the environment read by `variables`, both brought together in `settings`, and what comes
//! out is a plain command line for clap, which checks the values and knows their types.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;
use clap::error::ContextKind;
use clap::error::ContextValue;

use crate::Cli;
use crate::Command;
use crate::CredentialArgs;
use crate::ProbeArgs;
use crate::SyncArgs;
use crate::command_line::lex::Given;
use crate::command_line::lex::Known;
use crate::command_line::lex::PRINTS;
use crate::command_line::lex::shown;
use crate::command_line::settings::Setting;
use crate::command_line::settings::Settings;
use crate::command_line::table::Flag;
use crate::command_line::value::Kind;
use crate::command_line::variables::Variables;
use crate::paths;
use crate::sensitive::is_secret;

pub(crate) mod help;
pub(crate) mod keys;
mod lex;
pub(crate) mod manual;
pub(crate) mod old_names;
pub(crate) mod page;
mod settings;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;
mod variables;

/// What the program was asked to do.
#[derive(Debug)]
pub enum Asked {
    /// To answer git.
    Credential(CredentialArgs),
    /// To print this text and end.
    Print(String),
    /// To say whether a whole tree is published.
    Probe(ProbeArgs),
    /// To sync.
    Sync(Box<Typed>),
}

/// What was typed for a sync.
#[derive(Debug)]
pub struct Typed {
    /// The values.
    pub sync: SyncArgs,
    /// What was set, as flags, without secrets; for the log.
    pub flags: Vec<String>,
    /// Under which name each was set.
    pub names: Names,
    /// What whoever wrote it should know, one sentence each.
    pub notices: Vec<String>,
    /// The root was set by nobody but the image.
    pub is_root_the_images: bool,
}

/// Under which name each flag was set, for sentences about its value.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<&'static str, String>);

impl Names {
    /// The name of a flag as it was typed, or the names under which it can be set.
    pub fn of(&self, flag: &str) -> String {
        if let Some(name) = self.0.get(flag) {
            return name.clone();
        }
        match table::find(flag) {
            Some(Flag {
                kind: Kind::Secret,
                env: Some(env),
                ..
            }) => (*env).to_owned(),
            Some(Flag { env: Some(env), .. }) => format!("--{flag} (or {env})"),
            _ => format!("--{flag}"),
        }
    }
}

/// Why the program does not begin.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// One sentence for whoever wrote it; without secrets.
    pub message: String,
    /// The exit code: 2 for what is no flag or no value of its kind, 1 for everything else.
    pub code: u8,
    /// What else whoever wrote it should know.
    pub notices: Vec<String>,
    /// The file for errors, if one was named.
    pub error_file: Option<PathBuf>,
}

impl Refusal {
    fn new(message: String, code: u8) -> Self {
        Self {
            message,
            code,
            notices: Vec::new(),
            error_file: None,
        }
    }

    pub(crate) fn fatal(message: String) -> Self {
        Self::new(message, 1)
    }

    pub(crate) fn usage(message: String) -> Self {
        Self::new(message, 2)
    }
}

/// Reads the arguments (without the program's name) and the environment of a process.
pub fn read(
    argv: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, Refusal> {
    let variables = Variables::new(environment);
    let argv: Vec<String> = argv
        .into_iter()
        .map(OsString::into_string)
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::usage("an argument is not a text in UTF-8".to_owned()))?;
    if let Some(asked) = subcommand(&argv, &variables) {
        return asked;
    }
    let mut notices = Vec::new();
    let mut error_file = None;
    sync(argv, &variables, &mut notices, &mut error_file).map_err(|refusal| Refusal {
        notices,
        error_file,
        ..refusal
    })
}

/// Reads the flags of a subcommand, which clap does by itself; `None` if there is none.
fn subcommand(argv: &[String], variables: &Variables) -> Option<Result<Asked, Refusal>> {
    let first = argv
        .first()
        .filter(|first| Command::has_subcommand(first))?;
    let mut argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    // A probe has the container's environment, and not the sync's argv.
    let state = variables
        .text("GITSYNC_STATE")
        .filter(|state| !state.is_empty());
    if let (Some(state), "probe") = (state, first.as_str()) {
        let mut flag = OsString::from("--state=");
        flag.push(state);
        argv.insert(1, flag);
    }
    let program = std::iter::once(OsString::from(help::NAME));
    let asked = match Cli::try_parse_from(program.chain(argv)) {
        Ok(cli) => match cli.command? {
            Command::Credential(args) => Ok(Asked::Credential(args)),
            Command::Probe(args) => Ok(Asked::Probe(args)),
        },
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            Err(Refusal::usage(text.trim_end().to_owned()))
        }
        Err(help) => Ok(Asked::Print(help.to_string())),
    };
    Some(asked)
}

fn sync(
    argv: Vec<String>,
    variables: &Variables,
    notices: &mut Vec<String>,
    error_file: &mut Option<PathBuf>,
) -> Result<Asked, Refusal> {
    let lexed = lex::lex(argv)?;
    for print in PRINTS {
        let is_it = |given: &&Given| matches!(given.flag, Known::Print(name) if name == print);
        let last = lexed.given.iter().rfind(is_it);
        if last.is_some_and(|given| given.values == ["true"]) {
            return Ok(Asked::Print(help::print(print)));
        }
    }
    *error_file = error_file_of(&lexed.given, variables);
    notices.extend(variables.unknown());
    notices.extend(lexed.notices());
    let mut settings = Settings::new(&lexed.given, variables, notices)?;
    let old = Settings::of_old_flags(&lexed.given, variables, notices)?;
    old_names::apply(&old, &mut settings, notices)?;
    let v3 = lexed.v3().or(old.v3()).or(variables.v3());
    if let (Some(name), None) = (v3, settings.get("depth")) {
        notices.push(format!(
            "all history is fetched, as git-sync v3 did, because {name} is of its time; \
             --depth=1 fetches the newest commit alone"
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
        return Err(Refusal::fatal(format!(
            "{}: required: expected the directory to publish in",
            Names::default().of("root")
        )));
    }
    let argv = settings.to_argv();
    let flags = settings.shown();
    let names = Names(settings.into_names());
    let program = std::iter::once(help::NAME.to_owned());
    let cli = Cli::try_parse_from(program.chain(argv)).map_err(|error| refusal(&error, &names))?;
    Ok(Asked::Sync(Box::new(Typed {
        sync: cli.sync,
        flags,
        names,
        notices: std::mem::take(notices),
        is_root_the_images,
    })))
}

/// The file for errors, as well as it can be known before every value is read.
fn error_file_of(given: &[Given], variables: &Variables) -> Option<PathBuf> {
    let path = |name| {
        let flag = table::find(name)?;
        let variable = variables.of_flag(flag, &mut Vec::new()).ok().flatten();
        let setting = settings::merge(flag.kind, variable, settings::typed(given, flag))?;
        setting.values.last().map(PathBuf::from)
    };
    // A relative one belongs in the root.
    let file = path("error-file")?;
    if file.is_absolute() {
        Some(file)
    } else {
        Some(path("root")?.join(file))
    }
}

/// Says in one sentence, and in the words of whoever set it, what clap finds wrong with a value.
/// The values are well formed: what is wrong is what they mean, which is not a matter of usage.
fn refusal(error: &clap::Error, names: &Names) -> Refusal {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = context(ContextKind::InvalidArg)
        .and_then(|shown| shown.strip_prefix("--")?.split([' ', '=']).next());
    let Some(flag) = flag else {
        return Refusal::fatal(error.to_string().trim_end().to_owned());
    };
    let value = context(ContextKind::InvalidValue).unwrap_or_default();
    let kind = table::find(flag).map(|flag| flag.kind);
    let expected = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) => format!("expected {}", values.join(" or ")),
        (_, _) if kind == Some(Kind::Int) && value.starts_with('-') => {
            "expected a whole number that is not negative".to_owned()
        }
        (_, _) if kind == Some(Kind::Int) => "expected a smaller number".to_owned(),
        (_, Some(source)) => source.to_string(),
        (_, None) => "expected another value".to_owned(),
    };
    let value = shown(value, is_secret(flag));
    Refusal::fatal(format!("{}: {value}: {expected}", names.of(flag)))
}
