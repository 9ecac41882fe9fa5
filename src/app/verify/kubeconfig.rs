//! Assembles the target that a kubeconfig describes: the cluster and the user of a context, as client-go selects them.

use std::path::Path;

use zeroize::Zeroizing;

use super::assembled::{AssembledTarget, LIMIT};
use super::clients::{is_node, use_as_node, use_as_verifier};
use super::endpoint::{endpoint_peer, parse_endpoint};
use super::error::{TargetError, UnusableKubeconfig, VerifyError};
use crate::app::input::InputError;
use crate::app::{Error, input};
use crate::cluster::address::Address;
use crate::config::kubeconfig::{self, Credential, KubeCluster, ResolvedContext};
use crate::verify::finding::{CheckId, Finding, Status};
use crate::verify::remedy::TrustRemedy;
use crate::verify::target::{Identity, Peer, Place, Target};

/// Returns the target of a context; `None` means the current context.
///
/// # Errors
/// Returns an error if the kubeconfig, or a file that it names, cannot be read or used.
pub(super) fn target(path: &Path, context: Option<&str>) -> Result<AssembledTarget, Error> {
    let unusable = |reason| VerifyError::Target(TargetError::Kubeconfig { path: path.to_owned(), reason });
    let bytes = Zeroizing::new(input::read_named(path, LIMIT, "kubeconfig")?);
    let config = kubeconfig::read(&bytes).map_err(|error| unusable(UnusableKubeconfig::Kubeconfig(error)))?;
    let used = config.resolve(context).map_err(|source| {
        let contexts = config.context_names().into_iter().map(ToString::to_string).collect();
        unusable(UnusableKubeconfig::Context { source, contexts })
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut assembled = AssembledTarget::from(Target::empty(used.cluster.name.clone()));
    assembled.target.endpoint = Some(endpoint_of(used.cluster).map_err(VerifyError::Target)?);
    let Some(ca) = &used.cluster.ca else {
        return Err(unusable(UnusableKubeconfig::NoAuthority).into());
    };
    assembled.target.add_trust_file(&contents(ca, folder)?);
    let client = client(&used, folder, &unusable)?;
    assembled.findings = judge(used, path);
    match client {
        Some(client) if is_node(&client.certificate) => use_as_node(&mut assembled.target, client),
        Some(client) => use_as_verifier(&mut assembled, client),
        None => {}
    }
    Ok(assembled)
}

fn client(
    used: &ResolvedContext<'_>,
    folder: &Path,
    unusable: &dyn Fn(UnusableKubeconfig) -> VerifyError,
) -> Result<Option<Identity>, Error> {
    let Some(user) = used.user else { return Ok(None) };
    let (Some(certificate), Some(key)) = (&user.certificate, &user.key) else { return Ok(None) };
    let key = Zeroizing::new(contents(key, folder)?);
    let identity = Identity::from_pem(&contents(certificate, folder)?, &key);
    Ok(Some(identity.map_err(|error| unusable(UnusableKubeconfig::Identity(error)))?))
}

fn contents(credential: &Credential, folder: &Path) -> Result<Vec<u8>, InputError> {
    match credential {
        Credential::Data(bytes) => Ok(bytes.to_vec()),
        Credential::File(path) => input::read(&folder.join(path), LIMIT, "file"),
    }
}

/// Returns the findings `trust.match` of a kubeconfig. A setting that weakens trust is a failure; a credential that is
/// not reloaded is only a warning.
fn judge(used: ResolvedContext<'_>, path: &Path) -> Vec<Finding> {
    let of = |breaks_trust| {
        let weaknesses = used.weaknesses().into_iter().filter(|weakness| weakness.breaks_trust == breaks_trust);
        weaknesses.map(|weakness| weakness.what).collect::<Vec<_>>()
    };
    let (broken, embedded) = (of(true), of(false));
    let host = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut findings = vec![trust_match(&host, path, &broken, Status::Fail)];
    if !embedded.is_empty() {
        findings.push(trust_match(&host, path, &embedded, Status::Warn));
    }
    findings
}

/// Returns the finding `trust.match` of a file: `status` with all problems, or a pass if there are none.
pub(super) fn trust_match(host: &str, path: &Path, wrong: &[String], status: Status) -> Finding {
    let expected = "a root named by file path, https, and only client certificates";
    let status = if wrong.is_empty() { Status::Pass } else { status };
    let finding = Finding::new(CheckId::TRUST_MATCH, Place::Cluster, host, status).address(path.display().to_string());
    if wrong.is_empty() {
        return finding.saw("as expected", expected);
    }
    finding.saw(wrong.join("; "), expected).remedy(TrustRemedy::RewriteKubeconfig)
}

/// Returns the endpoint of a kubeconfig's cluster, with the server name that TLS has to request there.
pub(super) fn endpoint_of(cluster: &KubeCluster) -> Result<Peer, TargetError> {
    let mut peer = endpoint_peer(parse_endpoint(&cluster.location())?);
    if let Some(name) = &cluster.tls_server_name {
        let parsed = Address::parse(&name.to_ascii_lowercase());
        peer.tls_name = Some(parsed.map_err(|reason| TargetError::ServerName { name: name.clone(), reason })?);
    }
    Ok(peer)
}

/// Returns the problem of a bundle's kubeconfig that has a `tls-server-name`.
///
/// Its client would accept any server whose certificate has that name, for example a node's, as the master.
pub(in crate::app) fn other_server_name(name: &str) -> String {
    format!("tls-server-name is set: a server called {name} would be accepted as the master")
}
