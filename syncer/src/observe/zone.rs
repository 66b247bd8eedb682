//! The local time zone, by the rules of Go and therefore of git-sync's log. jiff itself would first
//! list the whole zone database, which is expensive for one clock.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use jiff::tz::TimeZone;

const LOCAL: &str = "/etc/localtime";

/// The directories of zone databases.
const DATABASES: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
];

/// The zone that `TZ` names, otherwise the system's; UTC if there is none.
pub(crate) fn local(tz: Option<&OsStr>) -> TimeZone {
    let Some(tz) = tz else {
        return read(Path::new(LOCAL)).unwrap_or(TimeZone::UTC);
    };
    let name = tz.to_str().unwrap_or_default();
    let name = name.strip_prefix(':').unwrap_or(name);
    let found = DATABASES
        .iter()
        // An absolute name is its own path.
        .map(|database| Path::new(database).join(name))
        .find_map(|path| read(&path));
    found
        .or_else(|| TimeZone::posix(name).ok())
        .unwrap_or(TimeZone::UTC)
}

fn read(path: &Path) -> Option<TimeZone> {
    let name = path.to_string_lossy();
    TimeZone::tzif(&name, &fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_file_or_a_rule_and_else_utc() {
        let offset = |tz: &str| {
            let zone = local(Some(tz.as_ref()));
            zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
        };
        assert_eq!(offset("EAST-7"), 7 * 3600);
        assert_eq!(offset(":EAST-7"), 7 * 3600);
        for none in ["", "No/Such/Place", "/etc/passwd", "UTC", "UTC0"] {
            assert_eq!(offset(none), 0, "{none}");
        }
    }
}
