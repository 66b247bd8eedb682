//! `gitvolume explain gitvolume/NAME`: what a GitVolume or ClusterGitVolume of a cluster sets for
//! the Pods that it selects, and its status.

use std::fmt;

use inject::ExplainedObject;
use inject::GitVolume;
use inject::Kind;
use inject::explain_object;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::live;
use crate::live::ClusterReader;
use crate::live::kinds::our_objects;
use crate::live::named;
use crate::report::Report;
use crate::report::one_line;
use webhook::settings::SettingsArgs;

/// The explanation of a GitVolume or ClusterGitVolume of a cluster.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ExplainedVolume {
    #[serde(flatten)]
    pub(super) explanation: ExplainedObject,
    /// The conditions of its status.
    conditions: Vec<String>,
}

/// Reads an object and explains it.
pub(super) async fn explain_volume(
    live: &ClusterReader,
    (kind, name): (Kind, &str),
    namespace: Option<&str>,
    flags: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<ExplainedVolume> {
    let namespace = namespace.unwrap_or(live.namespace());
    let own = named::name(name, namespace)?;
    let uri = format!("{}/{own}", our_objects(kind, Some(namespace)));
    let place = match kind {
        Kind::GitVolume => format!(" in the namespace {namespace}"),
        Kind::ClusterGitVolume => String::new(),
    };
    let found = live.get(&uri).await;
    let mut object = found.map_err(|error| anyhow::anyhow!("{name}{place}: {error}"))?;
    object["kind"] = json!(kind.as_str());
    let (_, settings) = live::known(live, namespace, flags, report).await?;
    Ok(ExplainedVolume {
        explanation: explain_object(&GitVolume::read(&object), &settings),
        conditions: conditions(&object),
    })
}

/// The conditions, one line each; those of an earlier generation are marked, as they do not
/// describe the current object.
fn conditions(object: &Value) -> Vec<String> {
    let conditions = object["status"]["conditions"].as_array();
    let conditions = conditions.into_iter().flatten();
    let conditions = conditions.map(|own| {
        let text = |key: &str| own[key].as_str().unwrap_or_default();
        let is_old = own["observedGeneration"] != object["metadata"]["generation"];
        let old = if is_old {
            " (of an earlier generation)"
        } else {
            ""
        };
        format!(
            "{}={}{old}: {}",
            text("type"),
            text("status"),
            text("message")
        )
    });
    conditions.collect()
}

impl fmt::Display for ExplainedVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            explanation,
            conditions,
        } = self;
        write!(f, "{explanation}")?;
        if conditions.is_empty() {
            return writeln!(f, "  the webhook has not written its status");
        }
        writeln!(f, "  its status")?;
        conditions
            .iter()
            .try_for_each(|line| f.write_str(&inject::wrapped(&one_line(line), 4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inject::Settings;

    #[test]
    fn an_object_is_shown_with_its_conditions() {
        let mut object = json!({
            "kind": "GitVolume",
            "metadata": {"name": "site", "namespace": "shop", "generation": 2},
            "spec": {"repo": "https://git.example/site.git"},
            "status": {"conditions": [
                {"type": "Accepted", "status": "True", "observedGeneration": 2,
                 "message": "the spec is valid"},
                {"type": "Effective", "status": "False", "observedGeneration": 1,
                 "message": "the label is missing"},
            ]},
        });
        let explained = |object: &Value| ExplainedVolume {
            explanation: explain_object(&GitVolume::read(object), &Settings::new("syncer:1")),
            conditions: conditions(object),
        };
        let text = explained(&object).to_string();
        for words in [
            "GitVolume shop/site: accepted\n",
            "https://git.example/site.git  spec.repo\n",
            "    Accepted=True: the spec is valid\n",
            "    Effective=False (of an earlier generation): the label is missing\n",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        object["status"] = Value::Null;
        assert!(
            explained(&object)
                .to_string()
                .contains("has not written its status")
        );
    }
}
