//! The admin listener: plain HTTP for probes, Prometheus and people. No admission passes through
//! it.

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

use crate::cluster::known::Known;
use crate::metrics::Metrics;
use crate::server::readiness::Readiness;
use crate::shutdown::Stage;

/// The content type that the encoder writes.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The state that the admin listener exposes.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The serving certificate and the caBundle.
    pub serving: Arc<Serving>,
    /// The state that decisions are made from.
    pub known: Known,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The stage of the shutdown.
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
