//! The API: paths and methods.

mod accept;
mod body;
mod bundles;
mod call;
mod create;
mod discovery;
mod health;
mod incoming;
mod leases;
mod object;
mod past;
mod patch;
mod protobuf;
mod read;
mod reviews;
pub(super) mod status;
mod update;
mod watch;

pub use body::{read_change, read_request};

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use hyper::Response;

use self::status::Failed;
use super::state::State;

/// The answer of a handler.
type Answer = Result<Response<axum::body::Body>, Failed>;

const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// Returns the routes.
pub(super) fn router(state: Arc<State>) -> Router {
    let one = format!("{CSRS}/{{name}}");
    let subresource = |name: &str| format!("{one}/{name}");
    Router::new()
        .route("/healthz", get(health::live))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .route("/metrics", get(health::metrics))
        .route("/api", get(discovery::versions))
        .route("/api/v1", get(discovery::core))
        .route("/apis", get(discovery::groups))
        .route("/apis/{group}", get(discovery::group))
        .route("/apis/{group}/v1", get(discovery::resources))
        .route("/api/v1/namespaces/kube-public/configmaps/cluster-info", get(discovery::cluster_info))
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(reviews::self_subject))
        .route(CSRS, get(read::list).post(create::create))
        .route(&one, get(read::get).delete(update::delete))
        .route(&subresource("approval"), get(read::get).put(update::put).patch(update::patch))
        .route(&subresource("status"), get(read::get).put(update::put).patch(update::patch))
        .route(leases::LEASES, get(leases::list).post(leases::create))
        .route(leases::LEASE, get(leases::get).put(leases::put).patch(leases::patch).delete(leases::delete))
        .route("/clusterctl/v1/bundles/{host}", get(bundles::get))
        .route("/clusterctl/v1/requests/{since}", get(past::list))
        .fallback(|| async { Failed::no_such_path() })
        .method_not_allowed_fallback(|| async { Failed::method() })
        .with_state(state)
}
