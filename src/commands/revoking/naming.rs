//! Certificates that a person names by a file, or by a serial number and its issuer: the ledger need not know them.

use std::path::Path;

use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::cli::context::{read_given, read_named};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::name::HostName;
use crate::cluster::profile::{ADMINS, CaRole, Profile, SYSTEM_MASTERS};
use crate::cluster::spec::Role;
use crate::config::kubeconfig::{self, Credential};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::pem;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::certificates::Entry;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::{AuditContext, Ledger};

/// No certificate or kubeconfig is larger than this, in bytes.
const LIMIT: u64 = 1 << 20;
/// The ledger's profile of a certificate that is none of ours by its account.
const UNKNOWN_PROFILE: &str = "unknown";

/// `--issuer`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IssuerName {
    /// The cluster's root, pki/ca.crt.
    #[value(alias = "root")]
    Cluster,
    /// etcd's root, pki/etcd/ca.crt.
    Etcd,
    /// The front proxy's root, pki/front-proxy/ca.crt.
    FrontProxy,
}

impl IssuerName {
    /// The root.
    pub(crate) fn kind(self) -> CaRole {
        match self {
            Self::Cluster => CaRole::Cluster,
            Self::Etcd => CaRole::Etcd,
            Self::FrontProxy => CaRole::FrontProxy,
        }
    }
}

/// A certificate that one of our roots signed.
pub(crate) struct Ours {
    pub(crate) certificate: Certificate,
    pub(crate) kind: CaRole,
    /// As the ledger has it, or would have it.
    pub(crate) issued: IssuedCertificate,
    /// Whether the ledger has it.
    pub(crate) recorded: bool,
}

/// The certificates of a file, PEM, DER or in a kubeconfig, that our roots signed.
///
/// # Errors
/// A usage error when there is none in it; refused when one of them is no certificate of these roots.
pub(crate) fn in_file(path: &Path, roots: &CaSet, ledger: &Ledger) -> Result<Vec<Ours>> {
    let mut found = Vec::new();
    for certificate in certificates(path)? {
        let user = certificate.account().user;
        let Some(ours) = ours(certificate, None, roots, ledger)? else {
            let what = format!("no root of this directory signed the certificate of {user} in {}", path.display());
            return Err(CliError::new(Exit::Refused, what).hint("nothing was revoked: whoever signed it can revoke it"));
        };
        found.push(ours);
    }
    Ok(found)
}

/// The certificates in the directory of a host, or of a person, that the ledger does not have: one from a backup has forgotten
/// them, and a name means them as well.
///
/// # Errors
/// When the ledger or a folder cannot be used.
pub(crate) fn forgotten_of(
    name: &str,
    layout: &Layout,
    roots: &CaSet,
    ledger: &Ledger,
) -> Result<Vec<Ours>, StoreError> {
    let Ok(host) = HostName::parse(name) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for role in [Role::Master, Role::Node] {
        let folder = layout.hosts_folder(role).join(host.as_str());
        let names = files::names_in(&folder)?;
        found.extend(names.iter().filter(|file| file.ends_with(".crt")).map(|file| (folder.join(file), Some(name))));
    }
    found.push((layout.admin_kubeconfig(&host), None));
    let mut forgotten = Vec::new();
    for (path, host) in found.into_iter().filter(|(path, _)| files::exists(path)) {
        // What cannot be read is nothing that could be revoked.
        for certificate in certificates(&path).unwrap_or_default() {
            forgotten.extend(ours(certificate, host, roots, ledger)?.filter(|ours| !ours.recorded));
        }
    }
    Ok(forgotten)
}

/// What the ledger has of a certificate, or would have, as one of `host`; `None` where no root of ours signed it.
///
/// # Errors
/// When the ledger cannot be used.
pub(crate) fn ours(
    certificate: Certificate,
    host: Option<&str>,
    roots: &CaSet,
    ledger: &Ledger,
) -> Result<Option<Ours>, StoreError> {
    let signed = |kind: &CaRole| certificate.is_signed_by(roots.of(*kind));
    let Some(kind) = CaRole::ALL.into_iter().find(signed) else { return Ok(None) };
    let known = ledger.by_fingerprint(certificate.fingerprint())?;
    let recorded = known.is_some();
    let issued = known.unwrap_or_else(|| IssuedCertificate {
        serial: certificate.serial.clone(),
        fingerprint: certificate.fingerprint(),
        profile: profile(&certificate, kind).to_owned(),
        host: host.or_else(|| host_of(certificate.subject.common_names.first()?)).map(ToOwned::to_owned),
        account: certificate.account().user,
        not_after: certificate.not_after,
        issuer: roots.of(kind).fingerprint(),
        revocation: None,
    });
    Ok(Some(Ours { certificate, kind, issued, recorded }))
}

/// Records those of these certificates that the ledger does not have; what of them was revoked before stays so. Returns how many
/// there were.
///
/// # Errors
/// When the ledger cannot.
pub(crate) fn record(
    certificates: &[Ours],
    roots: &CaSet,
    ledger: &mut Ledger,
    mark: &AuditContext<'_>,
) -> Result<usize, StoreError> {
    let mut entries = Vec::new();
    for Ours { certificate, kind, issued, .. } in certificates.iter().filter(|ours| !ours.recorded) {
        let (profile, host) = (issued.profile.as_str(), issued.host.as_deref());
        entries.push(Entry { certificate, profile, host, issuer: roots.of(*kind) });
    }
    if !entries.is_empty() {
        ledger.record(&entries, mark)?;
        ledger.resolve_unrecorded()?;
    }
    Ok(entries.len())
}

/// The profile that a certificate has by its account and its usages; what is none of ours counts as a client.
fn profile(certificate: &Certificate, kind: CaRole) -> &'static str {
    let has = |group: &str| certificate.subject.organizations.iter().any(|one| one == group);
    let user = certificate.account().user;
    let serves_only = certificate.has_extended_usage("serverAuth") && !certificate.has_extended_usage("clientAuth");
    let profile = match (kind, user.as_str()) {
        (CaRole::Cluster, "kube-apiserver") if serves_only => Profile::Apiserver,
        (CaRole::Cluster, _) if serves_only => Profile::KubeletServer,
        (CaRole::Cluster, _) if has(SYSTEM_MASTERS) => Profile::BreakGlass,
        (CaRole::Cluster, _) if has(ADMINS) => Profile::Admin,
        (CaRole::Cluster, _) if host_of(&user).is_some() => Profile::KubeletClient,
        (CaRole::Cluster, "kube-apiserver-kubelet-client") => Profile::ApiserverKubeletClient,
        (CaRole::Cluster, "system:kube-controller-manager") => Profile::ControllerManager,
        (CaRole::Cluster, "system:kube-scheduler") => Profile::Scheduler,
        (CaRole::Cluster, "clusterctl:verifier") => Profile::Verifier,
        (CaRole::Etcd, "kube-apiserver-etcd-client") => Profile::ApiserverEtcdClient,
        (CaRole::Etcd, "kube-etcd-healthcheck-client") => Profile::EtcdHealthcheckClient,
        (CaRole::FrontProxy, _) => Profile::FrontProxyClient,
        _ => return UNKNOWN_PROFILE,
    };
    profile.policy().name
}

/// The node that an account is of, under either scheme.
fn host_of(user: &str) -> Option<&str> {
    user.strip_prefix("kubelet:").or_else(|| user.strip_prefix("system:node:"))
}

/// All certificates of a file.
fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let bytes = Zeroizing::new(read_given(path, LIMIT, "file")?);
    let unusable = |why: String| {
        CliError::new(Exit::Usage, format!("{} holds no certificate that can be revoked: {why}", path.display()))
            .hint("name a certificate's file or a kubeconfig, a host, an account or a serial number")
    };
    let ders = match pem::certificates(&bytes) {
        Ok(ders) => ders,
        Err(error) => match in_kubeconfig(&bytes, path)? {
            Some(ders) => ders,
            None => match Certificate::from_der(bytes.to_vec()) {
                Ok(certificate) => return Ok(vec![certificate]),
                Err(_) => return Err(unusable(error.to_string())),
            },
        },
    };
    let read = |der| Certificate::from_der(der).map_err(|error| unusable(error.to_string()));
    ders.into_iter().map(read).collect()
}

/// The client certificates of a kubeconfig; `None` where it is none.
fn in_kubeconfig(bytes: &[u8], path: &Path) -> Result<Option<Vec<Vec<u8>>>> {
    let Ok(config) = kubeconfig::read(bytes) else { return Ok(None) };
    let mut ders = Vec::new();
    for certificate in config.users.iter().filter_map(|user| user.certificate.as_ref()) {
        let pem = match certificate {
            Credential::Data(pem) => pem.clone(),
            Credential::File(file) => {
                let file = path.parent().unwrap_or(Path::new(".")).join(file);
                Zeroizing::new(read_named(&file, LIMIT, "certificate")?)
            }
        };
        // A chain behind the certificate is not the client's own.
        ders.extend(pem::certificates(&pem).ok().and_then(|ders| ders.into_iter().next()));
    }
    Ok((!ders.is_empty()).then_some(ders))
}
