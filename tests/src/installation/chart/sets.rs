//! Sets of values that the chart tests render: one file each in `values/`, and the chart's own files
//! for platforms in `ci/`.

use crate::settings;
use serde_json::Value;

use crate::installation::chart::Rendered;

/// One set of values.
#[derive(Debug)]
pub struct Set {
    /// The file name without its extension.
    pub name: String,
    /// The values, as for `helm --values`.
    pub values: Value,
}

impl Set {
    /// The chart rendered with these values.
    pub fn rendered(&self) -> Result<Rendered, String> {
        Rendered::with(&self.values).map_err(|error| format!("{}: {error}", self.name))
    }
}

/// The sets that install the webhook.
pub fn with_webhook() -> Result<Vec<Set>, String> {
    let mut sets = all()?;
    sets.retain(|set| set.values["webhook"]["enabled"] != Value::Bool(false));
    Ok(sets)
}

/// All sets, by name.
pub fn all() -> Result<Vec<Set>, String> {
    let folders = ["tests/tests/chart/values", "charts/gitvolume/ci"];
    let mut entries = Vec::new();
    for folder in folders {
        let found = std::fs::read_dir(settings::root().join(folder));
        entries.extend(found.map_err(|error| format!("{folder}: {error}"))?);
    }
    let mut sets = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let values = serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
        sets.push(Set { name, values });
    }
    sets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(sets)
}
