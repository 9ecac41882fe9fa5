//! Answers with all requests since a time, including those that are no longer listed, for `csr replay`.

use hyper::StatusCode;
use time::OffsetDateTime;

use super::Answer;
use super::call::Call;
use super::object;
use super::status::{Failed, RESOURCE, json_response};

/// The index of the path segment with the time.
const SINCE: usize = 3;
/// The largest page, and the size of a page if the client gives no limit.
const PAGE: u32 = 500;

/// Answers with the requests since a time (Unix seconds), in pages, in the order of their arrival.
pub(super) async fn list(call: Call) -> Answer {
    if !call.client.may_see_all() {
        return Err(call.forbidden("list", RESOURCE, "approvers and signers may"));
    }
    let invalid = |what: &str, reason: &str| Failed::bad_request(format!("{what}: {reason}"));
    let since = call.segment(SINCE).parse().ok().and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    let since = since.ok_or_else(|| invalid("the time", "it is not a Unix time in seconds"))?;
    let after = call
        .parameter("continue")
        .map(|text| text.parse::<i64>().map_err(|_| invalid("continue", "it is not from this server")));
    let after = after.transpose()?.unwrap_or_default();
    let limit = call
        .parameter("limit")
        .map(|text| text.parse::<u32>().map_err(|_| invalid("limit", "it is not a number")))
        .transpose()?;
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(PAGE).min(PAGE);
    let read = || call.state.read(|queue| Ok((queue.past(since, after, limit)?, queue.version()?)));
    let ((requests, has_more), version) = tokio::task::block_in_place(read)?;
    let next = requests.last().filter(|_| has_more).map(|last| last.id.to_string());
    Ok(json_response(StatusCode::OK, &object::list(&requests, version, next.as_deref())))
}
