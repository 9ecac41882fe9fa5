//! Collects the certificates and CRLs of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::app::inspect::content::Content;
use crate::app::inspect::read_all::ReadFile;
use crate::app::inspect::{SkipReason, Skipped};
use crate::explain::file_item::FileItem;
use crate::explain::kubeconfig::{Field, PartError, ReadKubeconfig, unusable};
use crate::pki::certificate::Certificate;
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;

/// A certificate and the file that it was found in.
pub(super) struct FoundCertificate<'f> {
    pub(super) certificate: &'f Certificate,
    pub(super) label: String,
    pub(super) path: PathBuf,
    /// Whether it is embedded in a kubeconfig for a user.
    pub(super) is_of_user: bool,
}

/// A CRL and the file that it was found in.
pub(super) struct FoundCrl<'f> {
    pub(super) crl: &'f Crl,
    pub(super) label: String,
    pub(super) path: PathBuf,
}

/// All certificates and CRLs.
#[derive(Default)]
pub(super) struct Found<'f> {
    pub(super) certificates: Vec<FoundCertificate<'f>>,
    pub(super) crls: Vec<FoundCrl<'f>>,
    pub(super) skipped: Vec<Skipped>,
    seen: HashSet<Fingerprint>,
}

impl<'f> Found<'f> {
    /// Collects the certificates of files, then those of kubeconfigs.
    ///
    /// A certificate in several files belongs to the first of them. The client certificate of every kubeconfig counts,
    /// because each kubeconfig has to be renewed, but the CA that all of them trust counts once.
    pub(super) fn of(files: &'f [ReadFile]) -> Self {
        let mut found = Self::default();
        for ReadFile { file, content } in files {
            if let Content::Items(items) = content {
                found.items(&file.label, &file.path, items);
            }
        }
        for ReadFile { file, content } in files {
            let Content::Kubeconfig(config) = content else { continue };
            found.config(&file.label, &file.path, config);
        }
        let unsigned: Vec<String> =
            found.crls.iter().filter(|one| !found.has_signer(one.crl)).map(|one| one.label.clone()).collect();
        unsigned.iter().for_each(|label| found.skip(label, SkipReason::NoSigner));
        found
    }

    fn config(&mut self, label: &str, path: &Path, config: &'f ReadKubeconfig) {
        let several = config.config().users.len() > 1;
        let label_of = |user: &str| if several { format!("{label} user {user}") } else { label.to_owned() };
        for part in config.parts() {
            let label = match part.field {
                Field::Ca => label.to_owned(),
                Field::Certificate | Field::Key => label_of(&part.of),
            };
            let name = part.field.name(part.is_embedded);
            match &part.items {
                Err(PartError::Content(reason)) => {
                    self.skip(&label, SkipReason::Kubeconfig(format!("{name}: {reason}")))
                }
                // A key need not be readable, and a file with both is reported once.
                Err(_) if part.field == Field::Key => {}
                Err(reason) => self.skip(&label, SkipReason::Reference(reason.to_string())),
                Ok(items) => {
                    if let Some(reason) = unusable(part.field, items) {
                        self.skip(&label, SkipReason::Kubeconfig(format!("{name}: {reason}")));
                    }
                    match part.field {
                        Field::Key => {}
                        Field::Certificate if part.is_embedded => self.user(&label, path, items),
                        Field::Certificate | Field::Ca => self.items(&label, path, items),
                    }
                }
            }
        }
        for cluster in &config.config().clusters {
            for contradiction in &cluster.contradictions {
                self.skip(label, SkipReason::Kubeconfig(format!("client-go refuses {contradiction}")));
            }
        }
        for user in &config.config().users {
            for contradiction in &user.contradictions {
                self.skip(&label_of(&user.name), SkipReason::Kubeconfig(format!("client-go refuses {contradiction}")));
            }
            let reason = ReadKubeconfig::anonymous(user).map(str::to_owned).or_else(|| config.mismatch(&user.name));
            if let Some(reason) = reason {
                self.skip(&label_of(&user.name), SkipReason::Kubeconfig(reason));
            }
        }
    }

    /// Returns the CA that signed a CRL, if it was found.
    pub(super) fn signer_of(&self, crl: &Crl) -> Option<Fingerprint> {
        let signed_it = |one: &&FoundCertificate<'_>| {
            one.certificate.subject.der == crl.issuer.der && crl.is_signed_by(one.certificate)
        };
        Some(self.certificates.iter().find(signed_it)?.certificate.fingerprint())
    }

    /// Returns true if the CA that signed a CRL was found.
    fn has_signer(&self, crl: &Crl) -> bool {
        self.signer_of(crl).is_some()
    }

    fn skip(&mut self, label: &str, reason: SkipReason) {
        self.skipped.push(Skipped { label: label.to_owned(), reason });
    }

    fn items(&mut self, label: &str, path: &Path, items: &'f [FileItem]) {
        for item in items {
            match item {
                FileItem::Certificate(certificate, _) if self.seen.insert(certificate.fingerprint()) => {
                    self.certificate(certificate, label, path, false);
                }
                FileItem::Crl(crl) => {
                    self.crls.push(FoundCrl { crl, label: label.to_owned(), path: path.to_owned() });
                }
                FileItem::Damaged { kind, reason } => {
                    self.skip(label, SkipReason::Damaged { kind, reason: reason.clone() });
                }
                _ => {}
            }
        }
    }

    /// Adds the first certificate of a user; the certificates after it are its issuer's chain.
    fn user(&mut self, label: &str, path: &Path, items: &'f [FileItem]) {
        let certificate = items.iter().find_map(|item| match item {
            FileItem::Certificate(certificate, _) => Some(certificate),
            _ => None,
        });
        match certificate {
            Some(certificate) => self.certificate(certificate, label, path, true),
            None => self.items(label, path, items),
        }
    }

    fn certificate(&mut self, certificate: &'f Certificate, label: &str, path: &Path, is_of_user: bool) {
        let (label, path) = (label.to_owned(), path.to_owned());
        self.certificates.push(FoundCertificate { certificate, label, path, is_of_user });
    }

    /// Returns the CA that signed a certificate, if it was found. A self-signed certificate has none.
    pub(super) fn issuer_of(&self, certificate: &Certificate) -> Option<Fingerprint> {
        let signed_it = |one: &&FoundCertificate<'_>| {
            one.certificate.subject.der == certificate.issuer.der
                && one.certificate.fingerprint() != certificate.fingerprint()
                && certificate.is_signed_by(one.certificate)
        };
        Some(self.certificates.iter().find(signed_it)?.certificate.fingerprint())
    }

    /// Returns true if a CRL that was found, and that the certificate's issuer signed, lists a certificate.
    pub(super) fn is_revoked(&self, certificate: &Certificate) -> bool {
        let lists = |FoundCrl { crl, .. }: &FoundCrl<'_>| {
            crl.issuer.der == certificate.issuer.der
                && crl.serials.contains(&certificate.serial)
                && self.has_signer(crl)
        };
        self.crls.iter().any(lists)
    }
}
