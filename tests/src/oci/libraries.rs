//! Detection of the shared libraries of a program.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

/// The libraries of a program, including its loader, by the paths where the loader looks for them;
/// none for a static program or a file that is not ELF, such as a script.
pub(crate) fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("run ldd")?;
    parse(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("the libraries of {}", program.display()))
}

fn parse(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in ldd.lines().map(str::trim) {
        if line.contains("not found") {
            bail!("{line}");
        }
        // `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x…)`, or the loader's `/lib64/ld… (0x…)`;
        // the kernel's linux-vdso has no path.
        let path = line
            .split(" => ")
            .last()
            .and_then(|rest| rest.split(" (").next());
        if let Some(path) = path.filter(|path| path.starts_with('/') && line.contains(" (0x")) {
            libraries.push(PathBuf::from(path));
        }
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    const SAMPLE: &str = "\tlinux-vdso.so.1 (0x00007ffd5d5f2000)
\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f2f1c9d0000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f2f1cd5b000)
";

    #[test]
    fn libraries_are_the_paths_that_ldd_prints() {
        let found = parse(SAMPLE).expect("a good sample");
        let expected = [
            "/lib/x86_64-linux-gnu/libz.so.1",
            "/lib64/ld-linux-x86-64.so.2",
        ]
        .map(Path::new);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_static_program_has_no_libraries() {
        assert!(
            parse("\tstatically linked\n")
                .expect("a good sample")
                .is_empty()
        );
        assert!(
            parse("\tnot a dynamic executable\n")
                .expect("a good sample")
                .is_empty()
        );
    }

    #[test]
    fn a_missing_library_is_named_in_the_error() {
        let error = parse("\tlibx.so.1 => not found\n").expect_err("it is missing");
        assert!(error.to_string().contains("libx.so.1"), "{error}");
    }
}
