//! Runs a command in a container, as `kubectl exec` does.

use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::AsyncReadExt;

use super::ClusterReader;
use super::Unavailable;

/// Timeout of a command.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum size of the output in bytes.
const MAX_OUTPUT: u64 = 1024 * 1024;

impl ClusterReader {
    /// Runs a command in a container of a Pod and returns its standard output, whatever its exit
    /// code; an error if it cannot be started.
    pub async fn output_of(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        command: &[&str],
    ) -> Result<String, Unavailable> {
        let failed = |message: String| Unavailable::Failed { code: 0, message };
        let running = async {
            let pods: Api<core::Pod> = Api::namespaced(self.client.clone(), namespace);
            let attach = AttachParams::default().container(container).stderr(false);
            let mut process = pods.exec(pod, command.iter().copied(), &attach).await?;
            let mut output = Vec::new();
            if let Some(stdout) = process.stdout() {
                let read = stdout.take(MAX_OUTPUT).read_to_end(&mut output).await;
                read.map_err(|error| failed(error.to_string()))?;
            }
            // A connection that breaks ends the output without a status.
            let ended = match process.take_status() {
                Some(ended) => ended.await,
                None => None,
            };
            let ended = ended.ok_or_else(|| failed("the connection has broken".to_owned()))?;
            let is_exit_code = ended.reason.as_deref() == Some("NonZeroExitCode");
            match ended.status.as_deref() {
                Some("Failure") if !is_exit_code => Err(failed(ended.message.unwrap_or_default())),
                _ => String::from_utf8(output)
                    .map_err(|_| failed("the command's output is not UTF-8".to_owned())),
            }
        };
        let ended = tokio::time::timeout(TIMEOUT, running).await;
        ended.unwrap_or_else(|_| Err(failed("the command did not end in time".to_owned())))
    }
}
