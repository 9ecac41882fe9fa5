//! Returns requests: one, or a list in pages.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use hyper::StatusCode;

use super::accept::table;
use super::call::Call;
use super::status::{Failed, RESOURCE, json_response};
use super::{Answer, object, watch};
use crate::store::queue::StoredRequest;
use crate::store::queue::read::Selection;

/// The size of a page if the client names no limit: the whole list.
const ALL: u32 = u32::MAX - 1;

/// The index of the path segment with the name of a request.
pub(super) const NAME: usize = 4;

/// Returns a request that the client may read. One that it may not read is not found, as one that does not exist.
pub(super) fn visible(call: &Call, name: &str) -> Result<Arc<StoredRequest>, Failed> {
    let found = match call.state.recent.get(name) {
        Some(recent) => Some(recent),
        None => call.state.read(|queue| queue.get(name))?.map(Arc::new),
    };
    found.filter(|request| call.client.may_see(request)).ok_or_else(|| Failed::not_found(RESOURCE, name))
}

pub(super) async fn get(call: Call) -> Answer {
    let request = visible(&call, call.segment(NAME))?;
    Ok(match table(&call)? {
        Some(include) => {
            let table = object::table([&*request].into_iter(), request.version, None, include, call.state.now());
            json_response(StatusCode::OK, &table)
        }
        None => json_response(StatusCode::OK, &object::object(&request)),
    })
}

pub(super) async fn list(call: Call) -> Answer {
    let selection = selection(&call)?;
    if call.flag("watch") {
        return watch::watch(call, selection);
    }
    let parse = |text: &str| text.parse::<u32>().map_err(|_| Failed::bad_request("limit: it is not a number"));
    let limit = call.parameter("limit").map(parse).transpose()?.filter(|limit| *limit > 0).unwrap_or(ALL);
    let after = call.parameter("continue").map(continued).transpose()?.unwrap_or_default();
    let page = tokio::task::block_in_place(|| call.state.read(|queue| queue.list(&selection, &after, limit)))?;
    let next = page.requests.last().filter(|_| page.has_more).map(|last| token(&last.name));
    let requests: Vec<StoredRequest> =
        page.requests.into_iter().filter(|request| call.client.may_see(request)).collect();
    let next = next.as_deref();
    Ok(match table(&call)? {
        Some(include) => {
            let table = object::table(requests.iter(), page.version, next, include, call.state.now());
            json_response(StatusCode::OK, &table)
        }
        None => json_response(StatusCode::OK, &object::list(&requests, page.version, next)),
    })
}

/// Returns the selection of a list or a watch.
///
/// Clients other than approvers and signers must name one request.
fn selection(call: &Call) -> Result<Selection, Failed> {
    let mut selection = Selection::default();
    for term in call.parameter("fieldSelector").unwrap_or_default().split(',').filter(|term| !term.is_empty()) {
        let pair = term.split_once('=').map(|(field, value)| (field, value.strip_prefix('=').unwrap_or(value)));
        match pair {
            Some(("metadata.name", name)) => selection.name = Some(name.to_owned()),
            Some(("spec.signerName", signer)) => selection.signer = Some(signer.to_owned()),
            _ => return Err(Failed::bad_request("fieldSelector: metadata.name=… and spec.signerName=… are supported")),
        }
    }
    if call.parameter("labelSelector").is_some() {
        return Err(Failed::bad_request("labelSelector: requests have no labels here"));
    }
    if selection.name.is_none() && !call.client.may_see_all() {
        let verb = if call.flag("watch") { "watch" } else { "list" };
        return Err(call.forbidden(verb, RESOURCE, "it may only select one by metadata.name"));
    }
    Ok(selection)
}

/// Returns the token with which the next page begins.
fn token(last: &str) -> String {
    Base64UrlUnpadded::encode_string(last.as_bytes())
}

fn continued(token: &str) -> Result<String, Failed> {
    let name = Base64UrlUnpadded::decode_vec(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| Failed::bad_request("continue: it is no token of this server"))
}
