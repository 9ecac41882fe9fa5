//! The location of the API server as nodes have it: `https://HOST[:PORT]`, nothing else.

use std::fmt;
use std::net::Ipv6Addr;

use super::address::{Address, AddressError};

/// Where nodes find the masters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// What is dialled, and what the certificate has to name.
    pub host: Address,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No `https://` in front.
    #[error("it must begin with https://")]
    Scheme,
    /// Plain HTTP has no trust to verify.
    #[error("plain http has no certificates, so nobody could be trusted; write https://")]
    PlainHttp,
    /// A path, a query, a user.
    #[error("it must be https://HOST:PORT and end there, without user, path or query")]
    Rest,
    /// An IPv6 address without brackets: where it ends and the port begins nobody can tell.
    #[error("an IPv6 address stands in brackets there: https://[{0}]:PORT")]
    Brackets(Ipv6Addr),
    /// Not a port.
    #[error("the port must be 1 to 65535")]
    Port,
    /// The host part is wrong.
    #[error("its host is not usable: {0}")]
    Host(AddressError),
}

impl Endpoint {
    /// Reads `https://HOST[:PORT]`; the port is 443 when it is not there (RFC 9110 § 4.2.2). One slash at the end is
    /// forgiven.
    ///
    /// # Errors
    /// Why it is not usable as a location.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        // Schemes know no case (RFC 3986 § 3.1).
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => return Err(EndpointError::PlainHttp),
            _ => return Err(EndpointError::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(EndpointError::Rest);
        }
        let without_port = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        if let Some(ip) = [without_port, authority].iter().find_map(|host| host.parse().ok()) {
            return Err(EndpointError::Brackets(ip));
        }
        let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[after_host..].find(':') {
            Some(colon) => authority.split_at(after_host + colon),
            None => (authority, ":443"),
        };
        let port = port[1..].parse().ok().filter(|&p| p != 0).ok_or(EndpointError::Port)?;
        let host = Address::parse(host).map_err(EndpointError::Host)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}", self.host.for_url(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_host_and_port() {
        let shown = |text| Endpoint::parse(text).map(|e| e.to_string());
        assert_eq!(shown("https://api.prod.example.net:6443"), Ok("https://api.prod.example.net:6443".into()));
        assert_eq!(shown("https://[FD00::1]:6443/"), Ok("https://[fd00::1]:6443".into()));
        assert_eq!(shown("https://10.0.0.1"), Ok("https://10.0.0.1:443".into()));
        assert_eq!(shown("http://10.0.0.1:6443"), Err(EndpointError::PlainHttp));
        assert_eq!(shown("10.0.0.1:6443"), Err(EndpointError::Scheme));
        assert_eq!(shown("https://10.0.0.1:6443/api"), Err(EndpointError::Rest));
        assert_eq!(shown("https://me@10.0.0.1:6443"), Err(EndpointError::Rest));
        assert_eq!(shown("HTTPS://10.0.0.1:6443"), Ok("https://10.0.0.1:6443".into()));
        for bare in ["https://fd00::1", "https://fd00::1:6443"] {
            let told = Endpoint::parse(bare).expect_err(bare).to_string();
            assert_eq!(told, "an IPv6 address stands in brackets there: https://[fd00::1]:PORT");
        }
        assert_eq!(shown("https://10.0.0.1:0"), Err(EndpointError::Port));
        assert_eq!(shown("https://10.0.0.1:66000"), Err(EndpointError::Port));
    }
}
