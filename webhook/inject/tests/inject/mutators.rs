//! Changes to a Pod between two calls of the webhook, by the API server's own plugins, meshes and
//! policy engines. Each occurs in real clusters; none of them must change the second answer.

use serde_json::Value;
use serde_json::json;

use crate::generated::push;

/// One change to a Pod.
pub(crate) type Mutator = fn(&mut Value);

pub(crate) const MUTATORS: &[(&str, Mutator)] = &[
    ("a sidecar at the beginning", |pod| {
        let list = pod["spec"]["containers"].as_array_mut().unwrap();
        list.insert(
            0,
            json!({"name": "mesh-0", "image": "mesh:1", "ports": [{"containerPort": 15001}]}),
        );
    }),
    ("a sidecar at the end", |pod| {
        push(
            &mut pod["spec"],
            "containers",
            json!({"name": "mesh-1", "image": "mesh:1"}),
        );
    }),
    ("a native sidecar before everything", |pod| {
        push(&mut pod["spec"], "initContainers", json!(null));
        let list = pod["spec"]["initContainers"].as_array_mut().unwrap();
        list.pop();
        list.insert(
            0,
            json!({"name": "mesh-2", "image": "mesh:1", "restartPolicy": "Always"}),
        );
    }),
    ("an init container after everything", |pod| {
        push(
            &mut pod["spec"],
            "initContainers",
            json!({"name": "mesh-3", "image": "mesh:1"}),
        );
    }),
    ("a variable in every container", |pod| {
        each(pod, |own| {
            push(own, "env", json!({"name": "TRACE", "value": "$(X)"}))
        });
    }),
    ("a volume, first, mounted everywhere", |pod| {
        push(&mut pod["spec"], "volumes", json!(null));
        let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
        volumes.pop();
        volumes.insert(0, json!({"name": "ca-bundle", "configMap": {"name": "ca"}}));
        each(pod, |own| {
            push(
                own,
                "volumeMounts",
                json!({"name": "ca-bundle", "mountPath": "/etc/ssl/ca"}),
            );
        });
    }),
    (
        "the API token, where nothing is mounted in its place",
        |pod| {
            const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
            push(
                &mut pod["spec"],
                "volumes",
                json!({"name": "kube-api-access-x", "projected": {"sources": []}}),
            );
            each(pod, |own| {
                let mounts = own["volumeMounts"].as_array();
                let has =
                    mounts.is_some_and(|all| all.iter().any(|mount| mount["mountPath"] == PATH));
                if !has {
                    push(
                        own,
                        "volumeMounts",
                        json!({"name": "kube-api-access-x", "mountPath": PATH}),
                    );
                }
            });
        },
    ),
    ("a LimitRange's defaults", |pod| {
        each(pod, |own| {
            for (list, name, amount) in [
                ("limits", "cpu", "500m"),
                ("limits", "memory", "512Mi"),
                ("requests", "cpu", "100m"),
            ] {
                if own["resources"][list][name].is_null() {
                    own["resources"][list][name] = json!(amount);
                }
            }
        });
    }),
    ("other resources", |pod| {
        each(pod, |own| {
            own["resources"] = json!({"requests": {"cpu": "1"}})
        });
    }),
    ("another registry", |pod| {
        each(pod, |own| {
            let image = own["image"].as_str().unwrap_or("x");
            own["image"] = json!(format!("mirror.example/{image}"));
            own["imagePullPolicy"] = json!("Always");
        });
    }),
    ("the API server's defaults", |pod| {
        pod["spec"]["schedulerName"] = json!("default-scheduler");
        pod["spec"]["dnsPolicy"] = json!("ClusterFirst");
        each(pod, |own| {
            own["terminationMessagePath"] = json!("/dev/termination-log");
            if own["resources"].is_null() {
                own["resources"] = json!({});
            }
            for port in own["ports"].as_array_mut().into_iter().flatten() {
                port["protocol"] = json!("TCP");
                port["hostPort"] = port["containerPort"].clone();
            }
        });
    }),
    ("labels and annotations", |pod| {
        pod["metadata"]["labels"]["mesh"] = json!("on");
        pod["metadata"]["annotations"]["mesh.example/status"] = json!("{}");
        pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] =
            json!("true");
    }),
    ("a group for volumes, and users", |pod| {
        pod["spec"]["securityContext"] = json!({"fsGroup": 4711, "runAsUser": 4711});
    }),
    ("a user for each container", |pod| {
        each(pod, |own| {
            own["securityContext"]["runAsUser"] = json!(1_000_680_000)
        });
    }),
    ("where it runs", |pod| {
        pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        pod["spec"]["nodeSelector"] = json!({"pool": "spot"});
        pod["spec"]["runtimeClassName"] = json!("gvisor");
        push(
            &mut pod["spec"],
            "imagePullSecrets",
            json!({"name": "mirror"}),
        );
    }),
];

fn each(pod: &mut Value, change: impl Fn(&mut Value)) {
    for list in ["containers", "initContainers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            change(container);
        }
    }
}
