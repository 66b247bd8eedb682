//! Vectors of the git hosts' documentation, and deliveries that must not pass.

use super::*;
use hyper::header::HeaderName;
use proptest::prelude::*;

/// The secret in the documentation of GitHub and of Atlassian.
const DOCUMENTED: &str = "It's a Secret to Everybody";

/// docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
const GITHUB: (&str, &str) = (
    "Hello, World!",
    "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
);

/// support.atlassian.com, "Manage webhooks", "Examples" (HMAC-SHA256 of Bitbucket and Jira).
const ATLASSIAN: (&str, &str) = (
    "Hello World!",
    "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9",
);

/// The vector of the Standard Webhooks libraries, whose scheme GitLab's signing token is.
const TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_BODY: &str = r#"{"test": 2432232314}"#;
const STANDARD_TIME: u64 = 1_614_265_330;
const STANDARD_HEADERS: [(&str, &str); 3] = [
    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    ("webhook-timestamp", "1614265330"),
    (
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
];

fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        })
        .collect()
}

fn is_valid_at(seconds: u64, secret: &str, pairs: &[(&str, &str)], body: &str) -> bool {
    let secret = PushSecret::parse(secret.as_bytes()).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(seconds);
    let mut check = SignatureCheck::new(&headers(pairs.iter().copied()), &secret, now);
    for part in body.as_bytes().chunks(5) {
        check.update(part);
    }
    check.verify()
}

fn is_valid(secret: &str, pairs: &[(&str, &str)], body: &str) -> bool {
    is_valid_at(STANDARD_TIME, secret, pairs, body)
}

#[test]
fn the_documented_vectors_of_github_and_atlassian_are_valid() {
    let (body, hash) = GITHUB;
    let signature = format!("sha256={hash}");
    assert!(is_valid(
        DOCUMENTED,
        &[("X-Hub-Signature-256", &signature)],
        body
    ));
    let (body, hash) = ATLASSIAN;
    let signature = format!("sha256={hash}");
    assert!(is_valid(
        DOCUMENTED,
        &[("X-Hub-Signature", &signature)],
        body
    ));
    let upper = hash.to_uppercase();
    for name in ["X-Gitea-Signature", "X-Forgejo-Signature"] {
        assert!(is_valid(DOCUMENTED, &[(name, hash)], body), "{name}");
        assert!(is_valid(DOCUMENTED, &[(name, &upper)], body), "{name}");
    }
}

#[test]
fn a_wrong_or_missing_signature_is_refused() {
    let (body, hash) = GITHUB;
    let right = format!("sha256={hash}");
    let other = format!("sha256={}", "0".repeat(64));
    let short = format!("sha256={}", &hash[..62]);
    for signature in [
        hash,
        &other,
        &short,
        "sha256=",
        "sha1=0000",
        "",
        "sha256=zz",
    ] {
        let pairs = [("X-Hub-Signature-256", signature)];
        assert!(!is_valid(DOCUMENTED, &pairs, body), "{signature}");
    }
    let pairs = [("X-Hub-Signature-256", right.as_str())];
    assert!(is_valid(DOCUMENTED, &pairs, body));
    assert!(!is_valid(DOCUMENTED, &pairs, "Hello, World?"));
    assert!(!is_valid("another", &pairs, body));
    assert!(!is_valid(DOCUMENTED, &[], body));
    // The SHA-1 signature that GitHub sends beside it proves nothing.
    assert!(!is_valid(
        DOCUMENTED,
        &[(
            "X-Hub-Signature",
            "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"
        )],
        body
    ));
}

#[test]
fn the_strongest_signature_that_a_request_has_decides() {
    let (body, hash) = GITHUB;
    let forged = format!("sha256={}", "0".repeat(64));
    let pairs = [
        ("X-Hub-Signature-256", forged.as_str()),
        ("X-Gitea-Signature", hash),
    ];
    assert!(!is_valid(DOCUMENTED, &pairs, body));
    let mut pairs = STANDARD_HEADERS.to_vec();
    pairs.push(("X-Gitlab-Token", TOKEN));
    assert!(is_valid(TOKEN, &pairs, STANDARD_BODY));
    assert!(!is_valid(TOKEN, &pairs, "{}"));
    // Without a signing token, the secret token of the same hook decides.
    assert!(is_valid(
        "hunter2",
        &[STANDARD_HEADERS[2], ("X-Gitlab-Token", "hunter2")],
        "{}"
    ));
}

#[test]
fn a_signing_token_of_gitlab_is_valid_for_five_minutes() {
    for (seconds, expected) in [
        (STANDARD_TIME, true),
        (STANDARD_TIME - 300, true),
        (STANDARD_TIME + 300, true),
        (STANDARD_TIME - 301, false),
        (STANDARD_TIME + 301, false),
    ] {
        let is_valid = is_valid_at(seconds, TOKEN, &STANDARD_HEADERS, STANDARD_BODY);
        assert_eq!(is_valid, expected, "{seconds}");
    }
}

#[test]
fn a_signing_token_covers_id_time_and_body() {
    let with = |index: usize, value: &'static str| {
        let mut pairs = STANDARD_HEADERS;
        pairs[index].1 = value;
        is_valid(TOKEN, &pairs, STANDARD_BODY)
    };
    assert!(!with(0, "msg_another"));
    assert!(!with(1, "1614265331"));
    assert!(!with(1, "+1614265330"));
    assert!(!with(1, "soon"));
    assert!(!with(2, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    assert!(!with(2, "v1,"));
    assert!(with(
        2,
        "v1,AAAA v1a,xyz v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    ));
    assert!(!is_valid(TOKEN, &STANDARD_HEADERS, "{}"));
    assert!(!is_valid(TOKEN, &STANDARD_HEADERS[1..], STANDARD_BODY));
    assert!(!is_valid("whsec_AAAA", &STANDARD_HEADERS, STANDARD_BODY));
}

#[test]
fn the_secret_token_of_gitlab_and_the_password_of_azure_are_compared() {
    assert!(is_valid("hunter2", &[("X-Gitlab-Token", "hunter2")], ""));
    assert!(!is_valid("hunter2", &[("X-Gitlab-Token", "hunter")], ""));
    // RFC 7617: the user name has no colon, the password may.
    for (user, password, expected) in [
        ("azure", "hunter2", true),
        ("", "hunter2", true),
        ("azure", "hunter3", false),
        ("hunter2", "", false),
    ] {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        for scheme in ["Basic", "basic"] {
            let header = format!("{scheme} {encoded}");
            let pairs = [("Authorization", header.as_str())];
            assert_eq!(
                is_valid("hunter2", &pairs, ""),
                expected,
                "{user}:{password}"
            );
        }
    }
    for header in [
        "Basic",
        "Basic x",
        "Bearer hunter2",
        "hunter2",
        "Basic aHVudGVyMg==",
    ] {
        assert!(
            !is_valid("hunter2", &[("Authorization", header)], ""),
            "{header}"
        );
    }
}

#[test]
fn both_values_are_valid_during_a_rotation() {
    let (body, hash) = GITHUB;
    for secret in [format!("new\n{DOCUMENTED}"), format!("{DOCUMENTED}\nold")] {
        assert!(is_valid(&secret, &[("X-Gitea-Signature", hash)], body));
    }
    assert!(!is_valid("new\nold", &[("X-Gitea-Signature", hash)], body));
}

proptest! {
    #[test]
    fn no_header_without_the_secret_is_valid(
        name in prop::sample::select(&[
            "webhook-signature", "x-hub-signature-256", "x-forgejo-signature", "x-gitea-signature",
            "x-hub-signature", "x-gitlab-token", "authorization",
        ][..]),
        value in "(sha256=|v1,|Basic |)[ -~]{0,80}",
        body: Vec<u8>,
    ) {
        let secret = PushSecret::random().unwrap();
        let pairs = [(name, value.as_str()), STANDARD_HEADERS[0], STANDARD_HEADERS[1]];
        let now = UNIX_EPOCH + Duration::from_secs(STANDARD_TIME);
        let mut check = SignatureCheck::new(&headers(pairs), &secret, now);
        check.update(&body);
        prop_assert!(!check.verify());
    }
}
