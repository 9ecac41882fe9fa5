//! A P-256 public key with which very many signatures are verified: a root's, while a fleet is issued or audited.
//!
//! ECDSA's verification (FIPS 186-5 § 6.4.2) multiplies the generator and the public key by two numbers. Where the key is the
//! same each time, its multiples can be looked up, as every library looks up the generator's when it signs; what is left are
//! 64 additions of points. Those, and all other arithmetic, are the p256 crate's, whose formulas know no special cases;
//! only the sum is ours. Nothing here is secret, so that everything may take a time that depends on it.
//!
//! It is meant for certificates of the cluster directory, which the ledger has to know, too. What a peer sends is verified by
//! ring.

use std::sync::LazyLock;

use p256::ecdsa::Signature;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::ops::{Invert, Reduce};
use p256::elliptic_curve::point::AffineCoordinates;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use p256::{FieldBytes, ProjectivePoint, PublicKey, Scalar, U256};
use ring::digest::{SHA256, digest};

/// The same in every process, and never changed: made when it is first asked for.
static GENERATOR: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(ProjectivePoint::GENERATOR));

/// A public key on P-256, and its multiples: three quarters of a MiB, and as much once for the generator.
pub(super) struct FixedKey(Multiples);

impl FixedKey {
    /// Of a SubjectPublicKeyInfo, DER. It takes as long as 40 verifications by ring. None if it is no point on P-256, or not one
    /// that is written out (RFC 5480 § 2.2), which is all that ring takes.
    pub(super) fn of(spki: &[u8]) -> Option<Self> {
        let key = PublicKey::from_public_key_der(spki).ok()?;
        if key.to_public_key_der().ok()?.as_bytes() != spki {
            return None;
        }
        Some(Self(Multiples::of(key.to_projective())))
    }

    /// True if the key made `signature` (ECDSA-Sig-Value, RFC 3279 § 2.2.3, DER) over `message` with SHA-256.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        // Both halves are from 1 to the group's order exclusive, or there is no signature.
        let Ok(signature) = Signature::from_der(signature) else { return false };
        let (r, s) = signature.split_scalars();
        let hash = FieldBytes::clone_from_slice(digest(&SHA256, message).as_ref());
        let hash = <Scalar as Reduce<U256>>::reduce_bytes(&hash);
        let inverse = s.invert_vartime();
        let sum = GENERATOR.times(&(hash * *inverse)) + self.0.times(&(*r * *inverse));
        let sum = sum.to_affine();
        !bool::from(sum.is_identity()) && <Scalar as Reduce<U256>>::reduce_bytes(&sum.x()) == *r
    }
}

/// A point times each number with exactly one octet that is not zero: for each place of the octet, the last one first, for each of
/// its values from 1.
struct Multiples(Vec<[ProjectivePoint; u8::MAX as usize]>);

impl Multiples {
    fn of(point: ProjectivePoint) -> Self {
        let mut unit = point;
        let place = |_| {
            let mut multiple = ProjectivePoint::IDENTITY;
            let row = [(); u8::MAX as usize].map(|()| {
                multiple += unit;
                multiple
            });
            unit += multiple;
            row
        };
        Self((0..size_of::<FieldBytes>()).map(place).collect())
    }

    /// The point times `number`.
    fn times(&self, number: &Scalar) -> ProjectivePoint {
        let octets = number.to_repr();
        let places = self.0.iter().zip(octets.iter().rev());
        places.filter_map(|(row, octet)| row.get(usize::from(*octet).checked_sub(1)?)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::pki::key::PrivateKey;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
    };

    /// Keys with their signatures, which nobody here made: edges of every number that takes part, and of the encoding.
    const VECTORS: &str = include_str!("../../tests/data/wycheproof-ecdsa-p256-sha256.txt");

    fn octets(hex: &str) -> Vec<u8> {
        let hex = hex.trim_start_matches('-').as_bytes();
        hex.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"))
            .collect()
    }

    #[test]
    fn wycheproofs_signatures_are_judged_as_it_says_and_as_ring_does() {
        let (mut key, mut point) = (None, Vec::new());
        let mut outcomes = [0, 0];
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [number, outcome, message, signature] = fields[..] else {
                let spki = octets(line.strip_prefix("key ").expect("a key"));
                // The uncompressed point is the end of what an SPKI on P-256 is.
                point = spki[spki.len() - 65..].to_vec();
                key = Some(FixedKey::of(&spki).expect("a point on P-256"));
                continue;
            };
            let (message, signature) = (octets(message), octets(signature));
            let good = key.as_ref().expect("a key").verifies(&message, &signature);
            assert_eq!(good, outcome == "valid", "test {number}");
            let ring = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point).verify(&message, &signature);
            assert_eq!(good, ring.is_ok(), "test {number} by ring");
            outcomes[usize::from(good)] += 1;
        }
        assert_eq!(outcomes, [310, 174], "all of them were read");
    }

    /// Each bit of a signature once, and of what was signed, for keys that nobody chose.
    #[test]
    fn whatever_is_changed_is_judged_as_ring_does() {
        let (rng, mut outcomes) = (SystemRandom::new(), [0, 0]);
        for _ in 0..4 {
            let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
            let fixed = FixedKey::of(&key.spki()).expect("a point on P-256");
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.expose_pkcs8(), &rng).expect("a pair");
            let mut message = b"what was signed".to_vec();
            let mut signature = pair.sign(&rng, &message).expect("a signature").as_ref().to_vec();
            let mut judge = |message: &[u8], signature: &[u8]| {
                let good = fixed.verifies(message, signature);
                let ring =
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key()).verify(message, signature);
                assert_eq!(good, ring.is_ok(), "{message:x?} {signature:x?}");
                outcomes[usize::from(good)] += 1;
            };
            judge(&message, &signature);
            for bit in 0..signature.len() * 8 {
                signature[bit / 8] ^= 1 << (bit % 8);
                judge(&message, &signature);
                signature[bit / 8] ^= 1 << (bit % 8);
            }
            for bit in 0..message.len() * 8 {
                message[bit / 8] ^= 1 << (bit % 8);
                judge(&message, &signature);
                message[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert!(outcomes[0] > 4 * 8 * (64 + 15), "{outcomes:?}");
        assert_eq!(outcomes[1], 4, "nothing else was signed");
    }

    #[test]
    fn the_multiples_are_the_points_own() {
        let multiples = Multiples::of(ProjectivePoint::GENERATOR);
        let largest = -Scalar::ONE;
        let halves = Scalar::from(2u64).invert_vartime().expect("not zero");
        for number in [Scalar::ZERO, Scalar::ONE, Scalar::from(255u64), Scalar::from(256u64), halves, largest] {
            assert_eq!(multiples.times(&number), ProjectivePoint::GENERATOR * number);
        }
    }

    #[test]
    fn what_is_no_key_on_p256_has_no_multiples() {
        let spki = VECTORS.lines().find_map(|line| line.strip_prefix("key ")).expect("a key");
        let mut beside = octets(spki);
        assert!(FixedKey::of(&beside).is_some());
        assert!(FixedKey::of(&beside[..beside.len() - 1]).is_none());
        *beside.last_mut().expect("an octet") ^= 1;
        assert!(FixedKey::of(&beside).is_none(), "a point that is not on the curve");
        let mut compressed = octets(spki);
        // 02 or 03 for y's last bit and x alone (SEC 1 § 2.3.3), both lengths and the BIT STRING's shortened by y.
        let (start, y_is_odd) = (compressed.len() - 65, compressed[compressed.len() - 1] & 1);
        compressed.truncate(start + 33);
        (compressed[1], compressed[start - 2], compressed[start]) = (0x39, 0x22, 2 + y_is_odd);
        assert!(PublicKey::from_public_key_der(&compressed).is_ok() && FixedKey::of(&compressed).is_none());
        let other = PrivateKey::generate(KeyKind::EcdsaP384).expect("a key");
        assert!(FixedKey::of(&other.spki()).is_none());
    }
}
