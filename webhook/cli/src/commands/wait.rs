//! `gitvolume wait`: waits until every Pod of an object has published a commit, for CI.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use std::time::Instant;

use args::GitDuration;
use clap::Args;

use crate::Exit;
use crate::commands::doctor::Format;
use crate::commands::status::pods;
use crate::commands::status::pods::Target;
use crate::commands::status::report::to_json;
use crate::commands::status::state::PodState;
use crate::commands::status::state::RepositoryState;
use crate::commands::status::syncers;
use crate::live::ClusterReader;
use crate::live::ConnectArgs;
use crate::manifests::output::printed;
use crate::report::Report;

/// Pause between two looks at the Pods.
const PAUSE: Duration = Duration::from_secs(1);

/// Flags of `wait`.
#[derive(Args, Clone, Debug)]
pub struct WaitArgs {
    /// A Pod, a workload such as deploy/web, or a GitVolume such as gitvolume/site
    #[arg(value_name = "KIND/NAME")]
    pub object: String,

    /// The commit that every Pod must have published: its full hash, or the first digits (at least 7)
    #[arg(long, value_name = "SHA")]
    pub revision: CommitPrefix,

    /// The name of the repository, if the Pods have several; by default any of them counts
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,

    /// The maximum time to wait, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub timeout: GitDuration,

    /// Which cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// The namespace; by default the one of the context
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// A commit's hash, or its first digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CommitPrefix(String);

/// An invalid hash on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected 7 to 64 hexadecimal digits, the hash of a commit or its first digits")]
pub struct ParseCommitPrefixError;

impl FromStr for CommitPrefix {
    type Err = ParseCommitPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hash = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_hash && (7..=64).contains(&text.len()) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(ParseCommitPrefixError),
        }
    }
}

impl fmt::Display for CommitPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is waited for.
struct Goal<'a> {
    revision: &'a CommitPrefix,
    repository: Option<&'a str>,
}

/// How far the Pods are.
#[derive(Debug, Eq, PartialEq)]
enum Progress {
    /// Every Pod has published the commit.
    Reached,
    /// Some Pods have not, in words.
    Pending(Vec<String>),
    /// Waiting cannot help, in words.
    Hopeless(String),
}

/// Runs the command.
pub fn run(args: WaitArgs) -> anyhow::Result<Exit> {
    let WaitArgs {
        object,
        revision,
        repository,
        timeout,
        connect,
        namespace,
        output,
    } = args;
    let goal = Goal {
        revision: &revision,
        repository: repository.as_deref(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = Instant::now() + timeout.get();
    let (states, progress) = runtime.block_on(async {
        let live = ClusterReader::connect(&connect).await?;
        let namespace = namespace.unwrap_or_else(|| live.namespace().to_owned());
        let target = Target::of_object(&object, &namespace)?;
        let mut is_known = false;
        loop {
            let looked = look(&live, &target, &goal).await;
            let is_over = Instant::now() + PAUSE > end;
            match looked {
                Ok((_, Progress::Pending(_))) if !is_over => is_known = true,
                // The API server may restart while CI waits.
                Err(_) if is_known && !is_over => {}
                looked => return looked,
            }
            tokio::time::sleep(PAUSE).await;
        }
    })?;
    let mut report = Report::default();
    let (exit, text) = match progress {
        Progress::Reached => {
            let lines = states.iter().map(|pod| {
                let PodState { namespace, pod, .. } = pod;
                format!("Pod {namespace}/{pod} has published {revision}\n")
            });
            (Exit::Done, lines.collect())
        }
        Progress::Pending(pending) => {
            for line in pending {
                report.note(&line);
            }
            report.error(&format!(
                "{object}: not all Pods published {revision} within {timeout}"
            ));
            (Exit::Found, String::new())
        }
        Progress::Hopeless(reason) => {
            report.error(&format!("{object}: {reason}"));
            (Exit::Wrong, String::new())
        }
    };
    let text = match output {
        Format::Text => text,
        Format::Json => serde_json::to_string_pretty(&to_json(&states))? + "\n",
    };
    match printed(&text, &mut report) {
        Exit::Done => Ok(exit),
        exit => Ok(exit),
    }
}

async fn look(
    live: &ClusterReader,
    target: &Target,
    goal: &Goal<'_>,
) -> anyhow::Result<(Vec<PodState>, Progress)> {
    let pods = pods::list(live, target).await?;
    let states = syncers::read_all(live, &pods).await;
    let progress = goal.progress(&states);
    Ok((states, progress))
}

impl Goal<'_> {
    fn progress(&self, states: &[PodState]) -> Progress {
        if states.is_empty() {
            return Progress::Pending(vec!["there is no Pod".to_owned()]);
        }
        let mut pending = Vec::new();
        for pod in states {
            let PodState {
                namespace,
                pod: name,
                syncers,
            } = pod;
            let hopeless =
                |reason: &str| Progress::Hopeless(format!("Pod {namespace}/{name}: {reason}"));
            if syncers.is_empty() {
                return hopeless("it has no gitvolume container; see gitvolume explain");
            }
            if let Some(reason) = pod.unreadable().filter(|_| pod.is_forbidden()) {
                return hopeless(&format!("its state cannot be read: {reason}"));
            }
            let mut asked = pod
                .repositories()
                .filter(|own| self.is_meant(own))
                .peekable();
            if let Some(repository) = self.repository.filter(|_| asked.peek().is_none()) {
                return hopeless(&format!("it has no repository {repository:?}"));
            }
            if !asked.any(|own| self.is_reached(own)) {
                let reason = self.reason(pod);
                pending.push(format!("Pod {namespace}/{name}: {reason}"));
            }
        }
        match pending.is_empty() {
            true => Progress::Reached,
            false => Progress::Pending(pending),
        }
    }

    fn is_meant(&self, repository: &RepositoryState) -> bool {
        let name = repository.name.as_deref();
        self.repository.is_none_or(|wanted| name == Some(wanted))
    }

    fn is_reached(&self, repository: &RepositoryState) -> bool {
        let published = repository.published.as_ref();
        published.is_some_and(|own| own.commit.starts_with(&self.revision.0))
    }

    /// Why a Pod has not published the commit.
    fn reason(&self, pod: &PodState) -> String {
        if let Some(reason) = pod.unreadable() {
            return format!("its state cannot be read: {reason}");
        }
        let mut waiting = pod.syncers.iter().filter_map(|own| own.waiting.as_deref());
        if let Some(waiting) = waiting.next() {
            return format!("its container waits ({waiting})");
        }
        let each = pod.repositories().filter(|own| self.is_meant(own));
        let each = each.map(|own| {
            let commit = match &own.published {
                Some(published) => format!("it has published {}", published.commit),
                None => "it has published no commit".to_owned(),
            };
            match &own.last_error {
                Some(error) => format!("{commit}; the last pass failed: {error}"),
                None => commit,
            }
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::state::PublishedCommit;
    use crate::commands::status::state::StateSource;
    use crate::commands::status::state::SyncerState;

    fn repository(name: Option<&str>, commit: Option<&str>) -> RepositoryState {
        RepositoryState {
            name: name.map(str::to_owned),
            published: commit.map(|commit| PublishedCommit {
                commit: commit.to_owned(),
                ..PublishedCommit::default()
            }),
            ..RepositoryState::default()
        }
    }

    fn pod(name: &str, repositories: Vec<RepositoryState>) -> PodState {
        let syncer = SyncerState {
            container: "gitvolume".to_owned(),
            source: StateSource::File,
            repositories,
            waiting: None,
            unreadable: None,
            is_forbidden: false,
        };
        PodState {
            namespace: "shop".to_owned(),
            pod: name.to_owned(),
            syncers: vec![syncer],
        }
    }

    fn progress(repository: Option<&str>, states: &[PodState]) -> Progress {
        let revision = "ABCDEF0".parse().unwrap();
        let goal = Goal {
            revision: &revision,
            repository,
        };
        goal.progress(states)
    }

    const NEW: &str = "abcdef0123456789abcdef0123456789abcdef01";
    const OLD: &str = "0000000123456789abcdef0123456789abcdef01";

    #[test]
    fn the_goal_is_reached_once_every_pod_has_published_the_commit() {
        let new = pod("web-1", vec![repository(None, Some(NEW))]);
        let old = pod("web-2", vec![repository(None, Some(OLD))]);
        assert_eq!(
            progress(None, std::slice::from_ref(&new)),
            Progress::Reached
        );
        let pending = format!("Pod shop/web-2: it has published {OLD}");
        assert_eq!(
            progress(None, &[new, old]),
            Progress::Pending(vec![pending])
        );
        let pending = "there is no Pod".to_owned();
        assert_eq!(progress(None, &[]), Progress::Pending(vec![pending]));
    }

    #[test]
    fn of_several_repositories_any_counts_unless_one_is_named() {
        let both = pod(
            "web",
            vec![
                repository(Some("site"), Some(OLD)),
                repository(Some("rules"), Some(NEW)),
            ],
        );
        let both = [both];
        assert_eq!(progress(None, &both), Progress::Reached);
        assert_eq!(progress(Some("rules"), &both), Progress::Reached);
        assert!(matches!(
            progress(Some("site"), &both),
            Progress::Pending(_)
        ));
        assert_eq!(
            progress(Some("docs"), &both),
            Progress::Hopeless("Pod shop/web: it has no repository \"docs\"".to_owned())
        );
    }

    #[test]
    fn a_pending_pod_is_named_with_its_error() {
        let failing = RepositoryState {
            last_error: Some("no such host".to_owned()),
            ..repository(None, None)
        };
        let expected =
            "Pod shop/web: it has published no commit; the last pass failed: no such host";
        assert_eq!(
            progress(None, &[pod("web", vec![failing])]),
            Progress::Pending(vec![expected.to_owned()])
        );
        let bare = PodState {
            syncers: Vec::new(),
            ..pod("web", vec![])
        };
        assert!(matches!(progress(None, &[bare]), Progress::Hopeless(_)));
    }

    #[test]
    fn a_revision_is_a_hash_or_its_first_digits() {
        for text in ["abcdef0", NEW, &"a".repeat(64)] {
            assert!(text.parse::<CommitPrefix>().is_ok(), "{text}");
        }
        for text in ["abcdef", "main", "", &"a".repeat(65)] {
            assert_eq!(
                text.parse::<CommitPrefix>(),
                Err(ParseCommitPrefixError),
                "{text}"
            );
        }
    }
}
