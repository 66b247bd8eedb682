//! Configuration files and command lines of the node, with a reason for each line that is not the
//! default.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Result;

use crate::kubernetes::control_plane::ControlPlane;
use crate::kubernetes::enclosure::cgroup_of;
use crate::oci::images::PAUSE;
use crate::settings;

/// The node's name.
pub(crate) const NODE: &str = "node";
/// Address of the node; like all the others it exists only in the enclosure's network namespace.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 95, 0, 1);
/// Address range of the Pods.
const PODS: &str = "10.97.0.0/16";
/// containerd's socket; /run belongs to the enclosure.
pub(crate) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// Writes the configuration of containerd and of the Pod network.
pub(crate) fn containerd(dir: &Path) -> Result<PathBuf> {
    let cni = dir.join("cni");
    fs::create_dir_all(&cni)?;
    fs::write(
        cni.join("10-bridge.conflist"),
        format!(
            r#"{{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{{
    "type": "bridge",
    "bridge": "cni0",
    "isGateway": true,
    "hairpinMode": true,
    "ipam": {{
      "type": "host-local",
      "dataDir": "{}",
      "ranges": [[{{"subnet": "{PODS}"}}]],
      "routes": [{{"dst": "0.0.0.0/0"}}]
    }}
  }}]
}}
"#,
            dir.join("addresses").display()
        ),
    )?;

    let tools = settings::tools();
    let tools = tools.display();
    let (root, cni) = (dir.join("containerd"), cni.display());
    let config = format!(
        r#"version = 3
root = "{root}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE, as in many sandboxes and CI runners, a lower score is refused.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{tools}"]
conf_dir = "{cni}"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{tools}/runc"
SystemdCgroup = false
"#,
        root = root.display()
    );
    let path = dir.join("containerd.toml");
    fs::write(&path, config)?;
    Ok(path)
}

/// Writes the files of the other programs; returns each program's name and arguments, in starting
/// order.
pub(crate) fn programs(
    dir: &Path,
    plane: &ControlPlane,
) -> Result<Vec<(&'static str, Vec<String>)>> {
    // One identity for all: authorization inside the control plane is not under test.
    let kubeconfig = format!("--kubeconfig={}", plane.kubectl().kubeconfig().display());
    let kubelet = vec![
        kubeconfig.clone(),
        format!("--config={}", kubelet(dir)?.display()),
        format!("--root-dir={}", dir.join("kubelet").display()),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={ADDRESS}"),
    ];
    let controller_manager = vec![
        kubeconfig.clone(),
        format!(
            "--service-account-private-key-file={}",
            plane.service_account_key().display()
        ),
        // Pods find it as ca.crt beside their token.
        format!("--root-ca-file={}", plane.ca().display()),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", dir.join("controller-manager").display()),
        // With the defaults (20 and 30 per second) a burst of test namespaces would be throttled.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ];
    let scheduler = vec![
        kubeconfig,
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", dir.join("scheduler").display()),
    ];
    Ok(vec![
        ("kubelet", kubelet),
        ("kube-controller-manager", controller_manager),
        ("kube-scheduler", scheduler),
        (
            "kube-proxy",
            vec![format!("--config={}", kube_proxy(dir, plane)?.display())],
        ),
    ])
}

fn kubelet(dir: &Path) -> Result<PathBuf> {
    // There is no DNS server; a refused connection fails a lookup immediately instead of after 5 s.
    let resolv_conf = dir.join("resolv.conf");
    fs::write(&resolv_conf, format!("nameserver {ADDRESS}\n"))?;
    let config = format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
# The API server, the only one that can reach this address, brings no client certificate.
authentication:
  anonymous: {{enabled: true}}
  webhook: {{enabled: false}}
authorization: {{mode: AlwaysAllow}}
containerRuntimeEndpoint: unix://{CONTAINERD_SOCKET}
cgroupDriver: cgroupfs
# Ours alone, so that it can be removed; see enclosure.rs.
cgroupRoot: /{cgroup}
# Some sandboxes still have cgroup v1, which the kubelet refuses since 1.35.
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [{ADDRESS}]
resolvConf: {resolv}
podLogsDir: /var/log/pods
# The machine's disk is not the node's: a developer's full one must not evict Pods.
evictionHard:
  memory.available: 50Mi
  nodefs.available: 1%
  nodefs.inodesFree: 1%
  imagefs.available: 1%
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 250
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
"#,
        cgroup = cgroup_of(dir),
        resolv = resolv_conf.display()
    );
    let path = dir.join("kubelet.yaml");
    fs::write(&path, config)?;
    Ok(path)
}

fn kube_proxy(dir: &Path, plane: &ControlPlane) -> Result<PathBuf> {
    let config = format!(
        r#"apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: "{kubeconfig}"}}
hostnameOverride: {NODE}
mode: iptables
clusterCIDR: {PODS}
# Limits of the whole machine, not of our network namespace: left alone.
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
# A Pod reaches another on the same bridge through a Service also where the kernel's bridge
# traffic does not pass iptables.
iptables: {{masqueradeAll: true, minSyncPeriod: 0s, syncPeriod: 30s}}
"#,
        kubeconfig = plane.kubectl().kubeconfig().display()
    );
    let path = dir.join("kube-proxy.yaml");
    fs::write(&path, config)?;
    Ok(path)
}
