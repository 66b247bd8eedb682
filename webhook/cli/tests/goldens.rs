//! Every golden case of the crate `inject` through the command line: it uses the same engine as the
//! server, and adds nothing to a Pod's patch and drops nothing of it.

#[path = "../../tests/goldens/case.rs"]
mod case;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use anyhow::Context;
use anyhow::ensure;

use self::case::Case;
use self::case::groups;
use self::case::yaml;

/// The directory of the cases, relative to this crate.
const TESTDATA: &str = "../inject/testdata";

/// Runs `gitvolume inject` on a file or a directory.
fn inject(path: &Path, settings: &Path, flags: &[&str]) -> anyhow::Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_gitvolume"))
        .env_clear()
        .arg("inject")
        .arg("-f")
        .arg(path)
        .arg("--config")
        .arg(settings)
        .args(flags)
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// The output for a case; `None` if the case is denied.
fn written(case: &Case, settings: &Path) -> anyhow::Result<Option<String>> {
    let output = inject(&case.dir.join("pod.yaml"), settings, &[])?;
    let stderr = String::from_utf8(output.stderr)?;
    for warning in case.warnings()? {
        ensure!(stderr.contains(&warning), "{warning:?} is not in {stderr}");
    }
    let out = String::from_utf8(output.stdout)?;
    if let Some(message) = case.golden("message.txt")? {
        ensure!(output.status.code() == Some(2) && out.is_empty());
        // Each mistake is on its own line there.
        let mut stderr: Vec<&str> = stderr.lines().collect();
        stderr.retain(|line| {
            let sentence = line.split_once("): ").map_or("", |(_, sentence)| sentence);
            !sentence.is_empty() && message.contains(sentence)
        });
        ensure!(!stderr.is_empty(), "nothing of {message:?} is told");
        return Ok(None);
    }
    ensure!(output.status.code() == Some(0), "{stderr}");
    let (after, found) = (case.patched()?, yaml(&out)?);
    ensure!(found == after, "{found:#}");
    if after == case.pod {
        ensure!(Some(&out) == case.golden("pod.yaml")?.as_ref(), "touched");
    }
    Ok(Some(out))
}

#[test]
fn the_command_line_writes_every_case_as_in_its_goldens() -> anyhow::Result<()> {
    for (settings, cases) in groups(TESTDATA)? {
        let dir = tempfile::tempdir()?;
        let all = dir.path().join("all");
        fs::create_dir(&all)?;
        let file = dir.path().join("settings.yaml");
        fs::write(&file, settings)?;
        let mut files = Vec::new();
        for case in cases {
            let text = written(&case, &file).with_context(|| case.name.clone())?;
            if let Some(text) = text {
                let file = all.join(case.name.replace('/', "-") + ".yaml");
                fs::write(&file, &text)?;
                files.push((case.name, file, text));
            }
        }
        if files.is_empty() {
            continue;
        }
        // A second run on all files at once: nothing to do, and no byte changes.
        let checked = inject(&all, &file, &["--check"])?;
        let stderr = String::from_utf8(checked.stderr)?;
        ensure!(checked.status.code() == Some(0), "{stderr}");
        inject(&all, &file, &["--in-place"])?;
        for (name, file, text) in files {
            ensure!(fs::read_to_string(file)? == text, "{name} changed");
        }
    }
    Ok(())
}
