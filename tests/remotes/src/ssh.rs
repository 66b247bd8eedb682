use std::fs;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::ReservedPort;

const SSHD: &str = "/usr/sbin/sshd";

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A real sshd with its own host key and user key; it serves any repository on this machine that
/// the current user can read.
#[derive(Debug)]
pub struct SshServer {
    dir: TempDir,
    port: ReservedPort,
    user: String,
    /// Kinds of its host keys.
    host_keys: Vec<&'static str>,
    /// Whether clients may request git's newer protocols.
    takes_protocol: bool,
    /// Further lines of its configuration.
    options: String,
    child: Option<Child>,
}

impl SshServer {
    /// Starts on 127.0.0.1 and a free port.
    pub fn start() -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: apt-get install openssh-server"
        );
        let dir = TempDir::with_prefix("sshd-").expect("a temporary directory");
        // Only root's sshd needs its separation directory, which disappears at each boot.
        let _ = fs::create_dir_all("/run/sshd");
        let mut server = Self {
            user: user_name(),
            dir,
            port: ReservedPort::new(),
            host_keys: vec!["ed25519"],
            takes_protocol: true,
            options: String::new(),
            child: None,
        };
        server.make_key("host-ed25519", "ed25519", "");
        server.make_key("user", "ed25519", "");
        let public = server.read("user.pub");
        fs::write(server.path("authorized_keys"), public).expect("a file");
        server.run();
        server
    }

    /// The address of a repository at this path.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@{}{}", self.user, self.address(), path.display())
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The private key that it accepts.
    pub fn user_key(&self) -> String {
        self.read("user")
    }

    /// The line of `known_hosts` for this server.
    pub fn known_hosts(&self) -> String {
        let keys = self.host_keys.iter();
        keys.map(|kind| self.known_hosts_of(kind)).collect()
    }

    /// The line for the host key of one kind: `ed25519`, `ecdsa` or `rsa`.
    pub fn known_hosts_of(&self, kind: &str) -> String {
        self.known_hosts_with(&self.read(&format!("host-{kind}.pub")))
    }

    /// Restarts with new host keys of these kinds.
    pub fn change_host_keys(&mut self, kinds: &[&'static str]) {
        for kind in kinds {
            let name = format!("host-{kind}");
            // There may be no key of this kind yet.
            let _ = fs::remove_file(self.path(&name));
            self.make_key(&name, kind, "");
        }
        self.host_keys = kinds.to_vec();
        self.start_again();
    }

    /// Creates another accepted key of this kind; returns the private key.
    pub fn another_key(&self, kind: &str, passphrase: &str) -> String {
        let name = format!("another-{kind}-{}", passphrase.len());
        self.make_key(&name, kind, passphrase);
        let mut file = File::options()
            .append(true)
            .open(self.path("authorized_keys"))
            .expect("a file");
        file.write_all(self.read(&format!("{name}.pub")).as_bytes())
            .expect("a line");
        self.read(&name)
    }

    /// Restarts, and accepts `GIT_PROTOCOL` from clients or, like Debian's sshd, does not.
    pub fn take_protocol(&mut self, take: bool) {
        self.takes_protocol = take;
        self.start_again();
    }

    /// Restarts with these further lines of configuration.
    pub fn set_options(&mut self, options: &str) {
        self.options = options.to_owned();
        self.start_again();
    }

    /// Number of successful logins since the last start.
    pub fn logins(&self) -> usize {
        self.read("log").matches("Accepted publickey").count()
    }

    /// Number of commands that clients ran since the last start.
    pub fn commands(&self) -> usize {
        self.read("log")
            .matches("Starting session: command")
            .count()
    }

    /// A line of `known_hosts` for this server with a different key.
    pub fn wrong_known_hosts(&self) -> String {
        self.make_other_key();
        self.known_hosts_with(&self.read("other.pub"))
    }

    /// A private key that no server accepts.
    pub fn unknown_key(&self) -> String {
        self.make_other_key();
        self.read("other")
    }

    /// Writes `ssh` and `known_hosts` like a mounted Secret: readable by every user.
    pub fn write_secret(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("a directory");
        for (name, content) in [
            ("ssh", self.user_key()),
            ("known_hosts", self.known_hosts()),
        ] {
            let path = dir.join(name);
            fs::write(&path, content).expect("a file");
            let readable = fs::Permissions::from_mode(0o444);
            fs::set_permissions(&path, readable).expect("a mode");
        }
    }

    /// Its log since the last start.
    pub fn log(&self) -> String {
        self.read("log")
    }

    /// Stops listening; open connections continue.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ = child.kill();
            child.wait().expect("sshd ends");
        }
    }

    /// Closes every open connection.
    pub fn cut(&self) {
        if let Some(child) = &self.child {
            // There may be no connection.
            let _ = Command::new("pkill")
                .args(["-KILL", "-P"])
                .arg(child.id().to_string())
                .status();
        }
    }

    /// Closes every connection, and restarts on the same port with the same keys.
    pub fn start_again(&mut self) {
        self.cut();
        self.stop();
        self.run();
    }

    fn run(&mut self) {
        let mut config = format!(
            "ListenAddress {}\nPort {}\nAuthorizedKeysFile {}\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nPidFile none\nStrictModes no\nUsePAM no\n\
             MaxStartups 200\n",
            self.address().ip(),
            self.address().port(),
            self.path("authorized_keys").display(),
        );
        for kind in &self.host_keys {
            let key = self.path(&format!("host-{kind}"));
            config.push_str(&format!("HostKey {}\n", key.display()));
        }
        config.push_str(&self.options);
        config.push('\n');
        if self.takes_protocol {
            config.push_str("AcceptEnv GIT_PROTOCOL\n");
        }
        let path = self.path("sshd_config");
        fs::write(&path, config).expect("a file");
        let log = File::create(self.path("log")).expect("a file");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&path)
            .stderr(log)
            .spawn()
            .expect("sshd: apt-get install openssh-server");
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            let log = self.read("log");
            assert!(
                started.elapsed() < START_TIMEOUT,
                "sshd does not listen: {log}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn known_hosts_with(&self, public: &str) -> String {
        let key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
        format!(
            "[{}]:{} {key}\n",
            self.address().ip(),
            self.address().port()
        )
    }

    fn make_other_key(&self) {
        if !self.path("other").exists() {
            self.make_key("other", "ed25519", "");
        }
    }

    fn make_key(&self, name: &str, kind: &str, passphrase: &str) {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"])
            .arg(self.path(name))
            .status()
            .expect("ssh-keygen: apt-get install openssh-client");
        assert!(made.success(), "ssh-keygen: {made}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file of this server")
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn user_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id");
    assert!(output.status.success(), "the present user has no name");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
