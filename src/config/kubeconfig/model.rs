//! The part of a kubeconfig that concerns trust.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The part of a kubeconfig that concerns trust.
#[derive(Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// `current-context`
    pub current_context: Option<String>,
    /// Every cluster, in order.
    pub clusters: Vec<KubeCluster>,
    /// Every user, in order.
    pub users: Vec<KubeUser>,
    /// Every context, in order.
    pub contexts: Vec<KubeContext>,
}

/// A context of a kubeconfig with the cluster and the user that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedContext<'a> {
    /// The context; `None` if the file has none and only one cluster.
    pub context: Option<&'a KubeContext>,
    /// The cluster.
    pub cluster: &'a KubeCluster,
    /// The user; `None` if the file has no such user, in which case requests are anonymous.
    pub user: Option<&'a KubeUser>,
}

/// Errors of a context of a kubeconfig. client-go refuses it, too (`clientcmd.ConfirmUsable`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The file has no current context, and it has contexts, or not exactly one cluster.
    #[error("it has no current-context")]
    NoneChosen,
    /// The context does not exist.
    #[error("there is no context {0:?} in it")]
    NoContext(String),
    /// The context's cluster does not exist.
    #[error("its context {context:?} names the cluster {cluster:?}, which is not in it")]
    NoCluster {
        /// The context.
        context: String,
        /// The cluster that it names.
        cluster: String,
    },
    /// The cluster has no server.
    #[error("its cluster {0:?} has no server")]
    NoServer(String),
}

impl Kubeconfig {
    /// Returns the cluster and the user of `context`, by default of the current context.
    ///
    /// For a file without contexts, its only cluster is returned; [`ResolvedContext::weaknesses`] reports that.
    ///
    /// # Errors
    /// Returns an error if the context, its cluster or the cluster's server does not exist.
    pub fn resolve(&self, context: Option<&str>) -> Result<ResolvedContext<'_>, ContextError> {
        let Some(name) = context.or(self.current_context.as_deref()) else {
            let ([cluster], []) = (self.clusters.as_slice(), self.contexts.as_slice()) else {
                return Err(ContextError::NoneChosen);
            };
            let user = self.users.first().filter(|_| self.users.len() == 1);
            return Ok(ResolvedContext { context: None, cluster, user });
        };
        let context = self.contexts.iter().find(|context| context.name == name);
        let context = context.ok_or_else(|| ContextError::NoContext(name.to_owned()))?;
        let cluster = self.clusters.iter().find(|cluster| cluster.name == context.cluster);
        let cluster = cluster.ok_or_else(|| ContextError::NoCluster {
            context: context.name.clone(),
            cluster: context.cluster.clone(),
        })?;
        if cluster.server.is_empty() {
            return Err(ContextError::NoServer(cluster.name.clone()));
        }
        Ok(ResolvedContext {
            context: Some(context),
            cluster,
            user: self.users.iter().find(|user| user.name == context.user),
        })
    }

    /// Returns the names of all contexts, for a hint.
    #[must_use]
    pub fn context_names(&self) -> Vec<&str> {
        self.contexts.iter().map(|context| context.name.as_str()).collect()
    }
}

/// A context entry: a user and a cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeContext {
    /// Its name.
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    /// The user's name.
    pub user: String,
}

/// A cluster entry.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeCluster {
    /// Its name.
    pub name: String,
    /// The API server's URL.
    pub server: String,
    /// `tls-server-name`: the name to verify instead of the server's host.
    pub tls_server_name: Option<String>,
    /// `proxy-url`
    pub proxy_url: Option<String>,
    /// The CAs to trust; `None` means the system's roots.
    pub ca: Option<Credential>,
    /// `insecure-skip-tls-verify`
    pub insecure: bool,
    /// The combinations of its fields that client-go refuses.
    pub contradictions: Vec<&'static str>,
}

impl KubeCluster {
    /// Returns the server's URL as client-go interprets it: in lower case, with http as the default scheme.
    ///
    /// The CA does not change the default: `clientcmd` looks at the scheme first (as in kubectl 1.36).
    #[must_use]
    pub fn location(&self) -> String {
        let server = self.server.to_ascii_lowercase();
        if server.contains("://") { server } else { format!("http://{server}") }
    }
}

/// A user entry.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeUser {
    /// Its name.
    pub name: String,
    /// The client certificate.
    pub certificate: Option<Credential>,
    /// Its key.
    pub key: Option<Credential>,
    /// Whether the field of a client certificate or a key is there, and empty.
    pub has_empty_field: bool,
    /// Other authentication methods: `a token`, `an exec plugin` …
    pub others: Vec<&'static str>,
    /// `as`, `as-uid`, `as-groups` or `as-user-extra`: the user to impersonate.
    pub impersonates: bool,
    /// The combinations of its fields that client-go refuses.
    pub contradictions: Vec<&'static str>,
}

/// A credential: a file, which is reloaded when it changes, or embedded data, which is not.
#[derive(PartialEq, Eq)]
pub enum Credential {
    /// A path, relative to the kubeconfig's directory.
    File(PathBuf),
    /// The bytes themselves.
    Data(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Data(_) => f.write_str("Data(…)"),
        }
    }
}
