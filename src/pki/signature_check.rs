//! Whether a root has signed what bears its name, asked of a whole fleet: of what was just issued, and of what lies in the
//! directory.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::certificate::Certificate;
use super::fixed_key::FixedKey;

/// So many are verified by ring. As many again repay what making a [`FixedKey`] takes, even while every core waits for it.
const FEW: usize = 512;

/// Verifies the signatures of one root: the first few with ring, and with the root's multiples when there are more, if its key is
/// on P-256.
pub struct SignatureCheck<'a> {
    root: &'a Certificate,
    verified: AtomicUsize,
    fixed: OnceLock<Option<FixedKey>>,
}

impl<'a> SignatureCheck<'a> {
    /// Of what `root` is said to have signed. Nothing is computed before it is asked.
    #[must_use]
    pub fn of(root: &'a Certificate) -> Self {
        Self { root, verified: AtomicUsize::new(0), fixed: OnceLock::new() }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &'a Certificate {
        self.root
    }

    /// True when the root's key made this certificate's signature.
    #[must_use]
    pub fn has_signed(&self, leaf: &Certificate) -> bool {
        if self.verified.fetch_add(1, Ordering::Relaxed) < FEW {
            return leaf.is_signed_by(self.root);
        }
        let fixed = self.fixed.get_or_init(|| FixedKey::of(&self.root.spki)).as_ref();
        // Whatever is unusual is ring's to judge, so that no judgement depends on how many came before.
        fixed.and_then(|key| leaf.is_signed_by_fixed(key)).unwrap_or_else(|| leaf.is_signed_by(self.root))
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
            let check = SignatureCheck::of(&ours);
            // One octet of what is signed: the last of the subject, which the issuer's name repeats.
            let mut other = ours.der().to_vec();
            let subject = ours.subject.der.as_slice();
            let at = other.windows(subject.len()).rposition(|window| window == subject).expect("a subject");
            other[at + subject.len() - 1] ^= 1;
            let other = Certificate::from_der(other).expect("still a certificate");
            for few in [true, false] {
                assert_eq!(check.fixed.get().is_none(), few);
                assert!(check.has_signed(&ours), "{keys}");
                assert!(!check.has_signed(&twin), "{keys}: the same name, another key");
                assert!(!check.has_signed(&changed), "{keys}: another signature");
                assert!(!check.has_signed(&other), "{keys}: something else is signed");
                while check.verified.load(Ordering::Relaxed) <= FEW {
                    assert!(check.has_signed(&ours), "{keys}");
                }
            }
            assert!(check.has_signed(&ours), "{keys}");
            let multiples = check.fixed.get().expect("asked for");
            assert_eq!(multiples.is_some(), keys == KeyKind::EcdsaP256);
        }
    }

    /// Each time it is the very signature that the key made over what is signed, under another name.
    #[test]
    fn a_signature_of_another_kind_is_left_to_ring() {
        // The last bit can only be called unused where it is zero (X.690 § 11.2.1).
        let mut roots = std::iter::repeat_with(|| root(KeyKind::EcdsaP256));
        let ours = roots.find(|root| root.der().last().expect("an octet") % 2 == 0).expect("every second");
        let key = FixedKey::of(&ours.spki).expect("on P-256");
        assert_eq!(ours.is_signed_by_fixed(&key), Some(true));
        // ecdsa-with-SHA256 (RFC 5758 § 3.2), outside of what is signed; the BIT STRING follows.
        let algorithm = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let outer = ours.der().windows(algorithm.len()).rposition(|window| window == algorithm).expect("an algorithm");
        let end = outer + algorithm.len();
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut der = ours.der().to_vec();
            change(&mut der);
            Certificate::from_der(der).expect("still a certificate")
        };
        let sha384 = changed(&|der| der[end - 1] = 0x03);
        assert_eq!(sha384.is_signed_by_fixed(&key), None, "ecdsa-with-SHA384");
        let unused = changed(&|der| der[end + 2] = 0x01);
        assert_eq!(unused.is_signed_by_fixed(&key), None, "a bit of it is unused");
        let null = changed(&|der| {
            der.splice(end..end, [0x05, 0x00]);
            // Both lengths round it.
            der[outer + 1] += 2;
            let length = u16::from_be_bytes([der[2], der[3]]) + 2;
            der[2..4].copy_from_slice(&length.to_be_bytes());
        });
        assert_eq!(null.is_signed_by_fixed(&key), None, "with parameters");
        let check = SignatureCheck::of(&ours);
        while check.verified.load(Ordering::Relaxed) <= FEW {
            assert!(check.has_signed(&ours));
        }
        for unusual in [sha384, unused, null] {
            assert_eq!(check.has_signed(&unusual), unusual.is_signed_by(&ours), "as if it was among the first");
        }
    }
}
