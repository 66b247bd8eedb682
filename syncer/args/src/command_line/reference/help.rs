use clap::Arg;
use clap::ArgAction;
use clap::Command;
use clap::CommandFactory;

use crate::flags::Cli;
use crate::flags::FLAGS;
use crate::flags::Flag;
use crate::flags::kind::Kind;
use crate::flags::to_argv::default_texts;

/// Name of the program in its help.
pub(crate) const NAME: &str = "gitvolume-syncer";

/// The command for help output; `lex`, not clap, parses the flags of a sync.
pub(crate) fn command() -> Command {
    let print = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
        arg.help(help).display_order(0)
    };
    Cli::command()
        .args(FLAGS.iter().copied().map(arg))
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

fn arg(flag: &'static Flag) -> Arg {
    let about = describe(flag);
    let choices = (flag.choices)().join(", ");
    let variable = flag.variable().map(|env| format!("[${env}]"));
    let default = Some(about.default).filter(|default| !default.is_empty());
    let default = default.map(|default| format!("[default: {default}]"));
    let choices = Some(choices).filter(|choices| !choices.is_empty());
    let choices = choices.map(|choices| format!("[possible values: {choices}]"));
    let notes = [variable, default, choices].into_iter().flatten();
    let help: Vec<_> = std::iter::once(about.meaning).chain(notes).collect();
    let arg = Arg::new(flag.name)
        .long(flag.name)
        .help(help.join(" "))
        .value_name(flag.value)
        .display_order(0)
        .hide(flag.kind == Kind::Secret);
    match flag.kind {
        _ if flag.name == "verbose" => arg.short('v'),
        Kind::Bool => arg.num_args(0..=1).require_equals(true),
        _ => arg,
    }
}

/// Description of a flag in help, manual and page.
pub(crate) struct Described {
    /// Placeholder of its value, or all its values.
    pub(crate) value: String,
    /// A sentence without its full stop.
    pub(crate) meaning: String,
    /// The default, empty if there is none.
    pub(crate) default: String,
}

/// The description of a flag.
pub(crate) fn describe(flag: &Flag) -> Described {
    let choices = (flag.choices)();
    Described {
        value: if choices.is_empty() {
            flag.value.to_owned()
        } else {
            choices.join("|")
        },
        meaning: flag.paragraphs().next().unwrap_or_default(),
        default: default_texts(flag).join(":"),
    }
}
