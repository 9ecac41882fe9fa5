//! The dates of the client certificates with which peers were called.

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Caller, Dial, Exchange, Outcome};
use super::super::remedy::CertificateRemedy;
use super::answer::who;
use super::certificate::out_of_date;
use super::judge::{CheckContext, Clock};
use super::location::Location;
use crate::cluster::duration::{in_words, stamp};

impl CheckContext<'_> {
    /// Tells once of each client certificate that it has ended or ends soon, and names that as the cause where it was refused. The
    /// findings of this dial begin at `before`.
    pub(super) fn clients(&mut self, spot: &Location<'_>, dial: &Dial, before: usize, findings: &mut Vec<Finding>) {
        for exchange in dial.exchanges.iter().filter(|exchange| is_rightful(&exchange.caller)) {
            let Some(presented) = exchange.presented else { continue };
            let read = self.certificate_of(&presented);
            let Some(Ok(certificate)) = read.as_deref() else { continue };
            let Clock { now, expires_within } = self.clock;
            let whose = whose(&exchange.caller);
            let outdated = out_of_date(&whose, certificate, now);
            if let Some(outdated) = outdated.as_ref().filter(|_| was_refused(exchange)) {
                blame(&who(&exchange.caller), outdated, &mut findings[before..]);
            }
            let left = certificate.not_after - now;
            if (outdated.is_none() && left > expires_within) || !self.ending.insert(presented) {
                continue;
            }
            let observed = outdated
                .unwrap_or_else(|| format!("{whose}: {} left, until {}", in_words(left), stamp(certificate.not_after)));
            let expected = format!("more than {} left", in_words(expires_within));
            let finding = spot.finding(Aspect::Expiry, Status::Warn).saw(observed, expected);
            let mut finding = finding.remedy(CertificateRemedy::RenewClient);
            finding.caller = who(&exchange.caller);
            findings.push(finding);
        }
    }
}

fn is_rightful(caller: &Caller) -> bool {
    matches!(caller, Caller::Master(_) | Caller::Node(_) | Caller::Verifier)
}

fn whose(caller: &Caller) -> String {
    match caller {
        Caller::Master(name) | Caller::Node(name) => format!("the client certificate of {name}"),
        _ => "the verifier's client certificate".to_owned(),
    }
}

/// Whether an exchange ended as it does for a certificate that is not taken.
fn was_refused(exchange: &Exchange) -> bool {
    match &exchange.outcome {
        Outcome::Answer(answer) => matches!(answer.status, 400 | 401 | 403),
        Outcome::Alert(_) | Outcome::Closed | Outcome::Reset => true,
        _ => false,
    }
}

/// Names the cause where a caller was not let in: whatever else may be wrong, this is.
fn blame(caller: &Option<String>, outdated: &str, findings: &mut [Finding]) {
    let refused = |finding: &&mut Finding| {
        finding.id.1 == Aspect::Caller
            && finding.caller == *caller
            && finding.because_of.is_none()
            && matches!(finding.status, Status::Fail | Status::NotProven)
    };
    for finding in findings.iter_mut().filter(refused) {
        finding.observed = format!("{outdated} ({})", finding.observed);
        finding.remedy = Some(CertificateRemedy::RenewClient.into());
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::fixture::{NOW, answer, bed, issuer};
    use super::*;
    use crate::pki::untrusted;
    use crate::verify::target::Place;

    #[test]
    fn client_certificates_are_warned_of_and_named_as_the_cause_once_they_have_ended() {
        let bed = bed();
        let leaf = bed.cluster.master_leaves(&bed.cluster.masters[0]).remove(0);
        let server =
            untrusted::dated(&issuer(&bed.root), &leaf, NOW, NOW + Duration::days(3000)).expect("a leaf").certificate;
        let caller = Caller::Node("n1".into());
        let end = bed.target.nodes[0].client.as_ref().expect("an identity").certificate.not_after;
        let ours = format!("X509SHA256={}", bed.presented(&caller).expect("presented"));
        let known = bed.review("kubelet:n1", &["kubelets", "system:authenticated"], Some(&ours));
        let refusals = [Outcome::Alert("CertificateExpired".into()), answer(401, "{}"), Outcome::Closed];
        let judged = |outcome: &Outcome, now| {
            let found = bed.findings(Place::Master, &server, &[(caller.clone(), outcome.clone())], now);
            let of = |aspect| found.iter().find(|f| f.id.1 == aspect && f.caller.as_deref() == Some("n1")).cloned();
            (of(Aspect::Caller).expect("a caller"), of(Aspect::Expiry))
        };
        let (called, expiry) = judged(&known, end - Duration::days(200));
        assert_eq!((called.status, expiry), (Status::Pass, None));
        let (called, expiry) = judged(&known, end - Duration::days(2));
        assert_eq!((called.status, expiry.map(|f| f.status)), (Status::Pass, Some(Status::Warn)));
        for refusal in refusals {
            let (called, expiry) = judged(&refusal, end + Duration::days(35));
            assert_ne!(called.status, Status::Pass);
            assert!(called.observed.contains("expired 35 days ago"), "{}", called.observed);
            assert_eq!(expiry.map(|f| f.status), Some(Status::Warn));
            let (called, _) = judged(&refusal, end - Duration::days(200));
            assert!(!called.observed.contains("expired"), "{}", called.observed);
        }
    }
}
