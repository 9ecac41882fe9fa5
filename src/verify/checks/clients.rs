//! Checks the dates of the presented client certificates.

use super::super::finding::{Aspect, Finding, Status};
use super::super::observation::{Client, Dial, Exchange, Outcome};
use super::super::remedy::CertificateRemedy;
use super::answer::client_name;
use super::context::{CheckContext, Clock};
use super::dates::out_of_date;
use super::location::Location;
use crate::cluster::duration::{in_words, stamp};

impl CheckContext<'_> {
    /// Reports each client certificate that has expired or expires soon, once, and sets that as the cause if the client
    /// was refused. The findings of this dial begin at `before`.
    pub(super) fn clients(&mut self, location: &Location<'_>, dial: &Dial, before: usize, findings: &mut Vec<Finding>) {
        for exchange in dial.exchanges.iter().filter(|exchange| is_permitted(&exchange.client)) {
            let Some(presented) = exchange.presented else { continue };
            let read = self.certificate_of(&presented);
            let Some(Ok(certificate)) = read.as_deref() else { continue };
            let Clock { now, expires_within } = self.clock;
            let whose = whose(&exchange.client);
            let outdated = out_of_date(&whose, certificate, now);
            if let Some(outdated) = outdated.as_ref().filter(|_| was_refused(exchange)) {
                explain_refusal(&client_name(&exchange.client), &outdated.text, &mut findings[before..]);
            }
            let left = certificate.not_after - now;
            if (outdated.is_none() && left > expires_within) || !self.reported_expiry.insert(presented) {
                continue;
            }
            let observed = outdated
                .map(|outdated| outdated.text)
                .unwrap_or_else(|| format!("{whose}: {} left, until {}", in_words(left), stamp(certificate.not_after)));
            let expected = format!("more than {} left", in_words(expires_within));
            let finding = location.finding(Aspect::Expiry, Status::Warn).saw(observed, expected);
            let mut finding = finding.remedy(CertificateRemedy::RenewClient);
            finding.client = client_name(&exchange.client);
            findings.push(finding);
        }
    }
}

fn is_permitted(client: &Client) -> bool {
    matches!(client, Client::Master(_) | Client::Node(_) | Client::Verifier)
}

fn whose(client: &Client) -> String {
    match client {
        Client::Master(name) | Client::Node(name) => format!("the client certificate of {name}"),
        _ => "the verifier's client certificate".to_owned(),
    }
}

/// Returns true if an exchange shows that the certificate was rejected.
fn was_refused(exchange: &Exchange) -> bool {
    match &exchange.outcome {
        Outcome::Answer(answer) => matches!(answer.status, 400 | 401 | 403),
        Outcome::Alert(_) | Outcome::Closed | Outcome::Reset => true,
        _ => false,
    }
}

/// Adds to the findings of a refusal that the client certificate is expired or not valid yet.
fn explain_refusal(client: &Option<String>, outdated: &str, findings: &mut [Finding]) {
    let refused = |finding: &&mut Finding| {
        finding.id.1 == Aspect::Caller
            && finding.client == *client
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

    use super::super::fixture::{NOW, answer, fixture, issuer};
    use super::*;
    use crate::pki::untrusted;
    use crate::verify::target::Place;

    #[test]
    fn expiring_client_certificates_give_warnings_and_expired_ones_are_causes() {
        let fixture = fixture();
        let leaf = fixture.cluster.master_specs(&fixture.cluster.masters[0]).remove(0);
        let server = untrusted::dated(&issuer(&fixture.root), &leaf, NOW, NOW + Duration::days(3000))
            .expect("a leaf")
            .certificate;
        let client = Client::Node("n1".into());
        let end = fixture.target.nodes[0].client.as_ref().expect("an identity").certificate.not_after;
        let ours = format!("X509SHA256={}", fixture.presented(&client).expect("presented"));
        let known = fixture.review("kubelet:n1", &["kubelets", "system:authenticated"], Some(&ours));
        let refusals = [Outcome::Alert("CertificateExpired".into()), answer(401, "{}"), Outcome::Closed];
        let judged = |outcome: &Outcome, now| {
            let found = fixture.findings(Place::Master, &server, &[(client.clone(), outcome.clone())], now);
            let of = |aspect| found.iter().find(|f| f.id.1 == aspect && f.client.as_deref() == Some("n1")).cloned();
            (of(Aspect::Caller).expect("a caller"), of(Aspect::Expiry))
        };
        let (called, expiry) = judged(&known, end - Duration::days(200));
        assert_eq!((called.status, expiry), (Status::Pass, None));
        let (called, expiry) = judged(&known, end - Duration::days(2));
        assert_eq!((called.status, expiry.map(|f| f.status)), (Status::Pass, Some(Status::Warn)));
        for refusal in refusals {
            let (called, expiry) = judged(&refusal, end + Duration::days(35));
            assert_ne!(called.status, Status::Pass);
            assert_eq!(called.remedy, Some(CertificateRemedy::RenewClient.into()));
            assert_eq!(expiry.map(|f| f.status), Some(Status::Warn));
            let (called, _) = judged(&refusal, end - Duration::days(200));
            assert_ne!(called.remedy, Some(CertificateRemedy::RenewClient.into()));
        }
    }
}
