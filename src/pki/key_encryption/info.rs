//! EncryptedPrivateKeyInfo with an algorithm of any kind, and the names of those that are not read.

use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{self, Decode, Reader, Tag};
use pkcs8::pkcs5::pbes2;
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};

/// An EncryptedPrivateKeyInfo (RFC 5958 § 3).
pub(super) struct Info<'a> {
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) data: &'a [u8],
}

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
/// Algorithms that are not read, by the names that OpenSSL has for them.
const NAMES: [(&str, &str); 20] = [
    // pkcs-12PbeIds (RFC 7292 § C)
    ("1.2.840.113549.1.12.1.1", "PBE-SHA1-RC4-128"),
    ("1.2.840.113549.1.12.1.2", "PBE-SHA1-RC4-40"),
    ("1.2.840.113549.1.12.1.4", "PBE-SHA1-2DES"),
    ("1.2.840.113549.1.12.1.5", "PBE-SHA1-RC2-128"),
    ("1.2.840.113549.1.12.1.6", "PBE-SHA1-RC2-40"),
    // PBES1 (RFC 8018 § A.3)
    ("1.2.840.113549.1.5.1", "PBE-MD2-DES"),
    ("1.2.840.113549.1.5.3", "PBE-MD5-DES"),
    ("1.2.840.113549.1.5.4", "PBE-MD2-RC2-64"),
    ("1.2.840.113549.1.5.6", "PBE-MD5-RC2-64"),
    ("1.2.840.113549.1.5.10", "PBE-SHA1-DES"),
    ("1.2.840.113549.1.5.11", "PBE-SHA1-RC2-64"),
    // Ciphers of PBES2 (RFC 8018 § B.2, RFC 3657)
    ("1.3.14.3.2.7", "DES-CBC"),
    ("1.2.840.113549.3.2", "RC2-CBC"),
    ("1.2.392.200011.61.1.1.1.2", "CAMELLIA-128-CBC"),
    ("1.2.392.200011.61.1.1.1.3", "CAMELLIA-192-CBC"),
    ("1.2.392.200011.61.1.1.1.4", "CAMELLIA-256-CBC"),
    // Pseudo-random functions of PBKDF2 (RFC 8018 § B.1)
    ("1.2.840.113549.2.6", "hmacWithMD5"),
    ("1.2.840.113549.2.12", "hmacWithSHA512-224"),
    ("1.2.840.113549.2.13", "hmacWithSHA512-256"),
    ("2.16.840.1.101.3.4.2.14", "hmacWithSHA3-256"),
];

fn name(oid: ObjectIdentifier) -> String {
    let number = oid.to_string();
    NAMES.iter().find(|(known, _)| *known == number).map_or(number, |(_, name)| (*name).to_owned())
}

impl<'a> Info<'a> {
    /// Reads an EncryptedPrivateKeyInfo, DER; `None` if it is damaged.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let read = AnyRef::from_der(der).ok()?.sequence(|reader| {
            let algorithm = reader.decode()?;
            let data: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>(Self { algorithm, data: data.as_bytes() })
        });
        read.ok()
    }

    /// Returns the name of the encryption, for a message that it is not read.
    pub(super) fn encryption(&self) -> String {
        let AlgorithmIdentifierRef { oid, parameters } = self.algorithm;
        if oid != PBES2 {
            return name(oid);
        }
        parameters.and_then(part_of_pbes2).unwrap_or_else(|| "PBES2 with unusual parameters".to_owned())
    }
}

/// Returns the part of PBES2 that is not read (RFC 8018 § A.4).
fn part_of_pbes2(parameters: AnyRef<'_>) -> Option<String> {
    let parts = parameters.sequence(|reader| Ok::<_, der::Error>((reader.decode()?, reader.decode()?)));
    let (kdf, cipher): (AlgorithmIdentifierRef<'_>, AlgorithmIdentifierRef<'_>) = parts.ok()?;
    if kdf.oid == pbes2::PBKDF2_OID {
        if let Some(prf) = prf_of_pbkdf2(kdf.parameters?).filter(|prf| !is_read(*prf)) {
            return Some(format!("PBKDF2 with {}", name(prf)));
        }
    } else if kdf.oid != pbes2::SCRYPT_OID {
        return Some(format!("PBES2 with the key derivation {}", name(kdf.oid)));
    }
    pbes2::EncryptionScheme::try_from(cipher).is_err().then(|| format!("PBES2 with {}", name(cipher.oid)))
}

/// Returns the pseudo-random function of PBKDF2, if it is named (RFC 8018 § A.2).
fn prf_of_pbkdf2(parameters: AnyRef<'_>) -> Option<ObjectIdentifier> {
    let prf = parameters.sequence(|reader| {
        let (mut prf, mut salt_and_numbers) = (None, 0);
        while !reader.is_finished() {
            let part: AnyRef<'_> = reader.decode()?;
            // The salt comes first, and may be a sequence, too.
            if salt_and_numbers > 0 && der::Tagged::tag(&part) == Tag::Sequence {
                prf = Some(part.decode_as::<AlgorithmIdentifierRef<'_>>()?.oid);
            }
            salt_and_numbers += 1;
        }
        Ok::<_, der::Error>(prf)
    });
    prf.ok()?
}

fn is_read(prf: ObjectIdentifier) -> bool {
    pbes2::Pbkdf2Prf::try_from(AlgorithmIdentifierRef { oid: prf, parameters: None }).is_ok()
}
