//! Builds a new cluster file. Each value is checked when it is added.

use std::path::PathBuf;

use super::error::InitError;
use crate::app;
use crate::cluster::config_error::{ConfigError, Reason};
use crate::cluster::endpoint::{Endpoint, EndpointError};
use crate::cluster::name::{ClusterName, MAX_CLUSTER, NameError};
use crate::cluster::spec::{RawCluster, RawHost, Role};
use crate::config;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;

/// A cluster file that is not written yet.
#[derive(Debug, Clone)]
pub struct Draft {
    pub(super) values: RawCluster,
    /// Whether some of the values were imported from kubectl.
    pub(super) imported: bool,
    /// Why the version of Kubernetes was not imported.
    pub(super) version_note: Option<String>,
}

/// The result of writing a cluster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// The cluster file.
    pub path: PathBuf,
    /// The cluster's name.
    pub name: ClusterName,
    /// The number of masters.
    pub masters: usize,
    /// The number of nodes.
    pub nodes: usize,
}

/// Errors of adding an answer to a draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not a valid name of a cluster.
    #[error("{answer:?} is not a valid name: {reason}")]
    Name {
        /// The answer.
        answer: String,
        /// The rule that it breaks.
        reason: NameError,
    },
    /// It is not a valid endpoint.
    #[error("{answer:?} is not a valid endpoint: {reason}")]
    Endpoint {
        /// The answer.
        answer: String,
        /// The rule that it breaks.
        reason: EndpointError,
    },
    /// The answer causes new errors in the cluster file.
    #[error("{}", reasons(.0))]
    Invalid(Vec<ConfigError>),
}

/// Refuses to write if a cluster file already exists.
///
/// # Errors
/// Returns [`StoreError::Exists`].
pub fn check_absent(layout: &Layout) -> Result<(), StoreError> {
    let path = layout.cluster_file();
    if files::exists(&path) { Err(StoreError::Exists(path)) } else { Ok(()) }
}

impl Draft {
    /// Returns a draft with the given values; required values may be absent.
    ///
    /// # Errors
    /// Returns [`InitError::Invalid`] with all errors of the values that are present.
    pub fn new(values: RawCluster) -> Result<Self, InitError> {
        let endpoint = values.endpoint.as_deref().map(str::to_ascii_lowercase);
        let draft = Self { values: RawCluster { endpoint, ..values }, imported: false, version_note: None };
        let mut errors = draft.errors();
        errors.retain(|error| !matches!(error.reason, Reason::Missing { .. } | Reason::EndpointNeeded { .. }));
        if errors.is_empty() { Ok(draft) } else { Err(InitError::Invalid { errors, imported: false }) }
    }

    /// Returns true if the cluster has a name.
    #[must_use]
    pub fn has_name(&self) -> bool {
        self.values.name.is_some()
    }

    /// Returns true if there are hosts of a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        match role {
            Role::Master => !self.values.masters.is_empty(),
            Role::Node => !self.values.nodes.is_empty(),
        }
    }

    /// Returns true if an endpoint is missing: it can be derived for a single master only.
    #[must_use]
    pub fn needs_endpoint(&self) -> bool {
        self.values.masters.len() > 1 && self.values.endpoint.is_none()
    }

    /// Returns true if kubectl's nodes were imported.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.imported
    }

    /// Returns the default name of a cluster in this directory: the part of the folder's name that is a valid name.
    #[must_use]
    pub fn default_name(layout: &Layout) -> String {
        let folder = layout.dir().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = folder.chars().map(plain).take(MAX_CLUSTER).collect();
        let name = name.trim_matches('-');
        if ClusterName::parse(name).is_ok() { name.to_owned() } else { "cluster".to_owned() }
    }

    /// Sets the cluster's name.
    ///
    /// # Errors
    /// Returns [`AnswerError::Name`].
    pub fn set_name(&mut self, answer: &str) -> Result<(), AnswerError> {
        let name =
            ClusterName::parse(answer).map_err(|reason| AnswerError::Name { answer: answer.to_owned(), reason })?;
        self.values.name = Some(name.to_string());
        Ok(())
    }

    /// Sets the endpoint.
    ///
    /// # Errors
    /// Returns an error if it is not a valid endpoint, or conflicts with other values of the draft.
    pub fn set_endpoint(&mut self, answer: &str) -> Result<(), AnswerError> {
        let answer = answer.to_ascii_lowercase();
        if let Err(reason) = Endpoint::parse(&answer) {
            return Err(AnswerError::Endpoint { answer, reason });
        }
        self.change(RawCluster { endpoint: Some(answer), ..self.values.clone() })
    }

    /// Adds a host.
    ///
    /// # Errors
    /// Returns [`AnswerError::Invalid`] if the host cannot be added to this cluster.
    pub fn add(&mut self, role: Role, host: RawHost) -> Result<(), AnswerError> {
        let mut values = self.values.clone();
        match role {
            Role::Master => values.masters.push(host),
            Role::Node => values.nodes.push(host),
        }
        self.change(values)
    }

    /// Writes the cluster file.
    ///
    /// # Errors
    /// Returns [`InitError::Invalid`] with all errors, or an error if there is a cluster file already, or it cannot be
    /// written.
    pub fn write(&self, layout: &Layout) -> Result<InitReport, app::Error> {
        let cluster = self.values.check().map_err(|errors| InitError::Invalid { errors, imported: self.imported })?;
        let path = layout.cluster_file();
        files::create_folder(layout.dir())?;
        files::write_new(
            &path,
            config::write_noting(&self.values, self.version_note.as_deref()).as_bytes(),
            files::PUBLIC,
        )?;
        Ok(InitReport { path, name: cluster.name, masters: cluster.masters.len(), nodes: cluster.nodes.len() })
    }

    /// Replaces the values, unless the new values have errors that the present ones do not have.
    fn change(&mut self, values: RawCluster) -> Result<(), AnswerError> {
        let old = self.errors();
        let mut new = values.check().err().unwrap_or_default();
        // The user is asked for the endpoint later.
        new.retain(|error| !old.contains(error) && !matches!(error.reason, Reason::EndpointNeeded { .. }));
        if !new.is_empty() {
            return Err(AnswerError::Invalid(new));
        }
        self.values = values;
        Ok(())
    }

    pub(super) fn errors(&self) -> Vec<ConfigError> {
        self.values.check().err().unwrap_or_default()
    }
}

fn reasons(errors: &[ConfigError]) -> String {
    let reason = |error: &ConfigError| match &error.seen {
        Some(seen) => format!("{seen:?}: {}", error.reason),
        None => error.reason.to_string(),
    };
    errors.iter().map(reason).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, address: &str) -> RawHost {
        RawHost { name: Some(name.to_owned()), addresses: vec![address.to_owned()], ..RawHost::default() }
    }

    #[test]
    fn an_invalid_answer_does_not_change_the_draft() {
        let mut draft = Draft::new(RawCluster::default()).expect("an empty draft");
        draft.add(Role::Master, host("m1", "10.0.0.1")).expect("a master");
        let refused = draft.add(Role::Master, host("m2", "10.0.0.1"));
        assert!(
            matches!(&refused, Err(AnswerError::Invalid(errors)) if matches!(errors[0].reason, Reason::Duplicate { .. }))
        );
        assert!(matches!(draft.set_name("Prod"), Err(AnswerError::Name { .. })));
        assert!(matches!(draft.set_endpoint("10.0.0.9"), Err(AnswerError::Endpoint { .. })));
        assert!(!draft.needs_endpoint() && !draft.has_name() && !draft.has(Role::Node));
        draft.add(Role::Master, host("m2", "10.0.0.2")).expect("another master");
        assert!(draft.needs_endpoint());
    }

    #[test]
    fn a_valid_folder_name_becomes_the_cluster_name() {
        for (folder, name) in [("/srv/Prod_1", "prod-1"), ("/srv/--", "cluster"), ("/", "cluster")] {
            assert_eq!(Draft::default_name(&Layout::new(folder.into())), name, "{folder}");
        }
    }
}
