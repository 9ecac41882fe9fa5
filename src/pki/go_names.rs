//! Detects names and name constraints that Go's crypto/x509 refuses.

use std::net::{IpAddr, Ipv6Addr};

use super::der::{Der, SEQUENCE, constructed};

/// Reads a URI. Go refuses a URI that its net/url cannot parse, or whose host crypto/x509 does not accept as a name.
pub(super) fn read_uri(text: &str) -> Result<(), &'static str> {
    if is_malformed_uri(text) { Err("a URI is malformed") } else { Ok(()) }
}

/// Reads name constraints (`parseNameConstraintsExtension`).
pub(super) fn read_constraints(mut value: Der<'_>) -> Result<(), &'static str> {
    let invalid = "invalid NameConstraints extension";
    let mut constraints = value.inside(SEQUENCE).filter(|_| value.is_empty()).ok_or(invalid)?;
    let permitted = constraints.optional(constructed(0)).ok_or(invalid)?;
    let excluded = constraints.optional(constructed(1)).ok_or(invalid)?;
    if !constraints.is_empty() {
        return Err(invalid);
    }
    let subtrees = [permitted, excluded];
    if subtrees.iter().flatten().all(Der::is_empty) {
        return Err("empty name constraints extension");
    }
    for mut subtrees in subtrees.into_iter().flatten() {
        while !subtrees.is_empty() {
            let mut subtree = subtrees.inside(SEQUENCE).ok_or(invalid)?;
            let base = subtree.any().ok_or(invalid)?;
            read_constraint(base.tag, base.content)?;
        }
    }
    Ok(())
}

fn read_constraint(tag: u8, content: &[u8]) -> Result<(), &'static str> {
    let ascii = std::str::from_utf8(content).ok().filter(|text| text.is_ascii());
    let text = || ascii.ok_or("invalid constraint value: not ASCII");
    let is_right = match tag {
        0x81 => {
            let text = text()?;
            // An exact mailbox, or the host of all of its mailboxes.
            text.split_once('@').map_or_else(|| is_domain(text), |(local, host)| !local.is_empty() && is_domain(host))
        }
        0x82 => is_domain(text()?),
        0x86 => {
            let text = text()?;
            text.parse::<IpAddr>().is_err() && is_domain(text)
        }
        0x87 => {
            let (address, mask) = content.split_at(content.len() / 2);
            matches!(content.len(), 8 | 32) && is_mask(mask) && !is_ipv4_in_ipv6(address)
        }
        _ => true,
    };
    if is_right { Ok(()) } else { Err("failed to parse a name constraint") }
}

/// Returns true if Go accepts a text as the domain of a name constraint (`domainNameValid`).
fn is_domain(text: &str) -> bool {
    let labels = text.strip_prefix('.').unwrap_or(text);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|octet| (33..=126).contains(&octet));
    text.is_empty() || labels.split('.').all(is_label)
}

fn is_mask(mask: &[u8]) -> bool {
    let mut ones = mask.iter().map(|octet| octet.leading_ones()).take_while(|ones| *ones > 0);
    let leading: u32 = ones
        .by_ref()
        .fold((0, true), |(sum, whole), ones| (if whole { sum + ones } else { sum }, whole && ones == 8))
        .0;
    leading == mask.iter().map(|octet| octet.count_ones()).sum::<u32>()
}

/// Returns true for a URI that Go's net/url cannot parse, or whose host crypto/x509 does not accept as a name.
fn is_malformed_uri(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    let bad_escape = |after: &str| after.len() < 2 || !after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) || escapes.into_iter().any(bad_escape) {
        return true;
    }
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let rest = match text[..end].split_once(':') {
        None => text,
        Some((scheme, _)) => {
            let begins = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
            if !begins || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
                return true;
            }
            &text[scheme.len() + 1..]
        }
    };
    let Some(authority) = rest.strip_prefix("//") else { return false };
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let strange = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-._~!$&'()*+,;=:[]%".contains(&byte);
    !host.is_empty()
        && (name.split('.').any(str::is_empty)
            || host.bytes().any(strange)
            || !port.trim_end_matches(']').bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns true if 16 octets are an IPv4-mapped IPv6 address, which Go's net treats as IPv4.
pub(super) fn is_ipv4_in_ipv6(octets: &[u8]) -> bool {
    let address = <[u8; 16]>::try_from(octets).map(Ipv6Addr::from);
    address.is_ok_and(|address| IpAddr::from(address).to_canonical().is_ipv4())
}
