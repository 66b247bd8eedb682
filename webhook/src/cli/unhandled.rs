//! What a command is for and cannot handle where it stands: annotations, git-sync containers and
//! gitRepo volumes outside any Pod template that the command knows. They are named, never passed over.

use inject::ANNOTATIONS;
use inject::PREFIX;
use inject::is_embedded_object;
use inject::misplaced;
use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::cli::convert::is_git_program;
use crate::cli::documents::Document;
use crate::cli::workloads::Object;

/// What a command looks for in manifests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Our annotations and gitRepo volumes.
    Inject,
    /// What an injection left.
    Uninject,
    /// gitRepo volumes, git-sync containers, and containers that run `git clone`.
    Convert,
}

/// One thing that is not handled.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    /// Where it is: member names and indexes.
    at: Vec<String>,
    /// What it is.
    what: String,
}

/// API groups whose objects only name our annotations, labels and images, and ask for nothing.
const OTHER_GROUPS: [&str; 3] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "gitvolume.dev",
];

/// Maps whose keys select by labels, where a key with our prefix need be no annotation.
const LABELS: [&str; 4] = ["labels", "matchLabels", "nodeSelector", "selector"];

/// How the name of a map of annotations ends: `annotations`, `podAnnotations`, `commonAnnotations`.
const ANNOTATION_MAPS: &str = "nnotations";

impl Purpose {
    /// Whether a text that is not read as objects may have something in it that the command is for.
    pub fn is_in_text(self, text: &str) -> bool {
        let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        match self {
            Self::Inject => has(&["gitRepo"]) || has_annotation(text),
            Self::Uninject => text.contains(&format!("{PREFIX}status")),
            Self::Convert => {
                has(&["gitRepo", "git-sync", "GIT_SYNC_", "GITSYNC_", "alpine/git"])
                    || text.contains("git clone")
            }
        }
    }

    /// The sentence about what the command is for in an object and outside its Pod templates, or
    /// anywhere in it where `whole` says why nothing of it can be handled.
    pub fn left_in(self, object: &Object<'_>, whole: Option<&str>) -> Option<String> {
        let version = object.value["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if OTHER_GROUPS.contains(&group) {
            return None;
        }
        let mut handled: Vec<String> = Vec::new();
        if whole.is_none() {
            for (at, template) in object.templates() {
                if template["metadata"]["annotations"].is_object() {
                    handled.push(format!("{at}/metadata/annotations"));
                }
                let lists = ["volumes", "initContainers", "containers"];
                handled.extend(lists.map(|list| format!("{at}/spec/{list}")));
            }
            if !misplaced(object.value).is_empty() {
                // Named with the place where they belong.
                handled.push("/metadata/annotations".to_owned());
                handled.push("/spec/jobTemplate/metadata/annotations".to_owned());
            }
        }
        let kind = object.value["kind"].as_str();
        let mut search = Search {
            purpose: self,
            handled: &handled,
            is_kustomization: matches!(kind, Some("Component" | "Kustomization")),
            at: Vec::new(),
            found: Vec::new(),
        };
        search.look(object.value);
        let found = search.found;
        let first = found.first()?;
        let more = match found.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let place = match path(&first.at) {
            place if place.is_empty() => String::new(),
            place => format!(" in {place}"),
        };
        let is_list = first
            .at
            .last()
            .is_some_and(|own| own.parse::<usize>().is_ok());
        let in_list = first.at.iter().any(|own| own.ends_with(ANNOTATION_MAPS));
        let why = match (whole, kind) {
            (Some(why), _) => why.to_owned(),
            _ if is_list && in_list => "expected a map of texts, not a list".to_owned(),
            (None, None) => "the document has no kind".to_owned(),
            _ if search.is_kustomization => "inject what `kustomize build` makes of it".to_owned(),
            (None, Some(kind)) => self.reason(kind),
        };
        Some(format!("left as it is: {}{more}{place}: {why}", first.what))
    }

    /// Why nothing comes of what is in a kind without a Pod template there.
    fn reason(self, kind: &str) -> String {
        match self {
            Self::Inject => format!(
                "a {kind} has no Pod template there that this command knows; the webhook injects \
                 the Pods that get the annotations"
            ),
            Self::Uninject => format!("a {kind} has no Pod template there"),
            Self::Convert => format!(
                "a {kind} has no Pod template there that this command knows; write the \
                 {PREFIX} annotations for its Pods and remove it by hand"
            ),
        }
    }

    /// The sentences about keys that the document has twice, where it has something in it that the
    /// command is for.
    pub fn duplicates_in(self, document: &Document) -> Vec<String> {
        if !self.is_in_text(document.text()) {
            return Vec::new();
        }
        let sentence = |(line, key): (usize, String)| {
            format!(
                "line {line}: the key {key:?} is given more than once; the last one counts, as \
                 for kubectl"
            )
        };
        document.duplicates().into_iter().map(sentence).collect()
    }
}

/// Whether a text names one of our annotations, and not only our API group or label.
fn has_annotation(text: &str) -> bool {
    text.match_indices(PREFIX.trim_end_matches('/'))
        .any(|(at, own)| {
            let rest = &text[at + own.len()..];
            let rest = rest.strip_prefix('/').or(rest.strip_prefix("~1"));
            rest.is_some_and(|rest| !rest.starts_with("v1") && !rest.starts_with("auto-inject"))
        })
}

struct Search<'a> {
    purpose: Purpose,
    /// What is handled elsewhere, JSON pointers.
    handled: &'a [String],
    is_kustomization: bool,
    at: Vec<String>,
    found: Vec<Finding>,
}

impl Search<'_> {
    fn look(&mut self, value: &Value) {
        match value {
            Value::Object(members) => self.look_in_map(members),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&index.to_string(), item);
                }
            }
            Value::String(text) => self.look_in_text(text),
            _ => {}
        }
    }

    fn below(&mut self, key: &str, child: &Value) {
        if is_embedded_object(child) {
            return;
        }
        self.at.push(key.to_owned());
        let tokens = self
            .at
            .iter()
            .map(|own| own.replace('~', "~0").replace('/', "~1"));
        let pointer: String = tokens.map(|own| format!("/{own}")).collect();
        if !self.handled.contains(&pointer) {
            self.look(child);
        }
        self.at.pop();
    }

    fn look_in_map(&mut self, members: &Map<String, Value>) {
        if self.purpose == Purpose::Convert
            && let Some(name) = git_container(members)
        {
            self.find(format!("container {name}"));
            return;
        }
        let parent = self.at.last().map_or("", String::as_str);
        let is_label = LABELS.contains(&parent);
        for (key, child) in members {
            let is_asked = match self.purpose {
                Purpose::Inject => key.strip_prefix(PREFIX).is_some_and(|own| {
                    let last = own.rsplit('.').next().unwrap_or(own);
                    !is_label || ANNOTATIONS.iter().any(|row| row.key == last)
                }),
                Purpose::Uninject => *key == format!("{PREFIX}status"),
                Purpose::Convert => false,
            };
            let is_volume = key == "gitRepo" && child["repository"].is_string();
            if is_asked {
                self.find(key.clone());
            } else if is_volume && self.purpose != Purpose::Uninject {
                self.find("a gitRepo volume".to_owned());
            } else {
                self.below(key, child);
            }
        }
    }

    /// A text is a sign in a list of annotations, in a JSON patch, in a Kustomization's patches, and
    /// where it names an image.
    fn look_in_text(&mut self, text: &str) {
        let mut keys = self.at.iter().rev();
        let key = keys.find(|own| own.parse::<usize>().is_err());
        let key = key.map_or("", String::as_str);
        let last = self.at.last().map_or("", String::as_str);
        let in_annotations = self.at.iter().any(|own| own.ends_with(ANNOTATION_MAPS));
        let is_sign = match self.purpose {
            Purpose::Inject => {
                let is_item = in_annotations && text.starts_with(PREFIX) && last != "value";
                // The values of a chart are one text in an Application of Argo CD.
                let is_values = key == "values" && text.contains('\n');
                let is_patch = key == "path" || is_values || self.is_kustomization;
                is_item || is_patch && has_annotation(text)
            }
            Purpose::Uninject => false,
            Purpose::Convert => {
                let image = text.split('@').next().unwrap_or(text);
                let name = image.rsplit('/').next().unwrap_or(image);
                ["image", "repository"].contains(&key) && name.contains("git-sync")
                    || self.is_kustomization && self.purpose.is_in_text(text)
            }
        };
        if is_sign {
            let what = match self.purpose {
                Purpose::Convert => "git-sync",
                _ if ["patch", "path", "values"].contains(&key) || self.is_kustomization => {
                    "an annotation"
                }
                _ => text.split(['=', ':']).next().unwrap_or(text),
            };
            let what = what.to_owned();
            self.find(what);
        }
    }

    fn find(&mut self, what: String) {
        self.found.push(Finding {
            at: self.at.clone(),
            what,
        });
    }
}

/// The name of a container that runs git-sync or `git clone`.
fn git_container(members: &Map<String, Value>) -> Option<String> {
    let has = |key: &str| members.contains_key(key);
    if !has("image") || !["name", "command", "args", "env"].into_iter().any(has) {
        return None;
    }
    let container = Container::deserialize(&Value::Object(members.clone())).ok()?;
    is_git_program(&container).then_some(container.name)
}

/// A path as people write it: `spec.templates[0].metadata.annotations`.
fn path(tokens: &[String]) -> String {
    let mut path = String::new();
    for token in tokens {
        match token.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) if path.is_empty() => path.push_str(token),
            Err(_) => {
                path.push('.');
                path.push_str(token);
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::workloads::objects;
    use serde_json::json;

    fn left(purpose: Purpose, value: &Value) -> Vec<String> {
        let objects = objects(value);
        let objects = objects.iter();
        objects
            .filter_map(|object| purpose.left_in(object, None))
            .collect()
    }

    #[test]
    fn what_our_own_objects_and_selectors_name_asks_for_nothing() {
        let label = json!({"gitvolume.dev/auto-inject": "enabled"});
        for value in [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": label}}),
            json!({
                "apiVersion": "gitvolume.dev/v1alpha1", "kind": "ClusterGitVolume",
                "spec": {"namespaceSelector": {"matchLabels": label}},
            }),
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "spec": {"podSelector": {"matchLabels": label}},
            }),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "gitvolume.dev/repo"}}),
        ] {
            assert!(left(Purpose::Inject, &value).is_empty(), "{value}");
        }
    }

    #[test]
    fn annotations_are_named_wherever_they_are() {
        let keys = json!({"gitvolume.dev/repo": "https://git.example/a.git"});
        for (value, place) in [
            (
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"annotations": keys}}),
                "gitvolume.dev/repo in metadata.annotations: a Service has no Pod template",
            ),
            (
                json!({"podAnnotations": keys, "image": "x"}),
                "gitvolume.dev/repo in podAnnotations: the document has no kind",
            ),
            (
                json!({
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "spec": {"template": {"annotations": keys, "spec": {"containers": []}}},
                }),
                "gitvolume.dev/repo in spec.template.annotations: ",
            ),
            (
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
                    "annotations": ["gitvolume.dev/repo=https://git.example/a.git"],
                }, "spec": {"containers": []}}),
                "gitvolume.dev/repo in metadata.annotations[0]: expected a map of texts",
            ),
            (
                json!([{
                    "op": "add", "value": "x",
                    "path": "/spec/template/metadata/annotations/gitvolume.dev~1repo",
                }]),
                "an annotation in path: the document has no kind",
            ),
            (
                json!({"kind": "Kustomization", "patches": [{"patch": "gitvolume.dev/repo: x"}]}),
                "an annotation in patches[0].patch: inject what `kustomize build`",
            ),
        ] {
            let left = left(Purpose::Inject, &value);
            assert_eq!(left.len(), 1, "{value}");
            assert!(left[0].contains(place), "{left:?}: {place}");
        }
    }
}
