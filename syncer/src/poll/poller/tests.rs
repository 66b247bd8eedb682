use std::sync::Arc;

use super::*;
use crate::observe::metrics::Metrics;
use crate::poll::engine::Asking;
use crate::poll::engine::EngineAnswer;

/// An engine that returns the same answer each time and counts the polls.
struct Fake {
    answer: fn() -> Result<bool, EngineError>,
    polls: Arc<std::sync::atomic::AtomicUsize>,
}

impl Engine for Fake {
    fn ask<'a>(&'a mut self, _: &'a RemoteCredentials, _: Known<'a>) -> Asking<'a> {
        self.polls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let answer = (self.answer)();
        Box::pin(async move {
            if let Err(EngineError::TimedOut) = answer {
                std::future::pending::<()>().await;
            }
            Ok(EngineAnswer {
                is_same: answer?,
                found: None,
                received: 100,
            })
        })
    }
}

struct Setup {
    poller: Poller,
    polls: Arc<std::sync::atomic::AtomicUsize>,
    known: Hash,
}

/// A poller with a fake engine, after git has succeeded with the first credentials.
fn setup(answer: fn() -> Result<bool, EngineError>) -> Setup {
    let polls = Arc::default();
    let fake = Fake {
        answer,
        polls: Arc::clone(&polls),
    };
    let metrics = Metrics::new().for_repo(None);
    let mut poller = Poller::with(Ok(Box::new(fake)), Duration::from_secs(120), metrics);
    poller.judged = Some((1, Fitness::Fit));
    Setup {
        poller,
        polls,
        known: "e83c5163316f89bfbde7d9ab23ca2e25604af290".parse().unwrap(),
    }
}

impl Setup {
    async fn ask(&mut self, generation: u64) -> PollOutcome {
        let grant = Arc::new(RemoteCredentials {
            generation,
            ..RemoteCredentials::default()
        });
        let known = Known {
            object: &self.known,
            tag: None,
        };
        self.poller.ask(&grant, known).await
    }

    fn polls(&self) -> usize {
        self.polls.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[tokio::test]
async fn the_engine_polls_only_with_the_credentials_of_gits_success() {
    let mut same = setup(|| Ok(true));
    assert_eq!(same.ask(1).await, PollOutcome::Same);
    assert_eq!(same.ask(2).await, PollOutcome::AskGit);
    assert_eq!(same.polls(), 1);
    same.poller.judged = None;
    assert_eq!(same.ask(1).await, PollOutcome::AskGit);
    same.poller.judged = Some((1, Fitness::Unfit(Setting::of("http.proxy"))));
    assert_eq!(same.ask(1).await, PollOutcome::AskGit);
    assert_eq!(same.polls(), 1);
    let mut different = setup(|| Ok(false));
    assert_eq!(different.ask(1).await, PollOutcome::AskGit);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_given_up() {
    let mut hanging = setup(|| Err(EngineError::TimedOut));
    assert_eq!(hanging.ask(1).await, PollOutcome::AskGit);
}

#[tokio::test]
async fn an_engine_that_fails_while_git_succeeds_backs_off() {
    let mut failing = setup(|| Err(EngineError::Failed("malformed".to_owned())));
    let mut pauses = Vec::new();
    let mut pause = 0;
    while pauses.len() < 8 {
        let before = failing.polls();
        assert_eq!(failing.ask(1).await, PollOutcome::AskGit);
        failing.poller.take_a_rest();
        if failing.polls() == before {
            pause += 1;
        } else {
            pauses.push(std::mem::take(&mut pause));
        }
    }
    assert_eq!(pauses, [0, 0, 2, 6, 14, 30, 30, 30]);
}

#[tokio::test]
async fn polls_that_fail_again_and_again_are_reported_until_one_succeeds() {
    let mut failing = setup(|| Err(EngineError::Failed("malformed".to_owned())));
    for _ in 0..3 {
        assert_eq!(failing.poller.standing().as_deref(), Some("on"));
        failing.poller.rest = 0;
        failing.ask(1).await;
        failing.poller.take_a_rest();
    }
    let standing = failing.poller.standing().unwrap();
    assert!(standing.starts_with("failing: "), "{standing}");
    let well = setup(|| Ok(true));
    failing.poller.engine = well.poller.engine;
    failing.poller.rest = 0;
    assert_eq!(failing.ask(1).await, PollOutcome::Same);
    assert_eq!(failing.poller.standing().as_deref(), Some("on"));
}

#[tokio::test]
async fn an_outage_that_git_suffers_too_is_no_reason_to_rest() {
    let mut failing = setup(|| Err(EngineError::Failed("cut".to_owned())));
    for _ in 0..5 {
        failing.ask(1).await;
    }
    assert_eq!(failing.polls(), 5);
}

#[tokio::test]
async fn a_pause_requested_by_the_server_is_respected() {
    let mut busy = setup(|| {
        Err(EngineError::Later {
            status: StatusCode::TOO_MANY_REQUESTS,
            wait: Duration::from_secs(30),
        })
    });
    let later = PollOutcome::Later {
        status: StatusCode::TOO_MANY_REQUESTS,
        wait: Duration::from_secs(30),
    };
    assert_eq!(busy.ask(1).await, later);
}
