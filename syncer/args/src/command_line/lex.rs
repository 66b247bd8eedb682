//! Syntax of the command line: pflag's, and Go's own with one dash, which git-sync v3 used.

use crate::command_line::legacy_flags::MEANINGLESS_FLAGS;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::legacy_flags::OldFlag;
use crate::command_line::sensitive::is_secret;
use crate::command_line::usage_error::UsageError;
use crate::flags::FLAGS;
use crate::flags::Flag;
use crate::flags::find;
use crate::flags::kind::Kind;
use crate::nearest::nearest;

/// A command line split into flags and other words.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// The flags, in order.
    pub(crate) given: Vec<FlagOccurrence>,
    /// Words that are not flags, each with the flag before it if that is a boolean.
    pub(crate) stray: Vec<(String, Option<String>)>,
    /// The long flags that were written with one dash.
    pub(crate) one_dash: Vec<String>,
}

/// One occurrence of a flag.
#[derive(Debug)]
pub(crate) struct FlagOccurrence {
    pub(crate) flag: KnownFlag,
    pub(crate) values: Vec<String>,
    /// The flag as typed, without the value.
    pub(crate) typed: String,
}

/// A flag that the command line accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KnownFlag {
    /// `--help`, `--man` or `--version`.
    Print(&'static str),
    Present(&'static str, Kind),
    Old(&'static OldFlag),
    Meaningless(&'static OldFlag),
}

/// In order of precedence.
pub(crate) const PRINTS: [&str; 3] = ["version", "help", "man"];

impl KnownFlag {
    fn find(name: &str) -> Option<Self> {
        if let Some(print) = PRINTS.iter().find(|print| **print == name) {
            return Some(Self::Print(print));
        }
        let old = |flags: &'static [OldFlag], name: &str| flags.iter().find(|f| f.name == name);
        if let Some(flag) = old(OLD_FLAGS, name) {
            return Some(Self::Old(flag));
        }
        let is_it = |flag: &&Flag| match (flag.kind, flag.variable()) {
            // git-sync's test suite passes secrets in this form.
            (Kind::Secret, Some(env)) => name.strip_prefix("__env__") == Some(env),
            _ => flag.name == name,
        };
        if let Some(flag) = FLAGS.iter().copied().find(is_it) {
            return Some(Self::Present(flag.name, flag.kind));
        }
        old(MEANINGLESS_FLAGS, &name.replace('-', "_")).map(Self::Meaningless)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Print(_) => Kind::Bool,
            Self::Present(_, kind) => kind,
            Self::Old(flag) | Self::Meaningless(flag) => flag.kind,
        }
    }

    fn is_secret(self) -> bool {
        match self {
            Self::Present(name, _) => is_secret(name),
            Self::Old(flag) => is_secret(flag.name),
            Self::Print(_) | Self::Meaningless(_) => false,
        }
    }
}

/// Splits a command line without the program's name, and checks the grammar of every value.
pub(crate) fn lex(argv: impl IntoIterator<Item = String>) -> Result<Lexed, UsageError> {
    let mut lexed = Lexed::default();
    let mut argv = argv.into_iter();
    let mut bare_bool = None;
    while let Some(argument) = argv.next() {
        let before = bare_bool.take();
        if argument == "--" {
            lexed.stray.extend(argv.map(|text| (text, None)));
            break;
        }
        let Some(after_dash) = argument.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            lexed.stray.push((argument, before));
            continue;
        };
        let long = after_dash.strip_prefix('-');
        let body = long.unwrap_or(after_dash);
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let is_one_dash = long.is_none() && name.len() > 1 && KnownFlag::find(name).is_some();
        if long.is_none() && !is_one_dash {
            lexed.short(after_dash, &mut argv)?;
            continue;
        }
        if name.is_empty() || name.starts_with('-') {
            return Err(UsageError::usage(format!("bad flag syntax: {argument}")));
        }
        let typed = argument[..argument.len() - body.len() + name.len()].to_owned();
        let flag = KnownFlag::find(name).ok_or_else(|| unknown(&typed, name))?;
        if is_one_dash {
            lexed.one_dash.push(typed.clone());
        }
        let value = match (value, flag.kind()) {
            (Some(value), _) => value,
            (None, Kind::Bool) => {
                bare_bool = Some(typed.clone());
                "true".to_owned()
            }
            (None, _) => argv.next().ok_or_else(|| no_value(&typed))?,
        };
        lexed.give(flag, &value, typed)?;
    }
    Ok(lexed)
}

impl Lexed {
    /// One notice for each argument that is not a flag.
    pub(crate) fn ignored(&self) -> Vec<String> {
        let stray = self.stray.iter().map(|(text, before)| {
            let hint = before.as_ref().filter(|_| Kind::Bool.read(text).is_ok());
            let hint =
                hint.map_or_else(String::new, |flag| format!("; did you mean {flag}={text}?"));
            format!("argument {text:?} is not a flag and is ignored{hint}")
        });
        stray.collect()
    }

    /// Notices about the flags, one sentence each.
    pub(crate) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.one_dash.is_empty() {
            let flags = self.one_dash.join(", ");
            notices.push(format!(
                "flags with one dash are read as if they had two: {flags}"
            ));
        }
        for given in &self.given {
            if let KnownFlag::Old(flag) | KnownFlag::Meaningless(flag) = given.flag {
                notices.push(flag.flag_deprecation(&given.typed));
            }
        }
        notices
    }

    /// The name of a flag, or of a spelling, that v4 does not have.
    pub(crate) fn v3(&self) -> Option<String> {
        let old = |given: &&FlagOccurrence| {
            matches!(given.flag, KnownFlag::Old(_) | KnownFlag::Meaningless(_))
        };
        let old = self.given.iter().find(old).map(|given| &given.typed);
        old.or(self.one_dash.first()).cloned()
    }

    /// Parses the letters after one dash: `v`, which has a value, `h` and `?`.
    fn short(
        &mut self,
        letters: &str,
        argv: &mut impl Iterator<Item = String>,
    ) -> Result<(), UsageError> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let typed = format!("-{letter}");
            match letter {
                'h' | '?' => {
                    let value = rest.strip_prefix('=').unwrap_or("true");
                    self.give(KnownFlag::Print("help"), value, typed)?;
                    if rest.starts_with('=') {
                        break;
                    }
                }
                'v' => {
                    let value = match rest {
                        "" => argv.next().ok_or_else(|| no_value(&typed))?,
                        _ => rest.strip_prefix('=').unwrap_or(rest).to_owned(),
                    };
                    self.give(KnownFlag::Present("verbose", Kind::Int), &value, typed)?;
                    break;
                }
                _ => {
                    // A misspelt long flag with one dash; its value may be a secret.
                    let name = letters.split('=').next().unwrap_or(letters);
                    return Err(unknown(&format!("-{name}"), name));
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, flag: KnownFlag, value: &str, typed: String) -> Result<(), UsageError> {
        let values = flag.kind().read(value).map_err(|expected| {
            let value = shown(value, flag.is_secret());
            UsageError::usage(format!("{typed}: {value}: {expected}"))
        })?;
        self.given.push(FlagOccurrence {
            flag,
            values,
            typed,
        });
        Ok(())
    }
}

/// A value as it may be printed.
pub(crate) fn shown(value: &str, is_secret: bool) -> String {
    if is_secret {
        "…".to_owned()
    } else {
        format!("{value:?}")
    }
}

fn no_value(typed: &str) -> UsageError {
    UsageError::usage(format!("{typed}: expected a value"))
}

fn unknown(typed: &str, name: &str) -> UsageError {
    let hint = if let Some(env) = find(name).and_then(Flag::variable) {
        // The flag is known but only its variable is accepted: its value is a secret.
        format!("; only ${env} sets it")
    } else {
        let known = FLAGS.iter().filter(|flag| flag.kind != Kind::Secret);
        let known = known.map(|flag| flag.name).chain(PRINTS);
        let known = known.chain(OLD_FLAGS.iter().map(|flag| flag.name));
        nearest(name, known).map_or_else(String::new, |near| format!("; did you mean --{near}?"))
    };
    UsageError::usage(format!("unknown flag: {typed}{hint}"))
}
