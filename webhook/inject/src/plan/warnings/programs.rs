//! Warnings about programs that do not find the files of the projected layout.

use args::Layout;
use k8s_openapi::api::core::v1::Container;

use crate::Key;
use crate::plan::input::PlanInput;

/// Programs that walk a directory without following all symlinks, or that find the directory of the
/// revision as well, by the last component of their image or command. docs/layouts.md has the
/// details.
const WALKERS: [&str; 7] = [
    "airflow", "cerbos", "grafana", "hugo", "jenkins", "opa", "telegraf",
];

/// The warnings for containers with such a program: one per container.
pub(super) fn warnings(input: &PlanInput<'_>) -> Vec<String> {
    let mut projected = input.requests.iter();
    let Some(request) = projected.find(|own| own.layout == Layout::Projected) else {
        return Vec::new();
    };
    // The author who writes the layout knows it.
    let name = request.name.as_ref();
    let group = input.requested.group(name);
    if group.is_some_and(|group| group.values.get(Key::Layout).is_some()) {
        return Vec::new();
    }
    let readers = input.readers.iter();
    let warning = |container: &Container| {
        let program = walker(container)?;
        Some(format!(
            "{}: container {}: {program} may fail, miss files or load them twice because of the symlinks of the default layout; \"files\" has none (docs/layouts.md)",
            input.key(name, Key::Layout),
            container.name
        ))
    };
    readers
        .filter_map(|reader| warning(reader.container))
        .collect()
}

/// The program of a container that is one of [`WALKERS`].
fn walker(container: &Container) -> Option<&'static str> {
    let image = container.image.as_deref().unwrap_or_default();
    let command = container.command.iter().flatten().next();
    [Some(image), command.map(String::as_str)]
        .into_iter()
        .flatten()
        .find_map(|text| {
            let last = text.rsplit('/').next().unwrap_or_default();
            let last = last.split([':', '@']).next().unwrap_or_default();
            WALKERS.into_iter().find(|walker| {
                let rest = last.strip_prefix(walker);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_recognised_by_its_image_or_its_command() {
        for (image, command, expected) in [
            ("openpolicyagent/opa:1.2.0-static", None, Some("opa")),
            ("grafana/grafana-oss@sha256:00", None, Some("grafana")),
            ("docker.io/jenkins/jenkins:lts", None, Some("jenkins")),
            ("debian:12", Some("/usr/bin/telegraf"), Some("telegraf")),
            ("apache/airflow:2.10.5", None, Some("airflow")),
            ("opal/opal-client", None, None),
            ("nginx", None, None),
        ] {
            let container = Container {
                image: Some(image.to_owned()),
                command: command.map(|command| vec![command.to_owned()]),
                ..Container::default()
            };
            assert_eq!(walker(&container), expected, "{image}");
        }
    }
}
