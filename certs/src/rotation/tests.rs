use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;

use k8s_openapi::ByteString;

use super::*;
use crate::Trust;

const LIFETIMES: Lifetimes = Lifetimes {
    ca: Duration::from_secs(300),
    leaf: Duration::from_secs(60),
    propagation: Duration::from_secs(20),
};

type Data = BTreeMap<String, ByteString>;

fn data(entries: &[(&str, &str)]) -> Data {
    let entries = entries.iter();
    let entries = entries.map(|(key, text)| ((*key).to_owned(), ByteString((*text).into())));
    entries.collect()
}

fn trusting(bundles: &[&Bundle]) -> Published {
    Published::Known(vec![Trust {
        webhook: "pods.gitvolume.dev".to_owned(),
        certificates: bundles.iter().map(|ca| ca.signer().clone()).collect(),
    }])
}

fn facts(published: &Published, now: SystemTime) -> Facts<'_> {
    Facts {
        memory: None,
        is_asked: false,
        published,
        lifetimes: LIFETIMES,
        now,
    }
}

fn step(data: &Data, published: &Published, now: SystemTime) -> (State, Option<Step>) {
    next(State::read(Some(data)), &facts(published, now)).unwrap()
}

fn ca(now: SystemTime) -> Bundle {
    Bundle::generate_for(now, LIFETIMES.ca).unwrap()
}

#[test]
fn a_secret_with_only_a_ca_is_adopted_unchanged() {
    let now = SystemTime::now();
    let old = Bundle::generate(now).unwrap();
    let old_key = old.key_pem();
    let data = data(&[("ca.crt", old.pem()), ("ca.key", &old_key)]);
    let published = trusting(&[&old]);
    let (state, did) = step(&data, &published, now);
    assert_eq!(did, None);
    assert_eq!(state.signer.signer(), old.signer());
    assert_eq!(state.pem(), old.pem(), "not a byte of the caBundle changes");
    // Its lifetime was ten years; a new CA would get five minutes.
    let (_, did) = step(&data, &published, now + LIFETIMES.ca);
    assert_eq!(did, Some(Step::Begun));
}

#[test]
fn a_written_state_is_read_back() {
    let now = SystemTime::now();
    let published = Published::Unknown;
    let requested = Facts {
        is_asked: true,
        ..facts(&published, now)
    };
    let mut data = data(&[("else", "kept")]);
    State::of(ca(now)).write(&mut data);
    let (mut begun, did) = next(State::read(Some(&data)), &requested).unwrap();
    assert_eq!(did, Some(Step::Begun));
    begun.see(Some(now));
    begun.previous.push(ca(now).signer().clone());
    begun.until = Some(now + LIFETIMES.leaf);
    begun.write(&mut data);
    let Found::Usable(read) = State::read(Some(&data)) else {
        panic!("it is usable");
    };
    assert!(read.is_tidy);
    assert!(read.trusted().eq(begun.trusted()));
    assert_eq!(read.until, begun.until);
    assert_eq!(read.next.unwrap().seen, Some(now));
    assert_eq!(data["else"].0, b"kept");
    State::of(ca(now)).write(&mut data);
    let keys: Vec<&str> = data.keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "ca.key", "else"], "what is over is gone");
}

#[test]
fn the_next_ca_signs_only_after_the_propagation_time() {
    let now = SystemTime::now();
    let (old, new) = (ca(now), ca(now));
    let mut state = State::of(ca(now));
    state.signer = Arc::new(old);
    state.next = Some(Next {
        ca: Arc::new(new),
        seen: None,
    });
    let (old, new) = (
        Arc::clone(&state.signer),
        Arc::clone(&state.next.as_ref().unwrap().ca),
    );
    let did = |state: &State, published: &Published, now| {
        let found = Found::Usable(state.clone());
        next(found, &facts(published, now)).unwrap().1
    };
    let both = trusting(&[&old, &new]);
    assert_eq!(
        did(&state, &Published::Unknown, now),
        None,
        "nobody has looked"
    );
    assert_eq!(
        did(&state, &trusting(&[&old]), now),
        None,
        "it is not there"
    );
    assert_eq!(did(&state, &both, now), Some(Step::Seen));
    state.see(Some(now));
    let almost = now + LIFETIMES.propagation - Duration::from_secs(1);
    let then = now + LIFETIMES.propagation;
    assert_eq!(did(&state, &both, almost), None);
    assert_eq!(did(&state, &both, then), Some(Step::Promoted));
    assert_eq!(
        did(&state, &trusting(&[&old]), then),
        Some(Step::Unseen),
        "wiped meanwhile"
    );
    assert_eq!(
        did(&state, &Published::Unknown, then),
        None,
        "it may have been wiped"
    );
    // The clock went back by an hour: the wait starts again instead of lasting an hour longer.
    state.see(Some(now + Duration::from_secs(3600)));
    assert_eq!(did(&state, &both, now), Some(Step::Seen));
}

#[test]
fn an_incomplete_next_ca_is_replaced_and_signs_nothing() {
    let now = SystemTime::now();
    let (own, other) = (ca(now), ca(now));
    let (own_key, other_key) = (own.key_pem(), other.key_pem());
    let both = format!("{}{}", own.pem(), other.pem());
    for (certificate, key) in [
        (other.pem(), "no key"),
        (other.pem(), &own_key),
        ("no certificate", &other_key),
        ("", &other_key),
    ] {
        let data = data(&[
            ("ca.crt", &both),
            ("ca.key", &own_key),
            ("next.crt", certificate),
            ("next.key", key),
        ]);
        let (state, did) = step(&data, &trusting(&[&own]), now);
        assert_eq!(did, Some(Step::Tidied), "{certificate}");
        assert!(state.next.is_none());
        // A leaf of this CA may still be in use.
        assert_eq!(state.previous, [other.signer().clone()]);
        assert!(state.until.is_some());
    }
}

#[test]
fn an_old_ca_is_removed_when_it_is_due_or_on_request() {
    let now = SystemTime::now();
    let (own, old) = (ca(now), ca(now));
    let both = format!("{}{}", own.pem(), old.pem());
    let own_key = own.key_pem();
    let with = |until: &str| {
        let data = data(&[
            ("ca.crt", &both),
            ("ca.key", &own_key),
            ("previous.until", until),
        ]);
        step(&data, &trusting(&[&own, &old]), now)
    };
    let later = |seconds| {
        let time = now + Duration::from_secs(seconds);
        jiff::Timestamp::try_from(time).unwrap().to_string()
    };
    let (state, did) = with(&later(10));
    assert_eq!((did, state.previous.len()), (None, 1));
    let (state, did) = with("1970-01-01T00:00:00Z");
    assert_eq!((did, state.previous.len()), (Some(Step::Forgot), 0));
    for unknown in ["", "tomorrow"] {
        let (state, did) = with(unknown);
        assert_eq!(did, Some(Step::Tidied), "{unknown}");
        assert_eq!(
            state.until,
            Some(now + LIFETIMES.leaf + LIFETIMES.propagation)
        );
    }
}

#[test]
fn other_content_is_overwritten_only_by_a_replica_that_knows_the_last_state() {
    let now = SystemTime::now();
    let (own, other) = (ca(now), ca(now));
    let (own_key, other_key) = (own.key_pem(), other.key_pem());
    let published = Published::Unknown;
    for (certificate, key) in [
        (own.pem(), ""),
        ("", own_key.as_str()),
        (own.pem(), "no key"),
        (own.pem(), &other_key),
        ("no certificate", &own_key),
    ] {
        let data = data(&[("ca.crt", certificate), ("ca.key", key)]);
        let found = State::read(Some(&data));
        assert!(
            next(found, &facts(&published, now)).is_err(),
            "{certificate}{key}"
        );
    }
}
