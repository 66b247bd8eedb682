mod api_server;
mod cluster;
mod crashes;

use super::*;
use crate::Published;
use crate::Trust;

#[test]
fn a_cause_is_printed_once() {
    let refused = kube::Error::Service("connection refused".into());
    let error = KeepError::Publish(PublishError::Api {
        action: "cannot read",
        kind: "Secret",
        name: "ca".to_owned(),
        source: Box::new(refused),
    });
    let text = chain(&error);
    assert!(text.starts_with("cannot read Secret ca: "), "{text}");
    assert_eq!(text.matches("connection refused").count(), 1, "{text}");
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn ends(serving: &Serving) -> SystemTime {
    serving.leaf().unwrap().not_after()
}

#[test]
fn a_leaf_is_renewed_by_the_wall_clock() {
    let now = SystemTime::now();
    let (serving, names) = (Serving::new(), Names::local());
    let bundle = Bundle::generate(now).unwrap();
    renew(&serving, &bundle, &names, LEAF_LIFETIME, now).unwrap();
    let first = ends(&serving);
    renew(&serving, &bundle, &names, LEAF_LIFETIME, now + 4 * DAY).unwrap();
    assert_eq!(ends(&serving), first, "it is too early");
    // The machine was suspended for a month.
    renew(&serving, &bundle, &names, LEAF_LIFETIME, now + 30 * DAY).unwrap();
    let month = ends(&serving).duration_since(now + 37 * DAY).unwrap();
    assert!(month < Duration::from_secs(1), "{month:?}");
}

#[test]
fn a_new_ca_signs_when_callers_trust_it_or_no_longer_trust_the_old_one() {
    let now = SystemTime::now();
    let (serving, names) = (Serving::new(), Names::local());
    let old = Bundle::generate(now).unwrap();
    let new = Bundle::generate(now).unwrap();
    let trust = |bundle: &Bundle| {
        Published::Known(vec![Trust {
            webhook: "pods.gitvolume.dev".to_owned(),
            certificates: bundle.certificates().to_vec(),
        }])
    };
    let signed_by = |bundle: &Bundle| serving.leaf().unwrap().signer() == bundle.signer();

    serving.set_published(trust(&old));
    renew(&serving, &old, &names, LEAF_LIFETIME, now).unwrap();
    renew(&serving, &new, &names, LEAF_LIFETIME, now).unwrap();
    assert!(signed_by(&old), "nobody trusts the new one yet");
    serving.set_published(trust(&new));
    renew(&serving, &new, &names, LEAF_LIFETIME, now).unwrap();
    assert!(signed_by(&new));
    serving.set_published(Published::Unknown);
    renew(&serving, &old, &names, LEAF_LIFETIME, now).unwrap();
    assert!(signed_by(&old), "there is nothing to lose");
}
