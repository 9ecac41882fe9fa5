//! The allowed signers of bundles, in ssh-keygen's file format, and the verification of signatures by them.

use ssh_key::{Algorithm, PublicKey};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::ssh::{SshError, SshSignature, matches, sanitized};

/// The allowed signers, as `ssh-keygen -Y verify -f` reads them (ssh-keygen(1), ALLOWED SIGNERS).
#[derive(Debug)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
    invalid_lines: Vec<SshError>,
}

#[derive(Debug)]
struct Signer {
    line: usize,
    principals: String,
    key: PublicKey,
    namespaces: Option<String>,
    after: Option<OffsetDateTime>,
    before: Option<OffsetDateTime>,
    is_ca: bool,
}

impl AllowedSigners {
    /// Parses a file of allowed signers. Invalid lines are skipped, as by ssh-keygen.
    ///
    /// # Errors
    /// Returns an error if no line is valid: that of the first invalid line.
    pub fn parse(text: &str) -> Result<Self, SshError> {
        let (mut signers, mut invalid_lines) = (Vec::new(), Vec::new());
        for (i, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                match Signer::parse(i + 1, trimmed) {
                    Ok(signer) => signers.push(signer),
                    Err(reason) => invalid_lines.push(SshError::Signers { line: i + 1, reason }),
                }
            }
        }
        if signers.is_empty() {
            return Err(invalid_lines.into_iter().next().unwrap_or(SshError::NoSigners));
        }
        Ok(Self { signers, invalid_lines })
    }

    /// Returns the errors of the invalid lines.
    #[must_use]
    pub fn invalid_lines(&self) -> &[SshError] {
        &self.invalid_lines
    }

    /// Verifies a signature over `message`, and returns the signer's name.
    ///
    /// # Errors
    /// Returns an error if the signature is invalid, or its signer is not allowed in this namespace at this time.
    pub fn verify(
        &self,
        signature: &SshSignature,
        namespace: &'static str,
        message: &[u8],
        now: OffsetDateTime,
    ) -> Result<String, SshError> {
        signature.verify(namespace, message)?;
        let fingerprint = signature.fingerprint();
        let mut refused = None;
        for signer in self.signers.iter().filter(|signer| signer.key.key_data() == signature.0.public_key()) {
            match signer.refusal(namespace, now) {
                None => return Ok(signer.principals.clone()),
                Some(reason) => {
                    let fingerprint = fingerprint.clone();
                    refused.get_or_insert(SshError::NotAllowed { fingerprint, line: signer.line, reason });
                }
            }
        }
        Err(refused.unwrap_or(SshError::UnknownSigner { fingerprint }))
    }
}

impl Signer {
    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let (principals, rest) = word(text)?;
        let mut signer = Self {
            line,
            principals: principals.trim_matches('"').chars().filter(|c| !c.is_control()).collect(),
            // Replaced below.
            key: PublicKey::from(ssh_key::public::Ed25519PublicKey([0; 32])),
            namespaces: None,
            after: None,
            before: None,
            is_ca: false,
        };
        let (first, after) = word(rest)?;
        let key = if is_kind(first) {
            rest
        } else {
            signer.options(first)?;
            after
        };
        signer.key =
            PublicKey::from_openssh(key.trim()).map_err(|error| format!("not a public key: {}", sanitized(&error)))?;
        Ok(signer)
    }

    fn options(&mut self, text: &str) -> Result<(), String> {
        for option in outside_quotes(text, ',') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let quoted = || inner.ok_or_else(|| format!("the value of {name} needs double quotes"));
            let first = match name.to_ascii_lowercase().as_str() {
                "cert-authority" => {
                    self.is_ca = true;
                    true
                }
                "namespaces" => self.namespaces.replace(quoted()?.to_owned()).is_none(),
                "valid-after" => self.after.replace(parse_time(quoted()?, Zone::WESTERNMOST)?).is_none(),
                "valid-before" => self.before.replace(parse_time(quoted()?, Zone::EASTERNMOST)?).is_none(),
                _ => return Err(format!("{name:?} is neither a type of key nor a known option")),
            };
            if !first {
                return Err(format!("{name} is repeated"));
            }
        }
        Ok(())
    }

    /// Returns the reason why this line does not allow a signature in `namespace` at `now`; `None` if it does.
    fn refusal(&self, namespace: &str, now: OffsetDateTime) -> Option<String> {
        if self.principals.split(',').any(|name| name.trim_start().starts_with('!')) {
            return Some("a name that begins with ! excludes a signer and names none".to_owned());
        }
        if self.is_ca {
            return Some("it is a certificate authority's key, which only signs certificates".to_owned());
        }
        if let Some(namespaces) = &self.namespaces
            && !namespaces.split(',').any(|pattern| matches(pattern.as_bytes(), namespace.as_bytes()))
        {
            return Some(format!("it is only for the namespaces {namespaces:?}, not for {namespace}"));
        }
        if self.after.is_some_and(|after| now < after) {
            return Some("it is not valid yet (valid-after)".to_owned());
        }
        if self.before.is_some_and(|before| now >= before) {
            return Some("it is no longer valid (valid-before)".to_owned());
        }
        None
    }
}

fn is_kind(word: &str) -> bool {
    // The crate parses any name with an at sign as `Other`.
    word.parse::<Algorithm>().is_ok_and(|kind| !matches!(kind, Algorithm::Other(_)))
}

/// Splits off the first word; blanks in quotes do not end it.
fn word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => return Ok(text.split_at(at)),
            _ => {}
        }
    }
    Err("a name, a public key and, between them, optional options are needed".to_owned())
}

fn outside_quotes(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
    .collect()
}

/// The offset of a time zone from UTC.
struct Zone(Duration);

impl Zone {
    /// The zones in which a day begins first and last.
    const EASTERNMOST: Self = Self(Duration::hours(14));
    const WESTERNMOST: Self = Self(Duration::hours(-12));
}

/// Parses `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`; with the suffix `Z` the time is UTC.
///
/// Without the suffix ssh-keygen uses local time. This program does not know the time zone. It uses `strictest`, so it
/// never allows a signature that ssh-keygen would refuse.
fn parse_time(text: &str, strictest: Zone) -> Result<OffsetDateTime, String> {
    let wrong = || format!("{text:?} is not a time like 20270131 or 202701311200Z");
    let (digits, ahead) = match text.strip_suffix('Z') {
        Some(digits) => (digits, Duration::ZERO),
        None => (text, strictest.0),
    };
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(wrong()),
    };
    let format = format_description!("[year][month][day][hour][minute][second]");
    let there = PrimitiveDateTime::parse(&padded, format).map_err(|_| wrong())?;
    there.assume_utc().checked_sub(ahead).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::ssh::SshKey;
    use ssh_key::PrivateKey;
    use ssh_key::private::Ed25519Keypair;
    use time::macros::datetime;

    const NAMESPACE: &str = "clusterctl-bundle";
    const NOW: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);

    fn key(seed: u8) -> SshKey {
        let pem = PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])).to_openssh(ssh_key::LineEnding::LF);
        SshKey::from_pem(pem.expect("a key").as_bytes()).expect("a key")
    }

    fn public(seed: u8) -> String {
        PublicKey::from(Ed25519Keypair::from_seed(&[seed; 32]).public).to_openssh().expect("a key")
    }

    fn verified(signers: &str, namespace: &str) -> Result<String, SshError> {
        let signature = key(1).sign(namespace, b"message").expect("signed");
        let signature = SshSignature::from_pem(signature.as_bytes()).expect("a signature");
        AllowedSigners::parse(signers).expect("signers").verify(&signature, NAMESPACE, b"message", NOW)
    }

    #[test]
    fn a_signers_name_is_returned_and_unknown_keys_are_refused() {
        let (ours, other) = (public(1), public(2));
        assert_eq!(verified(&format!("# us\n\nadmin@on {ours} a comment\n"), NAMESPACE), Ok("admin@on".to_owned()));
        let both = format!("other {other}\n\"admin@on,b@on\" namespaces=\"git,clusterctl-*\" {ours}");
        assert_eq!(verified(&both, NAMESPACE), Ok("admin@on,b@on".to_owned()));
        let fingerprint = key(1).fingerprint();
        assert_eq!(verified(&format!("other {other}"), NAMESPACE), Err(SshError::UnknownSigner { fingerprint }));
        let found = "git".to_owned();
        let elsewhere = Err(SshError::OtherNamespace { found, wanted: NAMESPACE });
        assert_eq!(verified(&format!("admin {ours}"), "git"), elsewhere);
    }

    #[test]
    fn an_option_restricts_its_line() {
        let ours = public(1);
        for (option, says) in [
            ("namespaces=\"git\"", "namespaces \"git\""),
            ("valid-after=\"20270101Z\"", "valid-after"),
            ("valid-before=\"202611241200Z\"", "valid-before"),
            ("cert-authority", "certificate authority"),
        ] {
            let refused = verified(&format!("admin {option} {ours}"), NAMESPACE).expect_err(option).to_string();
            assert!(refused.contains(says) && refused.contains("line 1"), "{refused}");
            // Another line may allow what this one does not.
            assert!(verified(&format!("admin {option} {ours}\nadmin {ours}"), NAMESPACE).is_ok());
        }
        let in_time = "VALID-AFTER=\"20261124Z\",valid-before=\"20261124120001Z\"";
        assert!(verified(&format!("admin {in_time} {ours}"), NAMESPACE).is_ok());
        for (option, good) in [
            ("valid-before=\"20300101\"", true),
            ("valid-before=\"203001010000\",valid-after=\"20261123000000\"", true),
            // In some time zone it is no longer valid, or not yet.
            ("valid-before=\"202611250159\"", false),
            ("valid-before=\"202611250201\"", true),
            ("valid-after=\"202611240001\"", false),
            ("valid-after=\"20261124\"", true),
        ] {
            assert_eq!(verified(&format!("admin {option} {ours}"), NAMESPACE).is_ok(), good, "{option}");
        }
        for wrong in [
            "valid-before=\"soon\"",
            "valid-before=\"203001\"",
            "valid-before=20300101",
            "valid-before=\"20200101\",valid-before=\"20300101\"",
            "no-such-option",
            "ssh-ed25519 AAAA",
        ] {
            let refused = AllowedSigners::parse(&format!("admin {wrong} {ours}")).expect_err(wrong);
            assert!(matches!(refused, SshError::Signers { line: 1, .. }), "{refused}");
            // A valid line is still used.
            let both = format!("admin {wrong} {ours}\nadmin {ours}");
            assert_eq!(verified(&both, NAMESPACE), Ok("admin".to_owned()), "{wrong}");
            let signers = AllowedSigners::parse(&both).expect("one is good");
            assert!(matches!(signers.invalid_lines(), [SshError::Signers { line: 1, .. }]), "{wrong}");
        }
        for negated in ["!admin", "*,!other", "\"!admin,admin\""] {
            let refused = verified(&format!("{negated} {ours}"), NAMESPACE).expect_err(negated).to_string();
            assert!(refused.contains("begins with !") && refused.contains("line 1"), "{refused}");
        }
        assert_eq!(AllowedSigners::parse("# none\n").expect_err("no signers"), SshError::NoSigners);
        assert!(AllowedSigners::parse("admin").is_err());
    }
}
