use super::*;
use crate::cluster::key_kind::KeyKind;
use crate::pki::key::PrivateKey;
use crate::pki::local_key::LocalKey;
use crate::pki::pem::write_request;
use crate::pki::request::create_request;

fn pem(common_name: &str) -> Vec<u8> {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    write_request(
        &create_request(&LocalKey::open(&key).expect("a key"), common_name, &[], Usage::Client).expect("a request"),
    )
    .into_bytes()
}

fn usages(last: &str) -> Vec<String> {
    ["digital signature", last].map(str::to_owned).into()
}

fn read(signer: &str, usage: &str, pem: &[u8]) -> Result<RequestContent, Refusal> {
    RequestContent::read(RequestFields { signer, usages: &usages(usage), pem })
}

#[test]
fn a_request_is_for_the_host_in_its_common_name() {
    for (account, signer) in [
        ("kubelet:on", "clusterctl.io/kubelet-client"),
        ("system:node:on", "kubernetes.io/kube-apiserver-client-kubelet"),
    ] {
        let content = read(signer, "client auth", &pem(account)).expect("a request");
        assert_eq!((content.host.as_str(), content.profile()), ("on", Profile::KubeletClient));
        assert_eq!(content.signer.as_str(), signer);
    }
}

#[test]
fn what_is_not_a_request_of_a_host_is_refused() {
    let signer = SignerName::KubeletClient.as_str();
    assert_eq!(read("example.com/x", "client auth", b""), Err(Refusal::UnknownSigner("example.com/x".into())));
    assert!(matches!(read(signer, "server auth", &pem("kubelet:a")), Err(Refusal::Usages { .. })));
    assert!(matches!(read(signer, "client auth", &pem("root")), Err(Refusal::NoHost(_))));
    assert!(matches!(read(signer, "client auth", &pem("kubelet:../a")), Err(Refusal::InvalidHost { .. })));
    assert!(matches!(read(signer, "client auth", b"words"), Err(Refusal::Pem(_))));
    assert_eq!(read(signer, "client auth", &vec![b'a'; MAX_REQUEST + 1]), Err(Refusal::TooLarge(MAX_REQUEST + 1)));
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let with_key = [pem("kubelet:a"), key.to_pem().as_bytes().to_vec()].concat();
    assert_eq!(read(signer, "client auth", &with_key), Err(Refusal::PrivateKey));
}

#[test]
fn final_states_stay() {
    for from in State::ALL.into_iter().filter(|state| !state.is_open()) {
        assert!(State::ALL.into_iter().all(|next| !from.may_become(next)), "{from}");
    }
    assert!(State::Pending.may_become(State::Approved) && State::Approved.may_become(State::Issued));
    assert!(!State::Pending.may_become(State::Issued), "a certificate needs an approval");
}
