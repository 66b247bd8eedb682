//! Writes the notices of everything that is linked into a program: authors and licences as text,
//! and a bill of materials as JSON.

use std::fs;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use tests::oci::licenses;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).context("usage: licenses OUTDIR")?;
    let dir = Path::new(&dir);
    fs::create_dir_all(dir)?;
    for (package, program) in licenses::PROGRAMS {
        let text = dir.join(format!("{program}.licenses.txt"));
        fs::write(&text, licenses::third_party(package)?)?;
        let bill = licenses::bill_of_materials(package, program)?;
        let file = dir.join(format!("{program}.cdx.json"));
        fs::write(&file, serde_json::to_string_pretty(&bill)? + "\n")?;
        let crates = bill["components"].as_array().map_or(0, Vec::len);
        println!("{} {} ({crates} crates)", text.display(), file.display());
    }
    Ok(())
}
