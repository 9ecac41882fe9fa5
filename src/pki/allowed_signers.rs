//! Who may sign bundles: ssh-keygen's file of allowed signers, and whether a signature is by one of them.
//! What a signature is, [`super::ssh`] knows.

use ssh_key::{Algorithm, PublicKey};
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

use super::ssh::{SshError, SshSignature, matches, sanitized};

/// Who may sign, as `ssh-keygen -Y verify -f` reads it (ssh-keygen(1), ALLOWED SIGNERS).
#[derive(Debug)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
    left_out: Vec<SshError>,
}

#[derive(Debug)]
struct Signer {
    line: usize,
    principals: String,
    key: PublicKey,
    namespaces: Option<String>,
    after: Option<OffsetDateTime>,
    before: Option<OffsetDateTime>,
    authority: bool,
}

impl AllowedSigners {
    /// Reads a file of allowed signers. A line that cannot be read allows no signer, and hides no other, as with ssh-keygen.
    ///
    /// # Errors
    /// When no line allows anybody: for the first that cannot be read, where there is one.
    pub fn parse(text: &str) -> Result<Self, SshError> {
        let (mut signers, mut left_out) = (Vec::new(), Vec::new());
        for (i, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                match Signer::parse(i + 1, trimmed) {
                    Ok(signer) => signers.push(signer),
                    Err(reason) => left_out.push(SshError::Signers { line: i + 1, reason }),
                }
            }
        }
        if signers.is_empty() {
            return Err(left_out.into_iter().next().unwrap_or(SshError::NoSigners));
        }
        Ok(Self { signers, left_out })
    }

    /// What is wrong with the lines that could not be read.
    #[must_use]
    pub fn left_out(&self) -> &[SshError] {
        &self.left_out
    }

    /// The name of whoever signed `message`, who may.
    ///
    /// # Errors
    /// When the signature is not good, or not by one of these, or not by one who may do that now.
    pub fn judge(
        &self,
        signature: &SshSignature,
        namespace: &'static str,
        message: &[u8],
        now: OffsetDateTime,
    ) -> Result<String, SshError> {
        signature.fits(namespace, message)?;
        let fingerprint = signature.fingerprint();
        let mut refused = None;
        for signer in self.signers.iter().filter(|signer| signer.key.key_data() == signature.0.public_key()) {
            match signer.objection(namespace, now) {
                None => return Ok(signer.principals.clone()),
                Some(reason) => {
                    let fingerprint = fingerprint.clone();
                    refused.get_or_insert(SshError::NotAllowed { fingerprint, line: signer.line, reason });
                }
            }
        }
        Err(refused.unwrap_or(SshError::Stranger { fingerprint }))
    }
}

impl Signer {
    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let (principals, rest) = word(text)?;
        let mut signer = Self {
            line,
            principals: principals.trim_matches('"').chars().filter(|c| !c.is_control()).collect(),
            // Replaced below; there is no signer without a key.
            key: PublicKey::from(ssh_key::public::Ed25519PublicKey([0; 32])),
            namespaces: None,
            after: None,
            before: None,
            authority: false,
        };
        let (first, behind) = word(rest)?;
        let key = if is_kind(first) {
            rest
        } else {
            signer.options(first)?;
            behind
        };
        signer.key =
            PublicKey::from_openssh(key.trim()).map_err(|error| format!("no public key: {}", sanitized(&error)))?;
        Ok(signer)
    }

    fn options(&mut self, text: &str) -> Result<(), String> {
        for option in outside_quotes(text, ',') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let quoted = || inner.ok_or_else(|| format!("what follows {name}= has to stand in double quotes"));
            let first = match name.to_ascii_lowercase().as_str() {
                "cert-authority" => {
                    self.authority = true;
                    true
                }
                "namespaces" => self.namespaces.replace(quoted()?.to_owned()).is_none(),
                "valid-after" => self.after.replace(moment(quoted()?, Zone::WESTERNMOST)?).is_none(),
                "valid-before" => self.before.replace(moment(quoted()?, Zone::EASTERNMOST)?).is_none(),
                _ => return Err(format!("{name:?} is neither the kind of a key nor an option that is known")),
            };
            if !first {
                return Err(format!("{name} stands there twice"));
            }
        }
        Ok(())
    }

    /// Why this line does not allow a signature in `namespace`, made by its key and looked at `now`.
    fn objection(&self, namespace: &str, now: OffsetDateTime) -> Option<String> {
        if self.principals.split(',').any(|name| name.trim_start().starts_with('!')) {
            return Some("a name that begins with ! says who it is not, and not who it is".to_owned());
        }
        if self.authority {
            return Some("it is a certificate authority's, and signs through certificates alone".to_owned());
        }
        if let Some(namespaces) = &self.namespaces
            && !namespaces.split(',').any(|pattern| matches(pattern.as_bytes(), namespace.as_bytes()))
        {
            return Some(format!("it is for the namespaces {namespaces:?} alone, and this is {namespace}"));
        }
        if self.after.is_some_and(|after| now < after) {
            return Some("its time has not begun (valid-after)".to_owned());
        }
        if self.before.is_some_and(|before| now >= before) {
            return Some("its time is over (valid-before)".to_owned());
        }
        None
    }
}

fn is_kind(word: &str) -> bool {
    // An unknown kind is `Other`, which is how the crate takes any name with an at sign.
    word.parse::<Algorithm>().is_ok_and(|kind| !matches!(kind, Algorithm::Other(_)))
}

/// The first word, in which quotes hold blanks together, and what follows it.
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
    Err("a name, perhaps options, and a public key are needed".to_owned())
}

fn outside_quotes(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
    .collect()
}

/// How far a zone's clocks are from UTC.
struct Zone(Duration);

impl Zone {
    /// Where a day begins first, and where it begins last.
    const EASTERNMOST: Self = Self(Duration::hours(14));
    const WESTERNMOST: Self = Self(Duration::hours(-12));
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with a `Z` behind it. Without one it is local time to ssh-keygen. In
/// which zone the machine is, this program does not know: then it is meant `anywhere`, so that nothing is allowed that
/// ssh-keygen would refuse.
fn moment(text: &str, anywhere: Zone) -> Result<OffsetDateTime, String> {
    let wrong = || format!("{text:?} is no time like 20270131 or 202701311200Z");
    let (digits, ahead) = match text.strip_suffix('Z') {
        Some(digits) => (digits, Duration::ZERO),
        None => (text, anywhere.0),
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

    fn judged(signers: &str, namespace: &str) -> Result<String, SshError> {
        let signature = key(1).sign(namespace, b"message").expect("signed");
        let signature = SshSignature::from_pem(signature.as_bytes()).expect("a signature");
        AllowedSigners::parse(signers).expect("signers").judge(&signature, NAMESPACE, b"message", NOW)
    }

    #[test]
    fn who_signed_is_told_by_name_and_strangers_are_not_believed() {
        let (ours, other) = (public(1), public(2));
        assert_eq!(judged(&format!("# us\n\nadmin@on {ours} a comment\n"), NAMESPACE), Ok("admin@on".to_owned()));
        let both = format!("other {other}\n\"admin@on,b@on\" namespaces=\"git,clusterctl-*\" {ours}");
        assert_eq!(judged(&both, NAMESPACE), Ok("admin@on,b@on".to_owned()));
        let fingerprint = key(1).fingerprint();
        assert_eq!(judged(&format!("other {other}"), NAMESPACE), Err(SshError::Stranger { fingerprint }));
        let found = "git".to_owned();
        let elsewhere = Err(SshError::OtherNamespace { found, wanted: NAMESPACE });
        assert_eq!(judged(&format!("admin {ours}"), "git"), elsewhere);
    }

    #[test]
    fn an_option_limits_whom_it_stands_with() {
        let ours = public(1);
        for (option, says) in [
            ("namespaces=\"git\"", "namespaces \"git\""),
            ("valid-after=\"20270101Z\"", "valid-after"),
            ("valid-before=\"202611241200Z\"", "valid-before"),
            ("cert-authority", "certificate authority"),
        ] {
            let refused = judged(&format!("admin {option} {ours}"), NAMESPACE).expect_err(option).to_string();
            assert!(refused.contains(says) && refused.contains("line 1"), "{refused}");
            // Another line may allow what this one does not.
            assert!(judged(&format!("admin {option} {ours}\nadmin {ours}"), NAMESPACE).is_ok());
        }
        let in_time = "VALID-AFTER=\"20261124Z\",valid-before=\"20261124120001Z\"";
        assert!(judged(&format!("admin {in_time} {ours}"), NAMESPACE).is_ok());
        for (option, good) in [
            ("valid-before=\"20300101\"", true),
            ("valid-before=\"203001010000\",valid-after=\"20261123000000\"", true),
            // Somewhere it is over, or has not begun.
            ("valid-before=\"202611250159\"", false),
            ("valid-before=\"202611250201\"", true),
            ("valid-after=\"202611240001\"", false),
            ("valid-after=\"20261124\"", true),
        ] {
            assert_eq!(judged(&format!("admin {option} {ours}"), NAMESPACE).is_ok(), good, "{option}");
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
            // It hides no good one.
            let both = format!("admin {wrong} {ours}\nadmin {ours}");
            assert_eq!(judged(&both, NAMESPACE), Ok("admin".to_owned()), "{wrong}");
            let signers = AllowedSigners::parse(&both).expect("one is good");
            assert!(matches!(signers.left_out(), [SshError::Signers { line: 1, .. }]), "{wrong}");
        }
        for negated in ["!admin", "*,!other", "\"!admin,admin\""] {
            let refused = judged(&format!("{negated} {ours}"), NAMESPACE).expect_err(negated).to_string();
            assert!(refused.contains("begins with !") && refused.contains("line 1"), "{refused}");
        }
        assert_eq!(AllowedSigners::parse("# nobody\n").expect_err("nobody"), SshError::NoSigners);
        assert!(AllowedSigners::parse("admin").is_err());
    }
}
