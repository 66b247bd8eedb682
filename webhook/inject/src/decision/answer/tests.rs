use super::*;
use serde_json::Value;
use serde_json::json;

/// The response to a Pod with these annotations, as sent.
fn response(annotations: Value) -> Value {
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "request": {
            "uid": "705ab4f5",
            "operation": "CREATE",
            "object": {
                "metadata": {"annotations": annotations},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    });
    let review = Review::parse(body.to_string().as_bytes()).unwrap();
    let answer = answer(&review, &Settings::new("syncer:1"), &Namespace::default()).unwrap();
    let sent: Value = serde_json::from_slice(&answer.to_json().body).unwrap();
    assert_eq!(sent["apiVersion"], API_VERSION);
    assert_eq!(sent["kind"], KIND);
    assert_eq!(sent["response"]["uid"], "705ab4f5");
    let hash = &sent["response"]["auditAnnotations"]["config-hash"];
    assert_eq!(*hash, Settings::new("syncer:1").hash());
    sent["response"].clone()
}

#[test]
fn an_injection_is_sent_as_a_patch() {
    let response = response(json!({"gitvolume.dev/repo": "https://git.example/x"}));
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    assert_eq!(response["auditAnnotations"]["decision"], "inject");
    assert!(response.get("status").is_none() && response.get("warnings").is_none());
    let patch = BASE64_STANDARD
        .decode(response["patch"].as_str().unwrap())
        .unwrap();
    let patch: Patch = serde_json::from_slice(&patch).unwrap();
    assert_eq!(patch[0].path().as_str(), "/spec/volumes");
}

#[test]
fn a_conversion_names_its_volumes_to_the_audit_log() {
    let pod = json!({"spec": {
        "containers": [{"name": "web", "image": "nginx"}],
        "volumes": [
            {"name": "a", "gitRepo": {"repository": "https://git.example/a"}},
            {"name": "b", "gitRepo": {"repository": "https://me:hunter2@git.example/b"}},
        ],
    }});
    let review = Review::of_pod(pod);
    let answer = answer(&review, &Settings::new("syncer:1"), &Namespace::default()).unwrap();
    assert_eq!(answer.reason(), "gitrepo");
    let sent: Value = serde_json::from_slice(&answer.to_json().body).unwrap();
    let audit = sent["response"]["auditAnnotations"].clone();
    assert_eq!(audit["reason"], "gitrepo");
    assert_eq!(audit["converted"], "a,b");
    assert!(!audit.to_string().contains("hunter2"), "{audit}");
}

#[test]
fn a_refusal_is_sent_as_an_invalid_pod_with_the_sentence() {
    let response = response(json!({"gitvolume.dev/repo": "/etc"}));
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["code"], 422);
    assert_eq!(response["status"]["reason"], "Invalid");
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("gitvolume.dev/repo: \"/etc\": expected"),
        "{message}"
    );
    assert_eq!(response["auditAnnotations"]["decision"], "deny");
    assert_eq!(response["auditAnnotations"]["reason"], "repo");
    assert!(response.get("patch").is_none() && response.get("patchType").is_none());
}

#[test]
fn a_skipped_pod_has_neither_patch_nor_patch_type() {
    let response = response(json!({"gitvolume.dev/rep": "x"}));
    assert_eq!(response["allowed"], true);
    assert_eq!(response["auditAnnotations"]["reason"], "not-requested");
    assert!(response.get("patch").is_none() && response.get("patchType").is_none());
    assert_eq!(
        response["warnings"],
        json!(["gitvolume.dev/rep: unknown annotation; did you mean gitvolume.dev/repo?"])
    );
}

#[test]
fn a_second_call_does_not_contradict_the_first_ones_audit_annotations() {
    let answer = Answer {
        uid: String::new(),
        outcome: Outcome::Skip(SkipReason::AlreadyInjected),
        allowed: true,
        patch: None,
        warnings: Vec::new(),
        all_warnings: Vec::new(),
        config_hash: "0".to_owned(),
    };
    let keys: Vec<&str> = answer.audit_annotations().into_keys().collect();
    assert_eq!(keys, ["config-hash"]);
}

#[test]
fn a_warning_is_one_line_of_limited_length_and_keeps_the_accepted_form() {
    let once = ["a\nb\u{7}c".to_owned(), "a b c".to_owned()];
    assert_eq!(distinct(&once), ["a b c"]);
    let long = cut(&"ü".repeat(300));
    assert_eq!(long.chars().count(), 256);
    assert!(long.ends_with('…'));
    let sentence = |value: usize, expected: usize| {
        let (value, expected) = ("v".repeat(value), "e".repeat(expected));
        format!("gitvolume.dev/repo: \"{value}\": expected {expected}")
    };
    assert_eq!(cut(&sentence(100, 100)), sentence(100, 100));
    let long = cut(&sentence(500, 100));
    assert_eq!(long.chars().count(), 256);
    assert!(long.starts_with("gitvolume.dev/repo: \"vvv"), "{long}");
    assert!(
        long.ends_with(&format!("… expected {}", "e".repeat(100))),
        "{long}"
    );
    let long = cut(&sentence(500, 500));
    assert_eq!(long.chars().count(), 256);
    assert!(long.contains("… expected eee"), "{long}");
}

#[test]
fn all_warnings_together_fit_the_api_servers_limit() {
    let many: Vec<String> = (0..40)
        .map(|own| format!("{own}{}", "x".repeat(200)))
        .collect();
    let kept = limit_warnings(&many);
    let sum: usize = kept.iter().map(|text| text.chars().count()).sum();
    assert!(sum <= 4096, "{sum}");
    assert_eq!(
        kept.last().unwrap(),
        "gitvolume.dev/: 20 more warnings are not shown"
    );
    let most: Vec<String> = (0..20).map(|_| "x".repeat(300)).collect();
    let numbered = most.iter().enumerate();
    let numbered: Vec<String> = numbered.map(|(own, text)| format!("{own}{text}")).collect();
    let kept = limit_warnings(&numbered);
    let sum: usize = kept.iter().map(|text| text.chars().count()).sum();
    assert!(sum <= 4096, "{sum}");
    assert_eq!(
        kept.last().unwrap(),
        "gitvolume.dev/: 5 more warnings are not shown"
    );
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let mut words: Vec<&str> = SkipReason::ALL.map(SkipReason::as_str).to_vec();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), SkipReason::ALL.len());
}
