//! Finds the differences by which a kubeconfig is weaker than those that clusterctl writes.

use super::model::{Credential, ResolvedContext};

/// A difference by which a kubeconfig is weaker than those that clusterctl writes.
#[derive(Debug, PartialEq, Eq)]
pub struct Weakness {
    /// A description.
    pub what: String,
    /// True if another server could impersonate the API server, or another client this node, or if client-go refuses
    /// the file.
    pub breaks_trust: bool,
}

impl ResolvedContext<'_> {
    /// Returns the differences by which the kubeconfig is weaker than those that clusterctl writes.
    ///
    /// `tls-server-name` is not included: `verify` honours it, and the check of bundles rejects it separately.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        let mut note = |breaks_trust, what| found.push(Weakness { what, breaks_trust });
        let Self { context, cluster, user } = self;
        if context.is_none() {
            note(true, "it has no current-context, so that kubectl and kubelets have no server".to_owned());
        }
        if !cluster.location().starts_with("https://") {
            note(true, format!("{} is not https", cluster.server));
        }
        if cluster.insecure {
            note(true, "insecure-skip-tls-verify is set".to_owned());
        }
        match cluster.ca {
            Some(Credential::File(_)) => {}
            Some(Credential::Data(_)) => {
                note(false, "its CA is embedded, and not reloaded when it changes".to_owned());
            }
            None => note(true, "it names no CA, so the system's are trusted".to_owned()),
        }
        if let Some(proxy) = &cluster.proxy_url {
            note(false, format!("proxy-url is not honoured here; {proxy} was not used"));
        }
        for contradiction in &cluster.contradictions {
            note(true, format!("cluster {}: client-go refuses {contradiction}", cluster.name));
        }
        match (user, context) {
            (Some(user), _) => {
                for means in &user.others {
                    note(true, format!("user {} authenticates by {means}", user.name));
                }
                let embedded = |c: &Option<Credential>| matches!(c, Some(Credential::Data(_)));
                if embedded(&user.certificate) || embedded(&user.key) {
                    let what = "its certificate is embedded, and not reloaded when it changes";
                    note(false, format!("user {}: {what}", user.name));
                }
                if user.impersonates {
                    let what = "as and as-groups are not honoured here: requests were made as the certificate's user";
                    note(false, format!("user {}: {what}", user.name));
                }
                for contradiction in &user.contradictions {
                    note(true, format!("user {}: client-go refuses {contradiction}", user.name));
                }
            }
            (None, Some(context)) => {
                let what = "which is not in it, so that requests are anonymous";
                note(false, format!("its context {} names the user {:?}, {what}", context.name, context.user));
            }
            (None, None) => {}
        }
        found
    }
}
