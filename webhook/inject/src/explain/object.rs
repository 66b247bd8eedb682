use std::fmt;

use serde::Serialize;

use super::DEFAULT;
use super::OPERATOR;
use super::Setting;
use super::text;
use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::MountPath;
use crate::Refusal;
use crate::Scope;
use crate::Settings;
use crate::objects;
use crate::value::without_secrets;

/// What an object gives the Pods that it is for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedObject {
    /// Such as `GitVolume shop/site`.
    pub object: String,
    /// Whether it is accepted: otherwise it has no effect.
    pub is_accepted: bool,
    /// What it says of its repository, and what holds where neither it nor another says anything.
    pub repository: Vec<Setting>,
    /// The same of the Pod as a whole.
    pub pod: Vec<Setting>,
    /// Why it is not accepted.
    pub mistakes: Vec<String>,
    /// What is odd and allowed.
    pub warnings: Vec<String>,
}

/// Explains an object of ours by itself: what others say about the same Pods is not known here.
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

/// What is said, and, of an object that has an effect, what holds by default.
fn rows(object: &GitVolume, settings: &Settings, scope: Scope, has_defaults: bool) -> Vec<Setting> {
    let rows = ANNOTATIONS.iter().filter(|row| row.scope == scope);
    let rows = rows.filter_map(|row| {
        let field = objects::field(row)?;
        let (value, from) = match (object.text(row.key), row.key) {
            (Some(text), _) => (without_secrets(text), format!("spec.{field}")),
            (None, _) if !has_defaults => return None,
            (None, "mount-path") => {
                let path = MountPath::default_for(object.repository());
                (path.to_string(), DEFAULT.to_owned())
            }
            (None, "timeout") => (settings.sync_timeout.to_string(), OPERATOR.to_owned()),
            (None, _) => (row.default?.to_owned(), DEFAULT.to_owned()),
        };
        Some(Setting {
            key: row.key.to_owned(),
            value,
            from,
        })
    });
    rows.collect()
}

impl fmt::Display for ExplainedObject {
    /// Writes it for a terminal, each line begun by two blanks but the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            is_accepted,
            repository,
            pod,
            mistakes,
            warnings,
        } = self;
        match is_accepted {
            true => writeln!(f, "{object}: accepted")?,
            false => writeln!(f, "{object}: not accepted, and without effect")?,
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
