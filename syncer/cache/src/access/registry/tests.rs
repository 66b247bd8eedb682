use std::sync::Arc;

use args::cache::OriginAddress;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use tokio::time::advance;

use super::*;
use crate::access::credential::Credential;
use crate::access::credential::IdentityKey;

fn scopes() -> impl Fn(&str, &str) -> Scope {
    let key = IdentityKey::new().unwrap();
    move |path, token| {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        Scope {
            origin: Arc::new(OriginAddress::from_cache_path(path).unwrap()),
            identity: key.identity(&Credential::read(&headers).unwrap()),
        }
    }
}

fn refusal() -> Refusal {
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        challenge: None,
    }
}

const SITE: &str = "/https/git.example/site";

#[tokio::test(start_paused = true)]
async fn an_acceptance_is_for_one_credential_and_one_repository_and_ends() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    registry.accept(&scope(SITE, "a"));
    assert!(registry.is_accepted(&scope(SITE, "a")));
    assert!(!registry.is_accepted(&scope(SITE, "b")));
    assert!(!registry.is_accepted(&scope("/https/git.example/other", "a")));
    assert!(!registry.is_accepted_offline(&scope(SITE, "a")));
    advance(ACCEPTED).await;
    assert!(!registry.is_accepted(&scope(SITE, "a")));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_and_ends_the_acceptance() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    registry.accept(&scope(SITE, "a"));
    registry.refuse(&scope(SITE, "a"), false, refusal());
    assert!(!registry.is_accepted(&scope(SITE, "a")));
    let denial = Err(Denial::Refused(refusal()));
    assert_eq!(registry.check(&scope(SITE, "a"), false), denial);
    assert_eq!(registry.check(&scope(SITE, "b"), false), Ok(()));
    advance(REFUSED).await;
    assert_eq!(registry.check(&scope(SITE, "a"), false), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_host_delay_unknown_credentials_only() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    registry.accept(&scope(SITE, "known"));
    for token in ["a", "b", "c", "d", "e"] {
        assert_eq!(registry.check(&scope(SITE, token), false), Ok(()));
        registry.refuse(&scope(SITE, token), false, refusal());
    }
    assert_eq!(
        registry.check(&scope(SITE, "f"), false),
        Err(Denial::Later(WINDOW))
    );
    assert_eq!(registry.check(&scope(SITE, "known"), false), Ok(()));
    assert_eq!(
        registry.check(&scope("/https/b.example/x", "f"), false),
        Ok(())
    );
    advance(WINDOW).await;
    assert_eq!(registry.check(&scope(SITE, "f"), false), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_pause_applies_to_all_repositories_of_a_credential_on_its_host() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    registry.accept(&scope(SITE, "a"));
    registry.pause(&scope(SITE, "a"), Duration::from_secs(20));
    let other = scope("/https/git.example/other", "a");
    let wait = Denial::Later(Duration::from_secs(20));
    assert_eq!(registry.check(&other, false), Err(wait));
    assert_eq!(registry.check(&scope(SITE, "b"), false), Ok(()));
    assert!(registry.is_accepted(&scope(SITE, "a")));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_away_after_a_minute_of_failures() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    let (a, b) = (scope(SITE, "a"), scope(SITE, "b"));
    registry.accept(&a);
    for _ in 0..6 {
        registry.record_reachable(&b, false);
        assert!(!registry.is_accepted_offline(&a));
        advance(Duration::from_secs(10)).await;
    }
    registry.record_reachable(&b, false);
    assert!(registry.is_accepted_offline(&a));
    assert!(!registry.is_accepted_offline(&b));
    registry.record_reachable(&a, true);
    assert!(!registry.is_accepted_offline(&a));
    // Two failures with hours between them are no outage.
    registry.record_reachable(&a, false);
    advance(AWAY_GAP + Duration::from_secs(1)).await;
    registry.record_reachable(&a, false);
    assert!(!registry.is_accepted_offline(&a));
    for _ in 0..420 {
        advance(Duration::from_secs(10)).await;
        registry.record_reachable(&a, false);
    }
    // The offline limit.
    assert!(!registry.is_accepted_offline(&a));
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_knows_counts_only_while_the_host_fails_here() {
    let scope = scopes();
    let registry = Registry::new(Duration::from_secs(3600));
    let (a, b) = (scope(SITE, "a"), scope(SITE, "b"));
    advance(Duration::from_secs(3600)).await;
    let ten_minutes_ago = Instant::now() - Duration::from_secs(600);
    registry.accept_offline(&a, ten_minutes_ago);
    assert!(!registry.is_failing(&a) && !registry.is_accepted_offline(&a));
    registry.record_reachable(&a, false);
    registry.accept_offline(&a, ten_minutes_ago);
    assert!(registry.is_failing(&a) && registry.is_accepted_offline(&a));
    assert!(!registry.is_accepted(&a) && !registry.is_accepted_offline(&b));
    registry.refuse(&b, false, refusal());
    registry.accept_offline(&b, ten_minutes_ago);
    assert!(!registry.is_accepted_offline(&b));
    // The offline limit counts from the git host's own answer.
    advance(Duration::from_secs(3000)).await;
    registry.record_reachable(&a, false);
    assert!(!registry.is_accepted_offline(&a));
    registry.record_reachable(&a, true);
    assert!(!registry.is_failing(&a));
}
