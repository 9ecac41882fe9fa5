use time::Duration;
use time::macros::datetime;

use super::*;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::ClusterName;
use crate::pki::issuer::create_root;
use crate::pki::trust_bundle::CaState::{self, Active, Retired, Trusted};

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const ROLE: CaRole = CaRole::Etcd;

fn root(days: i64) -> CaCertificate {
    let (name, now) = (ClusterName::parse("prod").expect("a name"), NOW + Duration::days(days));
    let root = create_root(ROLE, &name, KeyKind::EcdsaP256, Lifetime::ONE_YEAR, now).expect("a root");
    CaCertificate::own_root(ROLE, root.get().certificate.clone())
}

fn bundle(cas: &[(&CaCertificate, CaState)]) -> TrustBundle {
    let cas = cas.iter().map(|(ca, state)| ((*ca).clone(), *state)).collect();
    TrustBundle::new(ROLE, cas).expect("a trust bundle")
}

#[test]
fn replacing_cas_is_atomic_when_killed() {
    let (old, new) = (root(0), root(1));
    let phases = [
        bundle(&[(&old, Active)]),
        bundle(&[(&old, Active), (&new, Trusted)]),
        bundle(&[(&new, Active), (&old, Trusted)]),
        bundle(&[(&new, Active), (&old, Retired)]),
        bundle(&[(&new, Active)]),
        bundle(&[(&old, Active)]),
    ];
    for (before, after) in phases.iter().zip(&phases[1..]) {
        for steps in 0..=TrustStep::ALL.len() {
            let dir = tempfile::tempdir().expect("a folder");
            let layout = Layout::new(dir.path().to_owned());
            files::create_folder(&layout.root_folder(ROLE)).expect("a folder");
            write_trust(&layout, before).expect("written");
            let killed = TrustStep::ALL[..steps].iter().try_for_each(|step| step.run(&layout, after));
            killed.expect("written");
            let read = trust(&layout, ROLE).expect("a trust bundle");
            assert!(read == *before || read == *after, "after {steps} steps");
            assert!(steps < 2 || read == *after, "ca.crt is new after {steps} steps");
            complete_trust(&layout, ROLE).expect("completed");
            assert_eq!(trust(&layout, ROLE), Ok(read), "after {steps} steps");
            assert!(!files::exists(&layout.pending_trust_file(ROLE)));
        }
    }
}

#[test]
fn a_pending_file_does_not_excuse_another_ca_certificate() {
    let (old, new, other) = (root(0), root(1), root(2));
    let dir = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(dir.path().to_owned());
    files::create_folder(&layout.root_folder(ROLE)).expect("a folder");
    write_trust(&layout, &bundle(&[(&old, Active), (&new, Trusted)])).expect("written");
    TrustStep::Pending.run(&layout, &bundle(&[(&new, Active)])).expect("written");
    TrustStep::Roots.run(&layout, &bundle(&[(&other, Active)])).expect("written");
    assert!(matches!(trust(&layout, ROLE), Err(CaError::OtherRoots { .. })));
}
