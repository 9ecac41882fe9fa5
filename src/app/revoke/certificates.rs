//! Reads certificates from files. The ledger may not have them.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::{NoCertificate, RevokeError};
use crate::app::error::Error;
use crate::app::input;
use crate::cluster::name::HostName;
use crate::cluster::profile::{
    ADMINS, ANNOUNCERS, APPROVERS, CaRole, ENROLMENT_SERVER, Profile, SIGNERS, SYSTEM_MASTERS,
};
use crate::cluster::spec::Role;
use crate::config::kubeconfig::{self, Credential};
use crate::pki::ca_set::CaSet;
use crate::pki::certificate::Certificate;
use crate::pki::pem;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::layout::Layout;
use crate::store::ledger::certificates::Entry;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::{AuditContext, Ledger};

/// The largest certificate or kubeconfig that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The profile in the ledger of a certificate that matches no profile of the PKI policy.
pub(crate) const UNKNOWN_PROFILE: &str = "unknown";

/// A certificate that one of this directory's CAs signed.
#[derive(Debug)]
pub(crate) struct OwnCertificate {
    pub(crate) certificate: Certificate,
    /// The CA that signed it.
    pub(crate) signed_by: CaRole,
    /// The certificate's record in the ledger, or the record that it would get.
    pub(crate) issued: IssuedCertificate,
    /// Whether the ledger has it.
    pub(crate) recorded: bool,
}

impl OwnCertificate {
    /// Looks up a certificate; `None` if no CA of the directory signed it. If the ledger does not have it, it counts as
    /// a certificate of `host`.
    ///
    /// # Errors
    /// Returns an error if the ledger cannot be used.
    pub(crate) fn look_up(
        certificate: Certificate,
        host: Option<&str>,
        cas: &CaSet,
        ledger: &Ledger,
    ) -> Result<Option<Self>, StoreError> {
        let has_signed = |role| cas.of(role).signer_of(&certificate).map(|ca| (role, ca.certificate().fingerprint()));
        let Some((signed_by, issuer)) = CaRole::ALL.into_iter().find_map(has_signed) else { return Ok(None) };
        let known = ledger.by_fingerprint(certificate.fingerprint())?;
        let recorded = known.is_some();
        let issued = known.unwrap_or_else(|| IssuedCertificate {
            serial: certificate.serial.clone(),
            fingerprint: certificate.fingerprint(),
            profile: profile(&certificate, signed_by).to_owned(),
            host: host.or_else(|| host_of(certificate.subject.common_names.first()?)).map(ToOwned::to_owned),
            account: certificate.account().user,
            not_after: certificate.not_after,
            issuer,
            revocation: None,
        });
        Ok(Some(Self { certificate, signed_by, issued, recorded }))
    }

    /// Returns its entry for the ledger.
    pub(crate) fn entry<'a>(&'a self, cas: &'a CaSet) -> Entry<'a> {
        let Self { certificate, signed_by, issued, .. } = self;
        let (profile, host) = (issued.profile.as_str(), issued.host.as_deref());
        Entry { certificate, profile, host, issuer: issuer_of(certificate, cas.of(*signed_by)) }
    }
}

/// Returns the certificates of a file (PEM, DER or a kubeconfig).
///
/// # Errors
/// Returns [`RevokeError::NoCertificate`], [`RevokeError::OtherIssuer`] if no CA of the directory signed one of them,
/// or an error if a file or the ledger cannot be used.
pub(crate) fn in_file(path: &Path, cas: &CaSet, ledger: &Ledger) -> Result<Vec<OwnCertificate>, Error> {
    let mut found = Vec::new();
    for certificate in read(path)? {
        let subject = certificate.account().user;
        match OwnCertificate::look_up(certificate, None, cas, ledger)? {
            Some(own) => found.push(own),
            None => return Err(RevokeError::OtherIssuer { path: path.to_owned(), subject }.into()),
        }
    }
    Ok(found)
}

/// Returns the certificates in the files of a host or a person that the ledger does not have, for example because it
/// was restored from a backup.
///
/// # Errors
/// Returns an error if the ledger or a folder cannot be used.
pub(crate) fn unrecorded_of(
    name: &str,
    layout: &Layout,
    cas: &CaSet,
    ledger: &Ledger,
) -> Result<Vec<OwnCertificate>, StoreError> {
    let Ok(host) = HostName::parse(name) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for role in [Role::Master, Role::Node] {
        let folder = layout.hosts_folder(role).join(host.as_str());
        let names = files::names_in(&folder)?;
        files.extend(names.iter().filter(|file| file.ends_with(".crt")).map(|file| (folder.join(file), Some(name))));
    }
    files.push((layout.admin_kubeconfig(&host), None));
    let mut unrecorded = Vec::new();
    for (path, host) in files.into_iter().filter(|(path, _)| files::exists(path)) {
        // A file that cannot be read has no certificate that could be revoked.
        for certificate in read(&path).unwrap_or_default() {
            let own = OwnCertificate::look_up(certificate, host, cas, ledger)?;
            unrecorded.extend(own.filter(|own| !own.recorded));
        }
    }
    Ok(unrecorded)
}

/// Records the certificates that the ledger does not have yet, and returns their number.
///
/// Certificates that were revoked only by serial number or SHA-256 stay revoked.
///
/// # Errors
/// Returns an error if the ledger cannot be written.
pub(crate) fn record(
    certificates: &[OwnCertificate],
    cas: &CaSet,
    ledger: &mut Ledger,
    audit: &AuditContext<'_>,
) -> Result<usize, StoreError> {
    let mut entries = Vec::new();
    entries.extend(certificates.iter().filter(|own| !own.recorded).map(|own| own.entry(cas)));
    if !entries.is_empty() {
        ledger.record(&entries, audit)?;
        ledger.resolve_unrecorded()?;
    }
    Ok(entries.len())
}

/// Returns the certificate of the CA that signed a certificate; the CA may be in any state.
fn issuer_of<'a>(certificate: &Certificate, trust: &'a TrustBundle) -> &'a Certificate {
    trust.signer_of(certificate).unwrap_or(trust.active()).certificate()
}

/// Returns the profile that matches a certificate's account and usages, or [`UNKNOWN_PROFILE`], which counts as a
/// client.
fn profile(certificate: &Certificate, signed_by: CaRole) -> &'static str {
    let has = |group: &str| certificate.subject.organizations.iter().any(|one| one == group);
    let user = certificate.account().user;
    let serves_only = certificate.has_extended_usage("serverAuth") && !certificate.has_extended_usage("clientAuth");
    let profile = match (signed_by, user.as_str()) {
        (CaRole::Cluster, "kube-apiserver") if serves_only => Profile::Apiserver,
        (CaRole::Cluster, ENROLMENT_SERVER) if serves_only => Profile::EnrolmentServer,
        (CaRole::Cluster, _) if serves_only => Profile::KubeletServer,
        (CaRole::Cluster, _) if has(SYSTEM_MASTERS) => Profile::BreakGlass,
        (CaRole::Cluster, _) if [ADMINS, ANNOUNCERS, APPROVERS, SIGNERS].into_iter().any(has) => Profile::Admin,
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

/// Returns the host name in a node's account, under either scheme.
fn host_of(user: &str) -> Option<&str> {
    user.strip_prefix("kubelet:").or_else(|| user.strip_prefix("system:node:"))
}

/// Returns all certificates of a file that was named.
///
/// # Errors
/// Returns [`RevokeError::NoCertificate`], or an error if it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<Certificate>, Error> {
    parse(&Zeroizing::new(input::read_named(path, MAX_BYTES, "file")?), path)
}

/// Returns all certificates in the bytes of the file at `path`.
///
/// # Errors
/// Returns [`RevokeError::NoCertificate`], or an error if a file that a kubeconfig names cannot be read.
pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Certificate>, Error> {
    let unusable = |source| RevokeError::NoCertificate { path: path.to_owned(), source };
    let ders = match pem::certificates(bytes) {
        Ok(ders) => ders,
        Err(error) => match in_kubeconfig(bytes, path)? {
            Some(ders) => ders,
            None => match Certificate::from_der(bytes.to_vec()) {
                Ok(certificate) => return Ok(vec![certificate]),
                Err(_) => return Err(unusable(NoCertificate::Pem(error)).into()),
            },
        },
    };
    let parse = |der| Certificate::from_der(der).map_err(|error| unusable(NoCertificate::Certificate(error)));
    Ok(ders.into_iter().map(parse).collect::<Result<_, _>>()?)
}

/// Returns the client certificates of a kubeconfig; `None` if the file is not a kubeconfig or has no client
/// certificate.
fn in_kubeconfig(bytes: &[u8], path: &Path) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let Ok(config) = kubeconfig::read(bytes) else { return Ok(None) };
    let mut ders = Vec::new();
    for certificate in config.users.iter().filter_map(|user| user.certificate.as_ref()) {
        let pem = match certificate {
            Credential::Data(pem) => pem.clone(),
            Credential::File(file) => {
                let file = path.parent().unwrap_or(Path::new(".")).join(file);
                Zeroizing::new(input::read(&file, MAX_BYTES, "certificate")?)
            }
        };
        // The certificates after the first one are its chain.
        ders.extend(pem::certificates(&pem).ok().and_then(|ders| ders.into_iter().next()));
    }
    Ok((!ders.is_empty()).then_some(ders))
}
