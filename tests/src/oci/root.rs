//! Debian's files that an image is made of: this machine's, or those that
//! `tests/tools/debian-root.sh` has unpacked for an architecture.

use std::collections::BTreeMap;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use crate::settings;

/// A processor architecture that images are built for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Architecture {
    /// `x86_64`
    Amd64,
    /// `aarch64`
    Arm64,
}

impl Architecture {
    /// That of this machine.
    pub fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") {
            Self::Arm64
        } else {
            Self::Amd64
        }
    }

    /// Parses the name that OCI and Debian use.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "amd64" => Ok(Self::Amd64),
            "arm64" => Ok(Self::Arm64),
            _ => bail!("{name:?}: expected amd64 or arm64"),
        }
    }

    /// The name that OCI and Debian use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Debian's directory of its libraries, below `/usr/lib`.
    fn multiarch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }
}

/// A directory that contains a Debian system, or a part of one.
#[derive(Clone, Debug)]
pub struct Root {
    dir: PathBuf,
    architecture: Architecture,
}

impl Root {
    /// This machine's own files.
    pub fn of_this_machine() -> Self {
        Self {
            dir: PathBuf::from("/"),
            architecture: Architecture::of_this_machine(),
        }
    }

    /// The files that `tests/tools/debian-root.sh` has unpacked.
    pub fn of_packages(architecture: Architecture) -> Result<Self> {
        let name = architecture.name();
        let dir = settings::target().join("debian").join(name).join("root");
        let dir = dir
            .canonicalize()
            .with_context(|| format!("run tests/tools/debian-root.sh {name}"))?;
        Ok(Self::at_dir(dir, architecture))
    }

    /// A directory with files of an architecture.
    pub(crate) fn at_dir(dir: PathBuf, architecture: Architecture) -> Self {
        Self { dir, architecture }
    }

    /// The architecture of its programs.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Whether it is this machine's file system.
    pub fn is_this_machine(&self) -> bool {
        self.dir == Path::new("/")
    }

    /// Where a path of this root is on this machine; the last component may be a link.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let inside = path.as_ref().components().filter(|part| {
            let part = *part;
            !matches!(part, Component::RootDir | Component::Prefix(_))
        });
        self.dir.join(inside.collect::<PathBuf>())
    }

    /// The file that a path of this root leads to; absolute links are those of the root.
    pub fn file(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let mut path = path.as_ref().to_owned();
        while let Ok(target) = fs::read_link(self.at(&path)) {
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        let at = self.at(&path);
        let file = at
            .canonicalize()
            .with_context(|| format!("read {}", at.display()))?;
        // Such as by a directory that is an absolute link.
        if !file.starts_with(&self.dir) {
            bail!("{}: a link to {}", at.display(), file.display());
        }
        Ok(file)
    }

    /// Whether there is a file at this path.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.file(path).is_ok()
    }

    /// The path of a library.
    pub fn library(&self, name: impl AsRef<Path>) -> Option<PathBuf> {
        let multiarch = self.architecture.multiarch();
        [
            &format!("/lib/{multiarch}"),
            &format!("/usr/lib/{multiarch}"),
            "/lib",
            "/usr/lib",
            "/lib64",
            "/usr/local/lib",
        ]
        .into_iter()
        .map(|dir| Path::new(dir).join(&name))
        .find(|path| self.has(path))
    }

    /// The programs of a package.
    pub fn programs_of(&self, package: &str) -> Result<Vec<String>> {
        let files = self.files_of(package)?;
        let programs = files.into_iter().filter(|path| {
            ["/bin/", "/usr/bin/"]
                .iter()
                .any(|dir| path.starts_with(dir))
        });
        let programs: Vec<String> = programs.collect();
        if programs.is_empty() {
            bail!("dpkg knows no program of {package}");
        }
        Ok(programs)
    }

    /// The entries of dpkg's database, by the package's name.
    pub fn packages(&self) -> Result<BTreeMap<String, String>> {
        let at = self.at("/var/lib/dpkg/status");
        let status =
            fs::read_to_string(&at).with_context(|| format!("{}: not Debian", at.display()))?;
        let entries = status.split("\n\n").filter_map(|entry| {
            let name = entry
                .lines()
                .find_map(|line| line.strip_prefix("Package: "))?;
            Some((name.to_owned(), format!("{}\n", entry.trim())))
        });
        Ok(entries.collect())
    }

    /// The paths of a package's files.
    pub fn files_of(&self, package: &str) -> Result<Vec<String>> {
        let info = Path::new("/var/lib/dpkg/info");
        let names = [
            format!("{package}.list"),
            format!("{package}:{}.list", self.architecture.name()),
        ];
        let list = names
            .iter()
            .map(|name| info.join(name))
            .find(|list| self.has(list))
            .with_context(|| format!("dpkg has no list of the files of {package}"))?;
        let list = fs::read_to_string(self.at(list))?;
        Ok(list.lines().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::Architecture;
    use super::Root;

    #[test]
    fn links_lead_to_files_of_the_root_and_never_to_those_of_this_machine() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().canonicalize().expect("a path");
        fs::create_dir_all(at.join("usr/lib")).expect("a folder");
        fs::write(at.join("usr/lib/real"), "").expect("a file");
        for (link, target) in [
            ("relative", "usr/lib/real"),
            ("absolute", "/usr/lib/real"),
            ("two", "/relative"),
            ("directory", "/etc"),
            ("missing", "/etc/passwd"),
        ] {
            symlink(target, at.join(link)).expect("a link");
        }
        let root = Root::at_dir(at.clone(), Architecture::Arm64);
        for link in ["/relative", "absolute", "/two"] {
            let file = root.file(link).expect("a file of the root");
            assert_eq!(file, at.join("usr/lib/real"), "{link}");
        }
        for link in ["/directory/passwd", "/missing"] {
            assert!(root.file(link).is_err(), "{link}");
            assert!(!root.has(link), "{link}");
        }
    }

    #[test]
    fn dpkgs_database_is_read_from_the_root() {
        let dir = tempfile::tempdir().expect("a folder");
        let dpkg = dir.path().join("var/lib/dpkg");
        fs::create_dir_all(dpkg.join("info")).expect("a folder");
        let status = "Package: git\nVersion: 1\n\nPackage: libc6\nVersion: 2\n\n";
        fs::write(dpkg.join("status"), status).expect("a file");
        let files = "/.\n/usr\n/usr/bin/git\n/bin/gitk\n/usr/share/doc/git\n";
        fs::write(dpkg.join("info/git.list"), files).expect("a file");
        fs::write(dpkg.join("info/libc6:arm64.list"), "/lib/x\n").expect("a file");
        let root = Root::at_dir(dir.path().to_owned(), Architecture::Arm64);
        let packages = root.packages().expect("packages");
        let names: Vec<_> = packages.keys().map(String::as_str).collect();
        assert_eq!(names, ["git", "libc6"]);
        assert_eq!(packages["libc6"], "Package: libc6\nVersion: 2\n");
        let programs = root.programs_of("git").expect("programs");
        assert_eq!(programs, ["/usr/bin/git", "/bin/gitk"]);
        assert!(root.programs_of("libc6").is_err());
        assert!(root.programs_of("curl").is_err());
    }
}
