//! The fuzz targets of the push receiver: what anybody on the Internet may send.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use fuzz::run_of_crate;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use url::Url;

use crate::delivery::body::DeliveryError;
use crate::delivery::body::receive;
use crate::delivery::payload::addresses;
use crate::delivery::secret::PushSecret;
use crate::delivery::selection::wake_of;

/// The time of the deliveries.
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// This crate, whose corpora are in its directory.
const CRATE: (&str, &str) = ("push", env!("CARGO_MANIFEST_DIR"));

#[test]
fn any_payload_wakes_only_what_the_secret_may_wake() {
    let words = [
        "payload=",
        "%7B%22",
        "{\"repository\":",
        "\"clone_url\":",
        "\"ssh_url\":",
        "{\"project\":",
        "\"git_http_url\":",
        "\"links\":{\"clone\":[{\"href\":",
        "https://git.example/acme/site.git",
        "git@git.example:acme/site",
        "ssh://git@git.example:2222/acme/",
        "https://me:secret@git.example/acme/x",
        "https://git.example/acme/../other/x",
        "/..",
        "%2e%2e",
        "null",
        "[",
        "]",
        "{",
        "}",
        "\"",
        ",",
        "\\u0000",
        "\\ud800",
    ];
    let prefix = |text: &str| Url::parse(text).unwrap();
    let prefixes = [
        prefix("https://git.example/acme"),
        prefix("ssh://git.example/acme"),
    ];
    run_of_crate(CRATE, "payloads", &words, |data| {
        let found = addresses(data);
        for url in &found {
            assert!(
                url.username().is_empty() && url.password().is_none(),
                "{url}"
            );
            assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
        }
        let wake = wake_of(&prefixes, &found);
        for url in &wake.repositories {
            let path = url.path().to_ascii_lowercase();
            assert_eq!(url.host_str(), Some("git.example"), "{url}");
            let is_below = path == "/acme" || path == "/acme.git" || path.starts_with("/acme/");
            assert!(is_below, "{url}");
        }
        // The cache accepts what the receiver sends.
        let text = serde_json::to_string(&wake).unwrap();
        assert_eq!(
            serde_json::from_str::<args::wake::Wake>(&text).unwrap(),
            wake
        );
        (
            found.len(),
            wake.repositories.len(),
            wake.prefixes.len(),
            found.first().map(|url| url.scheme().to_owned()),
        )
    });
}

#[test]
fn no_delivery_without_the_secret_is_accepted() {
    let words = [
        "x-hub-signature-256: sha256=",
        "x-hub-signature: sha256=",
        "x-gitea-signature: ",
        "x-forgejo-signature: ",
        "x-gitlab-token: ",
        "webhook-id: ",
        "webhook-timestamp: 1700000000",
        "webhook-signature: v1,",
        "authorization: Basic ",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\n",
        "\n\n",
        "{}",
        " ",
        ",",
    ];
    // The values of the file `secret`, which no input of the corpus contains.
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nnot-in-the-corpus";
    let secret = PushSecret::parse(secret.as_bytes()).unwrap();
    run_of_crate(CRATE, "deliveries", &words, |data| {
        let (headers, body) = delivery(data);
        let body = Full::from(body.to_vec());
        let receiving = receive(&headers, body, &secret, UNIX_EPOCH + NOW);
        let received = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(receiving);
        assert_eq!(received, Err(DeliveryError::Unverified));
        // The headers that a scheme reads.
        let names = words.iter().filter_map(|word| word.split_once(": "));
        let names = names.filter(|(name, _)| headers.contains_key(*name));
        let names: Vec<_> = names.map(|(name, _)| name).collect();
        (names, headers.len().min(4))
    });
}

/// The headers and the body of an input: lines, an empty line, and the rest.
fn delivery(data: &[u8]) -> (HeaderMap, &[u8]) {
    let end = data.windows(2).position(|it| it == b"\n\n");
    let (head, body) = data.split_at(end.unwrap_or(data.len()));
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (headers, body.get(2..).unwrap_or_default())
}
