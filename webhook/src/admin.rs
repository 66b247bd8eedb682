//! The listener for people, probes and Prometheus: plain HTTP, no Pod passes through it.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::RawQuery;
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
use crate::readiness::Readiness;
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

/// The routes `/livez`, `/readyz` (with `?format=json` as [`Readiness`]) and `/metrics`.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Response {
    let stage = *admin.stage.borrow();
    let readiness = Readiness::now(&admin.serving, &admin.known, stage);
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    match query.as_deref() {
        Some("format=json") => (status, Json(readiness)).into_response(),
        _ => (status, readiness.to_text()).into_response(),
    }
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
