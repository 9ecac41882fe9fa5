//! A cache of the open requests as they were last seen, so that a write needs no read before it, and the signature of a CSR is
//! verified once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use super::Arrived;
use super::convert::{self, arrived};
use crate::enrol::request::{EnrolmentRequest, RequestContent};

/// The largest number of cached requests.
const MOST: usize = 20_000;

/// The open requests as they were last seen, by name.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Seen>>);

struct Seen {
    object: CertificateSigningRequest,
    content: RequestContent,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an object, and caches it if it is open; `None` if it is for another signer.
    pub(super) fn arrived(&self, object: &CertificateSigningRequest) -> Option<Arrived> {
        self.arrived_with(object, None)
    }

    /// Returns what an open object asks for, if that is not remembered yet. It verifies a signature.
    pub(super) fn new_content(&self, object: &CertificateSigningRequest) -> Option<RequestContent> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let is_known = self.lock().get(name).is_some_and(|seen| convert::is_same(object, &seen.content));
        if is_known || !convert::state(object).is_open() { None } else { convert::content(object) }
    }

    /// Like [`Self::arrived`], with the result of [`Self::new_content`].
    pub(super) fn arrived_with(
        &self,
        object: &CertificateSigningRequest,
        content: Option<RequestContent>,
    ) -> Option<Arrived> {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let before = content.or_else(|| self.lock().get(name).map(|seen| seen.content.clone()));
        // Without the lock: it may verify a signature.
        let read = arrived(object, before.as_ref());
        let mut all = self.lock();
        // Events of a watch may be older than the answer to a write.
        if all.get(name).is_some_and(|seen| is_older(object, &seen.object)) {
            return read;
        }
        all.remove(name);
        if let Some(Arrived::Request(request)) = &read
            && request.state.is_open()
            && all.len() < MOST
        {
            all.insert(name.to_owned(), Seen { content: request.content.clone(), object: object.clone() });
        }
        read
    }

    /// Returns the object of a request as it was last seen.
    pub(super) fn object(&self, request: &EnrolmentRequest) -> Option<CertificateSigningRequest> {
        let all = self.lock();
        let seen = all.get(&request.name)?;
        (seen.object.metadata.uid.as_deref() == Some(request.uid.as_str())).then(|| seen.object.clone())
    }

    /// Removes a request, or all of them.
    pub(super) fn forget(&self, name: Option<&str>) {
        match name {
            Some(name) => drop(self.lock().remove(name)),
            None => self.lock().clear(),
        }
    }
}

/// Returns true if an object is older than another with the same uid. Versions that are not numbers count as the oldest.
fn is_older(object: &CertificateSigningRequest, than: &CertificateSigningRequest) -> bool {
    let version = |one: &CertificateSigningRequest| one.metadata.resource_version.as_deref()?.parse::<u64>().ok();
    object.metadata.uid == than.metadata.uid && version(object) < version(than)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::certificates::v1::{
        CertificateSigningRequestCondition, CertificateSigningRequestSpec, CertificateSigningRequestStatus,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::profile::Usage;
    use crate::pki::key::PrivateKey;
    use crate::pki::local_key::LocalKey;
    use crate::pki::pem;
    use crate::pki::request::create_request;

    fn pem() -> Vec<u8> {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let key = LocalKey::open(&key).expect("a key");
        let der = create_request(&key, "kubelet:node-1", &[], Usage::Client).expect("a request");
        pem::write_request(&der).into_bytes()
    }

    fn object(version: &str, pem: Vec<u8>, conditions: &[&str]) -> CertificateSigningRequest {
        let condition = |kind: &&str| CertificateSigningRequestCondition {
            type_: (*kind).to_owned(),
            status: "True".to_owned(),
            ..CertificateSigningRequestCondition::default()
        };
        CertificateSigningRequest {
            metadata: ObjectMeta {
                name: Some("one".to_owned()),
                uid: Some("uid".to_owned()),
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: CertificateSigningRequestSpec {
                request: ByteString(pem),
                signer_name: "clusterctl.io/kubelet-client".to_owned(),
                usages: Some(vec!["digital signature".to_owned(), "client auth".to_owned()]),
                ..CertificateSigningRequestSpec::default()
            },
            status: Some(CertificateSigningRequestStatus {
                conditions: Some(conditions.iter().map(condition).collect()),
                ..CertificateSigningRequestStatus::default()
            }),
        }
    }

    fn request(arrived: Option<Arrived>) -> EnrolmentRequest {
        match arrived {
            Some(Arrived::Request(request)) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_object_is_kept_until_it_is_decided() {
        let (known, pem) = (Known::default(), pem());
        let first = request(known.arrived(&object("9", pem.clone(), &[])));
        known.arrived(&object("11", pem.clone(), &["Approved"]));
        known.arrived(&object("10", pem.clone(), &[]));
        let kept = known.object(&first).expect("an object");
        assert_eq!(kept.metadata.resource_version.as_deref(), Some("11"));
        assert!(known.object(&EnrolmentRequest { uid: "another".to_owned(), ..first.clone() }).is_none());
        known.arrived(&object("12", pem, &["Approved", "Failed"]));
        assert!(known.object(&first).is_none(), "it is decided");
    }

    #[test]
    fn a_signature_is_verified_only_for_what_is_open_and_new() {
        let (known, text) = (Known::default(), pem());
        let first = object("1", text.clone(), &[]);
        let content = known.new_content(&first);
        assert!(content.is_some());
        known.arrived_with(&first, content);
        assert!(known.new_content(&object("2", text.clone(), &["Approved"])).is_none(), "it was verified");
        assert!(Known::default().new_content(&object("3", text, &["Approved", "Failed"])).is_none(), "it is over");
        assert!(known.new_content(&object("4", pem(), &[])).is_some(), "another CSR of the same name");
    }

    #[test]
    fn another_csr_of_the_same_name_is_read_anew() {
        let known = Known::default();
        let first = request(known.arrived(&object("1", pem(), &[])));
        let second = request(known.arrived(&object("2", pem(), &[])));
        assert_ne!(first.content.csr_digest, second.content.csr_digest);
        let unreadable = known.arrived(&object("3", b"x".to_vec(), &[]));
        assert!(matches!(unreadable, Some(Arrived::Unreadable { .. })), "{unreadable:?}");
        assert!(known.object(&second).is_none());
    }
}
