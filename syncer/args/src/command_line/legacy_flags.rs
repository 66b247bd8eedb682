use crate::flags::Flag;
use crate::flags::find;
use crate::flags::kind::Kind;

/// A flag of git-sync v2 or v3 that v4 has renamed or removed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct OldFlag {
    /// The name without dashes.
    pub(crate) name: &'static str,
    /// The variable; `None` if only the command line has the flag, or if the variable is no longer
    /// read.
    pub(crate) env: Option<&'static str>,
    /// Grammar of its value.
    pub(crate) kind: Kind,
    /// The present flag that replaces it, if any.
    pub(crate) instead: Option<&'static str>,
}

/// A field that a row may omit.
macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
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

/// Legacy flags that have a replacement, or are rejected.
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

/// Legacy flags without effect. They include the log flags of v3, which v4 rejects, because
/// manifests of v3 contain them; dashes are accepted for their underscores.
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

/// Variables without effect: v4 does not read them.
pub(crate) const MEANINGLESS_VARIABLES: &[&str] = &["GIT_SYNC_SSH"];

/// Remedy for a flag without effect.
pub(crate) fn why_meaningless(name: &str) -> &'static str {
    if name.eq_ignore_ascii_case("ssh") {
        "the repository address selects ssh"
    } else {
        "the log goes to standard error; --verbose sets its level"
    }
}

impl OldFlag {
    /// Deprecation notice that names the replacement of the variable.
    pub(crate) fn deprecation(&self) -> String {
        let present = self.instead.and_then(find).and_then(Flag::variable);
        let (old, present) = (self.env.unwrap_or_default(), present.unwrap_or_default());
        format!("env ${old} has been deprecated, use ${present} instead")
    }

    /// Deprecation notice that names the replacement of the flag, in git-sync's wording.
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
