//! Everything that was found: certificates, keys, CRLs and kubeconfigs, and which CA signed what.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::explain::file_item::FileItem;
use crate::explain::kubeconfig::{Field, ReadKubeconfig};
use crate::pki::certificate::{Certificate, SignatureStatus};
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key_facts::KeyFacts;

use super::finding::Place;
use super::purpose::Purpose;
use super::sources::{Source, SourceContent, followed};

/// The most CAs above a certificate that are followed. CAs that signed each other have paths without an end.
pub(super) const LONGEST_PATH: usize = 16;

/// A certificate at one of its places.
#[derive(Clone)]
pub(super) struct Found<'s> {
    pub(super) certificate: &'s Certificate,
    pub(super) place: Place,
    pub(super) path: &'s Path,
    /// Whether it is the certificate of a user in a kubeconfig, embedded or in a file.
    pub(super) is_of_user: bool,
    /// Whether it is the first certificate of its file; those after it are its chain.
    pub(super) is_first: bool,
}

/// A certificate, with all that is known of it from its places.
pub(super) struct Entry<'s> {
    /// Where it was found first.
    pub(super) found: Found<'s>,
    pub(super) purpose: Purpose,
    /// Whether it is a CA, or signed another certificate.
    pub(super) is_ca: bool,
    /// The index of the CA among the files that signed it; `None` for a self-signed certificate.
    pub(super) issuer: Option<usize>,
    /// The place of a CA among the files that has the name of its issuer, and did not sign it.
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
    pub(super) entries: Vec<Entry<'s>>,
    /// Every certificate at each of its places, with the index of its entry.
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
            if let SourceContent::Items(items) = &source.content {
                found.items(source, items, None, false);
            }
        }
        // Kubeconfigs come last, so that the first place of a CA is its own file.
        for source in sources {
            if let SourceContent::Kubeconfig(config) = &source.content {
                found.config(source, config, sources);
            }
        }
        let Collector { found, keys, crls, configs, damaged } = found;
        let mut material = Self { sources, entries: Vec::new(), places: Vec::new(), keys, crls, configs, damaged };
        material.add_entries(found);
        material.link();
        material
    }

    /// Adds one entry for all places of a certificate.
    fn add_entries(&mut self, found: Vec<Found<'s>>) {
        let mut by_fingerprint: HashMap<Fingerprint, usize> = HashMap::new();
        for one in found {
            let next = self.entries.len();
            let index = *by_fingerprint.entry(one.certificate.fingerprint()).or_insert(next);
            if index == next {
                let is_ca = one.certificate.basic_constraints.is_some_and(|constraints| constraints.ca);
                self.entries.push(Entry {
                    purpose: Purpose::of(one.certificate, one.path, one.is_of_user, one.is_first),
                    found: one.clone(),
                    is_ca,
                    issuer: None,
                    wrong_issuer: None,
                });
            } else if let Some(entry) = self.entries.get_mut(index) {
                let purpose = Purpose::of(one.certificate, one.path, one.is_of_user, one.is_first);
                entry.purpose = entry.purpose.or(purpose);
                entry.found.is_of_user |= one.is_of_user;
            }
            self.places.push((index, one));
        }
    }

    /// Finds the CA that signed each certificate.
    fn link(&mut self) {
        let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            by_name.entry(&entry.found.certificate.subject.der).or_default().push(index);
        }
        let mut links = Vec::with_capacity(self.entries.len());
        for (index, entry) in self.entries.iter().enumerate() {
            let certificate = entry.found.certificate;
            let candidates = by_name.get(certificate.issuer.der.as_slice()).map(Vec::as_slice).unwrap_or_default();
            let others = candidates.iter().filter(|candidate| **candidate != index);
            let status = |candidate: usize| certificate.signed_by(self.entries[candidate].found.certificate);
            let (mut issuer, mut wrong, mut is_unknown) = (None, None, false);
            // A self-signed certificate has no other issuer.
            if !(certificate.is_self_issued() && status(index) != SignatureStatus::Invalid) {
                for candidate in others {
                    match status(*candidate) {
                        SignatureStatus::Valid => {
                            issuer = Some(*candidate);
                            break;
                        }
                        SignatureStatus::Invalid => {
                            wrong.get_or_insert_with(|| self.entries[*candidate].found.place.clone());
                        }
                        // This CA may be the one that signed it.
                        SignatureStatus::Unverifiable(_) => is_unknown = true,
                    }
                }
            }
            links.push((issuer, wrong.filter(|_| issuer.is_none() && !is_unknown)));
        }
        for (index, (issuer, wrong)) in links.into_iter().enumerate() {
            if let Some(issuer) = issuer.and_then(|issuer| self.entries.get_mut(issuer)) {
                issuer.is_ca = true;
            }
            if let Some(entry) = self.entries.get_mut(index) {
                (entry.issuer, entry.wrong_issuer) = (issuer, wrong);
            }
        }
    }

    /// Returns the CA among the files that signed a certificate.
    pub(super) fn issuer_of(&self, entry: &Entry<'s>) -> Option<&Entry<'s>> {
        self.entries.get(entry.issuer?)
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
                Field::Ca => format!("cluster {}", part.of),
                Field::Certificate | Field::Key => format!("user {}", part.of),
            };
            if let Ok(items) = followed(part, config, sources) {
                self.items(source, items, Some(&name), part.field == Field::Certificate);
            }
        }
        self.configs.push(FoundConfig { config, source });
    }

    fn items(&mut self, source: &'s Source, items: &'s [FileItem], part: Option<&str>, is_of_user: bool) {
        let all = items.iter().filter(|item| matches!(item, FileItem::Certificate(..))).count();
        let mut count = 0;
        for item in items {
            let place = |part: Option<String>| source.place(part);
            match item {
                FileItem::Certificate(certificate, _) => {
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
                FileItem::Key(facts, _) => {
                    self.keys.push(FoundKey { facts, place: place(part.map(str::to_owned)), path: &source.path })
                }
                FileItem::Crl(crl) => self.crls.push(FoundCrl { crl, place: place(part.map(str::to_owned)) }),
                FileItem::Damaged { kind, reason } => {
                    self.damaged.push((place(part.map(str::to_owned)), format!("a {kind} in it is damaged: {reason}")));
                }
                FileItem::EncryptedKey | FileItem::Request(_) | FileItem::PublicKey(_) => {}
            }
        }
    }
}

/// Returns every value once, in the order of first occurrence.
pub(super) fn distinct<T: Eq + std::hash::Hash + Clone>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}
