//! The parsers of the annotations that apply to the whole Pod.

use crate::Quantity;
use crate::keys::value;
use crate::keys::value::Wrong;
use crate::model::request::GitRepoMode;
use crate::model::request::PodOptions;
use crate::model::request::Position;
use args::is_label;

pub(crate) fn position(text: &str) -> Result<Position, Wrong> {
    let named = |name: &str| {
        is_label(name)
            .then(|| name.to_owned())
            .ok_or(Wrong::Grammar)
    };
    match text.split_once(':') {
        None if text == "last" => Ok(Position::Last),
        None if text == "first" => Ok(Position::First),
        Some(("before", name)) => named(name).map(Position::Before),
        Some(("after", name)) => named(name).map(Position::After),
        _ => Err(Wrong::Grammar),
    }
}

/// A user and group. Never root: injected containers set `runAsNonRoot`, and the kubelet would not
/// start them.
pub(crate) fn user(text: &str) -> Result<(i64, Option<i64>), Wrong> {
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<i64> = text.parse().ok().filter(|_| digits);
        // The API server's own limit.
        number
            .filter(|number| (1..=i64::from(i32::MAX)).contains(number))
            .ok_or(Wrong::Grammar)
    };
    match text.split_once(':') {
        None => Ok((number(text)?, None)),
        Some((user, group)) => Ok((number(user)?, Some(number(group)?))),
    }
}

pub(crate) fn image(text: &str) -> Result<String, Wrong> {
    let bad_char = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() || text.starts_with('-') || text.contains(bad_char) {
        return Err(Wrong::Grammar);
    }
    Ok(text.to_owned())
}

pub(crate) fn resource(
    pod: &mut PodOptions,
    list: &'static str,
    name: &'static str,
    text: &str,
) -> Result<(), Wrong> {
    let amount: Quantity = text.parse().map_err(|_| Wrong::Grammar)?;
    pod.resources.push((list, name, amount));
    Ok(())
}

/// A port that needs no privilege to bind.
pub(crate) fn port(text: &str) -> Result<u16, Wrong> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port: Option<u16> = text.parse().ok().filter(|_| digits);
    port.filter(|port| *port >= 1024).ok_or(Wrong::Grammar)
}

pub(crate) fn uses(text: &str) -> Result<Vec<String>, Wrong> {
    let names = value::names(text)?;
    for name in &names {
        value::secret(name)?;
    }
    Ok(names)
}

pub(crate) fn git_repo(text: &str) -> Result<GitRepoMode, Wrong> {
    match text {
        "convert" => Ok(GitRepoMode::Convert),
        "follow" => Ok(GitRepoMode::Follow),
        "off" => Ok(GitRepoMode::Off),
        _ => Err(Wrong::Grammar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_users_ports_and_images_have_limits() {
        assert_eq!(position("after:proxy"), Ok(Position::After("proxy".into())));
        for text in ["", "First", "before", "before:", "after:A b", "at:x"] {
            assert_eq!(position(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert_eq!(user("1000:2000"), Ok((1000, Some(2000))));
        for text in [
            "",
            "0",
            "root",
            "-1",
            "+1",
            "1:",
            ":1",
            "1:0",
            "2147483648",
            "1:2:3",
        ] {
            assert_eq!(user(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert_eq!(port("9300"), Ok(9300));
        for text in ["", "80", "1023", "65536", ":9300", "+9300"] {
            assert_eq!(port(text), Err(Wrong::Grammar), "{text:?}");
        }
        for text in ["", "-x", "a b", "a\nb"] {
            assert_eq!(image(text), Err(Wrong::Grammar), "{text:?}");
        }
        assert!(uses("a,b.c").is_ok() && uses("A").is_err());
    }
}
