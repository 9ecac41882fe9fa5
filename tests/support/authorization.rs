//! Kubernetes's AuthorizationConfiguration as kube-apiserver reads it: every field known, every rule of its validation
//! (`apiserver/pkg/apis/apiserver/validation`), and its decisions, by a third-party CEL interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Program, Value};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AuthorizationConfiguration {
    api_version: String,
    kind: String,
    pub(crate) authorizers: Vec<Authorizer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Authorizer {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) webhook: Option<Webhook>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Webhook {
    timeout: String,
    #[serde(rename = "authorizedTTL")]
    authorized_ttl: String,
    #[serde(rename = "unauthorizedTTL")]
    unauthorized_ttl: String,
    subject_access_review_version: String,
    match_condition_subject_access_review_version: String,
    failure_policy: String,
    connection_info: ConnectionInfo,
    pub(crate) match_conditions: Vec<MatchCondition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConnectionInfo {
    #[serde(rename = "type")]
    kind: String,
    kube_config_file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchCondition {
    pub(crate) expression: String,
}

/// The decision of the authorizers before Node and RBAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No opinion: the next authorizer decides.
    NoOpinion,
    /// Denied by this authorizer, with this reason.
    Denied(String, String),
    /// The webhook is called; its port is closed, and the failure denies.
    Called(String),
}

impl AuthorizationConfiguration {
    /// Reads and validates it.
    pub(crate) fn read(json: serde_json::Value) -> Self {
        let config: Self = serde_json::from_value(json).expect("known fields, and all that have to be there");
        assert_eq!(config.api_version, "apiserver.config.k8s.io/v1");
        assert_eq!(config.kind, "AuthorizationConfiguration");
        assert!(!config.authorizers.is_empty());
        let (mut names, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for authorizer in &config.authorizers {
            assert!(["Webhook", "Node", "RBAC"].contains(&authorizer.kind.as_str()), "{}", authorizer.kind);
            assert!(kinds.insert(&authorizer.kind) || authorizer.kind == "Webhook", "{} twice", authorizer.kind);
            assert!(names.insert(&authorizer.name), "{} twice", authorizer.name);
            let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(!authorizer.name.is_empty() && authorizer.name.chars().all(in_name), "{}", authorizer.name);
            assert_eq!(authorizer.webhook.is_some(), authorizer.kind == "Webhook", "{}", authorizer.name);
            authorizer.webhook.iter().for_each(Webhook::validate);
        }
        config
    }

    /// Decides a SubjectAccessReview's `spec`, in the API server's order.
    pub(crate) fn decide(&self, spec: &serde_json::Value) -> Verdict {
        self.authorizers.iter().find_map(|one| one.decide(spec)).unwrap_or(Verdict::NoOpinion)
    }
}

impl Webhook {
    fn validate(&self) {
        for time in [&self.timeout, &self.authorized_ttl, &self.unauthorized_ttl] {
            let seconds: u32 = time.strip_suffix('s').expect("a Go duration in seconds").parse().expect("a number");
            assert!((1..=30).contains(&seconds), "{time}");
        }
        assert_eq!(self.subject_access_review_version, "v1");
        assert_eq!(self.match_condition_subject_access_review_version, "v1");
        assert_eq!(self.failure_policy, "Deny");
        assert_eq!(self.connection_info.kind, "KubeConfigFile");
        assert!(self.connection_info.kube_config_file.starts_with('/'));
        assert!((1..=64).contains(&self.match_conditions.len()));
        let mut seen = BTreeSet::new();
        for condition in &self.match_conditions {
            let expression = &condition.expression;
            assert!(!expression.trim().is_empty() && seen.insert(expression), "{expression}");
            assert!(expression.chars().count() <= 100_000, "cel-go's limit");
            Program::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        }
    }
}

impl Authorizer {
    /// `apiserver/pkg/authorization/cel/matcher.go`: if one condition is FALSE, the webhook is skipped; if all are
    /// TRUE, it is called; if one is an error and none is FALSE, the failure policy decides.
    fn decide(&self, spec: &serde_json::Value) -> Option<Verdict> {
        let webhook = self.webhook.as_ref()?;
        let mut errors = Vec::new();
        for condition in &webhook.match_conditions {
            match evaluate(&condition.expression, &[("request", spec)]) {
                Ok(false) => return None,
                Ok(true) => {}
                Err(error) => errors.push(error),
            }
        }
        let name = self.name.clone();
        Some(if errors.is_empty() { Verdict::Called(name) } else { Verdict::Denied(name, errors.join("; ")) })
    }
}

/// Evaluates an expression; a result that is not a boolean is an error, as in Kubernetes.
pub(crate) fn evaluate(expression: &str, variables: &[(&str, &serde_json::Value)]) -> Result<bool, String> {
    match execute(expression, variables)? {
        Value::Bool(answer) => Ok(answer),
        other => Err(format!("not a bool: {other:?}")),
    }
}

/// Evaluates an expression, and returns the result as JSON.
pub(crate) fn value_of(
    expression: &str,
    variables: &[(&str, &serde_json::Value)],
) -> Result<serde_json::Value, String> {
    execute(expression, variables)?.json().map_err(|error| format!("{error:?}"))
}

fn execute(expression: &str, variables: &[(&str, &serde_json::Value)]) -> Result<Value, String> {
    let program = Program::compile(expression).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    for (name, value) in variables {
        context.add_variable_from_value(*name, to_cel(value));
    }
    program.execute(&context).map_err(|error| match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        error => error.to_string(),
    })
}

/// Converts JSON to a CEL value.
pub(crate) fn to_cel(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(yes) => Value::Bool(*yes),
        serde_json::Value::Number(number) => Value::Int(number.as_i64().expect("a whole number")),
        serde_json::Value::String(text) => Value::String(Arc::new(text.clone())),
        serde_json::Value::Array(items) => Value::List(Arc::new(items.iter().map(to_cel).collect())),
        serde_json::Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let map = fields.into_iter().map(|(key, value)| (Key::from(key.clone()), to_cel(value))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
