//! Detects certificates that Go's crypto/x509 (Go 1.27, `parseCertificate`), and therefore Kubernetes, cannot parse.
//! The content of certificates is parsed by x509-parser, which accepts more.

use std::collections::HashSet;

use super::der::{
    BIT_STRING, BMP_STRING, BOOLEAN, Der, GENERALIZED_TIME, IA5_STRING, INTEGER, NUMERIC_STRING, OBJECT_IDENTIFIER,
    OCTET_STRING, PRINTABLE_STRING, SEQUENCE, SET, TELETEX_STRING, UTC_TIME, UTF8_STRING, constructed, context,
    is_integer, is_positive, is_small,
};

/// Returns the reason why Go cannot parse a certificate; `None` if it can.
pub(super) fn refusal(der: &[u8]) -> Option<String> {
    let mut input = Der::new(der);
    let mut read = || -> Result<(), &'static str> {
        let certificate = input.inside(SEQUENCE).ok_or("malformed certificate")?;
        if input.is_empty() { read_certificate(certificate) } else { Err("trailing data") }
    };
    read().err().map(str::to_owned)
}

type Read = Result<(), &'static str>;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// ML-DSA-44, -65 and -87, and the lengths of their keys.
const ML_DSA: [(&[u8], usize); 3] = [
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17], 1312),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18], 1952),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19], 2592),
];
/// P-224, P-256, P-384 and P-521, and the lengths of their uncompressed points.
const CURVES: [(&[u8], usize); 4] = [
    (&[0x2b, 0x81, 4, 0, 33], 57),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], 65),
    (&[0x2b, 0x81, 4, 0, 34], 97),
    (&[0x2b, 0x81, 4, 0, 35], 133),
];
const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];

fn read_certificate(mut certificate: Der<'_>) -> Read {
    let mut signed = certificate.inside(SEQUENCE).ok_or("malformed tbs certificate")?;
    let version = read_version(&mut signed)?;
    let serial = signed.integer().ok_or("malformed serial number")?;
    if serial.first().is_some_and(|first| first & 0x80 != 0) {
        return Err("negative serial number");
    }
    let inner = signed.inside(SEQUENCE).ok_or("malformed signature algorithm identifier")?;
    let outer = certificate.inside(SEQUENCE).ok_or("malformed algorithm identifier")?;
    if inner.octets() != outer.octets() {
        return Err("inner and outer signature algorithm identifiers don't match");
    }
    read_algorithm(inner)?;
    read_name(signed.inside(SEQUENCE).ok_or("malformed issuer")?)?;
    let mut validity = signed.inside(SEQUENCE).ok_or("malformed validity")?;
    for _ in 0..2 {
        validity.time().ok_or("malformed time")?;
    }
    read_name(signed.inside(SEQUENCE).ok_or("malformed subject")?)?;
    read_key(signed.inside(SEQUENCE).ok_or("malformed spki")?)?;
    if version > 1 {
        for unique in [1, 2] {
            signed.optional(context(unique)).ok_or("malformed unique identifier")?;
        }
    }
    if version == 3
        && let Some(mut all) = signed.optional(constructed(3)).ok_or("malformed extensions")?
    {
        read_extensions(all.inside(SEQUENCE).ok_or("malformed extensions")?)?;
    }
    certificate.bits().map(drop).ok_or("malformed signature")
}

/// Reads the version; 1 if it is absent.
fn read_version(signed: &mut Der<'_>) -> Result<u8, &'static str> {
    let malformed = "malformed version";
    let Some(mut written) = signed.optional(constructed(0)).ok_or(malformed)? else { return Ok(1) };
    let version = written.integer().filter(|_| written.is_empty()).ok_or(malformed)?;
    match version {
        [version @ 0..=2] => Ok(version + 1),
        _ => Err("invalid version"),
    }
}

fn read_algorithm(mut algorithm: Der<'_>) -> Read {
    algorithm.oid().ok_or("malformed OID")?;
    if !algorithm.is_empty() {
        algorithm.any().ok_or("malformed parameters")?;
    }
    Ok(())
}

fn read_name(mut name: Der<'_>) -> Read {
    let malformed = "invalid RDNSequence";
    while !name.is_empty() {
        let mut set = name.inside(SET).ok_or(malformed)?;
        while !set.is_empty() {
            let mut attribute = set.inside(SEQUENCE).ok_or("invalid RDNSequence: invalid attribute")?;
            attribute.oid().ok_or("invalid RDNSequence: invalid attribute type")?;
            is_value(&mut attribute).filter(|is| *is).ok_or("invalid RDNSequence: invalid attribute value")?;
        }
    }
    Ok(())
}

/// Returns whether an attribute's value is one that Go knows (`readASN1Any`, `parseASN1String`).
fn is_value(attribute: &mut Der<'_>) -> Option<bool> {
    let mut again = *attribute;
    let value = attribute.any()?;
    let content = value.content;
    Some(match value.tag {
        TELETEX_STRING => true,
        PRINTABLE_STRING => content.iter().all(|octet| is_printable(*octet)),
        UTF8_STRING => std::str::from_utf8(content).is_ok(),
        IA5_STRING => content.is_ascii(),
        NUMERIC_STRING => content.iter().all(|octet| octet.is_ascii_digit() || *octet == b' '),
        BMP_STRING => is_bmp(content),
        INTEGER => is_integer(content) && is_small(content),
        BIT_STRING => again.bits().is_some(),
        OBJECT_IDENTIFIER => again.oid().is_some(),
        UTC_TIME | GENERALIZED_TIME => again.time().is_some(),
        BOOLEAN => again.boolean().is_some(),
        _ => true,
    })
}

/// RFC 5280's PrintableString, with an asterisk and an ampersand.
fn is_printable(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b" '()*+,-./:=?&".contains(&octet)
}

fn is_bmp(content: &[u8]) -> bool {
    let content = content.strip_suffix(&[0, 0]).filter(|_| content.len().is_multiple_of(2)).unwrap_or(content);
    let character = |pair: &[u8]| match *pair {
        [high, low] => !matches!(u16::from_be_bytes([high, low]), 0xfffe | 0xffff | 0xfdd0..=0xfdef | 0xd800..=0xdfff),
        _ => false,
    };
    content.chunks(2).all(character)
}

fn read_key(mut key: Der<'_>) -> Read {
    let mut algorithm = key.inside(SEQUENCE).ok_or("malformed public key algorithm identifier")?;
    read_algorithm(algorithm)?;
    let oid = algorithm.oid().ok_or("malformed OID")?;
    // Go ignores everything after the parameters.
    let parameters = algorithm.any().map(|parameters| parameters.whole).unwrap_or_default();
    let bits = key.bits().ok_or("malformed subjectPublicKey")?;
    match oid {
        RSA => read_rsa_key(parameters, bits),
        EC => {
            let curve = Der::new(parameters).oid().ok_or("invalid ECDSA parameters")?;
            let (_, length) = CURVES.iter().find(|(oid, _)| *oid == curve).ok_or("unsupported elliptic curve")?;
            let is_point = bits.len() == *length && bits.first() == Some(&4);
            if is_point { Ok(()) } else { Err("invalid uncompressed public key") }
        }
        ED25519 if !parameters.is_empty() => Err("Ed25519 key encoded with illegal parameters"),
        ED25519 if bits.len() != 32 => Err("wrong Ed25519 public key size"),
        DSA => read_dsa_key(parameters, bits),
        _ => match ML_DSA.iter().find(|(known, _)| *known == oid) {
            Some(_) if !parameters.is_empty() => Err("ML-DSA key encoded with illegal parameters"),
            Some((_, length)) if bits.len() != *length => Err("invalid ML-DSA public key"),
            _ => Ok(()),
        },
    }
}

fn read_rsa_key(parameters: &[u8], bits: &[u8]) -> Read {
    if parameters != [5, 0] {
        return Err("RSA key missing NULL parameters");
    }
    let mut key = Der::new(bits).inside(SEQUENCE).ok_or("invalid RSA public key")?;
    let modulus = key.integer().ok_or("invalid RSA modulus")?;
    let exponent = key.integer().filter(|exponent| is_small(exponent)).ok_or("invalid RSA public exponent")?;
    let is_sound = is_positive(modulus) && is_positive(exponent);
    if is_sound { Ok(()) } else { Err("RSA modulus or public exponent is not a positive number") }
}

fn read_dsa_key(parameters: &[u8], bits: &[u8]) -> Read {
    let public = Der::new(bits).integer().ok_or("invalid DSA public key")?;
    let mut numbers = Der::new(parameters).inside(SEQUENCE).ok_or("invalid DSA parameters")?;
    let mut is_sound = is_positive(public);
    for _ in 0..3 {
        is_sound &= is_positive(numbers.integer().ok_or("invalid DSA parameters")?);
    }
    if is_sound { Ok(()) } else { Err("zero or negative DSA parameter") }
}

fn read_extensions(mut all: Der<'_>) -> Read {
    let mut seen = HashSet::new();
    let mut extensions = Vec::new();
    while !all.is_empty() {
        let mut extension = all.inside(SEQUENCE).ok_or("malformed extension")?;
        let oid = extension.oid().ok_or("malformed extension OID field")?;
        let critical = match extension.is_next(BOOLEAN) {
            true => extension.boolean().ok_or("malformed extension critical field")?,
            false => false,
        };
        let value = extension.inside(OCTET_STRING).ok_or("malformed extension value field")?;
        if !seen.insert(oid) {
            return Err("certificate contains duplicate extension");
        }
        extensions.push((oid, critical, value));
    }
    extensions.into_iter().try_for_each(|(oid, critical, value)| read_extension(oid, critical, value))
}

fn read_extension(oid: &[u8], critical: bool, mut value: Der<'_>) -> Read {
    let [0x55, 0x1d, number] = oid else {
        return match oid {
            AUTHORITY_INFORMATION if critical => Err("authority info access incorrectly marked critical"),
            AUTHORITY_INFORMATION => authority_information(value).ok_or("invalid authority info access"),
            _ => Ok(()),
        };
    };
    match number {
        14 if critical => Err("subject key identifier incorrectly marked critical"),
        14 => value.element(OCTET_STRING).map(drop).ok_or("invalid subject key identifier"),
        15 => value.bits().map(drop).ok_or("invalid key usage"),
        17 => read_names(value),
        19 => basic_constraints(value).ok_or("invalid basic constraints"),
        30 => super::go_names::read_constraints(value),
        31 => distribution_points(value).ok_or("invalid CRL distribution point"),
        32 => policies(value).ok_or("invalid certificate policies"),
        33 => policy_mappings(value).ok_or("invalid policy mappings extension"),
        35 if critical => Err("authority key identifier incorrectly marked critical"),
        35 => authority_key(value).ok_or("invalid authority key identifier"),
        36 => policy_constraints(value).ok_or("invalid policy constraints extension"),
        37 => usages(value).ok_or("invalid extended key usages"),
        54 => value.integer().filter(|count| is_small(count)).map(drop).ok_or("invalid inhibit any policy extension"),
        _ => Ok(()),
    }
}

fn basic_constraints(mut value: Der<'_>) -> Option<()> {
    let mut constraints = value.inside(SEQUENCE)?;
    if constraints.is_next(BOOLEAN) {
        constraints.boolean()?;
    }
    if constraints.is_next(INTEGER) {
        constraints.integer().filter(|limit| is_small(limit) && (is_positive(limit) || *limit == [0]))?;
    }
    Some(())
}

fn usages(mut value: Der<'_>) -> Option<()> {
    let mut usages = value.inside(SEQUENCE)?;
    while !usages.is_empty() {
        usages.oid()?;
    }
    Some(())
}

fn authority_key(mut value: Der<'_>) -> Option<()> {
    let mut identifier = value.inside(SEQUENCE)?;
    identifier.optional(context(0)).map(drop)
}

fn authority_information(mut value: Der<'_>) -> Option<()> {
    let mut all = value.inside(SEQUENCE)?;
    while !all.is_empty() {
        let mut access = all.inside(SEQUENCE)?;
        access.oid()?;
        access.optional(context(6))?;
    }
    Some(())
}

fn distribution_points(mut value: Der<'_>) -> Option<()> {
    let mut points = value.inside(SEQUENCE)?;
    while !points.is_empty() {
        let mut point = points.inside(SEQUENCE)?;
        let Some(mut name) = point.optional(constructed(0))? else { continue };
        let mut names = name.inside(constructed(0))?;
        while names.is_next(context(6)) {
            names.any()?;
        }
    }
    Some(())
}

fn policies(mut value: Der<'_>) -> Option<()> {
    let mut seen = HashSet::new();
    let mut all = value.inside(SEQUENCE)?;
    while !all.is_empty() {
        let policy = all.inside(SEQUENCE)?.element(OBJECT_IDENTIFIER)?.content;
        (is_policy(policy) && seen.insert(policy)).then_some(())?;
    }
    Some(())
}

/// Returns true if a policy's identifier is well-formed; its numbers may be of any size.
fn is_policy(oid: &[u8]) -> bool {
    let begins_anew = |at: usize| at == 0 || oid[at - 1] & 0x80 == 0;
    let is_short = |(at, octet): (usize, &u8)| *octet != 0x80 || !begins_anew(at);
    oid.last().is_some_and(|last| last & 0x80 == 0) && oid.iter().enumerate().all(is_short)
}

fn policy_mappings(mut value: Der<'_>) -> Option<()> {
    let mut all = value.inside(SEQUENCE)?;
    while !all.is_empty() {
        let mut mapping = all.inside(SEQUENCE)?;
        mapping.element(OBJECT_IDENTIFIER)?;
        mapping.element(OBJECT_IDENTIFIER)?;
    }
    Some(())
}

fn policy_constraints(mut value: Der<'_>) -> Option<()> {
    let mut constraints = value.inside(SEQUENCE)?;
    for tag in [context(0), context(1)] {
        if let Some(count) = constraints.optional(tag)? {
            (is_integer(count.octets()) && is_small(count.octets())).then_some(())?;
        }
    }
    Some(())
}

/// Reads a subject alternative name (`parseSANExtension`).
fn read_names(mut value: Der<'_>) -> Read {
    let mut names = value.inside(SEQUENCE).ok_or("invalid subject alternative names")?;
    while !names.is_empty() {
        let name = names.any().ok_or("invalid subject alternative name")?;
        let text =
            || std::str::from_utf8(name.content).ok().filter(|text| text.is_ascii()).ok_or("a name is not ASCII");
        match name.tag {
            0x81 | 0x82 => drop(text()?),
            0x86 => super::go_names::read_uri(text()?)?,
            0x87 => match name.content.len() {
                4 => {}
                16 if super::go_names::is_ipv4_in_ipv6(name.content) => {
                    return Err("an iPAddress is an IPv4 address in IPv6's form");
                }
                16 => {}
                _ => return Err("an iPAddress has neither 4 nor 16 bytes"),
            },
            // Go ignores these, but other parsers read them as names.
            0xa1 | 0xa2 | 0xa6 | 0xa7 => return Err("a name is encoded as if others were in it"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_names_have_the_characters_of_their_type() {
        for (tag, content, right) in [
            (PRINTABLE_STRING, &b"a*b&c d"[..], true),
            (PRINTABLE_STRING, b"a@b", false),
            (PRINTABLE_STRING, b"a_b", false),
            (UTF8_STRING, "\u{e9}".as_bytes(), true),
            (UTF8_STRING, b"\xe9", false),
            (TELETEX_STRING, b"\xe9", true),
            (IA5_STRING, b"\xe9", false),
            (NUMERIC_STRING, b"12 3", true),
            (NUMERIC_STRING, b"a", false),
            (BMP_STRING, b"\0a\0\0", true),
            (BMP_STRING, b"\0a\0", false),
            (BMP_STRING, b"\xd8\0\xdc\0", false),
            (INTEGER, b"\0\x01", false),
            (0x1c, b"\0\0\0a", true),
        ] {
            let element: Vec<u8> = [&[tag, u8::try_from(content.len()).expect("short")][..], content].concat();
            assert_eq!(is_value(&mut Der::new(&element)), Some(right), "{tag} {content:?}");
        }
    }
}
