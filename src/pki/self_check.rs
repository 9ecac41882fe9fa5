//! Whether a root has signed what it was just asked to sign.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::certificate::Certificate;
use super::fixed_key::FixedKey;

/// So many verifications by ring cost what a [`FixedKey`] costs to make and saves afterwards, and somewhat more.
const FEW: usize = 512;

/// Verifies the signatures of one root: the first few with ring, and with the root's multiples when there are more, if its key is
/// on P-256.
pub(super) struct SelfCheck<'a> {
    root: &'a Certificate,
    verified: AtomicUsize,
    fixed: OnceLock<Option<FixedKey>>,
}

impl<'a> SelfCheck<'a> {
    pub(super) fn of(root: &'a Certificate) -> Self {
        Self { root, verified: AtomicUsize::new(0), fixed: OnceLock::new() }
    }

    /// The root.
    pub(super) fn root(&self) -> &'a Certificate {
        self.root
    }

    /// True when the root's key made this certificate's signature.
    pub(super) fn has_signed(&self, leaf: &Certificate) -> bool {
        if self.verified.fetch_add(1, Ordering::Relaxed) < FEW {
            return leaf.is_signed_by(self.root);
        }
        match self.fixed.get_or_init(|| FixedKey::of(&self.root.spki)) {
            Some(key) => leaf.is_signed_by_fixed(key),
            None => leaf.is_signed_by(self.root),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::name::ClusterName;
    use crate::cluster::profile::RootKind;
    use crate::pki::authority::create_root;
    use time::macros::datetime;

    fn root(keys: KeyKind) -> Certificate {
        let (name, lifetime) = (ClusterName::parse("prod").expect("a name"), Lifetime::ONE_YEAR);
        let now = datetime!(2026-11-23 12:00:00 UTC);
        create_root(RootKind::Cluster, &name, keys, lifetime, now).expect("a root").into_inner().certificate
    }

    /// A root's certificate is signed by its own key, so that it stands for what a root signs.
    #[test]
    fn few_and_many_are_judged_alike_for_every_kind_of_key() {
        for keys in KeyKind::ALL {
            let (ours, twin) = (root(keys), root(keys));
            let mut der = ours.der().to_vec();
            *der.last_mut().expect("an octet") ^= 1;
            let changed = Certificate::from_der(der).expect("still a certificate");
            let check = SelfCheck::of(&ours);
            for few in [true, false] {
                assert_eq!(check.fixed.get().is_none(), few);
                assert!(check.has_signed(&ours), "{keys}");
                assert!(!check.has_signed(&twin), "{keys}: the same name, another key");
                assert!(!check.has_signed(&changed), "{keys}: another signature");
                while check.verified.load(Ordering::Relaxed) <= FEW {
                    assert!(check.has_signed(&ours), "{keys}");
                }
            }
            let multiples = check.fixed.get().expect("asked for");
            assert_eq!(multiples.is_some(), keys == KeyKind::EcdsaP256);
        }
    }
}
