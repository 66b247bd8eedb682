//! Publishes each revision of a git repository; the program is in the library.

fn main() -> std::process::ExitCode {
    syncer::main()
}
