//! `gitvolume convert`: its flags, and the reading and writing of manifests.

use std::collections::BTreeMap;

use clap::Args;
use json_patch::jsonptr::PointerBuf;
use serde_json::Value;

use crate::Exit;
use crate::args::InputArgs;
use crate::args::OutputArgs;
use crate::conversion::convert_pod::Conversion;
use crate::conversion::convert_pod::convert;
use crate::conversion::references::dangling;
use crate::conversion::references::is_of_another;
use crate::manifests::documents;
use crate::manifests::edit;
use crate::manifests::edit::Judged;
use crate::manifests::files;
use crate::manifests::files::File;
use crate::manifests::output;
use crate::manifests::unhandled::Purpose;
use crate::manifests::workloads::Object;
use crate::manifests::workloads::objects;
use crate::report::Report;

/// Flags of `convert`.
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// Which manifests.
    #[command(flatten)]
    pub input: InputArgs,

    /// Where they go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command. Parts that cannot be converted are reported, and are no error.
pub fn run(args: ConvertArgs) -> Exit {
    let ConvertArgs { input, output } = args;
    let mut report = Report::default();
    let files = files::read(&input.filenames, &mut report);
    let beside = Beside {
        config_maps: config_maps(&files),
        objects: objects_of(&files),
    };
    let edited = edit::edit(files, Purpose::Convert, &mut report, |object| {
        judge(object, &beside)
    });
    output::write(&edited, output, &mut report)
}

/// The ConfigMaps of manifests: namespace and name, then key, then text.
pub(crate) type Found = BTreeMap<(String, String), BTreeMap<String, String>>;

/// The ConfigMaps of all files; a text that cannot be parsed is reported when it is edited.
pub(crate) fn config_maps(files: &[File]) -> Found {
    let mut found = Found::new();
    for file in files {
        for document in documents::read(&file.text).unwrap_or_default() {
            for object in objects(document.value()) {
                let value = object.value;
                let is_it = value["apiVersion"] == "v1" && value["kind"] == "ConfigMap";
                let name = value["metadata"]["name"].as_str().filter(|_| is_it);
                let (Some(name), Some(data)) = (name, value["data"].as_object()) else {
                    continue;
                };
                let texts = data
                    .iter()
                    .filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())));
                let namespace = object.namespace().unwrap_or_default().to_owned();
                found.insert((namespace, name.to_owned()), texts.collect());
            }
        }
    }
    found
}

/// The objects of all files, each with its namespace and its display name.
fn objects_of(files: &[File]) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for file in files {
        for document in documents::read(&file.text).unwrap_or_default() {
            let all = objects(document.value());
            let all = all.iter().filter(|object| object.pods.is_empty());
            found.extend(all.map(|object| {
                let namespace = object.namespace().unwrap_or_default().to_owned();
                (namespace, object.name(), object.value.clone())
            }));
        }
    }
    found
}

/// The other objects of the manifests that a conversion reads.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) config_maps: Found,
    /// Namespace, name and object of everything without Pods.
    pub(crate) objects: Vec<(String, String, Value)>,
}

pub(crate) fn judge(object: &Object<'_>, beside: &Beside) -> Judged {
    let found = &beside.config_maps;
    let mut judged = Judged::default();
    let namespace = object.namespace().unwrap_or_default();
    let config_maps = |name: &str, key: &str| {
        let texts = found.get(&(namespace.to_owned(), name.to_owned()))?;
        texts.get(key).cloned()
    };
    for (at, template) in object.templates() {
        let root = PointerBuf::parse(at).unwrap_or_default();
        let Conversion { patch, notes } = convert(template, &config_maps);
        let mut after = template.clone();
        // The patch was made from this template, so it applies.
        if json_patch::patch(&mut after, &patch).is_ok() {
            let others = beside.objects.iter();
            let others: Vec<(String, &Value)> = others
                .filter(|(own, ..)| own.is_empty() || own == namespace)
                .filter(|(.., value)| !is_of_another(value, object.value))
                .map(|(_, name, value)| (name.clone(), value))
                .collect();
            judged.warnings.extend(dangling(template, &after, &others));
        }
        let patch = patch.0.into_iter();
        judged
            .patch
            .extend(patch.map(|own| edit::under(&root, own)));
        for note in notes {
            let list = match note.is_left {
                true => &mut judged.left,
                false => &mut judged.notes,
            };
            list.push(note.to_string());
        }
    }
    judged
}
