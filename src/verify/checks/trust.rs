//! What the certificates that a peer sent come to: the path that leads to a root, and what is wrong with it.

use std::rc::Rc;

use super::judge::CheckContext;
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::pki::chain::{ChainError, Concern, PathFlaw, Purpose, best_path};
use crate::pki::fingerprint::Fingerprint;

/// What the certificates that a peer sent come to.
pub(super) struct Trust {
    /// Whether they lead to a root. Dates and extended key usages are checks of their own.
    pub(super) chain: Result<(), ChainError>,
    /// The path, where there is one.
    pub(super) way: Option<Way>,
}

/// A path, on its own.
pub(super) struct Way {
    /// CertificateSpec, intermediates, root; the leaf alone where that is in the trust file.
    pub(super) certificates: Vec<Certificate>,
    /// How many of them the peer sent.
    pub(super) sent: usize,
    /// What is wrong with it.
    pub(super) flaws: Vec<PathFlaw>,
}

/// Go's largest RSA key of a certificate that comes over TLS, in bits.
const LARGEST_RSA: usize = 8192;

impl CheckContext<'_> {
    /// Returns what a chain as sent comes to; worked out once for each.
    pub(super) fn trust(&mut self, shown: &[Fingerprint]) -> Rc<Trust> {
        if let Some(known) = self.trusted.get(shown) {
            return known.clone();
        }
        let trust = Rc::new(match self.all_of(shown) {
            Ok(certificates) => self.walk(&certificates),
            Err(error) => Trust { chain: Err(error), way: None },
        });
        self.trusted.insert(shown.to_vec(), trust.clone());
        trust
    }

    /// Every certificate that was sent. One that Kubernetes cannot read ends its handshakes, wherever it stands.
    fn all_of(&mut self, shown: &[Fingerprint]) -> Result<Vec<Certificate>, ChainError> {
        let mut certificates = Vec::with_capacity(shown.len());
        for (at, fingerprint) in shown.iter().enumerate() {
            let which =
                || if at == 0 { "its certificate".to_owned() } else { format!("certificate {} that it sends", at + 1) };
            let certificate = match self.certificate_of(fingerprint).as_deref() {
                Some(Ok(certificate)) => certificate.clone(),
                Some(Err(reason)) => {
                    let der = self.seen.certificates.get(fingerprint);
                    return Err(match der.and_then(|der| Certificate::refused_by_go(&der.0)) {
                        Some(_) => ChainError::Path(format!("{} cannot be read: {reason}", which())),
                        None => ChainError::Unproven(format!("{} cannot be read here: {reason}", which())),
                    });
                }
                None => {
                    let what = format!("{} cannot be read: the recording does not hold it", which());
                    return Err(ChainError::Path(what));
                }
            };
            if let Some(reason) = &certificate.go_refuses {
                return Err(ChainError::Path(format!("{} is refused by Kubernetes (Go): {reason}", which())));
            }
            // The leaf's key signs the handshake, and those of a path sign certificates.
            if at > 0 && !certificate.has_key_on_its_curve() {
                let what = format!("{} is refused by Kubernetes (Go): its key is no point of its curve", which());
                return Err(ChainError::Path(what));
            }
            if let PublicKeyKind::Rsa(bits) = certificate.key
                && bits > LARGEST_RSA
            {
                let what = format!("the key of {} is RSA {bits}, which Kubernetes refuses", which());
                return Err(ChainError::Path(what));
            }
            certificates.push(certificate);
        }
        Ok(certificates)
    }

    fn walk(&mut self, sent: &[Certificate]) -> Trust {
        let Some((leaf, others)) = sent.split_first() else {
            return Trust { chain: Err(ChainError::Path("it sends no certificate".to_owned())), way: None };
        };
        let roots = &self.target.roots;
        let path = match best_path(leaf, others, roots, Purpose::Server, self.clock.now) {
            Ok(path) => path,
            Err(error) => return Trust { chain: Err(error), way: None },
        };
        let at = roots.iter().position(|root| root.der() == path.anchor.der());
        self.used.add(at, path.is_anchored_in_its_leaf());
        let first = |concern| path.flaws_of(concern).next().map(|flaw| flaw.reason.clone());
        let chain = match (first(Concern::Chain), first(Concern::Unproven)) {
            (Some(reason), _) => Err(ChainError::Path(reason)),
            (None, Some(reason)) => Err(ChainError::Unproven(reason)),
            (None, None) => Ok(()),
        };
        let way = Way {
            certificates: path.certificates().cloned().collect(),
            sent: path.sent.len(),
            flaws: path.flaws.clone(),
        };
        Trust { chain, way: Some(way) }
    }
}
