//! Writes the product's two images into a directory as OCI archives.

use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use tests::oci::images;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).context("usage: images OUTDIR")?;
    for image in [images::webhook()?, images::syncer()?] {
        let file = image.write_to(Path::new(&dir))?;
        let megabytes = file.layer_bytes as f64 / 1e6;
        println!(
            "{} {} {} {megabytes:.1} MB",
            file.path.display(),
            file.name,
            file.digest
        );
    }
    Ok(())
}
