//! Programs that do not sign: what is reported, and that nothing is issued or lost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clusterctl::app::ca::{ImportCaError, ImportOptions, KeyHolder, plan};
use clusterctl::app::issue::{self, IssuanceError, IssueOptions, Subjects};
use clusterctl::app::{self, Silent};
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::issuer::IssueError;
use clusterctl::pki::signer_error::ProgramError;
use clusterctl::pki::signing_key::SigningError;
use clusterctl::pki::violation::Violation;
use clusterctl::signers::SignerEnv;
use clusterctl::signers::pins::NoPins;

use super::{P256, PROGRAM, RSA, root, with_program};
use crate::support::openssl::{GOOD, certificate};
use crate::support::outside::needs;
use crate::support::packages::{cluster, env};
use crate::support::{CLUSTER, Lab};

/// A laboratory whose roots are made, and whose programs run `script` from then on.
fn with_script(script: &str) -> Lab {
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [P256, P256, P256]);
    lab.good(&["init-ca"]);
    lab.write("signer.sh", script);
    lab
}

/// Issues a node's certificates, which fails, through the library.
fn failure(lab: &Lab) -> ProgramError {
    let (cluster, env) = (cluster(lab), env(lab));
    let subjects = Subjects::Nodes(vec![&cluster.nodes[1]]);
    let options = IssueOptions { subjects, reissue: false, renew_within: None, skips_unreadable: false };
    let plan = issue::plan(options, "test", &cluster, &env, &mut Silent).expect("a plan");
    let holder = KeyHolder::of(CaRole::Cluster, &cluster, &env, &SignerEnv::default()).expect("a holder");
    let issuer = holder.open(&env, &mut NoPins).expect("a CA").into_issuer(env.now).expect("an issuer");
    match plan.apply(&[issuer], &mut Silent).expect_err("nothing is signed") {
        app::Error::Issuance(IssuanceError::Certificate { source: IssueError::Signing(error), .. }) => match error {
            SigningError::Program { error, .. } => error,
            error => panic!("{error:?}"),
        },
        error => panic!("{error:?}"),
    }
}

/// Issuing fails with exit status 4, and leaves every file as it was; with a program that works it goes on.
fn nothing_is_lost(lab: &Lab) -> ProgramError {
    let before = lab.snapshot();
    let ran = lab.run(&["issue-node", "on"]);
    assert_eq!(ran.status, 4, "{ran}");
    let error = failure(lab);
    for command in [&["issue-admin", "alice"][..], &["crl", "renew"]] {
        let ran = lab.run(command);
        assert_eq!(ran.status, 4, "{ran}");
    }
    let pki = lab.path("pki");
    let rules = || std::fs::read_to_string(lab.path("policy/masters/authorization.yaml")).unwrap_or_default();
    let denied = rules().matches("X509SHA256=").count();
    let files = |snapshot: BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
        snapshot.into_keys().filter(|path| path.starts_with(&pki)).collect()
    };
    assert_eq!(files(lab.snapshot()), files(before), "no certificate, kubeconfig or CRL");
    lab.write("signer.sh", PROGRAM);
    lab.good(&["issue-node", "on"]);
    lab.good(&["ledger", "check"]);
    // The API servers' rules need no signature.
    lab.write("signer.sh", "exit 1");
    assert_eq!(lab.run(&["revoke", "on", "--yes"]).status, 4);
    assert!(rules().matches("X509SHA256=").count() > denied, "{}", rules());
    lab.write("signer.sh", PROGRAM);
    lab.good(&["revoke", "on", "--yes"]);
    lab.good(&["ledger", "check"]);
    error
}

#[test]
fn a_program_that_fails_is_shown_with_what_it_says() {
    needs!("openssl");
    let lab = with_script("echo 'the card is \x1b[31mlocked' >&2; exit 3");
    match nothing_is_lost(&lab) {
        ProgramError::Failed { status, stderr } => {
            assert!(status.ends_with('3') && !stderr.contains('\x1b') && !stderr.is_empty(), "{status} {stderr}");
        }
        error => panic!("{error:?}"),
    }
    let lab = with_script("kill -9 $$");
    assert!(matches!(nothing_is_lost(&lab), ProgramError::Failed { .. }));
}

#[test]
fn an_answer_that_is_no_signature_is_refused() {
    needs!("openssl");
    let silent = nothing_is_lost(&with_script("exit 0"));
    assert!(matches!(silent, ProgramError::NoAnswer { .. }), "{silent:?}");
    let text = nothing_is_lost(&with_script("echo signed"));
    assert!(matches!(text, ProgramError::NotASignature { found: 7, .. }), "{text:?}");
    let raw = nothing_is_lost(&with_script("head -c 64 /dev/zero"));
    assert!(matches!(raw, ProgramError::NotASignature { found: 64, .. }), "{raw:?}");
    let endless = nothing_is_lost(&with_script("exec cat /dev/zero"));
    assert!(matches!(endless, ProgramError::TooLong { .. }), "{endless:?}");
}

#[test]
fn a_signature_by_another_key_or_of_other_data_is_refused() {
    needs!("openssl");
    let lab = with_script(&PROGRAM.replace("-sign \"$1\"", "-sign etcd.key"));
    assert_eq!(nothing_is_lost(&lab), ProgramError::WrongSignature);
    let lab = with_script(&PROGRAM.replace("exec openssl dgst -sha256", "echo other | openssl dgst -sha256"));
    assert_eq!(nothing_is_lost(&lab), ProgramError::WrongSignature);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    needs!("openssl");
    let lab = with_script(PROGRAM);
    let good = lab.read("cluster.yaml");
    lab.write("cluster.yaml", &good.replace("[sh, ./signer.sh", "[./no-such-program"));
    assert_eq!(failure(&lab), ProgramError::NotFound);
    lab.write("cluster.yaml", &good.replace("[sh, ./signer.sh", "[no-such-program-in-the-path"));
    assert_eq!(failure(&lab), ProgramError::NotFound);
    lab.write("cluster.yaml", &good.replace("[sh, ./signer.sh", "[./signer.sh"));
    assert!(matches!(failure(&lab), ProgramError::NotStarted(_)), "it is not executable");
    assert!(!lab.path("pki/nodes/on").exists());
}

#[test]
fn a_program_that_does_not_answer_is_ended_with_its_children() {
    needs!("openssl");
    let lab = with_script("echo waiting >&2; sleep 7171 & echo $! >child; wait");
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("cluster.key]", "cluster.key], timeout: 1s"));
    let error = nothing_is_lost(&lab);
    match error {
        ProgramError::TimedOut { limit, stderr } => assert_eq!((limit.as_secs(), stderr.as_str()), (1, "waiting")),
        error => panic!("{error:?}"),
    }
    let child = lab.read("child");
    let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
    // A process that ended stays as a zombie until its parent waits for it.
    assert!(state.map_or(true, |state| state.contains(") Z ")), "its child still runs");
}

#[test]
fn a_new_ca_is_made_for_a_usable_key_alone() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [P256, P256, P256]);
    for script in [
        "exit 1",
        "echo key",
        "openssl genrsa 1024 | openssl pkey -pubout",
        "openssl ecparam -name secp521r1 -genkey -noout | openssl pkey -pubout",
    ] {
        lab.write("signer.sh", &format!("read -r header; {script}"));
        let ran = lab.run(&["init-ca"]);
        assert_eq!(ran.status, 4, "{script}: {ran}");
        assert!(!lab.path("pki").exists(), "{script}");
    }
    // It has the key, and does not sign with it.
    lab.write("signer.sh", &PROGRAM.replace("exec openssl dgst", "exec false"));
    assert_eq!(lab.run(&["init-ca"]).status, 4);
    assert!(!lab.path("pki").exists());
    lab.write("signer.sh", PROGRAM);
    lab.good(&["init-ca"]);
}

#[test]
fn two_cas_cannot_have_one_key() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [P256, P256, P256]);
    lab.write("cluster.yaml", &lab.read("cluster.yaml").replace("front-proxy.key", "etcd.key"));
    assert_eq!(lab.run(&["init-ca"]).status, 3);
    assert!(!lab.path("pki").exists());
    for role in ["cluster", "etcd"] {
        root(&lab, role);
        lab.good(&["import-ca", "--as", role, "--cert", &format!("{role}.crt")]);
    }
    assert_eq!(lab.run(&["init-ca"]).status, 3, "an existing CA has it");
    certificate(&lab, "etcd", "/CN=proxy", GOOD, None, 3650);
    let ran = lab.run(&["import-ca", "--as", "front-proxy", "--cert", "etcd.crt"]);
    assert_eq!(ran.status, 3, "{ran}");
}

#[test]
fn an_imported_ca_needs_one_key_that_fits() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [RSA, P256, P256]);
    root(&lab, "cluster");
    root(&lab, "etcd");
    let refused = |certificate: &str, key: Option<&str>| {
        let (cluster, env) = (cluster(&lab), env(&lab));
        let key = key.map(|key| lab.path(key));
        let certificate = lab.path(certificate);
        let options = ImportOptions { certificate, key, chain: None, role: CaRole::Cluster };
        let plan = match plan(options, &cluster, &env) {
            Ok(plan) => plan,
            Err(app::Error::ImportCa(error)) => return error,
            Err(error) => panic!("{error:?}"),
        };
        let holder = KeyHolder::of(CaRole::Cluster, &cluster, &env, &SignerEnv::default()).expect("a holder");
        plan.hold(holder.key(None, &mut NoPins).expect("a key")).expect_err("it does not fit")
    };
    match refused("etcd.crt", None) {
        ImportCaError::CannotSign { violations, .. } => assert_eq!(violations, [Violation::KeyDoesNotFit]),
        error => panic!("{error:?}"),
    }
    let two = refused("cluster.crt", Some("cluster.key"));
    assert!(matches!(two, ImportCaError::KeyIsHeld { .. }), "{two:?}");
    lab.write("cluster.yaml", CLUSTER);
    let none = refused("cluster.crt", None);
    assert!(matches!(none, ImportCaError::NoKey { .. }), "{none:?}");
    assert!(!lab.path("pki").exists());
}

#[test]
fn a_holder_needs_a_program_and_a_time() {
    let lab = Lab::empty();
    let wrong = [
        "{}",
        "{exec: []}",
        "{exec: ['']}",
        "{timeout: 5s}",
        "{exec: [sign], timeout: 0s}",
        "{exec: [sign], timeout: 25h}",
        "{exec: sign}",
        "{exec: [\"a\\0b\"]}",
        "[sign]",
        "{program: sign}",
        "{pkcs11: 'pkcs11:token=prod'}",
        "{pkcs11: 'pkcs11:object=ca?pin-value=1234'}",
        "{pkcs11: ca}",
        "{pkcs11: 'pkcs11:object=ca', exec: [sign]}",
        "{pkcs11: 'pkcs11:object=ca', timeout: 5s}",
        "{pkcs11: 'pkcs11:object=ca', module: ''}",
        "{exec: [sign], module: m.so}",
    ];
    for signer in wrong {
        lab.write("cluster.yaml", &format!("{CLUSTER}signers: {{cluster: {signer}}}\n"));
        assert_eq!(lab.run(&["validate"]).status, 2, "{signer}");
    }
    let token = "{pkcs11: 'pkcs11:token=prod;object=ca', module: m.so}";
    for signer in [token, "{exec: [sign]}", "{exec: [sign, a b, ''], timeout: 90m}"] {
        lab.write("cluster.yaml", &format!("{CLUSTER}signers: {{front-proxy: {signer}}}\n"));
        lab.good(&["validate"]);
    }
}
