//! SelfSubjectReviews, for `kubectl auth whoami`.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Answer;
use super::call::Call;
use super::protobuf;
use super::status::{Failed, json_response};

const KIND: &str = "SelfSubjectReview";
const VERSION: &str = "authentication.k8s.io/v1";

pub(super) async fn self_subject(mut call: Call) -> Answer {
    if call.client.is_anonymous() {
        return Err(call.forbidden("create", "selfsubjectreviews.authentication.k8s.io", "it has no credentials"));
    }
    let body = call.bytes().await?;
    let unreadable = |reason: String| Failed::bad_request(format!("the body cannot be read: {reason}"));
    let (version, kind) = if call.media_type() == protobuf::MEDIA_TYPE {
        protobuf::kind_of(&body).map_err(unreadable)?
    } else {
        let object: Value = serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        (text("apiVersion"), text("kind"))
    };
    if (version.as_str(), kind.as_str()) != (VERSION, KIND) {
        return Err(unreadable(format!("it is no {VERSION} {KIND}")));
    }
    let requester = &call.client.requester;
    let mut user = json!({"username": requester.username, "groups": requester.groups});
    if !requester.extra.is_empty() {
        user["extra"] = json!(requester.extra);
    }
    let object = json!({
        "kind": KIND,
        "apiVersion": VERSION,
        "metadata": {"creationTimestamp": super::object::time_text(call.state.now())},
        "status": {"userInfo": user},
    });
    Ok(json_response(StatusCode::CREATED, &object))
}
