//! The bundles of hosts, for the hosts themselves.

use hyper::StatusCode;

use super::Answer;
use super::call::Call;
use super::status::{Failed, response};
use crate::cluster::name::HostName;
use crate::server::client::BOOTSTRAPPERS;
use crate::server::site::HostBundle;

/// Answers with a host's bundle, if the client has a valid certificate of that host.
pub(super) async fn get(call: Call) -> Answer {
    let name = call.segment(3).to_owned();
    let host = HostName::parse(&name).map_err(|_| Failed::not_found("bundles", &name))?;
    let is_own = call.client.host.as_ref() == Some(&host) && !call.client.requester.is_in(BOOTSTRAPPERS);
    if !is_own {
        return Err(call.forbidden("get", "bundles.clusterctl.io", "only the host itself may, by its certificate"));
    }
    match tokio::task::block_in_place(|| call.state.site.bundle(&host)) {
        HostBundle::Archive(archive) => Ok(response(StatusCode::OK, "application/gzip", archive)),
        HostBundle::Missing(reason) => Err(Failed::missing(&reason).named(&name)),
    }
}
