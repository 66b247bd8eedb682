//! The source of the serving certificate, and the task that keeps it current.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use args::GitDuration;
use certs::Bundle;
use certs::Cluster;
use certs::Directory;
use certs::IssuedCertificate;
use certs::Lifetimes;
use certs::Names;
use certs::Serving;
use certs::SharedSecret;
use certs::keep_files;
use certs::keep_in_cluster;
use certs::keep_in_memory;
use certs::keep_issued;
use clap::Args;
use clap::ValueEnum;

/// Where the serving certificate comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Tls {
    /// A CA in a Secret that all replicas share; the webhook writes it into its configuration's caBundle
    Cluster,
    /// tls.crt and tls.key in a directory; another tool, such as cert-manager, writes them and the caBundle
    Files,
    /// A CA that only this process uses, for tests
    InMemory,
}

/// Flags of `serve` about certificates.
#[derive(Args, Clone, Debug)]
pub struct TlsArgs {
    /// The source of the serving certificate
    #[arg(long, env = "GITVOLUME_TLS", value_enum, default_value = "cluster")]
    pub tls: Tls,

    /// With --tls=files: the directory with tls.crt and tls.key, such as a mounted Secret; checked for
    /// changes every 10 seconds
    #[arg(
        long,
        env = "GITVOLUME_TLS_DIR",
        required_if_eq("tls", "files"),
        value_name = "DIR"
    )]
    pub tls_dir: Option<PathBuf>,

    /// An additional DNS name or IP address for the serving certificate; may be repeated
    #[arg(
        long,
        env = "GITVOLUME_TLS_NAME",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub tls_name: Vec<TlsName>,

    /// With --tls=in-memory: the file to write the CA certificate to
    #[arg(long, env = "GITVOLUME_CA_OUT", value_name = "FILE")]
    pub ca_out: Option<PathBuf>,

    /// The webhook's Service; the serving certificate is issued for its DNS name
    #[arg(
        long,
        env = "GITVOLUME_SERVICE",
        default_value = "gitvolume",
        value_name = "NAME"
    )]
    pub service: String,

    /// With --tls=cluster: the Secret that holds the CA; it must exist and may be empty
    #[arg(
        long,
        env = "GITVOLUME_SECRET_NAME",
        default_value = "gitvolume-ca",
        value_name = "NAME"
    )]
    pub secret_name: String,

    /// The webhook's MutatingWebhookConfiguration: with --tls=cluster the webhook writes its caBundle,
    /// with --watch-objects the webhook reads the namespaces of auto-injection from it
    #[arg(
        long,
        env = "GITVOLUME_WEBHOOK_CONFIGURATION",
        default_value = "gitvolume",
        value_name = "NAME"
    )]
    pub webhook_configuration: String,

    /// With --tls=cluster: the Service of the pull-through cache; the webhook issues the cache's
    /// certificate into the Secrets NAME-ca and NAME-tls, which must exist and may be empty
    #[arg(long, env = "GITVOLUME_CACHE", value_name = "NAME")]
    pub cache: Option<String>,

    /// With --cache: the domain of the cluster, for the cache's certificate
    #[arg(
        long,
        env = "GITVOLUME_CLUSTER_DOMAIN",
        default_value = "cluster.local",
        value_name = "DOMAIN"
    )]
    pub cluster_domain: String,

    /// With --tls=cluster: the validity period of a CA; the webhook generates the next CA when a third
    /// of it is left
    #[arg(
        long,
        env = "GITVOLUME_CA_LIFETIME",
        default_value = "8760h",
        value_name = "DURATION"
    )]
    pub ca_lifetime: GitDuration,

    /// With --tls=cluster: the validity period of a serving certificate; the webhook signs the next one
    /// when a third of it is left
    #[arg(
        long,
        env = "GITVOLUME_CERT_LIFETIME",
        default_value = "168h",
        value_name = "DURATION"
    )]
    pub cert_lifetime: GitDuration,

    /// With --tls=cluster: how long it may take until every API server has read a changed caBundle; a
    /// new CA signs nothing before
    #[arg(
        long,
        env = "GITVOLUME_CA_PROPAGATION",
        default_value = "60s",
        value_name = "DURATION"
    )]
    pub ca_propagation: GitDuration,
}

/// A name in a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsName {
    /// A DNS name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl std::str::FromStr for TlsName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Dns(text.to_owned()),
        })
    }
}

/// The task that keeps the certificate current; never returns.
pub type Keeping = Pin<Box<dyn Future<Output = Infallible> + Send>>;

impl TlsArgs {
    /// Whether a Kubernetes client is required.
    pub fn needs_cluster(&self) -> bool {
        self.tls == Tls::Cluster
    }

    /// The task that keeps the certificate current; with a CA in memory the first one is already
    /// set. The client is required if [`needs_cluster`](Self::needs_cluster) is true.
    pub fn keep(
        self,
        namespace: Option<&str>,
        client: Option<kube::Client>,
        serving: Arc<Serving>,
    ) -> anyhow::Result<Keeping> {
        if self.ca_out.is_some() && self.tls != Tls::InMemory {
            bail!(
                "--ca-out is only for --tls=in-memory; with --tls=cluster the CA is in the Secret, with --tls=files the webhook has no CA"
            );
        }
        if self.cache.is_some() && self.tls != Tls::Cluster {
            bail!(
                "--cache is only for --tls=cluster; otherwise another tool issues the certificate of the cache"
            );
        }
        let lifetimes = self.lifetimes()?;
        // Destructured without `..`: an unused flag is a compile error.
        let Self {
            tls,
            tls_dir,
            tls_name,
            ca_out,
            service,
            secret_name,
            webhook_configuration,
            cache,
            cluster_domain,
            ca_lifetime: _,
            cert_lifetime: _,
            ca_propagation: _,
        } = self;
        match tls {
            Tls::InMemory => {
                let names = with(Names::local(), tls_name);
                let bundle = Bundle::generate(SystemTime::now())?;
                if let Some(path) = ca_out {
                    write(&path, bundle.pem())
                        .with_context(|| format!("cannot write --ca-out {}", path.display()))?;
                }
                Ok(Box::pin(keep_in_memory(serving, bundle, names)?))
            }
            Tls::Files => {
                let directory = tls_dir.context("--tls-dir must be set with --tls=files")?;
                let names = namespace
                    .map_or_else(Names::none, |namespace| Names::service(&service, namespace));
                let directory = Directory::new(directory, with(names, tls_name));
                let keep = keep_files(serving, directory, certs::FILES_CHECK);
                Ok(Box::pin(keep))
            }
            Tls::Cluster => {
                let namespace = namespace.context("--namespace must be set with --tls=cluster")?;
                let names = with(Names::service(&service, namespace), tls_name);
                let client = client.context("no client for the cluster")?;
                let cluster = Cluster::new(
                    client.clone(),
                    namespace,
                    &secret_name,
                    &webhook_configuration,
                );
                let keep = keep_in_cluster(serving, cluster, names, lifetimes);
                let Some(cache) = cache else {
                    return Ok(Box::pin(keep));
                };
                let secret = |suffix| {
                    SharedSecret::new(client.clone(), namespace, &format!("{cache}-{suffix}"))
                };
                let domain = format!("{namespace}.svc.{cluster_domain}");
                let issued = keep_issued(IssuedCertificate {
                    ca: secret("ca"),
                    leaf: secret("tls"),
                    // Wake-ups go to each replica, by the name of the headless Service.
                    names: Names::service(&cache, namespace)
                        .and_dns(format!("{cache}.{domain}"))
                        .and_dns(format!("{cache}-replicas.{domain}")),
                });
                Ok(Box::pin(async {
                    let (never, _) = tokio::join!(keep, issued);
                    never
                }))
            }
        }
    }

    fn lifetimes(&self) -> anyhow::Result<Lifetimes> {
        let lifetimes = Lifetimes {
            ca: self.ca_lifetime.get(),
            leaf: self.cert_lifetime.get(),
            propagation: self.ca_propagation.get(),
        };
        ensure!(
            lifetimes.leaf >= LEAST_LEAF,
            "--cert-lifetime {}: expected 3s or more, because the times in certificates are whole seconds",
            self.cert_lifetime
        );
        ensure!(
            lifetimes.ca >= lifetimes.shortest_ca(),
            "--ca-lifetime {}: expected at least {}, three times --cert-lifetime and \
             --ca-propagation together, so that the next CA is trusted before this one ends",
            self.ca_lifetime,
            GitDuration::from(lifetimes.shortest_ca())
        );
        Ok(lifetimes)
    }
}

const LEAST_LEAF: Duration = Duration::from_secs(3);

fn with(names: Names, further: Vec<TlsName>) -> Names {
    further.into_iter().fold(names, |names, name| match name {
        TlsName::Dns(name) => names.and_dns(name),
        TlsName::Ip(ip) => names.and_ip(ip),
    })
}

/// Writes a file atomically, so that a process that waits for it never reads a part of it.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn lifetimes(args: &[&str]) -> Result<Lifetimes, String> {
        let cli = Cli::try_parse_from([&["serve"], args].concat()).map_err(|e| e.to_string())?;
        cli.tls.lifetimes().map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_lifetimes_are_those_of_the_library() {
        assert_eq!(lifetimes(&[]), Ok(Lifetimes::default()));
    }

    #[test]
    fn a_ca_lifetime_that_ends_before_the_next_ca_is_trusted_is_rejected() {
        assert!(lifetimes(&["--ca-lifetime=507h"]).is_ok());
        assert_eq!(
            lifetimes(&["--ca-lifetime=504h"]).unwrap_err(),
            "--ca-lifetime 504h: expected at least 504h3m, three times --cert-lifetime and \
             --ca-propagation together, so that the next CA is trusted before this one ends"
        );
        let error = lifetimes(&["--cert-lifetime=1s"]).unwrap_err();
        assert!(error.starts_with("--cert-lifetime 1s: expected"), "{error}");
    }
}
