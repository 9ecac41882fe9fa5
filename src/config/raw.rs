//! Reads each key of the cluster file into a `RawCluster`. The `cluster` module checks the values.

use serde::de::{Error, MapAccess, SeqAccess};

use super::de::{Entries, Items, Mapping, Reading, Texts, list, mapping, text, text_or_list};
use super::keys::{
    API_VERSION, FILE_NAMES, KIND, KUBERNETES_NAMES, MASTER_NAMES, NODE_NAMES, SIGNER_NAMES, SIGNERS_NAMES,
    VALIDITY_NAMES,
};
use super::value::anything;
use crate::cluster::config_error::Reason;
use crate::cluster::signer::{RawSigner, RawSigners};
use crate::cluster::spec::{OneOrMore, RawCluster, RawHost};

/// The top of the file.
pub(super) struct File<'a> {
    raw: &'a mut RawCluster,
    has_version: bool,
    has_kind: bool,
}

impl<'a> File<'a> {
    /// Fills `raw`.
    pub(super) fn new(raw: &'a mut RawCluster) -> Self {
        Self { raw, has_version: false, has_kind: false }
    }
}

impl Entries for File<'_> {
    const WANTED: &'static str = "a mapping";

    fn keys(&self) -> &'static [&'static str] {
        FILE_NAMES
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        match key {
            "apiVersion" => {
                self.has_version = true;
                constant(API_VERSION, map, reading)?;
            }
            "kind" => {
                self.has_kind = true;
                constant(KIND, map, reading)?;
            }
            "name" => self.raw.name = text(map, reading)?,
            "endpoint" => self.raw.endpoint = text(map, reading)?,
            "accounts" => self.raw.accounts = text(map, reading)?,
            "serviceCIDRs" => {
                let mut cidrs = Cidrs(None);
                list(map, &mut cidrs, reading)?;
                self.raw.service_cidrs = cidrs.0.map(|texts| texts.0);
            }
            "clusterDomain" => self.raw.cluster_domain = text(map, reading)?,
            "keys" => self.raw.keys = text(map, reading)?,
            "validity" => mapping(map, &mut Validity(self.raw), reading)?,
            "kubernetes" => mapping(map, &mut Kubernetes(self.raw), reading)?,
            "templates" => self.raw.templates = text(map, reading)?,
            "withUnits" => self.raw.with_units = text(map, reading)?,
            "renewBefore" => self.raw.renew_before = text(map, reading)?,
            "signers" => mapping(map, &mut SignersOf(&mut self.raw.signers), reading)?,
            "enrolment" => self.raw.enrolment = anything(map, reading)?,
            "kubelet" => self.raw.kubelet = anything(map, reading)?,
            "masters" => list(map, &mut Hosts { hosts: &mut self.raw.masters, keys: MASTER_NAMES }, reading)?,
            "nodes" => list(map, &mut Hosts { hosts: &mut self.raw.nodes, keys: NODE_NAMES }, reading)?,
            _ => unreachable!("every key of FILE_NAMES is above"),
        }
        Ok(())
    }

    fn end<E: Error>(&mut self, reading: &mut Reading) -> Result<(), E> {
        if !self.has_version {
            reading.missing("apiVersion", API_VERSION)?;
        }
        if !self.has_kind {
            reading.missing("kind", KIND)?;
        }
        Ok(())
    }
}

/// Reads a text whose only allowed value is `allowed`.
fn constant<'de, A: MapAccess<'de>>(allowed: &'static str, map: &mut A, reading: &mut Reading) -> Result<(), A::Error> {
    match text(map, reading)? {
        Some(text) if text != allowed => reading.error(Some(text), Reason::Choice { allowed: vec![allowed] }),
        _ => Ok(()),
    }
}

/// The `serviceCIDRs`; `None` if there is no list, which differs from an empty list.
struct Cidrs(Option<Texts>);

impl Items for Cidrs {
    const WANTED: &'static str = Texts::WANTED;

    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error> {
        self.0.get_or_insert_default().item(seq, reading)
    }
}

struct Validity<'a>(&'a mut RawCluster);

impl Entries for Validity<'_> {
    const WANTED: &'static str = "a mapping with ca, master, node, admin and crl, as in {ca: 10y, node: 1y},";

    fn keys(&self) -> &'static [&'static str] {
        VALIDITY_NAMES
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        let lifetime = text(map, reading)?;
        match key {
            "ca" => self.0.validity_ca = lifetime,
            "master" => self.0.validity_master = lifetime,
            "node" => self.0.validity_node = lifetime,
            "admin" => self.0.validity_admin = lifetime,
            _ => self.0.validity_crl = lifetime,
        }
        Ok(())
    }
}

struct Kubernetes<'a>(&'a mut RawCluster);

impl Entries for Kubernetes<'_> {
    const WANTED: &'static str = "a mapping with version, imageRepository and etcdVersion, as in {version: v1.36.2},";

    fn keys(&self) -> &'static [&'static str] {
        KUBERNETES_NAMES
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        let value = text(map, reading)?;
        match key {
            "version" => self.0.kubernetes_version = value,
            "imageRepository" => self.0.image_repository = value,
            _ => self.0.etcd_version = value,
        }
        Ok(())
    }
}

struct SignersOf<'a>(&'a mut RawSigners);

impl Entries for SignersOf<'_> {
    const WANTED: &'static str = "a mapping of CAs, as in {cluster: {exec: [program, argument]}},";

    fn keys(&self) -> &'static [&'static str] {
        SIGNERS_NAMES
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        let signer = match key {
            "cluster" => &mut self.0.cluster,
            "etcd" => &mut self.0.etcd,
            "next-cluster" => &mut self.0.next_cluster,
            _ => &mut self.0.front_proxy,
        };
        mapping(map, &mut SignerOf(signer.get_or_insert_default()), reading)
    }
}

struct SignerOf<'a>(&'a mut RawSigner);

impl Entries for SignerOf<'_> {
    const WANTED: &'static str = "the holder of a key, as in {exec: [program, argument]},";

    fn keys(&self) -> &'static [&'static str] {
        SIGNER_NAMES
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        match key {
            "exec" => {
                let mut texts = Texts::default();
                list(map, &mut texts, reading)?;
                self.0.exec = Some(texts.0);
            }
            "timeout" => self.0.timeout = text(map, reading)?,
            "pkcs11" => self.0.pkcs11 = text(map, reading)?,
            _ => self.0.module = text(map, reading)?,
        }
        Ok(())
    }
}

struct Hosts<'a> {
    hosts: &'a mut Vec<RawHost>,
    keys: &'static [&'static str],
}

impl Items for Hosts<'_> {
    const WANTED: &'static str = "a list of hosts, each with a name and addresses,";

    fn item<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, reading: &mut Reading) -> Result<bool, A::Error> {
        let mut host = Host { host: RawHost::default(), keys: self.keys };
        let read = seq.next_element_seed(Mapping { into: &mut host, reading })?;
        if read.is_some() {
            self.hosts.push(host.host);
        }
        Ok(read.is_some())
    }
}

struct Host {
    host: RawHost,
    keys: &'static [&'static str],
}

impl Entries for Host {
    const WANTED: &'static str = "a host with a name and addresses, as in {name: worker-1, addresses: [10.0.0.1]},";

    fn keys(&self) -> &'static [&'static str] {
        self.keys
    }

    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
        reading: &mut Reading,
    ) -> Result<(), A::Error> {
        match key {
            "name" => self.host.name = text(map, reading)?,
            "addresses" => {
                let mut texts = Texts::default();
                list(map, &mut texts, reading)?;
                self.host.addresses = texts.0;
            }
            "kubelet" => self.host.kubelet = anything(map, reading)?,
            "sealTo" => {
                let errors = reading.errors.len();
                self.host.seal_to = text_or_list(map, reading)?;
                // An empty list would silently mean an unencrypted bundle.
                if self.host.seal_to == OneOrMore::default() && reading.errors.len() == errors {
                    reading.error(None, Reason::Shape { wanted: "at least one recipient, or no such key," })?;
                }
            }
            // `apiServerPort` or `kubeletPort`.
            _ => self.host.port = text(map, reading)?,
        }
        Ok(())
    }
}
