//! ValidatingAdmissionPolicies as kube-apiserver applies them (`apiserver/pkg/admission/plugin/policy/validating`):
//! matching writes are evaluated, evaluation errors deny, and the CEL interpreter is a third-party one.

use k8s_openapi::api::admissionregistration::v1::{NamedRuleWithOperations, ValidatingAdmissionPolicy};
use serde_json::{Value, json};

use super::authorization::{evaluate, value_of};

/// The policies of a folder.
pub(crate) struct Admission(pub(crate) Vec<ValidatingAdmissionPolicy>);

/// A write request.
pub(crate) struct Write<'a> {
    /// The user who writes.
    pub(crate) user: &'a str,
    /// Their groups.
    pub(crate) groups: &'a [&'a str],
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`
    pub(crate) operation: &'a str,
    /// API group and resource.
    pub(crate) resource: (&'a str, &'a str),
    /// Subresource, or nothing.
    pub(crate) subresource: &'a str,
    /// The new object; null when it is deleted.
    pub(crate) object: Value,
    /// The old object; null when it is created.
    pub(crate) old: Value,
}

impl Admission {
    /// Returns the validations that a write does not pass, as policy and index; empty when it is admitted.
    pub(crate) fn refusals(&self, write: &Write<'_>) -> Vec<String> {
        self.0.iter().flat_map(|policy| refusals(policy, write)).collect()
    }
}

fn refusals(policy: &ValidatingAdmissionPolicy, write: &Write<'_>) -> Vec<String> {
    let spec = policy.spec.as_ref().expect("a spec");
    let constraints = spec.match_constraints.as_ref().expect("constraints");
    let rules = constraints.resource_rules.as_deref().unwrap_or_default();
    if !rules.iter().any(|rule| matches(rule, write)) {
        return Vec::new();
    }
    let request = request(write);
    let base = [("request", &request), ("object", &write.object), ("oldObject", &write.old)];
    for condition in spec.match_conditions.as_deref().unwrap_or_default() {
        match evaluate(&condition.expression, &base) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => return vec![format!("{}: {error}", condition.name)],
        }
    }
    let mut variables = json!({});
    for variable in spec.variables.as_deref().unwrap_or_default() {
        let known = [&base[..], &[("variables", &variables)]].concat();
        // A variable that fails is missing only for expressions that use it.
        if let Ok(value) = value_of(&variable.expression, &known) {
            variables[&variable.name] = value;
        }
    }
    let known = [&base[..], &[("variables", &variables)]].concat();
    let mut refusals = Vec::new();
    let name = policy.metadata.name.as_deref().expect("a name");
    let name = name.strip_prefix("clusterctl-kubelets-").expect("a policy about kubelets");
    for (i, validation) in spec.validations.as_deref().unwrap_or_default().iter().enumerate() {
        assert!(validation.message.as_ref().is_some_and(|message| !message.is_empty()), "{name}[{i}] has no message");
        match evaluate(&validation.expression, &known) {
            Ok(true) => {}
            Ok(false) => refusals.push(format!("{name}[{i}]")),
            Err(error) => refusals.push(format!("{name}[{i}] failed: {error}")),
        }
    }
    refusals
}

fn matches(rule: &NamedRuleWithOperations, write: &Write<'_>) -> bool {
    let has = |list: &Option<Vec<String>>, item: &str| list.as_deref().unwrap_or_default().iter().any(|i| i == item);
    let (group, resource) = write.resource;
    let path = match write.subresource {
        "" => resource.to_owned(),
        sub => format!("{resource}/{sub}"),
    };
    let any_part = !write.subresource.is_empty() && has(&rule.resources, &format!("{resource}/*"));
    has(&rule.api_groups, group)
        && has(&rule.api_versions, "v1")
        && has(&rule.operations, write.operation)
        && (has(&rule.resources, &path) || any_part)
}

/// Omits empty values, as in the API's own form (`admission/v1`, `AdmissionRequest`).
fn request(write: &Write<'_>) -> Value {
    let mut request = json!({
        "uid": "9f1c", "operation": write.operation,
        "resource": {"group": write.resource.0, "version": "v1", "resource": write.resource.1},
        "userInfo": {"username": write.user, "groups": write.groups},
    });
    let thing = if write.object.is_null() { &write.old } else { &write.object };
    for (key, value) in [("name", &thing["metadata"]["name"]), ("namespace", &thing["metadata"]["namespace"])] {
        if value.is_string() {
            request[key] = value.clone();
        }
    }
    if !write.subresource.is_empty() {
        request["subResource"] = json!(write.subresource);
    }
    request
}
