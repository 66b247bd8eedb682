//! Parts that a command should handle but cannot: annotations, git-sync containers and gitRepo
//! volumes outside of the Pod templates that it knows. Each is reported.

use inject::Key;
use inject::PREFIX;
use inject::is_embedded_object;
use inject::misplaced;
use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::conversion::plain::is_git_program;
use crate::manifests::documents::document::Document;
use crate::manifests::workloads::Object;

/// The purpose of a command: what it looks for in manifests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Annotations of gitvolume, and gitRepo volumes.
    Inject,
    /// Parts of an injection.
    Uninject,
    /// gitRepo volumes, git-sync containers, and containers that run `git clone`.
    Convert,
}

/// A part that is not handled.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Finding {
    /// The path: member names and indexes.
    at: Vec<String>,
    /// Its description.
    what: String,
    /// Whether it is a string value and not the key of a map.
    is_text: bool,
}

/// API groups whose objects only refer to gitvolume's annotations, labels and images.
const OTHER_GROUPS: [&str; 3] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "gitvolume.dev",
];

/// Maps of labels, where a key with gitvolume's prefix may be a label and no annotation.
const LABELS: [&str; 4] = ["labels", "matchLabels", "nodeSelector", "selector"];

/// The list of containers in a Pod that is a text, in YAML and in JSON.
const CONTAINERS: [&str; 2] = ["containers:", "\"containers\":"];

/// The suffix of the name of a map of annotations: `annotations`, `podAnnotations`,
/// `commonAnnotations`.
const ANNOTATION_MAPS: &str = "nnotations";

impl Purpose {
    /// Whether a text that is not parsed as objects may contain something for the command.
    pub fn is_in_text(self, text: &str) -> bool {
        let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        match self {
            Self::Inject => has(&["gitRepo"]) || has_annotation(text),
            Self::Uninject => text.contains(Key::Status.annotation()),
            Self::Convert => {
                has(&["gitRepo", "git-sync", "GIT_SYNC_", "GITSYNC_", "alpine/git"])
                    || text.contains("git clone")
            }
        }
    }

    /// The message about unhandled parts of an object outside of its Pod templates; of the whole
    /// object if `whole` is the reason why it is skipped. A kustomization needs no kind if its file
    /// name identifies it.
    pub fn left_in(
        self,
        object: &Object<'_>,
        whole: Option<&str>,
        is_kustomization: bool,
    ) -> Option<String> {
        let version = object.value["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if OTHER_GROUPS.contains(&group) {
            return None;
        }
        let mut handled: Vec<String> = Vec::new();
        if whole.is_none() {
            for (at, template) in object.templates() {
                let key = misspelt(template).filter(|_| self == Self::Inject);
                if let Some(key) = key {
                    return Some(format!(
                        "skipped: {key}: expected an annotation such as {PREFIX}repo"
                    ));
                }
                if template["metadata"]["annotations"].is_object() {
                    handled.push(format!("{at}/metadata/annotations"));
                }
                let lists = ["volumes", "initContainers", "containers"];
                handled.extend(lists.map(|list| format!("{at}/spec/{list}")));
            }
            if !misplaced(object.value).is_empty() {
                // Reported elsewhere, with the place where they belong.
                handled.push("/metadata/annotations".to_owned());
                handled.push("/spec/jobTemplate/metadata/annotations".to_owned());
            }
        }
        let kind = object.value["kind"].as_str();
        let mut search = Search {
            purpose: self,
            handled: &handled,
            is_kustomization: is_kustomization
                || matches!(kind, Some("Component" | "Kustomization")),
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
        let mut in_annotations = first.at.iter().rev();
        // Below the map, or the map itself if it is a list or a string.
        let below = in_annotations.position(|own| own.ends_with(ANNOTATION_MAPS));
        let below = below.map(|depth| first.at.len() - depth);
        let shape = below.and_then(|at| match first.at.get(at) {
            None if first.is_text => Some("a text"),
            Some(own) if own.parse::<usize>().is_ok() => Some("a list"),
            _ => None,
        });
        let why = match (whole, kind) {
            (Some(why), _) => why.to_owned(),
            _ if shape.is_some() => {
                format!(
                    "expected a map of strings, not {}",
                    shape.unwrap_or_default()
                )
            }
            _ if search.is_kustomization => "inject the output of `kustomize build`".to_owned(),
            (None, None) => "the document has no kind".to_owned(),
            (None, Some(kind)) => self.reason(kind),
        };
        Some(format!("skipped: {}{more}{place}: {why}", first.what))
    }

    /// The reason why a part has no effect in a kind without a Pod template there.
    fn reason(self, kind: &str) -> String {
        match self {
            Self::Inject => format!(
                "the kind {kind} has no Pod template that this command supports; the webhook injects \
                 the Pods that get the annotations"
            ),
            Self::Uninject => format!("the kind {kind} has no Pod template there"),
            Self::Convert => format!(
                "the kind {kind} has no Pod template that this command supports; write the \
                 {PREFIX} annotations for its Pods and remove it by hand"
            ),
        }
    }

    /// The messages about duplicate keys, if the document contains something for the command.
    pub fn duplicates_in(self, document: &Document) -> Vec<String> {
        if !self.is_in_text(document.text()) {
            return Vec::new();
        }
        let sentence = |(line, key): (usize, String)| {
            format!(
                "line {line}: the key {key:?} is given more than once; the last one is used, as by kubectl"
            )
        };
        document.duplicates().into_iter().map(sentence).collect()
    }
}

/// A misspelt annotation of a Pod with gitvolume's domain.
fn misspelt(template: &Value) -> Option<&String> {
    let annotations = template.pointer("/metadata/annotations")?.as_object()?;
    let domain = PREFIX.trim_end_matches('/');
    annotations.keys().find(|key| {
        let own = key.split_at_checked(domain.len());
        own.is_some_and(|(start, rest)| {
            // `gitvolume.dev.example/repo` has another domain.
            let is_dotted = rest.starts_with('.') && !rest.contains('/');
            let is_ours = rest.is_empty() || rest.starts_with('/') || is_dotted;
            is_ours && start.eq_ignore_ascii_case(domain) && !key.starts_with(PREFIX)
        })
    })
}

/// Whether a text contains one of gitvolume's annotations, and not only its API group or label.
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
    /// JSON pointers of parts that are handled elsewhere.
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
            self.find(format!("container {name}"), false);
            return;
        }
        let parent = self.at.last().map_or("", String::as_str);
        let is_label = LABELS.contains(&parent);
        for (key, child) in members {
            let is_asked = match self.purpose {
                Purpose::Inject => key.strip_prefix(PREFIX).is_some_and(|own| {
                    let last = own.rsplit('.').next().unwrap_or(own);
                    !is_label || Key::parse(last).is_some()
                }),
                Purpose::Uninject => key == Key::Status.annotation(),
                Purpose::Convert => false,
            };
            let is_volume = key == "gitRepo" && child["repository"].is_string();
            if is_asked {
                self.find(key.clone(), false);
            } else if is_volume && self.purpose != Purpose::Uninject {
                self.find("a gitRepo volume".to_owned(), false);
            } else {
                self.below(key, child);
            }
        }
    }

    /// Checks a string. It counts in a list of annotations, in a JSON patch, in patches of a
    /// Kustomization, and as the name of an image.
    fn look_in_text(&mut self, text: &str) {
        let mut keys = self.at.iter().rev();
        let key = keys.find(|own| own.parse::<usize>().is_err());
        let key = key.map_or("", String::as_str);
        let last = self.at.last().map_or("", String::as_str);
        let in_annotations = self.at.iter().any(|own| own.ends_with(ANNOTATION_MAPS));
        // A Pod in a text for another program, such as Airflow's `pod_template_file` in a
        // ConfigMap.
        let is_pod = text.trim_end().contains('\n')
            && CONTAINERS.iter().any(|key| text.contains(key))
            && self.purpose.is_in_text(text);
        if is_pod && !self.is_kustomization && key != "values" {
            return self.find("a Pod in a text".to_owned(), true);
        }
        let is_sign = match self.purpose {
            Purpose::Inject => {
                let is_item = in_annotations && text.starts_with(PREFIX) && last != "value";
                // In an Application of Argo CD the values of a chart are one string.
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
            self.find(what, true);
        }
    }

    fn find(&mut self, what: String, is_text: bool) {
        self.found.push(Finding {
            at: self.at.clone(),
            what,
            is_text,
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

/// A path in the usual notation: `spec.templates[0].metadata.annotations`.
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
mod tests;
