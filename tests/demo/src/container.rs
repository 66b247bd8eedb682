use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use ::args::Action;
use ::args::GitDuration;
use ::args::expand_as_kubelet;
use anyhow::Context;
use serde_json::Value;

use super::repository;

/// The injected container as the kubelet would start it; its volumes are directories of the demo.
pub(super) struct Container {
    /// The program with its arguments.
    argv: Vec<String>,
    env: Vec<(String, String)>,
    probe: Vec<String>,
    /// Mount path in the container, volume name, directory of the demo.
    mounts: Vec<(String, String, PathBuf)>,
    program: PathBuf,
}

impl Container {
    /// Extracts the container that the patch added and creates a directory for each of its volumes.
    pub(super) fn injected(pod: &Value, volumes: &Path, program: &Path) -> anyhow::Result<Self> {
        let spec = pod
            .pointer("/spec/initContainers")
            .and_then(Value::as_array)
            .and_then(|containers| {
                let ours = |container: &&Value| container["command"][0] == ::args::paths::PROGRAM;
                containers.iter().find(ours)
            })
            .context("the Pod has no injected container")?;
        let mut mounts = Vec::new();
        for (path, volume) in mounts_of(spec) {
            let directory = volumes.join(&volume);
            std::fs::create_dir_all(&directory)?;
            mounts.push((path, volume, directory));
        }
        let mut container = Self {
            argv: Vec::new(),
            env: Vec::new(),
            probe: texts(&spec["startupProbe"]["exec"]["command"]),
            mounts,
            program: program.to_owned(),
        };
        for variable in spec["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default();
            let value = variable["value"].as_str().unwrap_or_default();
            let value = container.outside(&container.expanded(value));
            container.env.push((name.to_owned(), value));
        }
        let command = texts(&spec["command"]);
        for argument in command.iter().chain(&texts(&spec["args"])) {
            let argument = container.outside(&container.expanded(argument));
            container.argv.push(argument);
        }
        Ok(container)
    }

    /// Paths of the container and the demo's paths that replace them, the program first.
    pub(super) fn mapping(&self) -> impl Iterator<Item = (&str, &Path)> {
        let program = (::args::paths::PROGRAM, self.program.as_path());
        let mounts = self.mounts.iter();
        let mounts = mounts.map(|(inside, _, outside)| (inside.as_str(), outside.as_path()));
        std::iter::once(program).chain(mounts)
    }

    /// The command that the kubelet would start.
    pub(super) fn command(&self) -> std::process::Command {
        self.command_of(&self.argv)
    }

    /// Runs the startup probe; the inner error is its output.
    pub(super) async fn probe(&self) -> anyhow::Result<Result<(), String>> {
        let argv: Vec<String> = self.probe.iter().map(|text| self.outside(text)).collect();
        let mut command = tokio::process::Command::from(self.command_of(&argv));
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run the startup probe")?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let printed = [output.stdout, output.stderr].concat();
        Ok(Err(String::from_utf8_lossy(&printed).trim().to_owned()))
    }

    /// The path where an app's container mounts the volume that the syncer publishes in, and the
    /// demo's directory for it.
    pub(super) fn app_mount(&self, pod: &Value) -> anyhow::Result<(String, PathBuf)> {
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        for (path, volume) in containers.into_iter().flatten().flat_map(mounts_of) {
            let shared = self.mounts.iter().find(|(_, name, _)| *name == volume);
            if let Some((_, _, directory)) = shared {
                return Ok((path, directory.clone()));
            }
        }
        anyhow::bail!("no container of the Pod mounts the repository")
    }

    /// The polling period, from the syncer's arguments.
    pub(super) fn period(&self) -> anyhow::Result<GitDuration> {
        let argv = self.argv.iter().skip(1).map(Into::into);
        match args::read(argv, [])? {
            Action::Sync(typed) => Ok(typed.sync.repo.period),
            _ => anyhow::bail!("the syncer's arguments do not request a sync"),
        }
    }

    fn command_of(&self, argv: &[String]) -> std::process::Command {
        let mut argv = argv.iter();
        let program = argv.next().map(String::as_str).unwrap_or_default();
        let mut command = std::process::Command::new(program);
        // A container has only the Pod's environment; PATH replaces the image's.
        let env = self.env.iter().map(|(name, value)| (name, value));
        repository::with_path_alone(&mut command)
            .args(argv)
            .envs(env);
        command
    }

    fn expanded(&self, text: &str) -> String {
        expand_as_kubelet(text, |name| {
            let mut known = self.env.iter().rev();
            let found = known.find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        })
    }

    /// Replaces a path of the container by the demo's directory: the whole text, or a flag's value.
    fn outside(&self, text: &str) -> String {
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (format!("{flag}="), value),
            _ => (String::new(), text),
        };
        let found = self.mapping().find_map(|(inside, outside)| {
            let below = value.strip_prefix(inside)?;
            let is_path = below.is_empty() || below.starts_with('/');
            is_path.then(|| format!("{}{below}", outside.display()))
        });
        match found {
            Some(path) => format!("{flag}{path}"),
            None => text.to_owned(),
        }
    }
}

fn mounts_of(container: &Value) -> Vec<(String, String)> {
    let mounts = container["volumeMounts"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mounts = mounts.into_iter().flatten();
    mounts
        .map(|mount| (text(&mount["mountPath"]), text(&mount["name"])))
        .collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_containers_paths_become_the_demos_directories() {
        let mount = |path: &str, name: &str| json!({"mountPath": path, "name": name});
        let pod = json!({"spec": {
            "initContainers": [{
                "name": "gitvolume",
                "command": ["/gitvolume-syncer"],
                "args": ["--repo=http://x/$(NAME)$$", "--root=/gitvolume/content", "--link=/gitvolume/contents"],
                "env": [{"name": "NAME", "value": "n"}, {"name": "HOME", "value": "/gitvolume/state/home"}],
                "startupProbe": {"exec": {"command": ["/gitvolume-syncer", "probe"]}},
                "volumeMounts": [mount("/gitvolume/content", "c"), mount("/gitvolume/state", "s")],
            }],
            "containers": [{"name": "app", "volumeMounts": [mount("/tmp", "t"), mount("/www", "c")]}],
        }});
        let volumes = tempfile::tempdir().unwrap();
        let root = volumes.path().display();
        let container =
            Container::injected(&pod, volumes.path(), Path::new("/bin/syncer")).unwrap();
        assert_eq!(
            container.argv,
            [
                "/bin/syncer".to_owned(),
                "--repo=http://x/n$".to_owned(),
                format!("--root={root}/c"),
                "--link=/gitvolume/contents".to_owned(),
            ]
        );
        assert_eq!(
            container.env[1],
            ("HOME".to_owned(), format!("{root}/s/home"))
        );
        let (path, directory) = container.app_mount(&pod).unwrap();
        assert_eq!(
            (path.as_str(), directory),
            ("/www", volumes.path().join("c"))
        );
    }
}
