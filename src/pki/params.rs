//! rcgen's parameters that all certificates share.

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber};
use ring::rand::{SecureRandom, SystemRandom};
use time::OffsetDateTime;

use super::issue_error::IssueError;
use super::key::KeyError;
use super::lint::BACKDATED;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::profile::Usage;

/// Returns the parameters of a certificate: subject, a random serial number, and dates from five minutes before `now`.
///
/// # Errors
/// Returns an error if the operating system provides no random numbers.
pub(super) fn certificate_params(
    subject: &Account,
    now: OffsetDateTime,
    not_after: OffsetDateTime,
) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = &subject.group {
        params.distinguished_name.push(DnType::OrganizationName, group.clone());
    }
    params.distinguished_name.push(DnType::CommonName, subject.user.clone());
    params.serial_number = Some(serial()?);
    params.not_before = whole_seconds(now - BACKDATED);
    params.not_after = whole_seconds(not_after);
    Ok(params)
}

/// Truncates fractions of a second, which X.509 does not have (RFC 5280 § 4.1.2.5).
pub(super) fn whole_seconds(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

/// Returns 128 random bits, never zero; DER adds the sign octet that keeps them positive.
fn serial() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    // DER drops leading zero octets; one bit keeps the length at 128 bits.
    if bytes[0] == 0 {
        bytes[0] = 1;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// Returns a profile's usage as rcgen's purposes.
pub(super) fn extended_key_usages(usage: Usage) -> Vec<ExtendedKeyUsagePurpose> {
    match usage {
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::ServerAndClient => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    }
}

/// Returns an address as a subject alternative name.
///
/// # Errors
/// Returns an error if a DNS name is not ASCII.
pub(super) fn san(address: &Address) -> Result<SanType, IssueError> {
    Ok(match address {
        Address::Ip(ip) => SanType::IpAddress(*ip),
        Address::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(encode_error)?),
    })
}

/// Wraps rcgen's error.
#[expect(clippy::needless_pass_by_value, reason = "it is a function for map_err")]
pub(super) fn encode_error(error: rcgen::Error) -> IssueError {
    IssueError::Encode(error.to_string())
}
