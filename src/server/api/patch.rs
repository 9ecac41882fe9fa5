//! Applies JSON merge patches (RFC 7396), and the part of Kubernetes's strategic merge patches that requests and Leases need.

use serde_json::{Map, Value};

/// The deepest nesting of a patch.
const MAX_DEPTH: usize = 16;

/// The kind of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// `application/merge-patch+json`: lists are replaced.
    Merge,
    /// `application/strategic-merge-patch+json`: conditions are merged by their type.
    Strategic,
}

impl PatchKind {
    /// Reads the media type.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Applies a patch.
pub(super) fn apply(target: &mut Value, patch: Value, kind: PatchKind) {
    merge(target, patch, kind, MAX_DEPTH);
}

fn merge(target: &mut Value, patch: Value, kind: PatchKind, depth: usize) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in patch {
        match value {
            Value::Null => {
                object.remove(&name);
            }
            Value::Array(added) if kind == PatchKind::Strategic && name == "conditions" => {
                by_type(object.entry(name).or_insert(Value::Array(Vec::new())), added);
            }
            value if depth > 0 => merge(object.entry(name).or_insert(Value::Null), value, kind, depth - 1),
            _ => {}
        }
    }
}

fn by_type(target: &mut Value, added: Vec<Value>) {
    let Some(list) = target.as_array_mut() else {
        *target = Value::Array(added);
        return;
    };
    for one in added {
        match list.iter_mut().find(|own| own["type"] == one["type"]) {
            Some(own) => merge(own, one, PatchKind::Merge, 1),
            None => list.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Examples of RFC 7396, appendix A.
    #[test]
    fn merge_patches_are_those_of_the_rfc() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!(["a", "b"]), json!(["c"]), json!(["c"])),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, expected) in cases {
            apply(&mut target, patch, PatchKind::Merge);
            assert_eq!(target, expected);
        }
    }

    #[test]
    fn a_strategic_patch_keeps_other_conditions() {
        let mut target = json!({"status": {"conditions": [{"type": "Approved", "status": "True"}]}});
        let patch = json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}});
        apply(&mut target, patch, PatchKind::Strategic);
        assert_eq!(target["status"]["conditions"].as_array().map(Vec::len), Some(2));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(5, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("(conditions|type|a)", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_patch_makes_it_panic(mut target in value(), patch in value(), strategic in any::<bool>()) {
            apply(&mut target, patch, if strategic { PatchKind::Strategic } else { PatchKind::Merge });
        }
    }
}
