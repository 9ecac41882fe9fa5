//! The address of a host: an IP address or a DNS name, each in one canonical spelling.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::{DnsName, HostName, NameError};

/// An IP address or a DNS name. Two spellings of one IPv6 address are the same `Address`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IPv4 or IPv6 address; becomes an iPAddress SAN.
    Ip(IpAddr),
    /// A DNS name; becomes a dNSName SAN.
    Dns(DnsName),
}

/// Errors of parsing an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is neither an IP address nor a name.
    #[error("it is neither an IP address nor a DNS name: {0}")]
    Neither(NameError),
    /// `fe80::1%eth0`: a zone is only valid on one host.
    #[error("an address with a zone (%…) is only valid on one host")]
    Zone,
    /// `fe80::1`: a link-local address is ambiguous without a zone.
    #[error("a link-local address needs a zone, which is only valid on one host")]
    LinkLocal,
    /// 0.0.0.0, ::, a multicast address: not the address of a host.
    #[error("no host can have the address {0}")]
    NotAHost(IpAddr),
    /// `10.0.0.1:10250` or `https://…`: more than an address.
    #[error("it must be only an address, without scheme, port or path")]
    MoreThanAnAddress,
}

impl Address {
    /// Parses an IPv4 address, an IPv6 address in any spelling (RFC 4291 § 2.2; brackets are allowed) or a DNS name.
    ///
    /// # Errors
    /// Returns an error if it is none of these.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let unbracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = unbracketed.parse::<IpAddr>() {
            return Self::from_ip(ip);
        }
        if unbracketed.split_once('%').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok()) {
            return Err(AddressError::Zone);
        }
        // A host with several colons and no brackets is an invalid IPv6 address.
        let is_host = |host: &str| !host.contains(':') || host.ends_with(']');
        let colon_port = text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
        if text.contains('/') || colon_port {
            return Err(AddressError::MoreThanAnAddress);
        }
        DnsName::parse(text).map(Self::Dns).map_err(AddressError::Neither)
    }

    fn from_ip(ip: IpAddr) -> Result<Self, AddressError> {
        // TLS clients connect to an IPv4-mapped IPv6 address as IPv4, and compare it as IPv4.
        let ip = ip.to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(AddressError::NotAHost(ip));
        }
        if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
            return Err(AddressError::LinkLocal);
        }
        Ok(Self::Ip(ip))
    }

    /// Returns the IP address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Dns(_) => None,
        }
    }

    /// Formats the address for a URL: IPv6 addresses in brackets (RFC 3986 § 3.2.2).
    #[must_use]
    pub fn for_url(&self) -> String {
        match self {
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Dns(name) => name.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network in CIDR notation whose host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Errors of parsing a CIDR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not `ADDRESS/BITS`.
    #[error("it is not written as ADDRESS/BITS")]
    Form,
    /// More bits than the family has.
    #[error("the prefix must be 0 to {limit}")]
    Prefix {
        /// 32 or 128.
        limit: u8,
    },
    /// Bits are set after the prefix.
    #[error("bits are set after the prefix; the network is {network}")]
    HostBits {
        /// The network with these bits cleared.
        network: String,
    },
    /// Too small for a service address.
    #[error("the range is too small: it needs two addresses")]
    TooSmall,
}

impl Cidr {
    /// Parses `10.96.0.0/16` or `fd00:10:96::/112`.
    ///
    /// # Errors
    /// Returns an error if it is not a CIDR, or has only one address.
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = text.split_once('/').ok_or(CidrError::Form)?;
        let network: IpAddr = address.parse().map_err(|_| CidrError::Form)?;
        let limit = if network.is_ipv4() { 32 } else { 128 };
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = match prefix.parse::<u8>() {
            Ok(prefix) if digits && prefix <= limit => prefix,
            _ if digits => return Err(CidrError::Prefix { limit }),
            _ => return Err(CidrError::Form),
        };
        let masked = mask(network, prefix);
        if masked != network {
            return Err(CidrError::HostBits { network: format!("{masked}/{prefix}") });
        }
        if prefix == limit {
            return Err(CidrError::TooSmall);
        }
        Ok(Self { network, prefix })
    }

    /// Returns true if `ip` is in the network.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.network.is_ipv4() && mask(ip, self.prefix) == self.network
    }

    /// Returns the network's second address, which the API server gives to the service `kubernetes`.
    ///
    /// Source: Kubernetes `pkg/controlplane/services.go`, `ServiceIPRange`.
    #[must_use]
    pub fn first_address(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | 1).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | 1).into(),
        }
    }
}

fn mask(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl HostName {
    /// Returns the name as a certificate contains it. A name that is an IPv4 address, as in some clouds, becomes an
    /// iPAddress.
    #[must_use]
    pub fn to_address(&self) -> Address {
        self.as_str().parse().map_or_else(|_| Address::Dns(DnsName::of_host(self)), Address::Ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_ipv6_address_is_one_address() {
        let spellings = ["fd20:1::11", "FD20:0001:0:0:0:0:0:0011", "[fd20:1::11]", "fd20:1:0::11"];
        for spelling in spellings {
            assert_eq!(Address::parse(spelling).map(|a| a.to_string()), Ok("fd20:1::11".to_owned()));
        }
        assert_eq!(Address::parse("::ffff:10.0.0.1"), Address::parse("10.0.0.1"));
    }

    #[test]
    fn an_address_that_is_not_a_hosts_is_refused() {
        assert_eq!(Address::parse("fe80::1%eth0"), Err(AddressError::Zone));
        assert_eq!(Address::parse("10.0.0.1:10250"), Err(AddressError::MoreThanAnAddress));
        assert_eq!(Address::parse("[fd00::1]:10250"), Err(AddressError::MoreThanAnAddress));
        let wrong = NameError::Character { character: ':' };
        assert_eq!(Address::parse("fd20:1::10000"), Err(AddressError::Neither(wrong)));
        assert_eq!(Address::parse("10.0.0.0/8"), Err(AddressError::MoreThanAnAddress));
        assert_eq!(Address::parse("10.20.1.300"), Err(AddressError::Neither(NameError::LooksLikeAddress)));
        assert!(matches!(Address::parse("0.0.0.0"), Err(AddressError::NotAHost(_))));
        assert!(matches!(Address::parse("ff02::1"), Err(AddressError::NotAHost(_))));
    }

    #[test]
    fn cidrs_give_the_service_address() {
        let first = |text| Cidr::parse(text).map(|c| c.first_address().to_string());
        assert_eq!(first("10.96.0.0/16"), Ok("10.96.0.1".into()));
        assert_eq!(first("fd00:10:96::/112"), Ok("fd00:10:96::1".into()));
        assert_eq!(first("10.96.0.0/33"), Err(CidrError::Prefix { limit: 32 }));
        assert_eq!(first("10.96.0.7/16"), Err(CidrError::HostBits { network: "10.96.0.0/16".into() }));
        assert_eq!(first("10.96.0.0"), Err(CidrError::Form));
        assert_eq!(first("10.96.0.0/+8"), Err(CidrError::Form));
        assert_eq!(first("10.96.0.1/32"), Err(CidrError::TooSmall));
    }
}
