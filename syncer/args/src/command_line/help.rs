use clap::Arg;
use clap::ArgAction;
use clap::Command;
use clap::CommandFactory;

use crate::Cli;
use crate::command_line::manual;
use crate::command_line::table;
use crate::command_line::value::Kind;

/// The name that the program has in its help.
pub(crate) const NAME: &str = "gitvolume-syncer";

/// What `--help`, `--man` or `--version` prints.
pub(crate) fn print(which: &str) -> String {
    match which {
        "man" => manual::manual(),
        "version" => command().render_version(),
        _ => command().render_help().to_string(),
    }
}

/// The command as its help shows it: clap's, with what is read before clap.
pub(crate) fn command() -> Command {
    let print = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
        arg.help(help).display_order(0)
    };
    Cli::command()
        .mut_args(|arg| {
            let arg = arg.display_order(0);
            let Some(flag) = arg.get_long().and_then(table::find) else {
                return arg;
            };
            let arg = match flag.kind {
                Kind::Bool => arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .hide_possible_values(true),
                _ => arg,
            };
            match (flag.env, arg.get_help().cloned()) {
                (Some(env), Some(help)) => arg.help(format!("{help} [${env}]")),
                _ => arg,
            }
        })
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(
            print("help", "Print this help")
                .short('h')
                .visible_short_alias('?'),
        )
        .arg(print("man", "Print the manual"))
        .arg(print("version", "Print the version"))
}

/// What is said of a flag in help, manual and page.
pub(crate) struct Described {
    /// The name of its value.
    pub(crate) value: String,
    /// A sentence without its full stop.
    pub(crate) meaning: String,
    /// The default, empty if there is none.
    pub(crate) default: String,
}

/// Describes a flag of the table.
pub(crate) fn describe(flag: &str) -> Described {
    let command = Cli::command();
    let arg = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(flag));
    let joined = |values: Vec<String>, by: &str| values.join(by);
    Described {
        value: arg.map_or_else(String::new, |arg| {
            let choices = arg.get_possible_values();
            let is_bool = table::find(flag).is_some_and(|flag| flag.kind == Kind::Bool);
            if choices.is_empty() || is_bool {
                let names = arg.get_value_names().unwrap_or_default();
                joined(names.iter().map(ToString::to_string).collect(), " ")
            } else {
                joined(
                    choices.iter().map(|c| c.get_name().to_owned()).collect(),
                    "|",
                )
            }
        }),
        meaning: arg
            .and_then(Arg::get_help)
            .map_or_else(String::new, ToString::to_string),
        default: arg.map_or_else(String::new, |arg| {
            let defaults = arg.get_default_values().iter();
            joined(
                defaults
                    .map(|text| text.to_string_lossy().into_owned())
                    .collect(),
                ":",
            )
        }),
    }
}
