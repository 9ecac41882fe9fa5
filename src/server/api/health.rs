//! The health, the version and the metrics of the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State as Shared;
use hyper::StatusCode;
use serde_json::json;

use super::Answer;
use super::call::Call;
use super::status::{Failed, json_response, response};
use crate::server::metrics;
use crate::server::state::State;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn live() -> Answer {
    Ok(response(StatusCode::OK, TEXT, "ok"))
}

/// Ready if the queue can be read, and the last transaction was written.
pub(super) async fn ready(Shared(state): Shared<Arc<State>>) -> Answer {
    let can_read = state.read(|queue| queue.version()).is_ok();
    let can_write = !state.writer.figures.is_failing.load(Ordering::Relaxed);
    if can_read && can_write {
        return Ok(response(StatusCode::OK, TEXT, "ok"));
    }
    let mark = |fine: bool| if fine { "[+]" } else { "[-]" };
    let text = format!("{}queue-read\n{}queue-write\nreadyz check failed\n", mark(can_read), mark(can_write));
    Ok(response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text))
}

/// The version, in the form of an API server's. The minor version is that of the Kubernetes whose API is served.
pub(super) async fn version(Shared(state): Shared<Arc<State>>) -> Answer {
    let object = json!({
        "major": "1",
        "minor": "36",
        "gitVersion": format!("v1.36.0+clusterctl.{}", state.version),
        "gitTreeState": "clean",
        "platform": std::env::consts::OS,
    });
    Ok(json_response(StatusCode::OK, &object))
}

pub(super) async fn metrics(call: Call) -> Answer {
    if !call.client.may_read_metrics() {
        return Err(call.forbidden("get", "path \"/metrics\"", "approvers, signers and verifiers may"));
    }
    let text = tokio::task::block_in_place(|| metrics::text(&call.state))?;
    Ok::<_, Failed>(response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}
