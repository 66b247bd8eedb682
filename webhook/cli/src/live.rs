//! Read-only access to a cluster, as with kubectl: by a kubeconfig and with the user's permissions.

mod exec;
pub mod installed;
pub mod kinds;
pub mod known;
pub mod labels;
pub mod named;
pub mod settings;

use k8s_openapi::api::core::v1 as core;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::Resource;
use kube::api::ListParams;
use kube::api::PostParams;
use kube::api::Request;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use kube::core::request;
use serde_json::Value;

use webhook::server::readiness::Readiness;

/// Page size of lists; a whole page is in memory at a time.
const PAGE: u32 = 250;

/// Read timeout of the API server, which itself waits up to 30 s for a webhook.
const SILENCE: Duration = Duration::from_secs(40);

/// Connect timeout.
const CONNECT: Duration = Duration::from_secs(10);

/// The cluster to connect to, by kubectl's flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ConnectArgs {
    /// The kubeconfig file; by default $KUBECONFIG, ~/.kube/config, or the in-cluster configuration
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// A read-only client of a cluster.
#[derive(Clone)]
pub struct ClusterReader {
    client: Client,
}

/// The reason why something could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unavailable {
    /// The object, or its kind, does not exist.
    #[error("{0}")]
    Absent(String),
    /// The user lacks the permission.
    #[error("{0}")]
    Forbidden(String),
    /// The API server returned another error, or did not answer.
    #[error("{message}")]
    Failed {
        /// The HTTP status; 0 without an answer.
        code: u16,
        /// The error message.
        message: String,
    },
}

/// The part of objects that is requested.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Names, labels, annotations and owners.
    Metadata,
    /// The whole object.
    Whole,
}

impl ClusterReader {
    /// Reads the kubeconfig and checks that the API server answers.
    pub async fn connect(args: &ConnectArgs) -> anyhow::Result<Self> {
        let mut config = config(args).await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        // A status such as 503 is a result here, not a reason to retry.
        config.default_retry = false;
        let client = Client::try_from(config)
            .map_err(|error| anyhow!("cannot access the cluster: {error}"))?;
        let live = Self { client };
        match live.get("/version").await {
            // A user without permission for the version may read other things.
            Ok(_) | Err(Unavailable::Forbidden(_)) => Ok(live),
            Err(error) => Err(anyhow!("cannot access the cluster: {error}")),
        }
    }

    /// The namespace of the context.
    pub fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Reads one object by its API path.
    pub async fn get(&self, path: &str) -> Result<Value, Unavailable> {
        json(&self.text(path).await?)
    }

    /// Reads a text, such as the answer of a Pod through the API server.
    pub async fn text(&self, path: &str) -> Result<String, Unavailable> {
        let request = http::Request::get(path).body(Vec::new());
        self.send(request.map_err(request::Error::BuildRequest))
            .await
    }

    /// Lists, page by page, the objects that the selectors match. The objects of a list have no
    /// `kind`.
    pub async fn list(
        &self,
        path: &str,
        selectors: ListParams,
        part: Part,
        mut each: impl FnMut(Value),
    ) -> Result<(), Unavailable> {
        let mut params = selectors.limit(PAGE);
        loop {
            let request = Request::new(path);
            let request = match part {
                Part::Metadata => request.list_metadata(&params),
                Part::Whole => request.list(&params),
            };
            let mut page = json(&self.send(request).await?)?;
            if let Some(items) = page["items"].as_array_mut() {
                items.drain(..).for_each(&mut each);
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => params = params.continue_token(next),
                _ => return Ok(()),
            }
        }
    }

    /// Creates a Pod in a server-side dry run (`dryRun=All`); nothing is created.
    pub async fn try_pod(&self, namespace: &str, pod: &Value) -> Result<Value, Unavailable> {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let request = Request::new(path_of::<core::Pod>(Some(namespace)));
        let request = request.create(&dry_run, pod.to_string().into_bytes());
        json(&self.send(request).await?)
    }

    /// Requests the readiness of a gitvolume program through the API server. Any status with such a
    /// body is an answer.
    pub async fn readiness(&self, path: &str) -> Result<Readiness, Unavailable> {
        let failed = |code: u16, message: String| Unavailable::Failed { code, message };
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
        // The API server's own errors are JSON too.
        let is_readiness = |read: &Value| read.get("ready").is_some();
        if let Some(read) = read.clone().filter(is_readiness) {
            let read = serde_json::from_value(read);
            return read.map_err(|error| failed(0, format!("its answer cannot be read: {error}")));
        }
        let text = read.and_then(|read| Some(read["message"].as_str()?.to_owned()));
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
        Err(match head.status.as_u16() {
            401 | 403 => Unavailable::Forbidden(text),
            404 => Unavailable::Absent(text),
            code => failed(code, text),
        })
    }

    async fn send(
        &self,
        request: Result<http::Request<Vec<u8>>, request::Error>,
    ) -> Result<String, Unavailable> {
        let failed = |message: String| Unavailable::Failed { code: 0, message };
        let request = request.map_err(|error| failed(error.to_string()))?;
        let answer = self.client.request_text(request).await;
        answer.map_err(Unavailable::from)
    }
}

impl From<kube::Error> for Unavailable {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Forbidden(status.message.clone()),
                404 => Self::Absent(status.message.clone()),
                code => Self::Failed {
                    code,
                    message: status.message.clone(),
                },
            },
            error => Self::Failed {
                code: 0,
                message: error.to_string(),
            },
        }
    }
}

/// The API path of a kind, in a namespace or in the whole cluster.
pub fn path_of<K: Resource<DynamicType = ()>>(namespace: Option<&str>) -> String {
    K::url_path(&(), namespace)
}

/// The API path of one object.
pub fn path_to<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", path_of::<K>(namespace))
}

fn json(text: &str) -> Result<Value, Unavailable> {
    serde_json::from_str(text).map_err(|error| Unavailable::Failed {
        code: 0,
        message: format!("the API server's response is not JSON: {error}"),
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
    // Without the sources: kube's messages already contain those of their causes.
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
    config.map_err(|error| anyhow!("cannot access the cluster: {error}"))
}
