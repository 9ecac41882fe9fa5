//! Finds how an imported CA differs from one that clusterctl generates.

use time::OffsetDateTime;

use crate::app::env::Env;
use crate::app::renewal::CaRule;
use crate::cluster::spec::Cluster;
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::ca_key::CaKey;
use crate::pki::certificate::Certificate;
use crate::pki::lint::{ca_violations, own_root_violations};
use crate::pki::violation::Violation;

/// A property of an imported CA that Kubernetes accepts but that differs from CAs that clusterctl generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaWarning {
    /// The certificate's subject.
    pub subject: String,
    /// The difference.
    pub kind: CaWarningKind,
}

/// The ways in which an imported CA differs from one that clusterctl generates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaWarningKind {
    /// It breaks a rule that Kubernetes does not enforce.
    Violation(Violation),
    /// It may not sign CRLs.
    NoCrlSign,
    /// The file of its key is encrypted so weakly that passphrases are tried quickly.
    WeakKeyEncryption,
    /// It expires before certificates would that it signs now, or too soon to be replaced without haste.
    ExpiresSoon {
        /// When it expires.
        not_after: OffsetDateTime,
    },
}

/// Returns the differences of a CA from CAs that clusterctl generates.
pub(super) fn warnings(ca: &CaCertificate, key: Option<&CaKey>, cluster: &Cluster, env: &Env) -> Vec<CaWarning> {
    let mut warnings = Vec::new();
    let mut warn = |certificate: &Certificate, kind| {
        warnings.push(CaWarning { subject: certificate.subject.text.clone(), kind });
    };
    let certificate = ca.certificate();
    if key.is_some_and(CaKey::is_weakly_encrypted) {
        warn(certificate, CaWarningKind::WeakKeyEncryption);
    }
    let lacks_crl_sign = !certificate.can_sign_crls();
    if lacks_crl_sign {
        warn(certificate, CaWarningKind::NoCrlSign);
    }
    let not_after = ca.not_after();
    if CaRule::of(cluster).replaced_from(certificate.not_before, not_after) <= env.now {
        warn(certificate, CaWarningKind::ExpiresSoon { not_after });
    }
    for certificate in ca.path() {
        let violations = match ca.chain().is_empty() {
            true => own_root_violations(certificate, env.now),
            false => ca_violations(certificate, env.now),
        };
        let repeated = |violation: &Violation| lacks_crl_sign && matches!(violation, Violation::KeyUsage { .. });
        for violation in violations.into_iter().filter(|violation| !repeated(violation)) {
            warn(certificate, CaWarningKind::Violation(violation));
        }
    }
    warnings
}
