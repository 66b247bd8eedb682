use super::*;
use crate::git::Hash;

fn hash(digit: &str) -> Hash {
    digit.repeat(40).parse().unwrap()
}

fn report(found: Option<&str>, as_of: i64) -> CacheState {
    CacheState::Answered(CacheReport {
        found: found.map(|digit| RemoteRef {
            object: hash(digit),
            tag: None,
        }),
        as_of: Timestamp::from_second(as_of).ok(),
        stale: None,
    })
}

fn stale(found: &str) -> CacheState {
    stale_for(found, 90)
}

fn stale_for(found: &str, seconds: u64) -> CacheState {
    let CacheState::Answered(report) = report(Some(found), 0) else {
        unreachable!()
    };
    CacheState::Answered(CacheReport {
        stale: Some(Staleness {
            age: Duration::from_secs(seconds),
            as_of: Timestamp::UNIX_EPOCH,
        }),
        ..report
    })
}

/// The advice for a syncer that has published `known`, at second 100.
fn advised(state: &CacheState, trust: CacheTrust, known: Option<&str>) -> CacheAdvice {
    let object = known.map(hash);
    let known = object.as_ref().map(|object| Known { object, tag: None });
    let acted = known.and_then(|_| Timestamp::from_second(100).ok());
    let policy = CachePolicy {
        role: CacheRole::Repository(trust),
        max_staleness: Some(Duration::from_secs(90)),
    };
    advice(state, policy, acted, known)
}

fn fetch(digit: &str) -> CacheAdvice {
    fetch_as_of(digit, None)
}

fn fetch_as_of(digit: &str, as_of: Option<Timestamp>) -> CacheAdvice {
    let object = hash(digit);
    let found = RemoteRef { object, tag: None };
    CacheAdvice::Fetch { found, as_of }
}

const DIRECT: CacheAdvice = CacheAdvice::AskHost { then_cache: false };
const CONFIRM: CacheAdvice = CacheAdvice::AskHost { then_cache: true };

#[test]
fn the_published_commit_needs_no_request_to_the_git_host() {
    for trust in [CacheTrust::Content, CacheTrust::Full] {
        let state = report(Some("a"), 50);
        assert_eq!(advised(&state, trust, Some("a")), CacheAdvice::Same);
    }
}

#[test]
fn a_new_commit_is_confirmed_by_the_git_host_unless_the_cache_is_trusted_fully() {
    let state = report(Some("b"), 150);
    assert_eq!(advised(&state, CacheTrust::Content, Some("a")), CONFIRM);
    assert_eq!(advised(&state, CacheTrust::Full, Some("a")), fetch("b"));
    assert_eq!(advised(&state, CacheTrust::Content, None), CONFIRM);
    assert_eq!(advised(&state, CacheTrust::Full, None), fetch("b"));
}

#[test]
fn an_answer_older_than_the_publication_never_makes_a_reader_go_back() {
    let state = report(Some("b"), 99);
    assert_eq!(advised(&state, CacheTrust::Full, Some("a")), CONFIRM);
    // Nothing can go back before the first publication.
    assert_eq!(advised(&state, CacheTrust::Full, None), fetch("b"));
}

#[test]
fn an_answer_while_the_git_host_is_away_serves_the_first_publication_alone() {
    for trust in [CacheTrust::Content, CacheTrust::Full] {
        assert_eq!(advised(&stale("a"), trust, Some("a")), DIRECT);
        assert_eq!(advised(&stale("b"), trust, Some("a")), DIRECT);
    }
    let first = fetch_as_of("b", Some(Timestamp::UNIX_EPOCH));
    assert_eq!(advised(&stale("b"), CacheTrust::Full, None), first);
    assert_eq!(advised(&stale("b"), CacheTrust::Content, None), CONFIRM);
}

#[test]
fn an_answer_older_than_the_limit_serves_no_publication() {
    // One second above the limit.
    let old = stale_for("b", 91);
    let refused = CacheAdvice::TooOld(StaleAnswer {
        as_of: Timestamp::UNIX_EPOCH,
        max_staleness: Duration::from_secs(90),
    });
    assert_eq!(advised(&old, CacheTrust::Full, None), refused);
    // The git host names the commit in any case.
    assert_eq!(advised(&old, CacheTrust::Content, None), CONFIRM);
}

#[test]
fn a_ref_that_is_gone_and_a_cache_that_is_away_are_left_to_the_git_host() {
    let gone = report(None, 150);
    let away = CacheState::Away("refused".to_owned());
    for trust in [CacheTrust::Content, CacheTrust::Full] {
        assert_eq!(advised(&gone, trust, Some("a")), CONFIRM);
        assert_eq!(advised(&away, trust, Some("a")), DIRECT);
        assert_eq!(advised(&CacheState::Starting, trust, None), DIRECT);
    }
}

#[test]
fn a_push_makes_the_syncer_ask_the_git_host_alone() {
    let policy = CachePolicy {
        role: CacheRole::Pushes,
        max_staleness: None,
    };
    let pushed = report(None, 150);
    let object = hash("a");
    let known = Known {
        object: &object,
        tag: None,
    };
    for known in [None, Some(known)] {
        assert_eq!(advice(&pushed, policy, None, known), DIRECT);
    }
}
