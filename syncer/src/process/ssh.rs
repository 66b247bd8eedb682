//! ssh, as git starts it for a fetch: over the connection of the poller if there is one, else with
//! the ssh program.

use std::io;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::process::ExitCode;

use args::SshArgs;

use crate::config::Environment;
use crate::poll::loan;
use crate::poll::loan::SshRequest;
use crate::system::streams;

/// Runs git's command on the server.
pub(crate) fn run(args: &SshArgs) -> ExitCode {
    match over_poller(args) {
        Ok(code) => code,
        // Whatever is wrong with the poller's connection, ssh works or says why not.
        Err(_) => {
            let error = Command::new("sh")
                .args(["-c", "eval \"$GITVOLUME_SSH_COMMAND\" '\"$@\"'", "ssh"])
                .args(&args.args)
                .exec();
            eprintln!("gitvolume-syncer: cannot run ssh: {error}");
            ExitCode::from(u8::MAX)
        }
    }
}

/// Has the syncer connect the standard streams. On an error nothing was read or written.
fn over_poller(args: &SshArgs) -> io::Result<ExitCode> {
    let socket = Environment::variable(loan::SOCKET).ok_or(io::ErrorKind::NotFound)?;
    let mut stream = UnixStream::connect(socket)?;
    let command = args.args.last().ok_or(io::ErrorKind::InvalidInput)?;
    let protocol = Environment::variable("GIT_PROTOCOL").unwrap_or_default();
    let request = SshRequest {
        command: command.clone(),
        protocol: protocol.to_string_lossy().into_owned(),
    };
    let (input, output, errors) = (io::stdin(), io::stdout(), io::stderr());
    let files = [input.as_fd(), output.as_fd(), errors.as_fd()];
    streams::send(&stream, &serde_json::to_vec(&request)?, files)?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    // From here on the server's bytes are git's, so ssh must not run any more.
    match stream.read_exact(&mut byte) {
        Ok(()) => Ok(ExitCode::from(byte[0])),
        Err(_) => {
            eprintln!("gitvolume-syncer: the ssh connection failed");
            Ok(ExitCode::from(u8::MAX))
        }
    }
}
