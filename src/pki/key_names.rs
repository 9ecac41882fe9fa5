//! The names of keys that clusterctl does not use, by their OIDs.

/// Curves (RFC 5480 § 2.1.1, SEC 2, RFC 5639).
const CURVES: [(&str, &str); 6] = [
    ("1.3.132.0.33", "ecdsa-p224"),
    ("1.3.132.0.35", "ecdsa-p521"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
];
/// Algorithms (RFC 8410, RFC 3279, RFC 4055, FIPS 204). Go supports ML-DSA since 1.27, and ring does not.
const ALGORITHMS: [(&str, &str); 9] = [
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.3.1", "Diffie-Hellman"),
    ("1.2.840.113549.1.1.10", "RSA-PSS (an RSA key for PSS signatures alone)"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

/// Returns the name of an EC key on the curve with this OID.
pub(super) fn of_curve(oid: &str) -> String {
    named(&CURVES, oid).map_or_else(|| format!("EC on the curve {oid}"), str::to_owned)
}

/// Returns the name of a key of the algorithm with this OID.
pub(super) fn of_algorithm(oid: &str) -> String {
    named(&ALGORITHMS, oid).map_or_else(|| format!("the algorithm {oid}"), str::to_owned)
}

fn named(names: &[(&str, &'static str)], oid: &str) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}
