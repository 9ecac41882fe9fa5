//! SSH's `known_hosts`, as the source of hosts' public keys.
//!
//! The crate ssh-key parses markers and host fields. Keys are parsed as [`Recipient`]s, so that an unsupported or
//! damaged key is reported with its line.

use std::collections::HashMap;

use ring::hmac;
use ssh_key::known_hosts::{HostPatterns, Marker};

use super::ssh::matches;
use crate::cluster::recipient::{Recipient, RecipientError, RecipientKind};

/// A `known_hosts` file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), indexed for lookups of many hosts.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
    /// The lines of each plain name or address, without brackets and port.
    plain: HashMap<String, Vec<usize>>,
    /// The lines with a hashed name.
    hashed: Vec<(usize, HashedName)>,
    /// The lines with patterns.
    patterns: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    marker: Option<Marker>,
    /// The type of the key, as it is written.
    key_type: String,
    key: String,
    /// The names and patterns before the key; empty for a hashed name.
    names: Vec<String>,
    recipient: Result<Recipient, RecipientError>,
}

/// An HMAC-SHA-1 of a name.
#[derive(Debug, Clone)]
struct HashedName {
    salt: hmac::Key,
    hash: [u8; 20],
}

/// Errors of finding a host's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownHostError {
    /// No line names the host.
    #[error("known_hosts has no line with its name or any of its addresses")]
    Unknown,
    /// The host's keys are of types that bundles cannot be encrypted to.
    #[error("known_hosts has only keys of the types {} for it; bundles cannot be encrypted to these", types.join(", "))]
    Types {
        /// The types, sorted.
        types: Vec<String>,
    },
    /// The only lines that match the host have a CA's key or a pattern.
    #[error(
        "known_hosts has no key that only this host has, but a CA's key or one that several hosts share (line {line})"
    )]
    Shared {
        /// The first such line, from 1.
        line: usize,
    },
    /// Its key is revoked.
    #[error("its key is marked @revoked in known_hosts (line {line})")]
    Revoked {
        /// The line with the mark, from 1.
        line: usize,
    },
    /// The host has two different keys of one type.
    #[error("known_hosts has two different {kind} keys for it (lines {first} and {second})", kind = kind.as_str())]
    Conflict {
        /// The type.
        kind: RecipientKind,
        /// The line of the first key, from 1.
        first: usize,
        /// The line of the second key, from 1.
        second: usize,
    },
    /// Its key is damaged.
    #[error("its key in known_hosts cannot be used (line {line})")]
    Damaged {
        /// The line, from 1.
        line: usize,
        /// The reason.
        #[source]
        reason: RecipientError,
    },
}

impl KnownHosts {
    /// Parses the file. Lines that ssh does not understand are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut known = Self::default();
        for (i, text) in text.lines().enumerate() {
            known.add(i + 1, text.trim());
        }
        known
    }

    /// Returns true if no line names a host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the lines whose keys are `wanted`.
    #[must_use]
    pub fn of_keys(&self, wanted: impl Fn(&Recipient) -> bool) -> Self {
        let mut positions = HashMap::new();
        let mut lines = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if line.recipient.as_ref().is_ok_and(&wanted) {
                positions.insert(at, lines.len());
                lines.push(line.clone());
            }
        }
        let kept = |all: &[usize]| all.iter().filter_map(|at| positions.get(at).copied()).collect::<Vec<usize>>();
        let plain = self.plain.iter().map(|(name, all)| (name.clone(), kept(all))).filter(|(_, kept)| !kept.is_empty());
        let hashed = self.hashed.iter().filter_map(|(at, hash)| Some((*positions.get(at)?, hash.clone())));
        Self { plain: plain.collect(), hashed: hashed.collect(), patterns: kept(&self.patterns), lines }
    }

    /// Adds a line; returns `None` if it has no host or no key.
    fn add(&mut self, number: usize, text: &str) -> Option<()> {
        let mut words = text.split_ascii_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, hosts) = match first.starts_with('@') {
            true => (Some(first.parse::<Marker>().ok()?), words.next()?),
            false => (None, first),
        };
        // An unsupported type is printed in an error, possibly to a terminal.
        let key_type = words.next().filter(|kind| kind.bytes().all(|b| b.is_ascii_graphic()))?.to_owned();
        let key = words.next()?.to_owned();
        let recipient = Recipient::parse(&format!("{key_type} {key}"));
        let at = self.lines.len();
        let names: Vec<String> = match hosts.parse().ok()? {
            HostPatterns::HashedName { salt, hash } => {
                let salt = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
                self.hashed.push((at, HashedName { salt, hash }));
                Vec::new()
            }
            HostPatterns::Patterns(names) => {
                // A revoked key is refused for every port.
                let names = names.iter().filter_map(|name| match marker {
                    Some(Marker::Revoked) => Some(without_port(name).0),
                    _ => on_port_22(name),
                });
                let names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
                if names.is_empty() {
                    return None;
                }
                if hosts.contains(['*', '?', '!']) {
                    self.patterns.push(at);
                } else {
                    for name in &names {
                        self.plain.entry(name.clone()).or_default().push(at);
                    }
                }
                names
            }
        };
        self.lines.push(Line { number, marker, key_type, key, names, recipient });
        Some(())
    }

    /// Returns the key of the host with these names: its Ed25519 key, or its RSA key if it has no other.
    ///
    /// Keys of other ports than 22 are ignored: another sshd answers there, for example a container's.
    ///
    /// # Errors
    /// Returns an error if it has no such key, the key is revoked, or it has two.
    pub fn key_of(&self, names: &[String]) -> Result<Recipient, KnownHostError> {
        let lines = self.lines_of(names);
        let mut found: Option<(&Line, &Recipient)> = None;
        for wanted in [RecipientKind::SshEd25519, RecipientKind::SshRsa] {
            let of_type = |line: &&Line| line.is_own() && line.key_type == wanted.as_str();
            for line in lines.iter().copied().filter(of_type) {
                let recipient = line
                    .recipient
                    .as_ref()
                    .map_err(|reason| KnownHostError::Damaged { line: line.number, reason: reason.clone() })?;
                match found {
                    None => found = Some((line, recipient)),
                    Some((first, other)) if other != recipient => {
                        let (first, second) = (first.number, line.number);
                        return Err(KnownHostError::Conflict { kind: wanted, first, second });
                    }
                    Some(_) => {}
                }
            }
            if found.is_some() {
                break;
            }
        }
        let Some((line, recipient)) = found else { return Err(no_key(&lines)) };
        let revoked = lines.iter().find(|other| other.marker == Some(Marker::Revoked) && other.key == line.key);
        match revoked {
            Some(revoked) => Err(KnownHostError::Revoked { line: revoked.number }),
            None => Ok(recipient.clone()),
        }
    }

    /// Returns all keys of the host with these names, of every type, each as a line of OpenSSH without a comment; none if no line
    /// has a key that only this host has.
    ///
    /// # Errors
    /// Returns an error if a key is revoked or damaged, or the host has two Ed25519 or RSA keys.
    pub fn keys_of(&self, names: &[String]) -> Result<Vec<String>, KnownHostError> {
        match self.key_of(names) {
            Err(KnownHostError::Unknown | KnownHostError::Shared { .. }) => return Ok(Vec::new()),
            Err(KnownHostError::Types { .. }) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        let lines = self.lines_of(names);
        let is_revoked = |line: &&&Line| line.marker == Some(Marker::Revoked);
        let own: Vec<&Line> = lines.iter().copied().filter(|line| line.is_own()).collect();
        match lines.iter().filter(is_revoked).find(|revoked| own.iter().any(|line| line.key == revoked.key)) {
            Some(revoked) => Err(KnownHostError::Revoked { line: revoked.number }),
            None => Ok(own.iter().map(|line| format!("{} {}", line.key_type, line.key)).collect()),
        }
    }

    /// Returns the lines that match a host, in the file's order.
    fn lines_of(&self, names: &[String]) -> Vec<&Line> {
        let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let plain = names.iter().filter_map(|name| self.plain.get(name)).flatten().copied();
        let hashed = self.hashed.iter().filter(|(_, hash)| names.iter().any(|name| hash.is_of(name)));
        let patterns =
            self.patterns.iter().copied().filter(|&at| names.iter().any(|name| self.lines[at].matches(name)));
        let mut found: Vec<usize> = plain.chain(hashed.map(|(at, _)| *at)).chain(patterns).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|at| &self.lines[at]).collect()
    }
}

/// Returns the error that explains why these lines of a host have no usable key.
fn no_key(lines: &[&Line]) -> KnownHostError {
    let Some(first) = lines.first() else { return KnownHostError::Unknown };
    let mut types: Vec<String> = lines.iter().filter(|line| line.is_own()).map(|line| line.key_type.clone()).collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() {
        let revoked = lines.iter().find(|line| line.marker == Some(Marker::Revoked));
        return match revoked {
            Some(revoked) => KnownHostError::Revoked { line: revoked.number },
            None => KnownHostError::Shared { line: first.number },
        };
    }
    KnownHostError::Types { types }
}

impl Line {
    /// Returns true if the line names its hosts without patterns and has no marker.
    fn is_own(&self) -> bool {
        self.marker.is_none() && !self.names.iter().any(|name| name.contains(['*', '?']))
    }

    /// Returns true if its patterns match `name`; a pattern that begins with `!` excludes a name from all others.
    fn matches(&self, name: &str) -> bool {
        let is_match = |pattern: &str| matches(pattern.as_bytes(), name.as_bytes());
        let (excluded, included): (Vec<&String>, Vec<&String>) =
            self.names.iter().partition(|name| name.starts_with('!'));
        included.iter().any(|pattern| is_match(pattern))
            && !excluded.iter().any(|pattern| is_match(without_port(&pattern[1..]).0))
    }
}

impl HashedName {
    fn is_of(&self, name: &str) -> bool {
        hmac::verify(&self.salt, name.as_bytes(), &self.hash).is_ok()
    }
}

/// Splits `[name]:port` into the name and its port.
fn without_port(name: &str) -> (&str, Option<&str>) {
    let inner = name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
    inner.map_or((name, None), |(inner, port)| (inner, Some(port)))
}

/// Returns the name without its port, or `None` for another port than 22. An excluded name (`!`) keeps its port.
fn on_port_22(name: &str) -> Option<&str> {
    let (_, port) = without_port(name.strip_prefix('!').unwrap_or(name));
    let (inner, _) = without_port(name);
    port.is_none_or(|port| port == "22").then_some(inner)
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};

    use super::*;

    fn key(kind: &str, byte: u8) -> String {
        let parts: [&[u8]; 2] = [kind.as_bytes(), &[byte; 32]];
        let blob: Vec<u8> =
            parts.iter().flat_map(|part| [&(part.len() as u32).to_be_bytes()[..], part].concat()).collect();
        format!("{kind} {}", Base64::encode_string(&blob))
    }

    fn found(file: &str, names: &[&str]) -> Result<String, KnownHostError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        KnownHosts::parse(file).key_of(&names).map(|recipient| recipient.to_string())
    }

    #[test]
    fn a_host_is_found_by_name_and_address_and_keys_of_other_ports_are_ignored() {
        let (one, two) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let file = format!("# hosts\n\non.example.net,10.0.0.1 {one} root@on\n[off]:22,[fd00::2]:2222 {two}\n");
        assert_eq!(found(&file, &["on.example.net"]), Ok(one.clone()));
        assert_eq!(found(&file, &["On.Example.net"]), Ok(one.clone()));
        assert_eq!(found(&file, &["on", "10.0.0.1"]), Ok(one));
        assert_eq!(found(&file, &["off"]), Ok(two.clone()));
        assert_eq!(found(&file, &["fd00::2"]), Err(KnownHostError::Unknown));
        let two_daemons = format!("[on]:2222,[10.0.0.1]:2222 {two}\n[*.example.net]:2222 {two}\n{file}");
        assert_eq!(found(&two_daemons, &["on.example.net", "on"]), Ok(key("ssh-ed25519", 1)));
        assert!(KnownHosts::parse(&format!("[on]:2222 {two}")).is_empty());
        assert_eq!(
            found(&format!("@revoked [on]:2222 {two}\non {two}"), &["on"]),
            Err(KnownHostError::Revoked { line: 1 })
        );
        assert_eq!(found(&file, &["of", "10.0.0.11"]), Err(KnownHostError::Unknown));
    }

    #[test]
    fn a_revoked_key_a_cas_key_and_a_pattern_are_not_the_hosts_key() {
        let (one, two) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let revoked = format!("on {one}\n@revoked * {one}\n");
        assert_eq!(found(&revoked, &["on"]), Err(KnownHostError::Revoked { line: 2 }));
        assert_eq!(found(&format!("@revoked on {one}"), &["on"]), Err(KnownHostError::Revoked { line: 1 }));
        assert_eq!(found(&format!("on {one}\n@revoked on {two}\n"), &["on"]), Ok(one.clone()));
        let shared = Err(KnownHostError::Shared { line: 1 });
        assert_eq!(found(&format!("@cert-authority *.example.net {one}"), &["on.example.net"]), shared);
        assert_eq!(found(&format!("*.example.net,!off.example.net {one}"), &["on.example.net"]), shared);
        let excluded = found(&format!("*.example.net,!on.example.net {one}"), &["on.example.net"]);
        assert_eq!(excluded, Err(KnownHostError::Unknown));
        let both = format!("on {one}\n10.0.0.1 {two}\n");
        let kind = RecipientKind::SshEd25519;
        assert_eq!(found(&both, &["on", "10.0.0.1"]), Err(KnownHostError::Conflict { kind, first: 1, second: 2 }));
        assert_eq!(found(&format!("on {one}\n10.0.0.1 {one}\n"), &["on", "10.0.0.1"]), Ok(one));
    }

    #[test]
    fn unsupported_types_and_damaged_keys_are_reported() {
        let file = "on ecdsa-sha2-nistp256 AAAA\non sk-ssh-ed25519@openssh.com AAAA\n";
        let types = vec!["ecdsa-sha2-nistp256".to_owned(), "sk-ssh-ed25519@openssh.com".to_owned()];
        assert_eq!(found(file, &["on"]), Err(KnownHostError::Types { types }));
        let damaged = found("on ssh-ed25519 AAAA\n", &["on"]).expect_err("damaged");
        assert!(matches!(damaged, KnownHostError::Damaged { line: 1, .. }), "{damaged}");
        for nothing in ["", "on", "on ssh-ed25519", "@else on ssh-ed25519 AAAA", "|1|x on ssh-ed25519 AAAA", "\u{0}"] {
            assert_eq!(found(nothing, &["on"]), Err(KnownHostError::Unknown), "{nothing:?}");
        }
    }
}
