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

use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::shutdown::Stage;

/// The content type that the encoder writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin listener tells about.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The certificate's and caBundle's state.
    pub serving: Arc<Serving>,
    /// What is known of the namespaces.
    pub namespaces: Arc<Namespaces>,
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
    missing.extend(admin.namespaces.missing());
    if *admin.stage.borrow() != Stage::Serving {
        missing.push("shutting down");
    }
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let body = format!("not ready: {}\n", missing.join("; "));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.metrics.text(&admin.serving, &admin.namespaces) {
        Ok(text) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
