//! Names of clusters and hosts; a value of these types is valid.

use std::fmt;

/// A DNS name has at most this many characters (RFC 1035 § 2.3.4, less the root's dot).
const MAX_NAME: usize = 253;
/// A DNS label has at most this many characters (RFC 1035 § 2.3.4).
const MAX_LABEL: usize = 63;
/// `<cluster> front-proxy root` has to fit into a common name's 64 characters (RFC 5280 appendix A, ub-common-name).
pub(crate) const MAX_CLUSTER: usize = 64 - " front-proxy root".len();

/// The suffixes of bundle files, which follow the host's name. No host's name ends in one.
pub(crate) const BUNDLE_SUFFIXES: [&str; 5] =
    [".tar.gz", ".tar.gz.age", ".cloud-init.yaml", ".cloud-init.yaml.gz", ".ign"];

/// Errors of parsing a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An empty text.
    #[error("it is empty")]
    Empty,
    /// Longer than the limit, both in characters.
    #[error("it has {length} characters, at most {limit} are allowed")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A capital letter: the kubelet registers its node in lower case.
    #[error("it has capital letters; write {lower}")]
    UpperCase {
        /// The same name in lower case.
        lower: String,
    },
    /// A character that names cannot have.
    #[error("{character:?} is not allowed: only a-z, 0-9, '-' and, between labels, '.'")]
    Character {
        /// The first such character.
        character: char,
    },
    /// A label that is empty, too long, or begins or ends with a hyphen.
    #[error("the label {label:?} must have 1 to 63 characters and begin and end with a letter or a digit")]
    Label {
        /// The label.
        label: String,
    },
    /// A last label of digits only: resolvers and certificate verifiers take such a name for an address.
    #[error("its last label is a number, so it reads as an IP address, and it is not a valid one")]
    LooksLikeAddress,
    /// Dots in a name that must be a single label.
    #[error("it must be a single DNS label, without dots")]
    Dotted,
}

fn check_labels(text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let length = text.chars().count();
    if length > limit {
        return Err(NameError::TooLong { length, limit });
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if let Some(character) = text.chars().map(|c| c.to_ascii_lowercase()).find(|&c| !allowed(c)) {
        return Err(NameError::Character { character });
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(NameError::UpperCase { lower: text.to_ascii_lowercase() });
    }
    for label in text.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL || label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Label { label: label.to_owned() });
        }
    }
    Ok(())
}

/// A lower-case RFC 1123 subdomain of at most 253 characters: what Kubernetes accepts as a node's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Parses a lower-case RFC 1123 subdomain (Kubernetes `IsDNS1123Subdomain`).
    ///
    /// # Errors
    /// Returns the first rule that it violates.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_labels(text, MAX_NAME)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A lower-case DNS name that cannot be taken for an IP address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Converts a host's name that is not an IP address.
    pub(super) fn of_host(name: &HostName) -> Self {
        Self(name.0.clone())
    }

    /// Parses a lower-case DNS name whose last label is not a number (RFC 1123 § 2.1).
    ///
    /// A dot at the end, which makes a name absolute (RFC 1034 § 3.1), is removed: certificates and TLS's server name
    /// do not have it (RFC 6066 § 3).
    ///
    /// # Errors
    /// Returns the first rule that it violates.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(text);
        check_labels(text, MAX_NAME)?;
        let last = text.rsplit('.').next().unwrap_or(text);
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::LooksLikeAddress);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A cluster's name: one DNS label of at most 47 characters, so that each CA's common name fits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    /// Parses one lower-case DNS label of at most 47 characters.
    ///
    /// # Errors
    /// Returns the first rule that it violates.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_labels(text, MAX_CLUSTER)?;
        if text.contains('.') {
            return Err(NameError::Dotted);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}
shown_as_text!(HostName, DnsName, ClusterName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_yaml_would_misread_are_names() {
        for name in ["on", "no", "1e3", "0x1f", "null", "ip-10-20-3-7.eu-central-1.compute.internal"] {
            assert_eq!(HostName::parse(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refusals_name_the_rule() {
        assert_eq!(HostName::parse(""), Err(NameError::Empty));
        assert_eq!(HostName::parse("Worker"), Err(NameError::UpperCase { lower: "worker".into() }));
        assert_eq!(HostName::parse("12:30:45"), Err(NameError::Character { character: ':' }));
        assert_eq!(HostName::parse("../../etc"), Err(NameError::Character { character: '/' }));
        assert_eq!(HostName::parse("a..b"), Err(NameError::Label { label: String::new() }));
        assert_eq!(HostName::parse("."), Err(NameError::Label { label: String::new() }));
        assert_eq!(HostName::parse("-a"), Err(NameError::Label { label: "-a".into() }));
        assert_eq!(HostName::parse(&"a".repeat(64)), Err(NameError::Label { label: "a".repeat(64) }));
        assert_eq!(HostName::parse(&"a.".repeat(200)), Err(NameError::TooLong { length: 400, limit: 253 }));
        assert_eq!(DnsName::parse("10.0.0.300"), Err(NameError::LooksLikeAddress));
        assert_eq!(ClusterName::parse("a.b"), Err(NameError::Dotted));
        assert_eq!(ClusterName::parse(&"a".repeat(48)), Err(NameError::TooLong { length: 48, limit: 47 }));
    }
}
