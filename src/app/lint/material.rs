//! Everything that was found: certificates, keys, CRLs and kubeconfigs, and which CA signed what.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::explain::kubeconfig::{Field, ReadKubeconfig};
use crate::explain::piece::Piece;
use crate::pki::certificate::{Certificate, SignatureStatus};
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key_facts::KeyFacts;

use super::finding::Place;
use super::purpose::Purpose;
use super::sources::{Source, SourceContent, followed};

/// A certificate at one of its places.
pub(super) struct Found<'s> {
    pub(super) certificate: &'s Certificate,
    pub(super) place: Place,
    pub(super) path: &'s Path,
    /// Whether it is in a kubeconfig, or named by one, for a user.
    pub(super) is_of_user: bool,
    /// Whether it is the first certificate of its file, and not one of a chain.
    pub(super) is_first: bool,
}

/// A certificate, whatever its number of places.
pub(super) struct Subject<'s> {
    /// Where it was found first.
    pub(super) found: Found<'s>,
    pub(super) purpose: Purpose,
    /// Whether it is a CA, or signed another certificate.
    pub(super) is_ca: bool,
    /// The CA among the files that signed it, by its index; not itself.
    pub(super) issuer: Option<usize>,
    /// The subject of a CA among the files that it names as its issuer, and that did not sign it.
    pub(super) wrong_issuer: Option<Place>,
}

/// A private key at one of its places.
pub(super) struct FoundKey<'s> {
    pub(super) facts: &'s KeyFacts,
    pub(super) place: Place,
    pub(super) path: &'s Path,
}

/// A CRL.
pub(super) struct FoundCrl<'s> {
    pub(super) crl: &'s Crl,
    pub(super) place: Place,
}

/// A kubeconfig.
pub(super) struct FoundConfig<'s> {
    pub(super) config: &'s ReadKubeconfig,
    pub(super) source: &'s Source,
}

/// Everything that was found.
pub(super) struct Material<'s> {
    pub(super) sources: &'s [Source],
    /// Every certificate once.
    pub(super) subjects: Vec<Subject<'s>>,
    /// Every certificate at each of its places, by the index of its subject.
    pub(super) places: Vec<(usize, Found<'s>)>,
    pub(super) keys: Vec<FoundKey<'s>>,
    pub(super) crls: Vec<FoundCrl<'s>>,
    pub(super) configs: Vec<FoundConfig<'s>>,
    /// The parts of files that are damaged, and why.
    pub(super) damaged: Vec<(Place, String)>,
}

impl<'s> Material<'s> {
    pub(super) fn of(sources: &'s [Source]) -> Self {
        let mut found = Collector::default();
        for source in sources {
            if let SourceContent::Pieces(pieces) = &source.content {
                found.pieces(source, pieces, None, false);
            }
        }
        // A CA is at its own file first, and then in the kubeconfigs that trust it.
        for source in sources {
            if let SourceContent::Kubeconfig(config) = &source.content {
                found.config(source, config, sources);
            }
        }
        let Collector { found, keys, crls, configs, damaged } = found;
        let mut material = Self { sources, subjects: Vec::new(), places: Vec::new(), keys, crls, configs, damaged };
        material.subjects(found);
        material.link();
        material
    }

    /// Makes one subject of the places of each certificate.
    fn subjects(&mut self, found: Vec<Found<'s>>) {
        let mut by_fingerprint: HashMap<Fingerprint, usize> = HashMap::new();
        for one in found {
            let next = self.subjects.len();
            let index = *by_fingerprint.entry(one.certificate.fingerprint()).or_insert(next);
            if index == next {
                let is_ca = one.certificate.basic_constraints.is_some_and(|constraints| constraints.ca);
                self.subjects.push(Subject {
                    purpose: Purpose::of(one.certificate, one.path, one.is_of_user, one.is_first),
                    found: one.again(),
                    is_ca,
                    issuer: None,
                    wrong_issuer: None,
                });
            } else if let Some(subject) = self.subjects.get_mut(index) {
                let purpose = Purpose::of(one.certificate, one.path, one.is_of_user, one.is_first);
                subject.purpose = subject.purpose.or(purpose);
                subject.found.is_of_user |= one.is_of_user;
            }
            self.places.push((index, one));
        }
    }

    /// Finds the CA that signed each certificate.
    fn link(&mut self) {
        let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (index, subject) in self.subjects.iter().enumerate() {
            by_name.entry(&subject.found.certificate.subject.der).or_default().push(index);
        }
        let mut links = Vec::with_capacity(self.subjects.len());
        for (index, subject) in self.subjects.iter().enumerate() {
            let certificate = subject.found.certificate;
            let candidates = by_name.get(certificate.issuer.der.as_slice()).map(Vec::as_slice).unwrap_or_default();
            let others = candidates.iter().filter(|candidate| **candidate != index);
            let status = |candidate: usize| certificate.signed_by(self.subjects[candidate].found.certificate);
            let (mut issuer, mut wrong) = (None, None);
            // The signature of a certificate that names itself is its own.
            if !(certificate.is_self_issued() && status(index) != SignatureStatus::Invalid) {
                for candidate in others {
                    match status(*candidate) {
                        SignatureStatus::Valid => {
                            issuer = Some(*candidate);
                            break;
                        }
                        SignatureStatus::Invalid => {
                            wrong.get_or_insert_with(|| self.subjects[*candidate].found.place.clone());
                        }
                        SignatureStatus::Unverifiable(_) => wrong = None,
                    }
                }
            }
            links.push((issuer, wrong.filter(|_| issuer.is_none())));
        }
        for (index, (issuer, wrong)) in links.into_iter().enumerate() {
            if let Some(issuer) = issuer.and_then(|issuer| self.subjects.get_mut(issuer)) {
                issuer.is_ca = true;
            }
            if let Some(subject) = self.subjects.get_mut(index) {
                (subject.issuer, subject.wrong_issuer) = (issuer, wrong);
            }
        }
    }

    /// Returns the CA among the files that signed a certificate.
    pub(super) fn issuer_of(&self, subject: &Subject<'s>) -> Option<&Subject<'s>> {
        self.subjects.get(subject.issuer?)
    }
}

impl Found<'_> {
    fn again(&self) -> Self {
        let Self { certificate, path, is_of_user, is_first, .. } = *self;
        Self { certificate, place: self.place.clone(), path, is_of_user, is_first }
    }
}

#[derive(Default)]
struct Collector<'s> {
    found: Vec<Found<'s>>,
    keys: Vec<FoundKey<'s>>,
    crls: Vec<FoundCrl<'s>>,
    configs: Vec<FoundConfig<'s>>,
    damaged: Vec<(Place, String)>,
}

impl<'s> Collector<'s> {
    fn config(&mut self, source: &'s Source, config: &'s ReadKubeconfig, sources: &'s [Source]) {
        for part in config.parts() {
            let name = match part.field {
                Field::Issuer => format!("cluster {}", part.of),
                Field::Certificate | Field::Key => format!("user {}", part.of),
            };
            if let Ok(pieces) = followed(part, config, sources) {
                self.pieces(source, pieces, Some(&name), part.field == Field::Certificate);
            }
        }
        self.configs.push(FoundConfig { config, source });
    }

    fn pieces(&mut self, source: &'s Source, pieces: &'s [Piece], part: Option<&str>, is_of_user: bool) {
        let all = pieces.iter().filter(|piece| matches!(piece, Piece::Certificate(..))).count();
        let mut count = 0;
        for piece in pieces {
            let place = |part: Option<String>| source.place(part);
            match piece {
                Piece::Certificate(certificate, _) => {
                    count += 1;
                    let numbered = (all > 1).then(|| format!("certificate {count}"));
                    let name = match (part, numbered) {
                        (Some(part), Some(numbered)) => Some(format!("{part}, {numbered}")),
                        (part, numbered) => part.map(str::to_owned).or(numbered),
                    };
                    self.found.push(Found {
                        certificate,
                        place: place(name),
                        path: &source.path,
                        is_of_user: is_of_user && count == 1,
                        is_first: count == 1 && (part.is_none() || is_of_user),
                    });
                }
                Piece::Key(facts, _) => {
                    self.keys.push(FoundKey { facts, place: place(part.map(str::to_owned)), path: &source.path })
                }
                Piece::Crl(crl) => self.crls.push(FoundCrl { crl, place: place(part.map(str::to_owned)) }),
                Piece::Damaged { kind, reason } => {
                    self.damaged.push((place(part.map(str::to_owned)), format!("a {kind} in it is damaged: {reason}")));
                }
                Piece::EncryptedKey | Piece::Request(_) | Piece::PublicKey(_) => {}
            }
        }
    }
}

/// Returns the first of each value.
pub(super) fn each_once<T: Eq + std::hash::Hash + Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}
