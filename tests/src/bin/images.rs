//! Writes the product's two images into a directory as OCI archives, each an index of the
//! architectures, and checks their sizes.

use std::path::Path;

use anyhow::Result;
use anyhow::bail;
use tests::oci::image::Image;
use tests::oci::images;
use tests::oci::root::Architecture;

/// Most bytes of all layers that a node pulls: of the webhook's image, and of the syncer's.
const LIMITS: [usize; 2] = [5_000_000, 16_000_000];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, architectures @ ..] = &args[..] else {
        bail!("usage: images OUTDIR ARCHITECTURE…");
    };
    let (mut webhooks, mut syncers): (Vec<Image>, Vec<Image>) = (Vec::new(), Vec::new());
    for name in architectures {
        let [webhook, syncer] = images::for_release(Architecture::parse(name)?)?;
        webhooks.push(webhook);
        syncers.push(syncer);
    }
    let mut too_large = Vec::new();
    for (images, limit) in [webhooks, syncers].iter().zip(LIMITS) {
        let file = Image::write_index(images, Path::new(dir))?;
        println!("{} {} {}", file.path.display(), file.name, file.digest);
        for size in &file.sizes {
            let stored = size.stored_bytes.iter().sum();
            let layers: Vec<String> = size.stored_bytes.iter().map(|bytes| mega(*bytes)).collect();
            println!(
                "  linux/{}: {} MB (layers {}), {} MB unpacked",
                size.architecture,
                mega(stored),
                layers.join(" + "),
                mega(size.unpacked_bytes)
            );
            if stored > limit {
                too_large.push(format!(
                    "{} linux/{}: {stored} bytes: expected at most {limit}",
                    file.name, size.architecture
                ));
            }
        }
    }
    if !too_large.is_empty() {
        bail!("{}", too_large.join("\n"));
    }
    Ok(())
}

fn mega(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
