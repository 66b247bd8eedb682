//! A look at a cluster, as kubectl has it: by a kubeconfig, with the rights of whoever looks. Nothing
//! is ever written.

pub mod installed;
pub mod kinds;
pub mod known;
pub mod labels;
pub mod settings;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::readiness::Readiness;

/// Objects in one answer: a page is in memory as a whole.
const PAGE: usize = 250;

/// How long the API server may say nothing. It waits up to 30 s for a webhook.
const SILENCE: Duration = Duration::from_secs(40);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A list of metadata alone (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>).
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Which cluster, as kubectl is told.
#[derive(Args, Clone, Debug, Default)]
pub struct ConnectArgs {
    /// The kubeconfig; by default what KUBECONFIG names, ~/.kube/config, or the cluster we run in
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// A cluster to look at.
#[derive(Clone)]
pub struct Live {
    client: Client,
}

/// Why something could not be looked at.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unseen {
    /// There is no such object, or no such kind of objects.
    #[error("{0}")]
    Absent(String),
    /// Whoever looks may not.
    #[error("{0}")]
    Forbidden(String),
    /// The API server answered with another error, or not at all; with the HTTP status, if any.
    #[error("{message}")]
    Failed {
        /// The HTTP status; 0 where there was no answer.
        code: u16,
        /// What was said.
        message: String,
    },
}

/// Metadata, or whole objects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Names, labels, annotations and owners.
    Metadata,
    /// Everything.
    Whole,
}

impl Live {
    /// Reads the kubeconfig and makes sure that the API server answers.
    pub async fn connect(args: &ConnectArgs) -> anyhow::Result<Self> {
        let mut config = config(args).await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        // An answer such as 503 is what is looked for, and no reason to ask again.
        config.default_retry = false;
        let client =
            Client::try_from(config).map_err(|error| anyhow!("no access to a cluster: {error}"))?;
        let live = Self { client };
        match live.get("/version").await {
            // Who may not see the version may see other things.
            Ok(_) | Err(Unseen::Forbidden(_)) => Ok(live),
            Err(error) => Err(anyhow!("no access to a cluster: {error}")),
        }
    }

    /// The namespace of the context.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Gets one object by its path.
    pub async fn get(&self, path: &str) -> Result<Value, Unseen> {
        json(&self.text(path).await?)
    }

    /// Gets a text, such as what a Pod answers through the API server.
    pub async fn text(&self, path: &str) -> Result<String, Unseen> {
        self.send(http::Request::get(path).body(Vec::new())).await
    }

    /// Lists page by page; `query` is a further query such as `labelSelector=…`, already encoded. In
    /// a list the objects do not say their kind.
    pub async fn list(
        &self,
        path: &str,
        query: &str,
        part: Part,
        mut each: impl FnMut(Value),
    ) -> Result<(), Unseen> {
        let mut token = String::new();
        loop {
            let mut uri = format!("{path}?limit={PAGE}");
            for more in [query, &token] {
                if !more.is_empty() {
                    uri = format!("{uri}&{more}");
                }
            }
            let request = http::Request::get(uri);
            let request = match part {
                Part::Metadata => request.header(http::header::ACCEPT, METADATA),
                Part::Whole => request,
            };
            let mut page = json(&self.send(request.body(Vec::new())).await?)?;
            if let Some(items) = page["items"].as_array_mut() {
                items.drain(..).for_each(&mut each);
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => {
                    token = format!("continue={}", encoded(next));
                }
                _ => return Ok(()),
            }
        }
    }

    /// Asks what would become of a Pod; nothing is made (`dryRun=All`).
    pub async fn try_pod(&self, namespace: &str, pod: &Value) -> Result<Value, Unseen> {
        let uri = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        let request = http::Request::post(uri)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(pod.to_string().into_bytes());
        json(&self.send(request).await?)
    }

    /// Asks one of our own programs, through the API server, for what it says of itself. Any status is
    /// an answer that has such a body.
    pub async fn readiness(&self, path: &str) -> Result<Readiness, Unseen> {
        let failed = |code: u16, message: String| Unseen::Failed { code, message };
        let request = http::Request::get(path).body(Body::empty());
        let request = request.map_err(|error| failed(0, error.to_string()))?;
        let answer = self.client.send(request).await;
        let (head, body) = answer
            .map_err(|error| failed(0, error.to_string()))?
            .into_parts();
        let body = body.collect().await;
        let body = body.map_err(|error| failed(0, error.to_string()))?;
        let body = body.to_bytes();
        let read: Option<Value> = serde_json::from_slice(&body).ok();
        // The API server's own refusals are JSON too.
        let is_readiness = |read: &Value| read.get("ready").is_some();
        if let Some(read) = read.clone().filter(is_readiness) {
            let read = serde_json::from_value(read);
            return read.map_err(|error| failed(0, format!("its answer cannot be read: {error}")));
        }
        let said = read.and_then(|read| Some(read["message"].as_str()?.to_owned()));
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
        Err(match head.status.as_u16() {
            401 | 403 => Unseen::Forbidden(said),
            404 => Unseen::Absent(said),
            code => failed(code, said),
        })
    }

    async fn send(
        &self,
        request: Result<http::Request<Vec<u8>>, http::Error>,
    ) -> Result<String, Unseen> {
        let failed = |message: String| Unseen::Failed { code: 0, message };
        let request = request.map_err(|error| failed(error.to_string()))?;
        let answer = self.client.request_text(request).await;
        answer.map_err(|error| match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Unseen::Forbidden(status.message.clone()),
                404 => Unseen::Absent(status.message.clone()),
                code => Unseen::Failed {
                    code,
                    message: status.message.clone(),
                },
            },
            error => failed(error.to_string()),
        })
    }
}

/// A text as a part of a query.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn json(text: &str) -> Result<Value, Unseen> {
    serde_json::from_str(text).map_err(|error| Unseen::Failed {
        code: 0,
        message: format!("the API server's answer is no JSON: {error}"),
    })
}

async fn config(args: &ConnectArgs) -> anyhow::Result<Config> {
    let ConnectArgs {
        kubeconfig,
        context,
    } = args;
    let options = KubeConfigOptions {
        context: context.clone(),
        ..KubeConfigOptions::default()
    };
    // The texts alone: kube's errors repeat their causes in them.
    let config = match (kubeconfig, context) {
        (Some(path), _) => {
            let read = Kubeconfig::read_from(path).map_err(|error| {
                anyhow!("--kubeconfig {}: cannot be read: {error}", path.display())
            })?;
            let config = Config::from_custom_kubeconfig(read, &options).await;
            config.map_err(|error| error.to_string())
        }
        (None, Some(_)) => {
            let config = Config::from_kubeconfig(&options).await;
            config.map_err(|error| error.to_string())
        }
        (None, None) => Config::infer().await.map_err(|error| error.to_string()),
    };
    config.map_err(|error| anyhow!("no access to a cluster: {error}"))
}
