//! Writes the product's two images into a directory as OCI archives.

use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use tests::oci::image::Compression;
use tests::oci::images;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).context("usage: images OUTDIR")?;
    for image in [images::webhook()?, images::syncer()?] {
        let file = image.write_compressed_to(Path::new(&dir), Compression::Gzip)?;
        let [stored, unpacked] =
            [file.stored_bytes, file.unpacked_bytes].map(|bytes| bytes as f64 / 1e6);
        println!(
            "{} {} {} {stored:.1} MB, {unpacked:.1} MB unpacked",
            file.path.display(),
            file.name,
            file.digest
        );
    }
    Ok(())
}
