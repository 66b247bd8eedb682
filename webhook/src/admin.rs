//! The listener for people, probes and Prometheus: plain HTTP, no Pod passes through it.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use certs::Serving;
use tokio::sync::watch;

use crate::known::Known;
use crate::metrics::Metrics;
use crate::shutdown::Stage;

/// The content type that the encoder writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin listener tells about.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The certificate's and caBundle's state.
    pub serving: Arc<Serving>,
    /// What answers are made from.
    pub known: Known,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// How far the end has come.
    pub stage: watch::Receiver<Stage>,
}

/// The routes `/livez`, `/readyz` and `/metrics`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let mut missing = admin.serving.missing(SystemTime::now());
    missing.extend(admin.known.namespaces.missing());
    if *admin.stage.borrow() != Stage::Serving {
        missing.push("shutting down");
    }
    if missing.is_empty() {
        // With what is old, Pods are still answered: that is for people, and no reason to go.
        let trouble = admin.known.settings.reloads().trouble;
        let trouble =
            trouble.map(|trouble| format!("the settings are older than the file: {trouble}"));
        let lines = std::iter::once("ok".to_owned());
        let lines = lines.chain(trouble).chain(admin.serving.notes());
        let body: String = lines.map(|line| line + "\n").collect();
        return body.into_response();
    }
    let mut body = format!("not ready: {}\n", missing.join("; "));
    for note in admin.serving.notes() {
        body.push_str(&note);
        body.push('\n');
    }
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let stage = *admin.stage.borrow();
    match admin.metrics.text(&admin.serving, &admin.known, stage) {
        Ok(text) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
