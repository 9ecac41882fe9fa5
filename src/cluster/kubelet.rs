//! Checks the kubelet settings of the cluster file: each field exists, each value has its type, and none weakens trust
//! ([`super::kubelet_trust`]).

use super::config_error::{ConfigError, Reason};
use super::kubelet_fields::{FIELDS, Field, Kind, SINCE};
use super::kubelet_trust::{ConfigKind, trust_violations};
use super::similar::nearest;

pub use super::kubelet_setting::Setting;

/// A YAML value as it is in the cluster file, before its type is known: each scalar is text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RawValue {
    /// An absent value, or a `null` without quotes.
    #[default]
    Null,
    /// A scalar.
    Text(String),
    /// A list.
    List(Vec<RawValue>),
    /// A mapping, each key once.
    Mapping(Vec<(String, RawValue)>),
}

/// Finds the fields that kubelets of Kubernetes 1.`minor` do not support yet.
pub(super) fn fields_of_later_releases(
    setting: &Setting,
    minor: u32,
    path: impl Fn() -> String,
    errors: &mut Vec<ConfigError>,
) {
    let Setting::Mapping(entries) = setting else { return };
    let later = |name: &str| SINCE.iter().find(|(field, since)| *field == name && *since > minor);
    for (field, since) in entries.iter().filter_map(|(name, _)| later(name)) {
        let reason = Reason::FieldOfLaterRelease { minor, since: *since };
        errors.push(ConfigError { path: format!("{}.{field}", path()), line: None, seen: None, reason });
    }
}

/// Checks the settings at `path` of the cluster file, and adds all errors to `errors`.
///
/// Most hosts have none; for them `path` is not called.
pub(super) fn check(written: &RawValue, path: impl FnOnce() -> String, errors: &mut Vec<ConfigError>) -> Setting {
    // `kubelet:` without a value, for example because its lines are commented out.
    if *written == RawValue::Null {
        return Setting::default();
    }
    let (path, before) = (path(), errors.len());
    let setting = structure(written, FIELDS, &path, errors);
    for violation in trust_violations(&setting, ConfigKind::Patch) {
        let path = format!("{path}.{}", violation.field);
        // A value of the wrong type became null, and its error was already reported.
        if errors[before..].iter().all(|error| error.path != path) {
            let reason = Reason::WeakensTrust(violation.rule);
            errors.push(ConfigError { path, line: None, seen: Some(violation.seen), reason });
        }
    }
    setting
}

fn structure(written: &RawValue, fields: &'static [Field], path: &str, errors: &mut Vec<ConfigError>) -> Setting {
    let RawValue::Mapping(entries) = written else {
        return wrong_type(written, path, "a mapping with a kubelet's fields", errors);
    };
    let mut settings = Vec::with_capacity(entries.len());
    for (key, written) in entries {
        let path = below(path, key);
        match fields.iter().find(|(name, _)| name == key) {
            Some((_, kind)) => settings.push((key.clone(), value(written, *kind, &path, errors))),
            None => {
                let near = nearest(key, fields.iter().map(|(name, _)| *name));
                errors.push(ConfigError { path, line: None, seen: None, reason: Reason::UnknownField { near } });
            }
        }
    }
    Setting::Mapping(settings)
}

fn value(written: &RawValue, kind: Kind, path: &str, errors: &mut Vec<ConfigError>) -> Setting {
    match (written, kind) {
        (RawValue::Null, _) => Setting::Null,
        (RawValue::Text(text), Kind::Bool) => match text.as_str() {
            "true" => Setting::Bool(true),
            "false" => Setting::Bool(false),
            _ => wrong_type(written, path, "true or false", errors),
        },
        (RawValue::Text(text), Kind::Int32) => match text.parse::<i32>() {
            Ok(number) => Setting::Number(number.to_string()),
            Err(_) => wrong_type(written, path, "a whole number", errors),
        },
        (RawValue::Text(text), Kind::Int64) => match text.parse::<i64>() {
            Ok(number) => Setting::Number(number.to_string()),
            Err(_) => wrong_type(written, path, "a whole number", errors),
        },
        (RawValue::Text(text), Kind::Float) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Setting::Number(number.to_string()),
            _ => wrong_type(written, path, "a number", errors),
        },
        (RawValue::Text(text), Kind::Duration) if is_duration(text) => Setting::Text(text.clone()),
        (RawValue::Text(text), Kind::Text) => Setting::Text(text.clone()),
        (RawValue::List(items), Kind::List(kind)) => {
            let item = |(i, item)| value(item, *kind, &format!("{path}[{i}]"), errors);
            Setting::List(items.iter().enumerate().map(item).collect())
        }
        (RawValue::Mapping(entries), Kind::Map(kind)) => {
            let entry =
                |(key, written): &(String, RawValue)| (key.clone(), value(written, *kind, &below(path, key), errors));
            Setting::Mapping(entries.iter().map(entry).collect())
        }
        (RawValue::Mapping(_), Kind::Struct(fields)) => structure(written, fields, path, errors),
        (_, Kind::Bool) => wrong_type(written, path, "true or false", errors),
        (_, Kind::Int32 | Kind::Int64) => wrong_type(written, path, "a whole number", errors),
        (_, Kind::Float) => wrong_type(written, path, "a number", errors),
        (_, Kind::Duration) => wrong_type(written, path, "a length of time such as 30s, 1m30s or 1.5h", errors),
        (_, Kind::Text) => wrong_type(written, path, "a string", errors),
        (_, Kind::List(_)) => wrong_type(written, path, "a list", errors),
        (_, Kind::Map(_) | Kind::Struct(_)) => wrong_type(written, path, "a mapping", errors),
    }
}

fn wrong_type(written: &RawValue, path: &str, wanted: &'static str, errors: &mut Vec<ConfigError>) -> Setting {
    let seen = match written {
        RawValue::Text(text) => Some(text.clone()),
        _ => None,
    };
    errors.push(ConfigError { path: path.to_owned(), line: None, seen, reason: Reason::Shape { wanted } });
    Setting::Null
}

/// Returns the path of a key; a key with other characters than letters, digits, `-` and `_` is quoted for terminals.
fn below(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain { format!("{path}.{key}") } else { format!("{path}.{:?}", key.chars().take(60).collect::<String>()) }
}

/// Returns true if Go's `time.ParseDuration` accepts the text: `0`, or numbers with units, with an optional sign.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, after) = rest.split_at(number);
        let one_dot = digits.matches('.').count() <= 1 && digits.bytes().any(|b| b.is_ascii_digit());
        let unit = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].into_iter().filter(|unit| after.starts_with(unit));
        match unit.max_by_key(|unit| unit.len()) {
            Some(unit) if one_dot => rest = &after[unit.len()..],
            _ => return false,
        }
    }
    !text.is_empty() && text != "+" && text != "-"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    fn map(entries: &[(&str, RawValue)]) -> RawValue {
        RawValue::Mapping(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    fn text(text: &str) -> RawValue {
        RawValue::Text(text.to_owned())
    }

    fn checked(written: &RawValue) -> Result<Setting, Vec<String>> {
        let mut errors = Vec::new();
        let setting = check(written, || "kubelet".to_owned(), &mut errors);
        if errors.is_empty() { Ok(setting) } else { Err(errors.iter().map(ToString::to_string).collect()) }
    }

    #[test]
    fn values_are_kept_as_written() {
        let written = map(&[
            ("maxPods", text("250")),
            ("clusterDomain", text("on")),
            ("systemReserved", map(&[("memory", text("1e3")), ("no", text("010"))])),
            ("memoryThrottlingFactor", text("0.9")),
            ("shutdownGracePeriod", text("30s")),
            ("featureGates", map(&[("NodeSwap", text("true"))])),
            ("clusterDNS", RawValue::List(vec![text("10.96.0.10")])),
            ("evictionHard", RawValue::Null),
        ]);
        let setting = checked(&written).expect("valid settings");
        assert_eq!(
            setting.to_string(),
            "{maxPods: 250, clusterDomain: on, systemReserved: {memory: 1e3, no: 010}, memoryThrottlingFactor: 0.9, \
             shutdownGracePeriod: 30s, featureGates: {NodeSwap: true}, clusterDNS: [10.96.0.10], evictionHard: null}"
        );
        assert_eq!(setting.get("clusterDomain"), Some(&Setting::Text("on".into())));
        assert_eq!(setting.get("maxPods"), Some(&Setting::Number("250".into())));
        assert_eq!(checked(&RawValue::Null), Ok(Setting::default()));
    }

    #[test]
    fn every_error_is_reported_with_its_path() {
        let written = map(&[
            ("readonlyPort", text("0")),
            ("maxPods", text("1e3")),
            ("failSwapOn", text("on")),
            ("syncFrequency", text("30")),
            ("clusterDNS", text("10.96.0.10")),
            ("authentication", map(&[("webook", text("x")), ("webhook", map(&[("enabled", text("yes"))]))])),
            ("evictionHard", map(&[("memory.available", RawValue::List(Vec::new()))])),
            ("registerWithTaints", RawValue::List(vec![map(&[("keys", text("x"))])])),
            ("zoo", text("x")),
        ]);
        assert_eq!(
            checked(&written).expect_err("errors"),
            [
                "kubelet.readonlyPort: kubelets have no such field and would ignore it; did you mean readOnlyPort?",
                "kubelet.maxPods: \"1e3\": a whole number is needed here",
                "kubelet.failSwapOn: \"on\": true or false is needed here",
                "kubelet.syncFrequency: \"30\": a length of time such as 30s, 1m30s or 1.5h is needed here",
                "kubelet.clusterDNS: \"10.96.0.10\": a list is needed here",
                "kubelet.authentication.webook: kubelets have no such field and would ignore it; did you mean \
                 webhook?",
                "kubelet.authentication.webhook.enabled: \"yes\": true or false is needed here",
                "kubelet.evictionHard.\"memory.available\": a string is needed here",
                "kubelet.registerWithTaints[0].keys: kubelets have no such field and would ignore it; did you \
                 mean key?",
                "kubelet.zoo: kubelets have no such field and would ignore it",
            ]
        );
        assert_eq!(
            checked(&text("x")),
            Err(vec!["kubelet: \"x\": a mapping with a kubelet's fields is needed here".into()])
        );
    }

    #[test]
    fn durations_are_those_that_go_accepts() {
        for good in ["0", "30s", "1m30s", "1.5h", "100ms", ".5s", "5.s", "-1s", "2us", "2µs", "0s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "30", "s", "1d", "1 s", "1h30", "1..5h", ".s", "+", "1e3s", "1hour"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn each_field_is_in_the_table_once() {
        let mut names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
    }

    fn setting() -> impl Strategy<Value = Setting> {
        let leaf = prop_oneof![
            proptest::strategy::Just(Setting::Null),
            any::<bool>().prop_map(Setting::Bool),
            any::<i32>().prop_map(|n| Setting::Number(n.to_string())),
            "[a-c]{0,3}".prop_map(Setting::Text),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Setting::List),
                prop::collection::btree_map("[a-e]", inner, 0..4)
                    .prop_map(|map| Setting::Mapping(map.into_iter().collect())),
            ]
        })
    }

    /// RFC 7396's pseudocode, on values without an order of keys.
    fn reference_merge(target: serde_json::Value, patch: &serde_json::Value) -> serde_json::Value {
        let Some(patch) = patch.as_object() else { return patch.clone() };
        let mut target = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                let old = target.get(name).cloned().unwrap_or_default();
                target.insert(name.clone(), reference_merge(old, value));
            }
        }
        target.into()
    }

    fn json(setting: &Setting) -> serde_json::Value {
        match setting {
            Setting::Null => serde_json::Value::Null,
            Setting::Bool(value) => (*value).into(),
            Setting::Number(text) | Setting::Text(text) => text.clone().into(),
            Setting::List(items) => items.iter().map(json).collect(),
            Setting::Mapping(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, value)| (key.clone(), json(value))).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn merging_follows_rfc_7396(target in setting(), patch in setting()) {
            let merged = target.clone().merged(&patch);
            prop_assert_eq!(json(&merged), reference_merge(json(&target), &json(&patch)));
        }
    }
}
