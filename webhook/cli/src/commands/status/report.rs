//! Prints the state of Pods: a table for people, JSON for programs.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::state::PodState;
use super::state::RepositoryState;
use super::state::StateSource;
use super::state::SyncerState;
use crate::report::one_line;

/// The identifier of the JSON schema; the schema never changes without it.
const SCHEMA: &str = "gitvolume.dev/status/v1";

/// Digits of a hash in the table.
const SHORT: usize = 12;

/// The states as JSON.
pub fn to_json(states: &[PodState]) -> Value {
    json!({"schema": SCHEMA, "pods": states})
}

/// The states as a table, one line per repository of a Pod.
pub fn to_text(states: &[PodState], with_namespaces: bool, now: Timestamp) -> String {
    if states.is_empty() {
        return String::new();
    }
    let titles = [
        "NAMESPACE",
        "POD",
        "REPOSITORY",
        "REF",
        "COMMIT",
        "AGE",
        "POLLER",
        "ERROR",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    for pod in states {
        if pod.syncers.is_empty() {
            let error = "the Pod has no gitvolume container".to_owned();
            rows.push(row(pod, &RepositoryState::default(), error, now));
        }
        for syncer in &pod.syncers {
            if syncer.repositories.is_empty() {
                let nothing = RepositoryState::default();
                rows.push(row(pod, &nothing, error(syncer, &nothing), now));
            }
            for repository in &syncer.repositories {
                let error = error(syncer, repository);
                rows.push(row(pod, repository, error, now));
            }
        }
    }
    let skipped = usize::from(!with_namespaces);
    table(rows.iter().map(|row| &row[skipped..]))
}

fn row(pod: &PodState, repository: &RepositoryState, error: String, now: Timestamp) -> [String; 8] {
    let RepositoryState {
        name,
        repo,
        r#ref,
        published,
        poller,
        ..
    } = repository;
    let repo = match name {
        Some(name) => format!("{name}: {repo}"),
        None => repo.clone(),
    };
    let commit = published
        .as_ref()
        .map(|own| own.commit.chars().take(SHORT).collect());
    let age = published
        .as_ref()
        .and_then(|own| age(own.since.as_deref()?, now));
    // The reason is in the JSON, and in the log.
    let poller = poller.as_deref().and_then(|own| own.split(':').next());
    [
        pod.namespace.clone(),
        pod.pod.clone(),
        repo,
        r#ref.clone(),
        commit.unwrap_or_default(),
        age.unwrap_or_default(),
        poller.unwrap_or_default().to_owned(),
        error,
    ]
    .map(|text| match one_line(&text) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    })
}

/// The problem of a repository, in words; empty if there is none.
fn error(syncer: &SyncerState, repository: &RepositoryState) -> String {
    if let Some(waiting) = &syncer.waiting {
        return format!("the container {} waits ({waiting})", syncer.container);
    }
    if let Some(unreadable) = &syncer.unreadable {
        return format!("the state cannot be read: {unreadable}");
    }
    match (&repository.last_error, &repository.published) {
        (Some(error), _) => error.clone(),
        (None, None) if syncer.source == StateSource::Log => {
            "the container has ended, and its log names no commit".to_owned()
        }
        (None, None) => args::probe::STILL_CLONING.to_owned(),
        (None, Some(published)) => match &published.as_of {
            Some(as_of) => format!("the git host is unreachable; the commit is as of {as_of}"),
            None => String::new(),
        },
    }
}

/// The time since a timestamp, as kubectl prints ages; `None` if it cannot be parsed.
fn age(since: &str, now: Timestamp) -> Option<String> {
    let since: Timestamp = since.parse().ok()?;
    let seconds = (now.as_second() - since.as_second()).max(0);
    Some(match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    })
}

/// Pads the columns to equal widths.
fn table<'a>(rows: impl Iterator<Item = &'a [String]> + Clone) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows.clone() {
        widths.resize(row.len().max(widths.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let lines = rows.map(|row| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::status::state::PublishedCommit;

    fn site() -> RepositoryState {
        RepositoryState {
            repo: "https://git.example/site.git".to_owned(),
            r#ref: "main".to_owned(),
            published: Some(PublishedCommit {
                commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
                tag: None,
                since: Some("2026-01-01T00:00:00Z".to_owned()),
                as_of: None,
            }),
            poller: Some("off: http.proxy".to_owned()),
            ..RepositoryState::default()
        }
    }

    fn pod(name: &str, source: StateSource, repositories: Vec<RepositoryState>) -> PodState {
        let syncer = SyncerState {
            container: "gitvolume".to_owned(),
            source,
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

    #[test]
    fn the_table_has_one_line_per_repository_with_its_age_and_error() {
        let rules = RepositoryState {
            name: Some("rules".to_owned()),
            repo: "git@git.example:rules".to_owned(),
            last_error: Some("no such\nhost".to_owned()),
            ..RepositoryState::default()
        };
        let mut waits = pod("web-3", StateSource::Spec, vec![]);
        waits.syncers[0].waiting = Some("ImagePullBackOff".to_owned());
        let bare = PodState {
            syncers: Vec::new(),
            ..pod("web-4", StateSource::Spec, vec![])
        };
        let mut stale = site();
        let published = stale.published.as_mut().unwrap();
        published.as_of = Some("2026-01-01T02:00:00Z".to_owned());
        let states = [
            pod("web-1", StateSource::Http, vec![site(), rules]),
            pod("web-5", StateSource::File, vec![stale]),
            pod("web-2", StateSource::File, vec![RepositoryState::default()]),
            waits,
            bare,
        ];
        let now = "2026-01-01T02:30:00Z".parse().unwrap();
        assert_eq!(
            to_text(&states, false, now),
            "\
POD    REPOSITORY                    REF   COMMIT        AGE  POLLER  ERROR
web-1  https://git.example/site.git  main  0123456789ab  2h   off     -
web-1  rules: git@git.example:rules  -     -             -    -       no such host
web-5  https://git.example/site.git  main  0123456789ab  2h   off     the git host is unreachable; the commit is as of 2026-01-01T02:00:00Z
web-2  -                             -     -             -    -       the first clone is still running
web-3  -                             -     -             -    -       the container gitvolume waits (ImagePullBackOff)
web-4  -                             -     -             -    -       the Pod has no gitvolume container
"
        );
        assert!(to_text(&states, true, now).starts_with("NAMESPACE  POD    REPOSITORY"));
        assert_eq!(to_text(&[], false, now), "");
    }

    #[test]
    fn a_pod_with_an_error_has_a_problem_and_an_unknown_state_is_none() {
        assert!(!pod("web", StateSource::File, vec![site()]).has_problem());
        let failing = RepositoryState {
            last_error: Some("no".to_owned()),
            ..site()
        };
        assert!(pod("web", StateSource::File, vec![failing]).has_problem());
        assert!(pod("web", StateSource::Http, vec![RepositoryState::default()]).has_problem());
        let mut unread = pod("web", StateSource::Spec, vec![RepositoryState::default()]);
        unread.syncers[0].unreadable = Some("forbidden".to_owned());
        assert!(!unread.has_problem());
        assert_eq!(unread.unreadable(), Some("forbidden"));
    }

    #[test]
    fn the_json_has_the_documented_members() {
        let json = to_json(&[pod("web", StateSource::Http, vec![site()])]);
        assert_eq!(json["schema"], "gitvolume.dev/status/v1");
        let syncer = &json["pods"][0]["syncers"][0];
        assert_eq!(syncer["source"], "http");
        let repository = &syncer["repositories"][0];
        assert_eq!(repository["published"]["since"], "2026-01-01T00:00:00Z");
        assert_eq!(repository["poller"], "off: http.proxy");
        assert_eq!(repository["lastError"], Value::Null);
    }
}
