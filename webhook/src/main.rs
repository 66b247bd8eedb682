//! The program `gitvolume-webhook`, the server. All code is in the library.

use std::process::ExitCode;

use clap::Parser;
use webhook::args::ServeArgs;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Where transparent huge pages are on by default, they use 2 MB for allocations of a few
    // kilobytes.
    let _ = nix::sys::prctl::set_thp_disable(true);
    if webhook::install_crypto_provider().is_err() {
        eprintln!("gitvolume-webhook: another TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    webhook::serve::run(ServeArgs::parse()).map_or_else(
        |error| {
            eprintln!("gitvolume-webhook: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
