use args::paths;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

/// User and group of an injected syncer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User {
    /// `runAsUser`.
    pub uid: i64,
    /// `runAsGroup`.
    pub gid: i64,
}

/// The rule that chose a syncer's user.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UserRule {
    /// Set by the author.
    Author,
    /// The common user of the containers that read the files.
    Consumers,
    /// The Pod's `securityContext`.
    Pod,
    /// The image's default.
    Image,
    /// Assigned by the namespace.
    #[default]
    Namespace,
}

impl User {
    /// The author's user, with the author's group or else the derived one.
    pub(crate) fn chosen(
        uid: i64,
        gid: Option<i64>,
        pod: &PodSpec,
        consumers: &[&Container],
    ) -> Self {
        let gid = gid.unwrap_or_else(|| Self::for_pod(pod, consumers).0.gid);
        Self { uid, gid }
    }

    /// Derives the user from the containers that read the files, so that `git` in the app finds a
    /// repository of its own user (git refuses others' as dubious); else from the Pod; else the
    /// image's. Never root: `runAsNonRoot` would keep the container from starting.
    pub(crate) fn for_pod(pod: &PodSpec, consumers: &[&Container]) -> (Self, UserRule) {
        let of_pod = pod.security_context.as_ref();
        let uids = consumers.iter().map(|consumer| uid_of(pod, consumer));
        let gid_of_pod = of_pod.and_then(|context| context.run_as_group);
        let gids = consumers.iter().map(|consumer| {
            let own = consumer.security_context.as_ref();
            own.and_then(|context| context.run_as_group).or(gid_of_pod)
        });
        let (uid, rule) = choose(uids, of_pod.and_then(|context| context.run_as_user));
        let (gid, _) = choose(gids, gid_of_pod);
        (Self { uid, gid }, rule)
    }
}

/// The user that a container of a Pod runs as, where the container or the Pod sets it.
pub(crate) fn uid_of(pod: &PodSpec, container: &Container) -> Option<i64> {
    let own = container.security_context.as_ref();
    let of_pod = pod.security_context.as_ref();
    let of_pod = of_pod.and_then(|context| context.run_as_user);
    own.and_then(|context| context.run_as_user).or(of_pod)
}

fn choose(mut consumers: impl Iterator<Item = Option<i64>>, pod: Option<i64>) -> (i64, UserRule) {
    let first = consumers.next().flatten();
    let shared = first.filter(|first| consumers.all(|other| other == Some(*first)));
    let not_root = |id: &i64| *id != 0;
    let shared = shared.filter(not_root).map(|id| (id, UserRule::Consumers));
    let of_pod = || pod.filter(not_root).map(|id| (id, UserRule::Pod));
    shared
        .or_else(of_pod)
        .unwrap_or((paths::UID, UserRule::Image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    fn user(spec: Value) -> (i64, i64) {
        let pod: PodSpec = serde_json::from_value(spec).unwrap();
        let consumers: Vec<&Container> = pod.containers.iter().collect();
        let (User { uid, gid }, _) = User::for_pod(&pod, &consumers);
        (uid, gid)
    }

    #[test]
    fn the_user_is_the_readers_else_the_pods_else_the_images_and_never_root() {
        let run_as = |user: i64| json!({"name": "c", "securityContext": {"runAsUser": user}});
        for (containers, pod, expected) in [
            (json!([{"name": "c"}]), json!({}), (65533, 65533)),
            (json!([run_as(101)]), json!({}), (101, 65533)),
            (
                json!([run_as(101), run_as(101)]),
                json!({"runAsUser": 7}),
                (101, 65533),
            ),
            (
                json!([run_as(101), run_as(102)]),
                json!({"runAsUser": 7}),
                (7, 65533),
            ),
            (json!([run_as(101), run_as(102)]), json!({}), (65533, 65533)),
            (
                json!([run_as(101), {"name": "d"}]),
                json!({"runAsUser": 101}),
                (101, 65533),
            ),
            (
                json!([run_as(0)]),
                json!({"runAsUser": 1000}),
                (1000, 65533),
            ),
            (
                json!([{"name": "c"}]),
                json!({"runAsUser": 0, "runAsGroup": 0}),
                (65533, 65533),
            ),
            (
                json!([{"name": "c"}]),
                json!({"runAsUser": 1, "runAsGroup": 2}),
                (1, 2),
            ),
        ] {
            let spec = json!({"containers": containers, "securityContext": pod});
            assert_eq!(user(spec.clone()), expected, "{spec}");
        }
        let bare = json!({"containers": [run_as(101), run_as(101)]});
        assert_eq!(user(bare), (101, 65533));
    }
}
