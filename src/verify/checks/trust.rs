//! What the certificates that a peer sent come to: the path that leads to a root, and what is wrong with it.

use std::rc::Rc;

use super::judge::Bench;
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
    /// Leaf, intermediates, root; the leaf alone where that is in the trust file.
    pub(super) certificates: Vec<Certificate>,
    /// How many of them the peer sent.
    pub(super) sent: usize,
    /// What is wrong with it.
    pub(super) flaws: Vec<PathFlaw>,
}

/// Go's largest RSA key of a certificate that comes over TLS, in bits.
const LARGEST_RSA: usize = 8192;

impl Bench<'_> {
    /// Returns what a chain as sent comes to; worked out once for each.
    pub(super) fn trust(&mut self, shown: &[Fingerprint]) -> Rc<Trust> {
        if let Some(known) = self.trusted.get(shown) {
            return known.clone();
        }
        let trust = Rc::new(match self.all_of(shown) {
            Ok(certificates) => self.walk(&certificates),
            Err(reason) => Trust { chain: Err(ChainError::Path(reason)), way: None },
        });
        self.trusted.insert(shown.to_vec(), trust.clone());
        trust
    }

    /// Every certificate that was sent. One that Kubernetes cannot read ends its handshakes, wherever it stands.
    fn all_of(&mut self, shown: &[Fingerprint]) -> Result<Vec<Certificate>, String> {
        let mut certificates = Vec::with_capacity(shown.len());
        for (at, fingerprint) in shown.iter().enumerate() {
            let which =
                || if at == 0 { "its certificate".to_owned() } else { format!("certificate {} that it sends", at + 1) };
            let certificate = match self.certificate_of(fingerprint).as_deref() {
                Some(Ok(certificate)) => certificate.clone(),
                Some(Err(reason)) => return Err(format!("{} cannot be read: {reason}", which())),
                None => return Err(format!("{} cannot be read: the recording does not hold it", which())),
            };
            if let Some(reason) = &certificate.go_refuses {
                return Err(format!("{} is refused by Kubernetes (Go): {reason}", which()));
            }
            if let PublicKeyKind::Rsa(bits) = certificate.key
                && bits > LARGEST_RSA
            {
                return Err(format!("the key of {} is RSA {bits}, which Kubernetes refuses", which()));
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
        self.used.extend(roots.iter().position(|root| root.der() == path.anchor.der()));
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
