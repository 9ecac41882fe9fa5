//! The report of revoking as text.

use crate::app::count::certificates;
use crate::app::revoke::{Advice, Learnt, Outcome, RevokeReport};
use crate::cluster::duration::stamp;
use crate::ui::Screen;

/// Shows the report of revoking.
pub(crate) fn show(report: &RevokeReport, screen: &mut Screen<'_>) {
    for path in &report.written {
        screen.answer(path.display());
    }
    let next_update = report.next_update.map(stamp);
    if report.raised > 0 {
        screen.step(format_args!("changed the reason for the revocation of {}", certificates(report.raised)));
    }
    match (report.outcome, next_update) {
        (Outcome::Revoked(0), Some(next_update)) => {
            screen.step(format_args!("the CRLs expire at {next_update}, renew them with: clusterctl crl renew"));
        }
        (Outcome::Revoked(0), None) => screen.step("no CRL was signed"),
        (Outcome::Revoked(count), Some(next_update)) => screen.step(format_args!(
            "revoked {}; the CRLs expire at {next_update}, renew them with: clusterctl crl renew",
            certificates(count)
        )),
        (Outcome::Revoked(count), None) => {
            screen.step(format_args!("revoked {}; no CRL was signed", certificates(count)))
        }
        (Outcome::Completed, _) => screen.step("completed an interrupted revocation: nothing else was revoked"),
        (Outcome::Renewed, Some(next_update)) => {
            screen.step(format_args!("renewed the CRLs; they expire at {next_update}"));
        }
        (Outcome::Renewed, None) => screen.step("no CRL was signed"),
        (Outcome::Recorded { from_bundles }, _) => show_recorded(from_bundles, screen),
    }
    for advice in &report.advice {
        show_advice(*advice, screen);
    }
    show_learnt(&report.learnt, screen);
}

fn show_recorded(from_bundles: usize, screen: &mut Screen<'_>) {
    if from_bundles > 0 {
        screen.warn(format_args!(
            "{} of bundles that the ledger lacked {} recorded in it; the files of these hosts in pki/ are older",
            certificates(from_bundles),
            if from_bundles == 1 { "is" } else { "are" },
        ));
    }
    screen.step(
        "the ledger now has all revocations in these files. It still lacks what they do not contain: serving \
         certificates that were revoked, and certificates that were issued, since the backup",
    );
}

/// Shows what is left to do after a revocation.
pub(super) fn show_advice(advice: Advice, screen: &mut Screen<'_>) {
    match advice {
        Advice::NotInCrl => screen.warn(
            "some of these certificates are in no CRL, because the CA that signed them no longer signs: API servers deny \
             them, and everything else accepts them until that CA is retired",
        ),
        Advice::NameFile => screen.warn(
            "API servers deny a certificate by its SHA-256, which is not known from a serial number: revoke it by its \
             file, so that they deny it",
        ),
        Advice::CopyAuthorization => screen.step(
            "API servers deny within a minute of getting authorization.yaml: copy it to /etc/kubernetes/clusterctl on every \
             master under another name and rename it into place, or bundle and install the masters again.",
        ),
        Advice::CopyEtcdCrl => screen.step(
            "etcd checks the CRL that its --client-crl-file names at each new connection; no bundle has the CRL or sets that flag: \
             copy pki/etcd/crl.pem to every master, and give etcd --client-crl-file and --peer-crl-file.",
        ),
        Advice::BreakGlassStaysValid => screen.warn(
            "Kubernetes authorizes system:masters before any rule: a break-glass account keeps its rights until its certificate \
             expires",
        ),
        Advice::ServingStaysAccepted => screen.warn(
            "kubelets and API servers check no CRL when they connect: a revoked serving certificate is accepted until it expires",
        ),
    }
}

/// Shows the revocations that were recorded from CRLs and rendered files.
pub(super) fn show_learnt(learnt: &Learnt, screen: &mut Screen<'_>) {
    if learnt.certificates > 0 {
        screen.warn(format_args!(
            "the ledger lacked the revocation of {} of {}, perhaps because it is from a backup; it is recorded again \
             from the CRLs{}",
            certificates(learnt.certificates),
            learnt.names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            if learnt.from_files { " and the files" } else { "" },
        ));
    }
    if learnt.serials > 0 {
        screen.warn(format_args!(
            "the CRLs list {} that the ledger does not have: they stay in the CRLs, and API servers cannot deny them",
            certificates(learnt.serials),
        ));
    }
    if learnt.digests > 0 {
        screen.warn(format_args!(
            "the API servers' rules deny {} that the ledger does not have: they stay denied, and no CRL can list them",
            certificates(learnt.digests),
        ));
    }
}
