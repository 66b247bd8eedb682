use crate::command_line::Refusal;
use crate::command_line::settings::Setting;
use crate::command_line::settings::Settings;
use crate::command_line::table::find;
use crate::command_line::table::optional;
use crate::command_line::value::Kind;

/// A flag of git-sync v2 or v3 that v4 has under another name, or no more.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct OldFlag {
    /// The name after two dashes.
    pub(crate) name: &'static str,
    /// The variable; none where the command line alone has it, or where it is not read any more.
    pub(crate) env: Option<&'static str>,
    /// How its text is read.
    pub(crate) kind: Kind,
    /// The present flag in whose place it stands; none if nothing does.
    pub(crate) instead: Option<&'static str>,
}

macro_rules! table {
    ($($name:literal $kind:ident [$($env:literal)?] [$($instead:literal)?];)*) => {
        &[$(OldFlag {
            name: $name,
            env: optional!($($env)?),
            kind: Kind::$kind,
            instead: optional!($($instead)?),
        }),*]
    };
}

/// The flags that stand for a present one, or are refused.
#[rustfmt::skip]
pub(crate) const OLD_FLAGS: &[OldFlag] = table! {
    "branch"             Text  ["GIT_SYNC_BRANCH"]             ["ref"];
    "change-permissions" Int   ["GIT_SYNC_PERMISSIONS"]        ["group-write"];
    "dest"               Text  ["GIT_SYNC_DEST"]               ["link"];
    "max-sync-failures"  Int   ["GIT_SYNC_MAX_SYNC_FAILURES"]  ["max-failures"];
    "password"           Text  []                              ["password"];
    "rev"                Text  ["GIT_SYNC_REV"]                ["ref"];
    "sync-hook-command"  Text  ["GIT_SYNC_HOOK_COMMAND"]       ["exechook-command"];
    "timeout"            Int   ["GIT_SYNC_TIMEOUT"]            ["sync-timeout"];
    "v"                  Int   []                              ["verbose"];
    "wait"               Float ["GIT_SYNC_WAIT"]               ["period"];
};

/// The flags that mean nothing any more. Those of v3's log, which v4 refuses, are among them, since
/// v3's manifests carry them; dashes pass for their underscores.
#[rustfmt::skip]
pub(crate) const MEANINGLESS_FLAGS: &[OldFlag] = table! {
    "add_dir_header"    Bool [] [];
    "alsologtostderr"   Bool [] [];
    "log_backtrace_at"  Text [] [];
    "log_dir"           Text [] [];
    "log_file"          Text [] [];
    "log_file_max_size" Text [] [];
    "logtostderr"       Bool [] [];
    "one_output"        Bool [] [];
    "skip_headers"      Bool [] [];
    "skip_log_headers"  Bool [] [];
    "ssh"               Bool [] [];
    "stderrthreshold"   Text [] [];
    "vmodule"           Text [] [];
};

/// Variables that mean nothing any more: v4 does not read them.
pub(crate) const MEANINGLESS_VARIABLES: &[&str] = &["GIT_SYNC_SSH"];

/// Says what to do about a flag that means nothing.
pub(crate) fn why_meaningless(name: &str) -> &'static str {
    if name.eq_ignore_ascii_case("ssh") {
        "the address says whether ssh is used"
    } else {
        "the log goes to standard error, and --verbose says how much of it"
    }
}

impl OldFlag {
    /// Says what to use in place of the variable.
    pub(crate) fn deprecation(&self) -> String {
        let present = self.instead.and_then(find).and_then(|flag| flag.env);
        let (old, present) = (self.env.unwrap_or_default(), present.unwrap_or_default());
        format!("env ${old} has been deprecated, use ${present} instead")
    }

    /// Says what to use in place of the flag, in git-sync's words.
    pub(crate) fn flag_deprecation(&self, typed: &str) -> String {
        let instead = match (self.name, self.instead) {
            ("password", _) => "use --password-file or $GITSYNC_PASSWORD instead".to_owned(),
            ("v", _) => "use -v or --verbose instead".to_owned(),
            (_, Some(flag)) => format!("use --{flag} instead"),
            (name, None) => why_meaningless(name).to_owned(),
        };
        format!("Flag {typed} has been deprecated, {instead}")
    }
}

/// Puts what was said in old words in the place of what was said in new ones, by git-sync's rules:
/// an old word wins, wherever either was said.
pub(crate) fn apply(
    old: &Settings,
    settings: &mut Settings,
    notices: &mut Vec<String>,
) -> Result<(), Refusal> {
    let text = |name: &str| {
        let setting = old.get(name)?;
        let text = setting.values.last().filter(|text| !text.is_empty())?;
        Some((text.clone(), setting.name.clone()))
    };
    let number = |name: &str| text(name).filter(|(text, _)| text != "0" && text != "-0");
    let mut set = |flag: &'static str, value: String, name: String| {
        if let Some(present) = settings.get(flag) {
            notices.push(format!("{} was overridden by {name}", present.name));
        }
        settings.set(flag, Setting::new(value, name));
    };
    match (text("branch"), text("rev")) {
        (Some((branch, branch_name)), Some((rev, rev_name))) if rev != "HEAD" => {
            return Err(Refusal::fatal(format!(
                "{branch_name} and {rev_name}: {branch:?} and {rev:?}: expected one of them, or \
                 better --ref alone"
            )));
        }
        (Some((branch, name)), _) => set("ref", branch, name),
        (None, Some((rev, name))) => set("ref", rev, name),
        (None, None) => {}
    }
    if let Some((link, name)) = text("dest") {
        set("link", link, name);
    }
    if let Some((seconds, name)) = number("wait") {
        // Truncated as git-sync does; the cast saturates.
        let millis = (seconds.parse().unwrap_or(0f64) * 1000.0) as i64;
        set("period", format!("{millis}ms"), name);
    }
    if let Some((mode, name)) = number("change-permissions") {
        return Err(Refusal::fatal(format!(
            "{name}: {mode:?}: no longer supported; --group-write lets the group write"
        )));
    }
    if let Some((seconds, name)) = number("timeout") {
        set("sync-timeout", format!("{seconds}s"), name);
    }
    if let Some((failures, name)) = number("max-sync-failures") {
        set("max-failures", failures, name);
    }
    if let Some((command, name)) = text("sync-hook-command") {
        set("exechook-command", command, name);
    }
    if let Some((password, name)) = text("password") {
        set("password", password, name);
    }
    if let Some((level, name)) = text("v").filter(|(level, _)| !level.starts_with('-')) {
        set("verbose", level, name);
    }
    Ok(())
}
