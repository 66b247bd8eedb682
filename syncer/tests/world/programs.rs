//! Executable files that tests make.
//!
//! A child process writes them: a descriptor of this process that is open for writing would be
//! inherited by whatever another test's thread starts at that moment, and the kernel refuses to
//! run a file that any process has open for writing (ETXTBSY, execve(2)).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The real program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_gitvolume-syncer");

/// Writes an executable file with this content.
#[track_caller]
pub(crate) fn write_program(path: &Path, content: &str) {
    let mut child = Command::new("sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("run sh");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(content.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{}", path.display());
}

/// Writes an executable shell script.
#[track_caller]
pub(crate) fn write_script(path: &Path, body: &str) {
    write_program(path, &format!("#!/bin/sh\n{body}\n"));
}

/// Copies the syncer, for tests where it may be below a directory that only root can enter.
#[track_caller]
pub(crate) fn copy_syncer(to: &Path) {
    let copied = Command::new("cp").arg(PROGRAM).arg(to).status();
    assert!(copied.expect("run cp").success(), "{}", to.display());
}
