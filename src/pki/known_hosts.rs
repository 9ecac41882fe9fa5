//! SSH's `known_hosts` as the place where the hosts' own keys are known: which key is this host's, and no other's.

use std::collections::HashMap;

use base64ct::{Base64, Encoding};
use ring::hmac;

use super::ssh::matches;
use crate::cluster::recipient::{Recipient, RecipientError, RecipientKind};

/// A `known_hosts` file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), ready to be asked for many hosts.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
    /// Which lines name a host in the clear, by the name or address without brackets and port.
    plain: HashMap<String, Vec<usize>>,
    /// Which lines name one by its hash,
    hashed: Vec<(usize, Hashed)>,
    /// or by patterns.
    patterns: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    marker: Marker,
    kind: String,
    key: String,
    /// What stands before the key, where it has patterns.
    names: Vec<String>,
    recipient: Result<Recipient, RecipientError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Issuer,
}

#[derive(Debug, Clone)]
struct Hashed {
    salt: hmac::Key,
    hash: Vec<u8>,
}

/// Why a host's key is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownHostError {
    /// No line names the host.
    #[error("known_hosts does not know it under its name or any of its addresses")]
    Unknown,
    /// Lines name it, and none has a key that can be sealed to.
    #[error("known_hosts has only keys of the kinds {} for it, and none that a bundle can be sealed to", kinds.join(", "))]
    Kinds {
        /// Those that it has, sorted.
        kinds: Vec<String>,
    },
    /// Only an authority's key or a pattern speaks for it.
    #[error(
        "known_hosts has no key of its own for it, only an authority's or one that several hosts share (line {line})"
    )]
    NotItsOwn {
        /// The first such line, from 1.
        line: usize,
    },
    /// Its key was revoked.
    #[error("its key is marked @revoked in known_hosts (line {line})")]
    Revoked {
        /// The line with the mark, from 1.
        line: usize,
    },
    /// Two keys of one kind.
    #[error("known_hosts has two different {kind} keys for it (lines {first} and {second})", kind = kind.as_str())]
    Differ {
        /// Their kind.
        kind: RecipientKind,
        /// The line of the first, from 1,
        first: usize,
        /// and of the second.
        second: usize,
    },
    /// A key that is damaged.
    #[error("its key in known_hosts cannot be used (line {line})")]
    Damaged {
        /// Where, from 1.
        line: usize,
        /// Why not.
        #[source]
        reason: RecipientError,
    },
}

impl KnownHosts {
    /// Reads the file. Lines that ssh would not understand either are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut known = Self::default();
        for (i, text) in text.lines().enumerate() {
            known.add(i + 1, text.trim());
        }
        known
    }

    /// True when there is no line in it that names a host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines alone whose keys are `wanted`.
    #[must_use]
    pub fn of_keys(&self, wanted: impl Fn(&Recipient) -> bool) -> Self {
        let mut places = HashMap::new();
        let mut lines = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            if line.recipient.as_ref().is_ok_and(&wanted) {
                places.insert(at, lines.len());
                lines.push(line.clone());
            }
        }
        let kept = |all: &[usize]| all.iter().filter_map(|at| places.get(at).copied()).collect::<Vec<usize>>();
        let plain = self.plain.iter().map(|(name, all)| (name.clone(), kept(all))).filter(|(_, kept)| !kept.is_empty());
        let hashed = self.hashed.iter().filter_map(|(at, hash)| Some((*places.get(at)?, hash.clone())));
        Self { plain: plain.collect(), hashed: hashed.collect(), patterns: kept(&self.patterns), lines }
    }

    fn add(&mut self, number: usize, text: &str) -> Option<()> {
        let mut words = text.split_ascii_whitespace();
        let mut hosts = words.next().filter(|word| !word.starts_with('#'))?;
        let marker = match hosts {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Issuer,
            _ if hosts.starts_with('@') => return None,
            _ => Marker::None,
        };
        if marker != Marker::None {
            hosts = words.next()?;
        }
        // A kind is told when it cannot be used, and goes to a terminal then.
        let kind = words.next().filter(|kind| kind.bytes().all(|b| b.is_ascii_graphic()))?.to_owned();
        let key = words.next()?.to_owned();
        let recipient = Recipient::parse(&format!("{kind} {key}"));
        let at = self.lines.len();
        let names: Vec<String> = match marker {
            // A key that somebody revoked is not taken, behind whichever port it was.
            Marker::Revoked => hosts.split(',').map(|name| without_port(name).0.to_ascii_lowercase()).collect(),
            _ => hosts.split(',').filter_map(on_the_usual_port).map(|name| name.to_ascii_lowercase()).collect(),
        };
        if names.is_empty() {
            return None;
        }
        if let Some(hash) = hosts.strip_prefix("|1|") {
            self.hashed.push((at, Hashed::parse(hash)?));
        } else if hosts.contains(['*', '?', '!']) {
            self.patterns.push(at);
        } else {
            for name in &names {
                self.plain.entry(name.clone()).or_default().push(at);
            }
        }
        self.lines.push(Line { number, marker, kind, key, names, recipient });
        Some(())
    }

    /// The one key of a host that goes by `names`: its Ed25519 key, or its RSA key where there is no other. What answers on
    /// another port than 22 is another sshd, of a container perhaps: `[name]:port` says nothing of the host's own key.
    ///
    /// # Errors
    /// When there is none, or it is revoked, or there are two.
    pub fn key_of(&self, names: &[String]) -> Result<Recipient, KnownHostError> {
        let lines = self.lines_of(names);
        let own =
            |line: &&Line| line.marker == Marker::None && !line.names.iter().any(|name| name.contains(['*', '?']));
        let mut found: Option<(&Line, &Recipient)> = None;
        for wanted in [RecipientKind::SshEd25519, RecipientKind::SshRsa] {
            for line in lines.iter().copied().filter(own).filter(|line| line.kind == wanted.as_str()) {
                let recipient = line
                    .recipient
                    .as_ref()
                    .map_err(|reason| KnownHostError::Damaged { line: line.number, reason: reason.clone() })?;
                match found {
                    None => found = Some((line, recipient)),
                    Some((first, other)) if other != recipient => {
                        let (first, second) = (first.number, line.number);
                        return Err(KnownHostError::Differ { kind: wanted, first, second });
                    }
                    Some(_) => {}
                }
            }
            if found.is_some() {
                break;
            }
        }
        let Some((line, recipient)) = found else { return Err(none_of(&lines)) };
        // Revoked is a key, wherever the mark stands that names this host.
        let revoked = lines.iter().find(|other| other.marker == Marker::Revoked && other.key == line.key);
        match revoked {
            Some(revoked) => Err(KnownHostError::Revoked { line: revoked.number }),
            None => Ok(recipient.clone()),
        }
    }

    /// Every line that speaks of a host, in the file's order.
    fn lines_of(&self, names: &[String]) -> Vec<&Line> {
        let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let plain = names.iter().filter_map(|name| self.plain.get(name)).flatten().copied();
        let hashed = self.hashed.iter().filter(|(_, hash)| names.iter().any(|name| hash.is_of(name)));
        let patterns =
            self.patterns.iter().copied().filter(|&at| names.iter().any(|name| self.lines[at].names_it(name)));
        let mut found: Vec<usize> = plain.chain(hashed.map(|(at, _)| *at)).chain(patterns).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|at| &self.lines[at]).collect()
    }
}

fn none_of(lines: &[&Line]) -> KnownHostError {
    let Some(first) = lines.first() else { return KnownHostError::Unknown };
    let own =
        lines.iter().filter(|line| line.marker == Marker::None && !line.names.iter().any(|n| n.contains(['*', '?'])));
    let mut kinds: Vec<String> = own.map(|line| line.kind.clone()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        let revoked = lines.iter().find(|line| line.marker == Marker::Revoked);
        return match revoked {
            Some(revoked) => KnownHostError::Revoked { line: revoked.number },
            None => KnownHostError::NotItsOwn { line: first.number },
        };
    }
    KnownHostError::Kinds { kinds }
}

impl Line {
    /// Whether its patterns mean `name`: one that begins with `!` takes it out, whatever the others say.
    fn names_it(&self, name: &str) -> bool {
        let means = |pattern: &str| matches(pattern.as_bytes(), name.as_bytes());
        let (not, yes): (Vec<&String>, Vec<&String>) = self.names.iter().partition(|name| name.starts_with('!'));
        yes.iter().any(|pattern| means(pattern)) && !not.iter().any(|pattern| means(without_port(&pattern[1..]).0))
    }
}

impl Hashed {
    /// `salt|hash`, both base64: an HMAC-SHA-1 of the name.
    fn parse(text: &str) -> Option<Self> {
        let (salt, hash) = text.split_once('|')?;
        let salt = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &Base64::decode_vec(salt).ok()?);
        Some(Self { salt, hash: Base64::decode_vec(hash).ok()? })
    }

    fn is_of(&self, name: &str) -> bool {
        hmac::verify(&self.salt, name.as_bytes(), &self.hash).is_ok()
    }
}

/// `[name]:port` → `name` and its port.
fn without_port(name: &str) -> (&str, Option<&str>) {
    let inner = name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
    inner.map_or((name, None), |(inner, port)| (inner, Some(port)))
}

/// The name, where it is not one on a port of its own. With a `!` before it, it takes out no more than it stands for.
fn on_the_usual_port(name: &str) -> Option<&str> {
    let (_, port) = without_port(name.strip_prefix('!').unwrap_or(name));
    let (inner, _) = without_port(name);
    port.is_none_or(|port| port == "22").then_some(inner)
}

#[cfg(test)]
mod tests {
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
    fn a_host_is_found_by_its_name_and_its_address_and_not_by_what_another_port_answers() {
        let (one, two) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let file = format!("# ours\n\non.example.net,10.0.0.1 {one} root@on\n[off]:22,[fd00::2]:2222 {two}\n");
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
    fn a_key_that_is_not_the_hosts_own_or_no_longer_good_is_not_taken() {
        let (one, two) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let revoked = format!("on {one}\n@revoked * {one}\n");
        assert_eq!(found(&revoked, &["on"]), Err(KnownHostError::Revoked { line: 2 }));
        assert_eq!(found(&format!("@revoked on {one}"), &["on"]), Err(KnownHostError::Revoked { line: 1 }));
        assert_eq!(found(&format!("on {one}\n@revoked on {two}\n"), &["on"]), Ok(one.clone()));
        let not_its_own = Err(KnownHostError::NotItsOwn { line: 1 });
        assert_eq!(found(&format!("@cert-authority *.example.net {one}"), &["on.example.net"]), not_its_own);
        assert_eq!(found(&format!("*.example.net,!off.example.net {one}"), &["on.example.net"]), not_its_own);
        let taken_out = found(&format!("*.example.net,!on.example.net {one}"), &["on.example.net"]);
        assert_eq!(taken_out, Err(KnownHostError::Unknown));
        let both = format!("on {one}\n10.0.0.1 {two}\n");
        let kind = RecipientKind::SshEd25519;
        assert_eq!(found(&both, &["on", "10.0.0.1"]), Err(KnownHostError::Differ { kind, first: 1, second: 2 }));
        assert_eq!(found(&format!("on {one}\n10.0.0.1 {one}\n"), &["on", "10.0.0.1"]), Ok(one));
    }

    #[test]
    fn kinds_that_cannot_be_sealed_to_and_damage_are_named() {
        let file = "on ecdsa-sha2-nistp256 AAAA\non sk-ssh-ed25519@openssh.com AAAA\n";
        let kinds = vec!["ecdsa-sha2-nistp256".to_owned(), "sk-ssh-ed25519@openssh.com".to_owned()];
        assert_eq!(found(file, &["on"]), Err(KnownHostError::Kinds { kinds }));
        let damaged = found("on ssh-ed25519 AAAA\n", &["on"]).expect_err("damaged");
        assert!(matches!(damaged, KnownHostError::Damaged { line: 1, .. }), "{damaged}");
        for nothing in ["", "on", "on ssh-ed25519", "@else on ssh-ed25519 AAAA", "|1|x on ssh-ed25519 AAAA", "\u{0}"] {
            assert_eq!(found(nothing, &["on"]), Err(KnownHostError::Unknown), "{nothing:?}");
        }
    }
}
