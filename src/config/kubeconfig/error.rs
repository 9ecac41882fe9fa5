//! Errors of reading a kubeconfig.

/// Errors of parsing a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is not YAML of this structure.
    #[error("it is not a kubeconfig")]
    Shape(String),
    /// It is another kind of object.
    #[error("it is {0}, not a kubeconfig (kind: Config)")]
    Kind(String),
    /// An unsupported version.
    #[error("its apiVersion is {0:?}; a kubeconfig has v1")]
    Version(String),
    /// Two entries have the same name.
    #[error("it has the {what} {name:?} twice")]
    Twice {
        /// `cluster`, `user` or `context`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Data is not base64.
    #[error("{0} is not base64")]
    Base64(String),
}
