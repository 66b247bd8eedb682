//! The target as a program that reads one input, for AFL and similar fuzzers; see `replay.rs`.

use std::io;
use std::io::Read;

mod target;

fn main() -> io::Result<()> {
    let mut data = Vec::new();
    io::stdin().lock().read_to_end(&mut data)?;
    target::fuzz(&data);
    Ok(())
}
