//! Translation of legacy flags (v2, v3) to present ones.

use crate::command_line::setting::Setting;
use crate::command_line::settings::Settings;
use crate::command_line::usage_error::UsageError;

/// Replaces the values of present flags by those of legacy flags. As in git-sync, a legacy flag
/// takes precedence, on the command line or in the environment.
pub(crate) fn apply(
    old: &Settings,
    settings: &mut Settings,
    notices: &mut Vec<String>,
) -> Result<(), UsageError> {
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
            return Err(UsageError::fatal(format!(
                "{branch_name} and {rev_name}: {branch:?} and {rev:?}: expected only one of them; use --ref instead"
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
        return Err(UsageError::fatal(format!(
            "{name}: {mode:?}: no longer supported; use --group-write"
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
