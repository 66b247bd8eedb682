use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::text;
use crate::GitVolume;
use crate::Refusal;
use crate::Scope;
use crate::Settings;
use crate::explain::setting::Setting;
use crate::sources::objects;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;
use crate::sources::sourced::Values;

/// The explanation of an object: what its Pods get.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedObject {
    /// Such as `GitVolume shop/site`.
    pub object: String,
    /// Whether it is accepted; otherwise it has no effect.
    pub is_accepted: bool,
    /// The settings of its repository, with the defaults.
    pub repository: Vec<Setting>,
    /// The settings of the Pod as a whole, with the defaults.
    pub pod: Vec<Setting>,
    /// Why it is not accepted.
    pub mistakes: Vec<String>,
    /// Warnings: allowed, and possibly not intended.
    pub warnings: Vec<String>,
}

/// Explains one object by itself; other objects for the same Pods are not considered.
pub fn explain_object(object: &GitVolume, settings: &Settings) -> ExplainedObject {
    let refusal = object.accepted(settings).err();
    let mistakes = refusal.iter().flat_map(Refusal::mistakes);
    let of = |scope: Scope| rows(object, settings, scope, refusal.is_none());
    ExplainedObject {
        object: object.to_string(),
        is_accepted: refusal.is_none(),
        repository: of(Scope::Repository),
        pod: of(Scope::Pod),
        mistakes: mistakes.map(ToString::to_string).collect(),
        warnings: object.warnings().to_vec(),
    }
}

/// The values that an object sets and, where it has an effect, the defaults.
fn rows(object: &GitVolume, settings: &Settings, scope: Scope, has_defaults: bool) -> Vec<Setting> {
    let mut values = Values::default();
    let origin = Origin::Object(Arc::new(object.clone()));
    for (key, text) in object.said().filter(|(key, _)| key.row().scope == scope) {
        values.add(key, Sourced::new(text.to_owned(), origin.clone()));
    }
    if has_defaults {
        values = values.or_defaults(scope, object.repository(), settings);
    }
    let rows = values.iter().filter_map(|(key, value)| {
        let field = objects::field(key)?;
        let setting = Setting::new(key, value);
        Some(match value.origin {
            Origin::Object(_) => Setting {
                from: format!("spec.{field}"),
                ..setting
            },
            _ => setting,
        })
    });
    rows.collect()
}

impl fmt::Display for ExplainedObject {
    /// Formats it for a terminal; each line but the first is indented by two blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            is_accepted,
            repository,
            pod,
            mistakes,
            warnings,
        } = self;
        if *is_accepted {
            writeln!(f, "{object}: accepted")?
        } else {
            writeln!(f, "{object}: not accepted, so it has no effect")?
        }
        text::list(f, "refused", mistakes)?;
        text::list(f, "warnings", warnings)?;
        for (heading, settings) in [("repository", repository), ("the Pod", pod)] {
            if !settings.is_empty() {
                writeln!(f, "  {heading}")?;
                text::settings(f, settings)?;
            }
        }
        Ok(())
    }
}
