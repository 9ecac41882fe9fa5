//! The URL at which nodes reach the API servers: `https://HOST[:PORT]`.

use std::fmt;
use std::net::Ipv6Addr;

use super::address::{Address, AddressError};

/// The endpoint of the API servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host to connect to, which the serving certificates name.
    pub host: Address,
    /// TCP port, 1 to 65535.
    pub port: u16,
}

/// Errors of parsing an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No `https://`.
    #[error("it must begin with https://")]
    Scheme,
    /// Plain HTTP, which authenticates nothing.
    #[error("plain http has no certificates to authenticate with; use https://")]
    PlainHttp,
    /// More than host and port: a path, a query, a user.
    #[error("it must be https://HOST:PORT without user, path or query")]
    Rest,
    /// An IPv6 address without brackets, which cannot be separated from a port.
    #[error("an IPv6 address needs brackets: https://[{0}]:PORT")]
    Brackets(Ipv6Addr),
    /// Not a port.
    #[error("the port must be 1 to 65535")]
    Port,
    /// The host part is wrong.
    #[error("its host is not usable: {0}")]
    Host(AddressError),
}

impl Endpoint {
    /// Parses `https://HOST[:PORT]`; the default port is 443 (RFC 9110 § 4.2.2). One slash at the end is ignored.
    ///
    /// # Errors
    /// Returns an error if it is not such a URL.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        // Schemes are case-insensitive (RFC 3986 § 3.1).
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
            let message = Endpoint::parse(bare).expect_err(bare).to_string();
            assert_eq!(message, "an IPv6 address needs brackets: https://[fd00::1]:PORT");
        }
        assert_eq!(shown("https://10.0.0.1:0"), Err(EndpointError::Port));
        assert_eq!(shown("https://10.0.0.1:66000"), Err(EndpointError::Port));
    }
}
