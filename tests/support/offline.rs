//! What `verify --offline` finds in a cluster directory, by ids.

use serde_json::Value;

use super::Lab;

/// The result of `verify --offline`.
#[derive(Debug)]
pub(crate) struct Offline {
    /// Exit status.
    pub(crate) status: u8,
    /// The findings that are not a pass.
    pub(crate) problems: Vec<Problem>,
}

/// A finding that is not a pass.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Status, check, host and remedy: `fail store.credential on issue`.
    pub(crate) ids: String,
    /// The observation.
    pub(crate) observed: String,
}

impl Offline {
    /// Returns the ids of all problems.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.problems.iter().map(|problem| problem.ids.as_str()).collect()
    }

    /// Returns true if there is a problem with these ids.
    pub(crate) fn has(&self, ids: &str) -> bool {
        self.problems.iter().any(|problem| problem.ids == ids)
    }

    /// Returns true if a problem has this remedy.
    pub(crate) fn has_remedy(&self, remedy: &str) -> bool {
        self.problems.iter().any(|problem| problem.ids.ends_with(&format!(" {remedy}")))
    }

    /// Returns the observations of the problems with these ids.
    pub(crate) fn observed(&self, ids: &str) -> String {
        let of_ids = self.problems.iter().filter(|problem| problem.ids == ids);
        of_ids.map(|problem| problem.observed.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// Runs `verify --offline` with more arguments.
#[track_caller]
pub(crate) fn offline(lab: &Lab, args: &[&str]) -> Offline {
    let ran = lab.run(&[&["verify", "--offline", "--output", "json"], args].concat());
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let problems = report["results"].as_array().expect("results").iter().filter(|result| result["status"] != "pass");
    let problem = |result: &Value| {
        let text = |key: &str| result[key].as_str().unwrap_or("-").to_owned();
        Problem { ids: ["status", "id", "host", "remedy"].map(text).join(" "), observed: text("observed") }
    };
    Offline { status: ran.status, problems: problems.map(problem).collect() }
}
