//! LimitRanges among the manifests: the injected container gets the same resources as in a cluster.

use serde_json::Value;

use crate::POD;
use crate::Ran;
use crate::run;

/// Runs a command on a Pod with these `resources` and a LimitRange with this item.
fn beside(command: &str, item: &str, resources: &str) -> Ran {
    let range = format!(
        "apiVersion: v1\nkind: LimitRange\nmetadata: {{name: range}}\nspec: {{limits: [{item}]}}\n---\n"
    );
    run(&[command, "-n", "shop"], &(range + POD + resources))
}

/// The resources of the injected container.
fn resources(ran: &Ran) -> Value {
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&ran.out).unwrap();
    documents[1]["spec"]["initContainers"][0]["resources"].clone()
}

fn amounts(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// In a cluster the API server applies a LimitRange's defaults before it calls the webhook.
#[test]
fn a_limit_range_among_the_manifests_gives_limits_and_ratios() {
    let honest = "{type: Container, maxLimitRequestRatio: {cpu: '10', memory: '4'}, \
                  defaultRequest: {cpu: 100m, memory: 128Mi}, default: {cpu: 500m, memory: 256Mi}}";
    for (item, own, expected) in [
        (
            honest,
            "",
            "{limits: {cpu: 100m, memory: 128Mi}, requests: {cpu: 20m, memory: 64Mi}}",
        ),
        // The resources of the Pod's own container take precedence over the defaults.
        (
            honest,
            "      resources: {requests: {cpu: 50m}, limits: {cpu: 500m}}\n",
            "{limits: {cpu: 100m, memory: 128Mi}, requests: {cpu: 10m, memory: 64Mi}}",
        ),
        // A maximum is a default too, and makes the Pod's QoS class Guaranteed.
        (
            "{type: Container, max: {cpu: '1', memory: 256Mi}}",
            "",
            "{limits: {cpu: 100m, memory: 128Mi}, requests: {cpu: 100m, memory: 128Mi}}",
        ),
        (
            "{type: Container, default: {memory: 1Gi, cpu: 1}, min: {cpu: 5m}, defaultRequest: {memory: 32Mi, cpu: 5m}}",
            "",
            "{limits: {cpu: '1', memory: 512Mi}, requests: {cpu: 5m, memory: 32Mi}}",
        ),
        (
            "{type: PersistentVolumeClaim, max: {storage: 1Gi}}",
            "",
            "{requests: {cpu: 5m, memory: 32Mi}}",
        ),
    ] {
        let ran = beside("inject", item, own);
        assert_eq!(resources(&ran), amounts(expected), "{item}{own}");
        // The Pod's own containers stay unchanged, and a second run changes nothing.
        let own = format!("image: nginx:1.29\n{own}      volumeMounts:");
        assert!(ran.out.contains(&own), "{}", ran.out);
        assert_eq!(run(&["inject", "--check", "-n", "shop"], &ran.out).code, 0);
        let back = run(&["uninject"], &ran.out).out;
        assert!(
            back.ends_with(&own.replace("      volumeMounts:", "")),
            "{back}"
        );
    }
    let explanation = beside("explain", honest, "").out;
    assert!(
        explanation.contains("limits cpu 100m, memory 128Mi"),
        "{explanation}"
    );
    // A LimitRange of another namespace does not apply to this Pod.
    let range = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: a, namespace: bank}\nspec:";
    let text = format!("{range} {{limits: [{honest}]}}\n---\n{POD}");
    let ran = run(&["inject", "-n", "shop"], &text);
    assert_eq!(
        resources(&ran),
        amounts("{requests: {cpu: 5m, memory: 32Mi}}")
    );
}

/// Where the API server would reject the Pod, the warning names the annotation that helps.
#[test]
fn a_violation_of_a_limit_range_is_reported_with_its_remedy() {
    let memory = "      resources: {limits: {memory: 256Mi, cpu: '1'}}\n";
    let spread = "      resources: {limits: {memory: 256Mi}, requests: {memory: 16Mi}}\n    - {name: b, \
                  image: b, resources: {limits: {memory: 4Gi}}}\n";
    for (item, own, sentence) in [
        (
            "{type: Container, min: {cpu: 50m}}",
            "",
            "container gitvolume: the request of cpu is 5m, below min (50m): the API server refuses the \
             Pod; set gitvolume.dev/resources.requests.cpu\n",
        ),
        (
            "{type: Container, max: {memory: 64Mi}}",
            "",
            "container gitvolume: the limit of memory is 128Mi, above max (64Mi): the API server refuses \
             the Pod; set gitvolume.dev/resources.limits.memory\n",
        ),
        (
            "{type: Pod, max: {memory: 300Mi}}",
            memory,
            "the Pod's limits of memory add up to more than max (300Mi): the API server refuses the Pod; \
             set gitvolume.dev/resources.limits.memory\n",
        ),
        (
            "{type: Pod, maxLimitRequestRatio: {memory: '1.06'}}",
            spread,
            "the Pod's limits of memory are more than 1.06 times its requests (maxLimitRequestRatio): \
             the API server refuses the Pod; set gitvolume.dev/resources.requests.memory\n",
        ),
    ] {
        let ran = beside("inject", item, own);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let sentence = format!("(Pod web): LimitRange shop/range: {sentence}");
        assert!(ran.err.ends_with(&sentence), "{item}: {}", ran.err);
        let explanation = beside("explain", item, own).out;
        assert!(
            explanation.contains("LimitRange shop/range: "),
            "{explanation}"
        );
    }
    let annotated = POD.replace(
        "spec:",
        "    gitvolume.dev/resources.limits.cpu: '1'\n    gitvolume.dev/resources.requests.cpu: 10m\nspec:",
    );
    let range = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: range}\nspec: {limits: [{type: \
                 Container, maxLimitRequestRatio: {cpu: '10'}}]}\n---\n";
    let ran = run(&["inject", "-n", "shop"], &format!("{range}{annotated}"));
    assert!(
        ran.err.contains(
            "container gitvolume: the limit of cpu, 1, is more than 10 times its request, 10m \
             (maxLimitRequestRatio): the API server refuses the Pod; set \
             gitvolume.dev/resources.requests.cpu\n"
        ),
        "{}",
        ran.err
    );
}

/// As in the API server, a limit without a request is also the request.
#[test]
fn a_limit_alone_is_reserved_and_explained() {
    let limit = "    gitvolume.dev/resources.limits.ephemeral-storage: 2Gi\nspec:";
    let explanation = run(&["explain"], &POD.replace("spec:", limit)).out;
    assert!(
        explanation
            .contains("reserves   cpu 5m, ephemeral-storage 2Gi, memory 32Mi  in addition to"),
        "{explanation}"
    );
}
