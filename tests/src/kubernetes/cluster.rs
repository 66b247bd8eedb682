//! The cluster that the tests of one program share: a node that we start, an existing cluster, or
//! only an API server.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use tempfile::TempDir;

use crate::kubernetes::control_plane::ControlPlane;
use crate::kubernetes::control_plane::Options;
use crate::kubernetes::control_plane::Version;
use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::node::Node;
use crate::oci::image::Image;
use crate::oci::image::ImageFile;
use crate::settings;

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Node(Box<Node>),
    Outside(Kubectl, TempDir),
    // The directory is dropped last, after the programs have ended.
    ApiServer(Box<ControlPlane>, TempDir),
}

impl Cluster {
    /// Starts a node, or uses the cluster of `KUBECONFIG`, and loads the images.
    pub(crate) fn for_pods(images: &[fn() -> Result<Image>]) -> Result<Self> {
        if let Some(kubeconfig) = settings::kubeconfig() {
            let kubectl = Kubectl::new(&kubeconfig, false);
            let cluster = Self {
                kind: Kind::Outside(kubectl, tempfile::tempdir()?),
            };
            for image in images {
                cluster.load(&image()?.write_to(cluster.folder())?)?;
            }
            return Ok(cluster);
        }
        let dir = settings::enclosure().context("a node starts only inside its enclosure")?;
        let started = Instant::now();
        // Building the images takes as long as starting the node, so both run in parallel.
        let made: thread::JoinHandle<Result<Vec<ImageFile>>> = {
            let (images, dir) = (images.to_vec(), dir.join("images"));
            thread::spawn(move || images.iter().map(|image| image()?.write_to(&dir)).collect())
        };
        let node = Node::start(&dir)?;
        let ready = started.elapsed();
        for image in made
            .join()
            .map_err(|_| anyhow!("making an image panicked"))??
        {
            node.load(&image)?;
        }
        eprintln!(
            "node Ready after {ready:.1?}, its images there after {:.1?}",
            started.elapsed()
        );
        Ok(Self {
            kind: Kind::Node(Box::new(node)),
        })
    }

    /// Starts etcd and an API server; no Pod can run.
    pub(crate) fn without_a_node(version: Version) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("gitvolume-apiserver-")
            .tempdir()?;
        let options = Options {
            version,
            audit: true,
            ..Options::default()
        };
        let plane = ControlPlane::start(dir.path(), &options)?;
        Ok(Self {
            kind: Kind::ApiServer(Box::new(plane), dir),
        })
    }

    /// kubectl as cluster administrator.
    pub fn kubectl(&self) -> &Kubectl {
        match &self.kind {
            Kind::Node(node) => node.kubectl(),
            Kind::Outside(kubectl, _) => kubectl,
            Kind::ApiServer(plane, _) => plane.kubectl(),
        }
    }

    /// The node, if we started it; then the test can reach Pod and Service addresses directly.
    pub fn node(&self) -> Option<&Node> {
        match &self.kind {
            Kind::Node(node) => Some(node),
            Kind::Outside(..) | Kind::ApiServer(..) => None,
        }
    }

    /// The control plane, if we started it.
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        match &self.kind {
            Kind::Node(node) => Some(node.control_plane()),
            Kind::ApiServer(plane, _) => Some(plane),
            Kind::Outside(..) => None,
        }
    }

    /// A directory for files of the test program; it is removed with the cluster.
    pub fn folder(&self) -> &Path {
        match &self.kind {
            Kind::Node(node) => node.dir(),
            Kind::Outside(_, dir) | Kind::ApiServer(_, dir) => dir.path(),
        }
    }

    /// Loads an image, so that Pods can use it.
    pub fn load(&self, image: &ImageFile) -> Result<()> {
        match &self.kind {
            Kind::Node(node) => node.load(image),
            Kind::Outside(..) => load_outside(image),
            Kind::ApiServer(..) => bail!("no Pod ever runs on an API server alone"),
        }
    }
}

fn load_outside(image: &ImageFile) -> Result<()> {
    let command = settings::image_load().context(
        "KUBECONFIG is set, so the images must be loaded into that cluster: set GITVOLUME_IMAGE_LOAD \
         to the command that loads an image archive, e.g. 'kind load image-archive'",
    )?;
    let status = Command::new("sh")
        .args(["-c", &format!(r#"{command} "$1""#), "load"])
        .arg(&image.path)
        .status()
        .context("run sh")?;
    if !status.success() {
        bail!("{command} {} ended with {status}", image.path.display());
    }
    Ok(())
}
