//! The path from a server's certificate to a root.

use std::rc::Rc;

use super::context::CheckContext;
use super::trust::{Trust, TrustPath};
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::pki::chain::{ChainError, Purpose, ViolationKind, best_path};
use crate::pki::fingerprint::Fingerprint;

/// The largest RSA key that Go accepts over TLS, in bits.
const LARGEST_RSA: usize = 8192;

impl CheckContext<'_> {
    /// Returns the result of verifying a chain as sent; cached for each chain.
    pub(super) fn trust(&mut self, server_chain: &[Fingerprint]) -> Rc<Trust> {
        if let Some(known) = self.trusted.get(server_chain) {
            return known.clone();
        }
        let trust = Rc::new(match self.parse_chain(server_chain) {
            Ok(certificates) => self.find_path(&certificates),
            Err(error) => Trust { chain: Err(error), path: None },
        });
        self.trusted.insert(server_chain.to_vec(), trust.clone());
        trust
    }

    /// Parses every certificate that was sent. A certificate that Kubernetes cannot parse makes its handshakes fail, at
    /// any position.
    fn parse_chain(&mut self, server_chain: &[Fingerprint]) -> Result<Vec<Certificate>, ChainError> {
        let mut certificates = Vec::with_capacity(server_chain.len());
        for (at, fingerprint) in server_chain.iter().enumerate() {
            let which =
                || if at == 0 { "its certificate".to_owned() } else { format!("certificate {} that it sends", at + 1) };
            let certificate = match self.certificate_of(fingerprint).as_deref() {
                Some(Ok(certificate)) => certificate.clone(),
                Some(Err(reason)) => {
                    let der = self.seen.certificates.get(fingerprint);
                    return Err(match der.and_then(|der| Certificate::refused_by_go(&der.0)) {
                        Some(_) => ChainError::NoValidPath(format!("{} cannot be read: {reason}", which())),
                        None => ChainError::Unproven(format!("{} cannot be read here: {reason}", which())),
                    });
                }
                None => {
                    let what = format!("{} cannot be read: the recording does not contain it", which());
                    return Err(ChainError::NoValidPath(what));
                }
            };
            if let Some(reason) = &certificate.go_refuses {
                return Err(ChainError::NoValidPath(format!("{} is refused by Kubernetes (Go): {reason}", which())));
            }
            // The leaf's key signs the handshake; the other keys of a path sign certificates.
            if at > 0 && !certificate.has_key_on_its_curve() {
                let what = format!("{} is refused by Kubernetes (Go): its key is not a point of its curve", which());
                return Err(ChainError::NoValidPath(what));
            }
            if let PublicKeyKind::Rsa(bits) = certificate.key
                && bits > LARGEST_RSA
            {
                let what = format!("the key of {} is RSA {bits}, which Kubernetes refuses", which());
                return Err(ChainError::NoValidPath(what));
            }
            certificates.push(certificate);
        }
        Ok(certificates)
    }

    fn find_path(&mut self, sent: &[Certificate]) -> Trust {
        let Some((leaf, others)) = sent.split_first() else {
            return Trust { chain: Err(ChainError::NoValidPath("it sends no certificate".to_owned())), path: None };
        };
        let roots = &self.target.roots;
        let path = match best_path(leaf, others, roots, Purpose::Server, self.clock.now) {
            Ok(path) => path,
            Err(error) => return Trust { chain: Err(error), path: None },
        };
        let at = roots.iter().position(|root| root.der() == path.anchor.der());
        self.used.add(at, path.is_anchored_in_leaf());
        let first = |kind| path.violations_of(kind).next().map(|violation| violation.reason.clone());
        let chain = match (first(ViolationKind::Chain), first(ViolationKind::Unproven)) {
            (Some(reason), _) => Err(ChainError::NoValidPath(reason)),
            (None, Some(reason)) => Err(ChainError::Unproven(reason)),
            (None, None) => Ok(()),
        };
        let path = TrustPath {
            certificates: path.certificates().cloned().collect(),
            sent: path.leaf_and_intermediates.len(),
            violations: path.violations.clone(),
        };
        Trust { chain, path: Some(path) }
    }
}
