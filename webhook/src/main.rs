//! The program `gitvolume`: a door. Everything behind it is in the library.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Where the system gives huge pages to all who do not say no, each takes 2 MB for what needs a few
    // kilobytes. Where it cannot be said, they are taken.
    let _ = nix::sys::prctl::set_thp_disable(true);
    // Ring in every place that asks for "the" provider, kube's client included.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("gitvolume: another TLS provider was installed first");
        return ExitCode::FAILURE;
    }
    webhook::args::Cli::from_argv(std::env::args_os()).run()
}
