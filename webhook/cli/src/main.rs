//! The program `gitvolume`, the command line. All code is in the library.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // kube's client uses the default TLS provider of the process.
    if webhook::install_crypto_provider().is_err() {
        eprintln!("error: another TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    cli::run::main(std::env::args_os())
}
