use proptest::prelude::*;

use super::*;

fn encoded(kind: &str, object: &CertificateSigningRequest) -> Vec<u8> {
    let unknown = Unknown {
        type_meta: Some(TypeMeta { api_version: Some("certificates.k8s.io/v1".into()), kind: Some(kind.into()) }),
        raw: Some(object.encode_to_vec()),
        content_encoding: None,
        content_type: None,
    };
    [PREFIX, &unknown.encode_to_vec()].concat()
}

fn object() -> CertificateSigningRequest {
    CertificateSigningRequest {
        metadata: Some(ObjectMeta { name: Some("node-csr-x".into()), ..ObjectMeta::default() }),
        spec: Some(Spec {
            request: Some(b"pem".to_vec()),
            usages: vec!["client auth".into()],
            signer_name: Some("kubernetes.io/kube-apiserver-client-kubelet".into()),
            expiration_seconds: Some(3600),
        }),
        status: Some(Status {
            conditions: vec![ProtoCondition { kind: Some("Approved".into()), ..ProtoCondition::default() }],
            certificate: None,
        }),
    }
}

#[test]
fn an_object_is_read_and_another_kind_is_not() {
    let read_back = read(&encoded("CertificateSigningRequest", &object())).expect("an object");
    assert_eq!((read_back.name.as_str(), read_back.request.as_slice()), ("node-csr-x", b"pem".as_slice()));
    assert_eq!((read_back.expiration, read_back.conditions[0].kind.as_str()), (Some(3600), "Approved"));
    assert!(read(&encoded("Pod", &object())).is_err());
    assert!(read(b"{}").is_err() && read(b"").is_err() && read(PREFIX).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = read(&bytes);
        let _ = read(&[PREFIX, &bytes].concat());
        let _ = CertificateSigningRequest::decode(bytes.as_slice());
    }

    #[test]
    fn no_change_of_an_object_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = encoded("CertificateSigningRequest", &object());
        let position = at.index(bytes.len());
        bytes[position] = byte;
        let _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }
}
