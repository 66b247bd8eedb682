use inject::Key;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::SecurityContext;
use k8s_openapi::api::core::v1::VolumeMount;

use super::super::view;

/// The annotations and notes for the fields of a container other than its program.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) wide: Vec<(Key, String)>,
    pub(super) notes: Vec<String>,
}

/// The default directory of git-sync's credentials.
const SECRETS: &str = "/etc/git-secret";

/// The resources that annotations can set, with their keys.
const RESOURCES: [(&str, &str, Key); 6] = [
    ("requests", "cpu", Key::RequestsCpu),
    ("requests", "memory", Key::RequestsMemory),
    (
        "requests",
        "ephemeral-storage",
        Key::RequestsEphemeralStorage,
    ),
    ("limits", "cpu", Key::LimitsCpu),
    ("limits", "memory", Key::LimitsMemory),
    ("limits", "ephemeral-storage", Key::LimitsEphemeralStorage),
];

/// Converts a container's other fields to annotations, and reports those that are dropped.
/// `volumes` are converted elsewhere, `secret` is the Secret in the annotations, `port` is the
/// metrics port.
pub(super) fn rest(
    pod: &PodSpec,
    container: &Container,
    volumes: &[&str],
    secret: Option<&str>,
    port: Option<u16>,
) -> Result<Rest, String> {
    // Destructured without `..`: a new field that is forgotten here is a compile error.
    let Container {
        name: _,
        image: _,
        image_pull_policy: _,
        command: _,
        args: _,
        env: _,
        env_from: _,
        lifecycle,
        liveness_probe,
        ports,
        readiness_probe,
        resize_policy: _,
        resources,
        restart_policy: _,
        security_context,
        startup_probe,
        stdin: _,
        stdin_once: _,
        termination_message_path: _,
        termination_message_policy: _,
        tty: _,
        volume_devices,
        volume_mounts,
        working_dir: _,
    } = container;
    let mut rest = Rest::default();
    if volume_devices.as_ref().is_some_and(|own| !own.is_empty()) {
        return Err("it has volumeDevices".to_owned());
    }
    for mount in volume_mounts.iter().flatten() {
        if !volumes.contains(&mount.name.as_str()) {
            rest.notes
                .extend(other_mount(pod, container, mount, secret)?);
        }
    }
    for (list, name, key) in RESOURCES {
        let own = resources.as_ref().and_then(|own| match list {
            "requests" => own.requests.as_ref(),
            _ => own.limits.as_ref(),
        });
        if let Some(amount) = own.and_then(|own| own.get(name)) {
            rest.wide.push((key, amount.0.clone()));
        }
    }
    let lists = resources
        .iter()
        .flat_map(|own| [&own.requests, &own.limits]);
    for name in lists.flatten().flat_map(|own| own.keys()) {
        if RESOURCES.iter().all(|(_, known, _)| known != name) {
            rest.notes
                .push(format!("resources: {name} has no equivalent"));
        }
    }
    let claims = resources.as_ref().and_then(|own| own.claims.as_ref());
    if claims.is_some_and(|claims| !claims.is_empty()) {
        rest.notes
            .push("resources: claims have no equivalent".to_owned());
    }
    if let Some(own) = security_context {
        user(own, &mut rest);
        security(own, &mut rest);
    }
    for own in ports.iter().flatten() {
        let number = own.container_port;
        let named = own.name.as_deref().unwrap_or_default();
        if port.is_some_and(|port| i32::from(port) == number) {
            if !named.is_empty() && named != "gitvolume" {
                rest.notes.push(format!(
                    "port {number} is now called gitvolume instead of {named}; update whatever refers to that name"
                ));
            }
        } else {
            rest.notes
                .push(format!("port {number} is removed: nothing listens there"));
        }
    }
    for (probe, name) in [
        (liveness_probe, "livenessProbe"),
        (readiness_probe, "readinessProbe"),
        (startup_probe, "startupProbe"),
    ] {
        if probe.is_some() {
            rest.notes.push(format!(
                "{name} is removed: the syncer's own startup probe makes the app wait for the first revision, and an unavailable git host makes no Pod unready"
            ));
        }
    }
    if lifecycle.is_some() {
        rest.notes.push("lifecycle has no equivalent".to_owned());
    }
    Ok(rest)
}

/// Checks a mount other than the published volume: one that git may need is never dropped without a
/// message.
fn other_mount(
    pod: &PodSpec,
    container: &Container,
    mount: &VolumeMount,
    secret: Option<&str>,
) -> Result<Option<String>, String> {
    let VolumeMount {
        name, mount_path, ..
    } = mount;
    if mount_path == "/etc/passwd" {
        let note = "its mount at /etc/passwd is removed: the injected syncer runs as any user";
        return Ok(Some(note.to_owned()));
    }
    let mut volumes = pod.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == *name);
    if let Some(own) = volume.and_then(|volume| volume.secret.as_ref()) {
        if secret.is_some() && own.secret_name.as_deref() == secret {
            return Ok(None);
        }
        if view::below(SECRETS, &view::clean(mount_path)).is_some() {
            let own = own.secret_name.as_deref().unwrap_or_default();
            return Ok(Some(format!(
                "the Secret {own:?} is removed: this address needs nothing from it"
            )));
        }
    }
    let is_shared = view::all(pod).any(|(other, _)| {
        let mut mounts = other.volume_mounts.iter().flatten();
        other.name != container.name && mounts.any(|other| other.name == *name)
    });
    match volume {
        Some(volume) if volume.empty_dir.is_some() && !is_shared => Ok(Some(format!(
            "its volume {name} at {mount_path} is removed: the injected syncer has its own"
        ))),
        _ => Err(format!(
            "it mounts volume {name} at {mount_path}, and no annotation passes its content to the injected syncer"
        )),
    }
}

fn user(own: &SecurityContext, rest: &mut Rest) {
    match (own.run_as_user, own.run_as_group) {
        (Some(0), _) => rest.notes.push(
            "runAsUser 0: the injected syncer never runs as root; it runs as the user of the containers that read the files, if all of them have the same user"
                .to_owned(),
        ),
        (Some(uid), Some(gid)) if gid != 0 => {
            rest.wide.push((Key::User, format!("{uid}:{gid}")));
        }
        (Some(uid), _) => rest.wide.push((Key::User, uid.to_string())),
        (None, Some(gid)) => rest
            .notes
            .push(format!("runAsGroup {gid} without a user has no equivalent")),
        (None, None) => {}
    }
}

/// Reports fields that are weaker than those of the injected syncer, which has the restricted
/// level.
fn security(own: &SecurityContext, rest: &mut Rest) {
    let capabilities = own.capabilities.as_ref();
    let adds = capabilities.and_then(|own| own.add.as_ref());
    let seccomp = own.seccomp_profile.as_ref();
    for (name, is_set) in [
        ("privileged", own.privileged == Some(true)),
        (
            "allowPrivilegeEscalation",
            own.allow_privilege_escalation == Some(true),
        ),
        (
            "capabilities.add",
            adds.is_some_and(|adds| !adds.is_empty()),
        ),
        ("appArmorProfile", own.app_armor_profile.is_some()),
        ("procMount", own.proc_mount.is_some()),
        ("seLinuxOptions", own.se_linux_options.is_some()),
        (
            "seccompProfile",
            seccomp.is_some_and(|own| own.type_ != "RuntimeDefault"),
        ),
        ("windowsOptions", own.windows_options.is_some()),
    ] {
        if is_set {
            rest.notes
                .push(format!("securityContext: {name} has no equivalent"));
        }
    }
}
