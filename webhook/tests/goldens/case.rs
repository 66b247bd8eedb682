//! The golden cases of the crate `inject`: a Pod, its settings, and the expected outcome.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::ensure;
use serde_json::Value;
use serde_json::json;

/// A golden case: a Pod, the settings, and the expected outcome.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) pod: Value,
    /// The settings, in the format of their file.
    pub(super) settings: String,
}

impl Case {
    /// The cases of a kind, at least `least` of them: a run that finds few of them proves nothing.
    fn all(testdata: &str, kind: &str, least: usize) -> anyhow::Result<Vec<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(testdata);
        let mut cases = Vec::new();
        for entry in fs::read_dir(root.join(kind))? {
            let dir = entry?.path();
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let mut settings = json!({
                "image": "registry.example/gitvolume-syncer:test", "version": "0.0.0-test",
            });
            if let Some(own) = read(&dir, "settings.yaml")? {
                for (key, value) in yaml(&own)?.as_object().context("no mapping")? {
                    settings[key] = value.clone();
                }
            }
            cases.push(Self {
                name: format!("{kind}/{name}"),
                pod: yaml(&read(&dir, "pod.yaml")?.context("no pod.yaml")?)?,
                settings: settings.to_string(),
                dir,
            });
        }
        ensure!(cases.len() >= least, "{} cases of {kind}", cases.len());
        Ok(cases)
    }

    /// A file of the case; `None` if it does not exist.
    pub(super) fn golden(&self, file: &str) -> anyhow::Result<Option<String>> {
        read(&self.dir, file)
    }

    pub(super) fn warnings(&self) -> anyhow::Result<Vec<String>> {
        let text = self.golden("warnings.txt")?.unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The expected Pod; the original one if the case has no patch.
    pub(super) fn patched(&self) -> anyhow::Result<Value> {
        match self.golden("patched.yaml")? {
            Some(text) => yaml(&text),
            None => Ok(self.pod.clone()),
        }
    }
}

fn read(dir: &Path, file: &str) -> anyhow::Result<Option<String>> {
    let file = dir.join(file);
    match file.exists() {
        true => Ok(Some(fs::read_to_string(file)?)),
        false => Ok(None),
    }
}

pub(super) fn yaml(text: &str) -> anyhow::Result<Value> {
    Ok(serde_saphyr::from_str(text)?)
}

/// All cases, grouped by settings: each group has its own server.
pub(super) fn groups(testdata: &str) -> anyhow::Result<BTreeMap<String, Vec<Case>>> {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for (kind, least) in [("inject", 90), ("deny", 70), ("skip", 12)] {
        for case in Case::all(testdata, kind, least)? {
            groups.entry(case.settings.clone()).or_default().push(case);
        }
    }
    Ok(groups)
}
