//! The passphrase of a CA's key: wiped on drop, never shown.

use std::collections::BTreeSet;
use std::fmt;

use zeroize::Zeroizing;

/// The smallest number of characters of a passphrase.
const SHORTEST: usize = 12;
/// The smallest number of different characters, and of letters besides common words.
const FEWEST: usize = 5;
/// Words that attackers try first, in lower case. A word comes before those that are a part of it.
const WORDS: [&str; 18] = [
    "passphrase",
    "password",
    "passwort",
    "clusterctl",
    "kubernetes",
    "kubeadm",
    "cluster",
    "changeme",
    "change",
    "welcome",
    "secret",
    "letmein",
    "default",
    "master",
    "admin",
    "qwerty",
    "root",
    "pass",
];
/// Sequences of letters and digits on keyboards and in the alphabet.
const SEQUENCES: [&str; 7] =
    ["abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "01234567890"];

/// Why a passphrase can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseWeakness {
    /// It is short.
    #[error("it has {characters} characters, but at least {SHORTEST} are needed")]
    Short {
        /// Their number.
        characters: usize,
    },
    /// It repeats few characters.
    #[error("it has only {different} different characters")]
    FewCharacters {
        /// Their number.
        different: usize,
    },
    /// It repeats a short text.
    #[error("it repeats a text of {characters} characters, but at least {SHORTEST} are needed")]
    Repeated {
        /// The number of characters of that text.
        characters: usize,
    },
    /// It follows the order of the keyboard, the alphabet or the digits.
    #[error("it follows the order of the keyboard, the alphabet or the digits")]
    Sequence,
    /// It is little more than words that attackers try first.
    #[error("it consists of words that attackers try first")]
    CommonWords,
}

/// Returns true if all of it is in the order of the keyboard, the alphabet or the digits, in runs of three and more.
fn is_sequence(text: &str) -> bool {
    let letters: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let follows = |a: char, b: char| {
        SEQUENCES.iter().any(|keys| {
            let at = |c| keys.find(c);
            matches!((at(a), at(b)), (Some(first), Some(second)) if first.abs_diff(second) == 1)
        })
    };
    let steps = letters.windows(2).filter(|pair| pair[0] == pair[1] || follows(pair[0], pair[1])).count();
    // A step in three leads from one run to the next.
    steps * 3 >= letters.len().saturating_sub(1) * 2
}

/// Returns the length of the shortest text whose repetition is this one; the last one may be cut. It is the length of
/// the whole text if nothing is repeated.
fn period(text: &str) -> usize {
    let letters: Zeroizing<Vec<char>> = Zeroizing::new(text.chars().collect());
    let length = letters.len();
    let repeats = |period: &usize| letters[..length - period] == letters[*period..];
    // Between two texts there may be a space, so that the second one is shorter by one.
    (1..=length.div_ceil(2)).find(repeats).unwrap_or(length)
}

/// A passphrase. It has neither `Clone` nor `Display`, and `Debug` does not show it.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Creates a passphrase from text. The caller wipes the source of the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns true if the passphrase is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of characters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.chars().count()
    }

    /// Returns why it can be guessed, or `None` if it is not that weak; `context` has further words that an attacker
    /// tries first, such as the cluster's name.
    ///
    /// Anyone who copies a key's file can try passphrases until the CA expires. It must be long, and not be among those
    /// that are tried first (NIST SP 800-63B-4 § 3.1.1.2).
    #[must_use]
    pub fn weakness(&self, context: &[&str]) -> Option<PassphraseWeakness> {
        let characters = self.len();
        if characters < SHORTEST {
            return Some(PassphraseWeakness::Short { characters });
        }
        let lower = Zeroizing::new(self.0.to_lowercase());
        let different = lower.chars().collect::<BTreeSet<char>>().len();
        if different < FEWEST {
            return Some(PassphraseWeakness::FewCharacters { different });
        }
        let characters = period(&lower);
        if characters < SHORTEST {
            return Some(PassphraseWeakness::Repeated { characters });
        }
        if is_sequence(&lower) {
            return Some(PassphraseWeakness::Sequence);
        }
        let rest = WORDS.iter().copied().chain(context.iter().copied()).fold(lower, |rest, word| {
            let word = word.to_lowercase();
            if word.is_empty() { rest } else { Zeroizing::new(rest.replace(&word, "")) }
        });
        let rest = rest.chars().filter(|c| c.is_alphabetic()).count();
        (rest < FEWEST).then_some(PassphraseWeakness::CommonWords)
    }

    /// The text, for a format that another library implements.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The bytes, for the key derivation.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Passphrase {
    /// Compares a repeated passphrase. Both come from the same terminal, so constant time is not needed.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weakness(text: &str) -> Option<PassphraseWeakness> {
        Passphrase::new(text.to_owned()).weakness(&["prod"])
    }

    #[test]
    fn what_is_tried_first_is_weak() {
        assert_eq!(weakness("elevenchars"), Some(PassphraseWeakness::Short { characters: 11 }));
        assert_eq!(weakness("abababababababab"), Some(PassphraseWeakness::FewCharacters { different: 2 }));
        for (text, characters) in [("hunter2hunter2", 7), ("Hunter2 hunter2", 8), ("tr0ub4!tr0ub4!tr0u", 7)] {
            assert_eq!(weakness(text), Some(PassphraseWeakness::Repeated { characters }), "{text}");
        }
        for text in ["123456789012", "qwertyuiopasdf", "abcdefghijklmno", "Zyxwvutsrqponm"] {
            assert_eq!(weakness(text), Some(PassphraseWeakness::Sequence), "{text}");
        }
        for text in ["Password123456", "kubernetes-prod-2026", "cluster-admin-1!", "secret secret 1"] {
            assert_eq!(weakness(text), Some(PassphraseWeakness::CommonWords), "{text}");
        }
    }

    #[test]
    fn what_is_not_tried_first_is_accepted() {
        let texts = [
            "correct horse battery staple",
            "three in the morning",
            "Tr0ub4dor&3xyz",
            "9f8a2c7b4e1d",
            "9f8a2c7b4e1d9f8a2c7b4e1d",
            "hunter2 hunts twice",
            "\u{e4}\u{f6}\u{fc} drei Stra\u{df}en",
        ];
        for text in texts {
            assert_eq!(weakness(text), None, "{text}");
        }
    }
}
