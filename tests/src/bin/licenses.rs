//! Writes whose work is in a program, and its licences, into a file.

use std::fs;

use anyhow::Context;
use anyhow::Result;

fn main() -> Result<()> {
    let usage = "usage: licenses PACKAGE FILE";
    let mut args = std::env::args().skip(1);
    let package = args.next().context(usage)?;
    let file = args.next().context(usage)?;
    fs::write(&file, tests::licenses::third_party(&package)?).context(file)
}
