//! A complete real node: control plane, scheduler, controller-manager, containerd, kubelet,
//! kube-proxy and a bridge network. It must be started inside the `enclosure`.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::kubernetes::control_plane::ControlPlane;
use crate::kubernetes::control_plane::Options;
use crate::kubernetes::enclosure::cgroup_dirs;
use crate::kubernetes::enclosure::cgroup_of;
use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::node_files;
use crate::kubernetes::node_files::ADDRESS;
use crate::kubernetes::node_files::CONTAINERD_SOCKET;
use crate::kubernetes::node_files::NODE;
use crate::oci::image::ImageFile;
use crate::oci::images;
use crate::process::Process;
use crate::process::eventually_while;
use crate::settings;
use crate::tools::tool;

/// Timeout for the start of each program on a busy machine; all together take about ten seconds.
const START: Duration = Duration::from_secs(90);

/// The running node. It has no shutdown: everything ends with the enclosure.
#[derive(Debug)]
pub struct Node {
    dir: PathBuf,
    control_plane: ControlPlane,
    programs: Vec<Process>,
}

impl Node {
    /// Starts the node with its state in a directory and waits until it is Ready.
    pub fn start(dir: &Path) -> Result<Self> {
        let logs = dir.join("log");
        make_network()?;
        make_cgroups(&cgroup_of(dir))?;
        // containerd starts, and loads the sandbox image, while the API server starts.
        let containerd_args = [format!(
            "--config={}",
            node_files::containerd(dir)?.display()
        )];
        let containerd =
            Process::start("containerd", &tool("containerd"), &containerd_args, &logs)?;
        // The control plane uses the node's directory, so that all logs are in one place.
        let options = Options {
            address: ADDRESS.into(),
            audit: true,
            service_accounts_are_made: true,
            ..Options::default()
        };
        let control_plane = thread::scope(|scope| {
            let plane = scope.spawn(|| ControlPlane::start(dir, &options));
            wait_for_containerd(&containerd)?;
            load_image(&images::pause()?.write_to(&dir.join("images"))?)?;
            plane
                .join()
                .map_err(|_| anyhow!("starting the control plane panicked"))?
        })?;
        let mut node = Self {
            dir: dir.to_path_buf(),
            control_plane,
            programs: vec![containerd],
        };
        for (name, args) in node_files::programs(dir, &node.control_plane)? {
            let program = Process::start(name, &tool(name), &args, &logs)?;
            node.programs.push(program);
        }
        node.wait_until_ready()?;
        Ok(node)
    }

    /// kubectl as cluster administrator.
    pub fn kubectl(&self) -> &Kubectl {
        self.control_plane.kubectl()
    }

    /// The API server and etcd.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The directory of its state; `log` in it contains every program's output.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Loads an image, for Pods with `imagePullPolicy: Never` or `IfNotPresent`.
    pub fn load(&self, image: &ImageFile) -> Result<()> {
        load_image(image)
    }

    /// The processes on the node, in any container, whose command line begins with this word.
    pub fn processes_of(&self, program: &str) -> Result<Vec<u32>> {
        let begins = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).next() == Some(program.as_bytes())
        };
        // In the enclosure, /proc lists only the node's processes.
        let all = fs::read_dir("/proc")?.flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.filter(begins).collect())
    }

    /// Kills one of these processes.
    pub fn kill(&self, pid: u32) -> Result<()> {
        Ok(kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL)?)
    }

    /// Suspends one of the node's programs, such as kube-proxy.
    pub fn pause(&self, program: &str) -> Result<()> {
        self.signal(program, Signal::SIGSTOP)
    }

    /// Resumes it.
    pub fn resume(&self, program: &str) -> Result<()> {
        self.signal(program, Signal::SIGCONT)
    }

    fn signal(&self, program: &str, signal: Signal) -> Result<()> {
        let mut programs = self.programs.iter();
        let program = programs
            .find(|known| known.name() == program)
            .with_context(|| format!("{program} is no program of the node"))?;
        program.signal(signal)
    }

    /// Checks that every program still runs.
    pub fn check(&self) -> Result<()> {
        self.control_plane.check()?;
        self.programs.iter().try_for_each(Process::check)
    }

    fn wait_until_ready(&self) -> Result<()> {
        eventually_while(
            || self.check(),
            "a Ready node",
            START,
            || {
                let ready = "-o=jsonpath={.status.conditions[?(@.type=='Ready')]}";
                match self.kubectl().run(&["get", "node", NODE, ready])? {
                    state if state.contains(r#""status":"True""#) => Ok(()),
                    state => Err(format!("the node says {state}")),
                }
            },
        )
        .with_context(|| {
            let ends: Vec<String> = self
                .programs
                .iter()
                .map(|program| program.log_tail(10))
                .collect();
            ends.join("\n---\n")
        })
    }
}

/// The hardware address of the Pods' bridge: a locally administered one.
const PODS_GATEWAY: &str = "02:00:0a:61:00:01";

/// Creates the node's network. A bridge replaces the network card: not every kernel has dummy
/// devices, and a bridge needs no hardware. The default route makes Service addresses routable
/// before iptables rewrites them; no packet leaves through it.
///
/// The Pods' bridge gets its hardware address here. Without one of its own it has the lowest of its
/// ports', so a new Pod may change it, and then the packets of the other Pods are lost for seconds, until
/// they ask for the gateway's address again.
fn make_network() -> Result<()> {
    let address = format!("{ADDRESS}/24");
    for command in [
        &["ip", "link", "add", "node0", "type", "bridge"][..],
        &["ip", "address", "add", &address, "dev", "node0"],
        &["ip", "link", "set", "node0", "up"],
        &["ip", "route", "add", "default", "dev", "node0"],
        &[
            "ip",
            "link",
            "add",
            "cni0",
            "address",
            PODS_GATEWAY,
            "type",
            "bridge",
        ],
    ] {
        run(command)?;
    }
    // Set per network namespace. The switch of the bridge module, where it exists, lets iptables
    // process the traffic between two Pods through a Service; kube-proxy's masqueradeAll works
    // without it.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("switch on ip_forward")
}

/// Creates the kubelet's cgroup root, which must exist in every hierarchy.
fn make_cgroups(name: &str) -> Result<()> {
    // cgroup v2 only: enables the controllers for our directory. If one does not exist or is
    // enabled already, the write fails; the kubelet reports controllers that it misses.
    for controller in ["cpu", "cpuset", "io", "memory", "hugetlb", "pids"] {
        let _ = fs::write(
            "/sys/fs/cgroup/cgroup.subtree_control",
            format!("+{controller}"),
        );
    }
    for dir in cgroup_dirs(name) {
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        // cgroup v1 only: a cpuset without CPUs and memory nodes accepts no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(parents) = fs::read(dir.join("..").join(file)) {
                fs::write(dir.join(file), parents)?;
            }
        }
    }
    Ok(())
}

fn wait_for_containerd(containerd: &Process) -> Result<()> {
    eventually_while(
        || containerd.check(),
        "containerd",
        START,
        || ctr(&["version"]).map_err(|error| format!("{error:#}")),
    )
    .with_context(|| containerd.log_tail(20))
}

fn load_image(image: &ImageFile) -> Result<()> {
    ctr(&[
        "--namespace=k8s.io",
        "images",
        "import",
        &image.path.to_string_lossy(),
    ])
    .with_context(|| format!("load {}", image.name))
}

fn ctr(args: &[&str]) -> Result<()> {
    let program = tool("ctr").to_string_lossy().into_owned();
    let mut command = vec![&program[..], "--address", CONTAINERD_SOCKET];
    command.extend(args);
    run(&command)
}

fn run(command: &[&str]) -> Result<()> {
    let [program, args @ ..] = command else {
        bail!("no program")
    };
    let output = Command::new(program)
        .args(args)
        .env("PATH", settings::path_with_tools())
        .output()
        .with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!(
            "{}: {}",
            command.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
