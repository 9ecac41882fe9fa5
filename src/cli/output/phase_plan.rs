//! The parts that the plans of all rotations have in common, as text and JSON.

use serde_json::{Value, json};

use crate::app::count::counted;
use crate::app::rotate::{Change, Component, Group, Reread, Restart};

/// The version of the JSON format.
const SCHEMA_VERSION: u32 = 1;

/// The lines before the plan of the present phase, and before those that follow.
pub(super) const PRESENT: &str = "the present phase:";
pub(super) const FOLLOWING: &str = "the phases that follow:";

/// What has to be done before the command that proves the first phase, and any other one.
pub(super) const BACKUP: &str = "clusterctl backup FILE";
pub(super) const DELIVER: &str =
    "clusterctl apply, install.sh on the hosts that it names, and the restarts of the present phase";

/// Returns a document of a command with these fields.
pub(super) fn document(command: &str, value: Value) -> Value {
    let mut document = json!({ "schemaVersion": SCHEMA_VERSION, "command": command });
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), value) {
        document.extend(fields);
    }
    document
}

fn group_of(group: &Group) -> Value {
    match group {
        Group::Masters(count) => json!({ "role": "master", "count": count }),
        Group::Nodes(count) => json!({ "role": "node", "count": count }),
        Group::Hosts(names) => json!({ "hosts": names }),
    }
}

/// Returns changes as JSON.
pub(super) fn changes_of(changes: &[Change]) -> Vec<Value> {
    let change = |change: &Change| {
        let (reread, seconds) = match change.reread {
            Reread::Within(seconds) => ("within", Some(seconds)),
            Reread::EachConnection => ("each-connection", None),
            Reread::Restart => ("restart", None),
        };
        json!({
            "hosts": group_of(&change.hosts), "component": change.component.as_str(), "input": change.input.as_str(),
            "reread": reread, "seconds": seconds,
        })
    };
    changes.iter().map(change).collect()
}

/// Returns restarts as JSON.
pub(super) fn restarts_of(restarts: &[Restart]) -> Vec<Value> {
    let restart = |restart: &Restart| {
        json!({
            "hosts": group_of(&restart.hosts), "component": restart.component.as_str(), "oneByOne": restart.one_by_one,
        })
    };
    restarts.iter().map(restart).collect()
}

/// Returns the lines of changes and restarts.
pub(super) fn steps(changes: &[Change], restarts: &[Restart]) -> String {
    let mut text = String::new();
    for change in changes {
        let reread = match change.reread {
            Reread::Within(seconds) => format!("read again within {seconds} s"),
            Reread::EachConnection => "read for each connection".to_owned(),
            Reread::Restart => "read when it is restarted".to_owned(),
        };
        let (hosts, component) = (hosts(&change.hosts), change.component.as_str());
        text.push_str(&format!("  change   {hosts}: {component}, {} ({reread})\n", change.input.as_str()));
    }
    for restart in restarts {
        let how = match (restart.one_by_one, restart.component) {
            // A cluster of three members works without one, but not without two.
            (_, Component::Etcd) => ", one host after the other, each when all members are healthy",
            (true, _) => ", one host after the other",
            (false, component) if component.is_on_masters() => ", on all of them at once",
            (false, _) => ", a share of them at a time",
        };
        text.push_str(&format!("  restart  {}: {}{how}\n", hosts(&restart.hosts), restart.component.as_str()));
    }
    text
}

fn hosts(group: &Group) -> String {
    match group {
        Group::Masters(count) => counted(*count, "master"),
        Group::Nodes(count) => counted(*count, "node"),
        Group::Hosts(names) => names.join(", "),
    }
}
