//! Checks whether certificates are valid now and do not expire soon.

use time::{Duration, OffsetDateTime};

use super::super::finding::{Aspect, Finding, Status};
use super::super::remedy::{CertificateRemedy, Remedy, TrustRemedy};
use super::anchor::anchors_as_cause;
use super::context::{CheckContext, Clock};
use super::location::{Location, expectation};
use super::trust::Trust;
use crate::cluster::duration::{in_words, stamp};
use crate::pki::certificate::Certificate;
use crate::pki::chain::describe;

impl CheckContext<'_> {
    pub(super) fn dates(&self, location: &Location<'_>, leaf: &Certificate, trust: &Trust) -> [Finding; 2] {
        let Clock { now, expires_within } = self.clock;
        let alone = std::slice::from_ref(leaf);
        let path = trust.path.as_ref().map_or(alone, |path| &path.certificates);
        let last = path.len() - 1;
        let label = |at, certificate| {
            if at > 0 && at == last { "the root".to_owned() } else { describe(at, last, certificate) }
        };
        let named: Vec<(String, &Certificate)> =
            path.iter().enumerate().map(|(at, certificate)| (label(at, certificate), certificate)).collect();
        let wrong: Vec<OutOfDate> = named.iter().filter_map(|(who, cert)| out_of_date(who, cert, now)).collect();
        let root_is_stale = last > 0 && now > path[last].not_after;
        let expected = expectation(location.place, Aspect::Dates);
        if !wrong.is_empty() {
            let remedy = if wrong.iter().any(|one| one.may_be_skew) {
                Remedy::from(CertificateRemedy::CompareClocks)
            } else if root_is_stale {
                TrustRemedy::SeeTrustAnchor.into()
            } else {
                CertificateRemedy::Reissue(location.server()).into()
            };
            let observed = wrong.into_iter().map(|one| one.text).collect::<Vec<_>>().join("; ");
            let mut dates = location.finding(Aspect::Dates, Status::Fail).saw(observed, expected).remedy(remedy);
            if root_is_stale {
                dates.because_of = Some(anchors_as_cause(self.target));
            }
            let expiry =
                location.follows(Aspect::Expiry, &location.cause(Aspect::Dates), "it has expired, or is not valid yet");
            return [dates, expiry];
        }
        let observed = format!("valid from {} until {}", stamp(leaf.not_before), stamp(leaf.not_after));
        let dates = location.finding(Aspect::Dates, Status::Pass).saw(observed, expected);
        let first = named.iter().min_by_key(|(_, certificate)| certificate.not_after);
        let (whose, end) = first.map_or(("", leaf.not_after), |(whose, cert)| (whose.as_str(), cert.not_after));
        let whose = if end < leaf.not_after { format!(" ({whose})") } else { String::new() };
        let left = end - now;
        let observed = format!("{} left, until {}{whose}", in_words(left), stamp(end));
        let expected = format!("more than {} left", in_words(expires_within));
        let expiry = if left > expires_within {
            location.finding(Aspect::Expiry, Status::Pass).saw(observed, expected)
        } else {
            location
                .finding(Aspect::Expiry, Status::Warn)
                .saw(observed, expected)
                .remedy(CertificateRemedy::Renew(location.server()))
        };
        [dates, expiry]
    }
}

/// A certificate that has expired, or is not valid yet.
pub(super) struct OutOfDate {
    /// Describes which certificate it is, and since when or until when it is not valid.
    pub(super) text: String,
    /// Whether the difference is less than a day, so that the cause may be a wrong clock.
    may_be_skew: bool,
}

/// Returns the reason why a certificate is not valid at `now`; `None` if it is valid.
pub(super) fn out_of_date(kind: &str, certificate: &Certificate, now: OffsetDateTime) -> Option<OutOfDate> {
    let (text, off) = if now < certificate.not_before {
        let off = certificate.not_before - now;
        (format!("{kind} becomes valid in {}, at {}", in_words(off), stamp(certificate.not_before)), off)
    } else if now > certificate.not_after {
        let off = now - certificate.not_after;
        (format!("{kind} expired {} ago, at {}", in_words(off), stamp(certificate.not_after)), off)
    } else {
        return None;
    };
    let may_be_skew = off < Duration::DAY;
    let skew = if may_be_skew { " (clock skew?)" } else { "" };
    Some(OutOfDate { text: format!("{text}; it is {} here{skew}", stamp(now)), may_be_skew })
}
