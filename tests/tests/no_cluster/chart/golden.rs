//! Comparison of checked-in files with generated ones; `UPDATE_GOLDENS=1` rewrites them.

use tests::installation::world::TestResult;
use tests::settings;

/// Compares a file of the checkout with the expected text, or rewrites it.
pub(crate) fn is_golden(path: &str, expected: &str) -> TestResult {
    let file = settings::root().join(path);
    if settings::update_goldens() {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, expected)?;
        return Ok(());
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    let differing = lines.find(|(_, (found, expected))| found != expected);
    let place = match differing {
        Some((at, (found, expected))) => format!("line {}: {found:?}, not {expected:?}", at + 1),
        None => "one of them is longer".to_owned(),
    };
    Err(format!(
        "{path} is not what comes out ({place}); \
         make goldens writes it"
    )
    .into())
}
