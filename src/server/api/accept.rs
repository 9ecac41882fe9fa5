//! The form of an answer: an object, or a table as kubectl asks for it.

use super::call::Call;
use super::object::IncludeObject;
use super::status::Failed;

/// Returns what the rows of a table include, if the client prefers a table; `None` for objects.
pub(super) fn table(call: &Call) -> Result<Option<IncludeObject>, Failed> {
    let first = call.accept().split(',').map(str::trim).find(|one| {
        let media_type = one.split(';').next().unwrap_or_default().trim();
        matches!(media_type, "application/json" | "*/*" | "application/*")
    });
    let parameter = |name: &str| {
        let parameters = first.unwrap_or_default().split(';').map(str::trim);
        parameters.filter_map(|one| one.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let is_table = parameter("as") == Some("Table")
        && parameter("g") == Some("meta.k8s.io")
        && matches!(parameter("v"), Some("v1"));
    if !is_table {
        return Ok(None);
    }
    match call.parameter("includeObject") {
        None | Some("Metadata") => Ok(Some(IncludeObject::Metadata)),
        Some("None") => Ok(Some(IncludeObject::None)),
        Some("Object") => Ok(Some(IncludeObject::Object)),
        Some(_) => Err(Failed::bad_request("includeObject: it is None, Metadata or Object")),
    }
}
