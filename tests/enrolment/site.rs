//! A cluster directory with a policy, a mailbox in memory, and a signer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clusterctl::app;
use clusterctl::app::enrol::judge::Judge;
use clusterctl::app::enrol::persons::Persons;
use clusterctl::app::enrol::signer::{self, Counts, LocalReviewers, SignerEvent, SignerOptions};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{CaRole, Usage};
use clusterctl::enrol::approval::{self, Choice};
use clusterctl::enrol::evidence::{Occasion, Proofs, Statement};
use clusterctl::enrol::request::{EnrolmentRequest, RequestContent, RequestFields, Requester, State};
use clusterctl::mailbox::{LeaseTerms, Mailbox};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::issuer::Issuer;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem;
use clusterctl::pki::request::create_request;
use clusterctl::pki::ssh::SshKey;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use clusterctl::store::ledger::Ledger;
use time::OffsetDateTime;

use super::memory::Memory;
use crate::support::{CLUSTER, Lab};

/// The longest wait for an event, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A cluster directory with a policy, and a mailbox.
pub(super) struct Site {
    pub(super) lab: Lab,
    pub(super) mailbox: Arc<Memory>,
    issuers: Vec<Issuer>,
}

impl Site {
    /// `policy` is the value of `enrolment:`, on one line.
    pub(super) fn with(policy: &str) -> Self {
        Self::of(&format!("{CLUSTER}enrolment: {policy}\n"))
    }

    pub(super) fn of(cluster: &str) -> Self {
        let lab = Lab::with(cluster);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        let layout = Layout::new(lab.dir().to_owned());
        let opened = ca::open(&layout, CaRole::Cluster, None).expect("a CA");
        let issuers = vec![opened.into_issuer(lab.now).expect("an issuer")];
        Self { lab, mailbox: Arc::default(), issuers }
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.lab.dir().to_owned())
    }

    pub(super) fn ledger(&self) -> Ledger {
        Ledger::open_read_only(&self.layout().ledger()).expect("a ledger")
    }

    /// Runs a signer once, and returns what it did.
    pub(super) fn sign(&self) -> Vec<SignerEvent> {
        self.try_sign(&|| false).1
    }

    pub(super) fn try_sign(
        &self,
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> (Result<Counts, app::Error>, Vec<SignerEvent>) {
        self.mailbox.restart();
        self.run("one", true, stop)
    }

    /// Runs a signer of a name.
    pub(super) fn run(
        &self,
        holder: &str,
        once: bool,
        stop: &(dyn Fn() -> bool + Send + Sync),
    ) -> (Result<Counts, app::Error>, Vec<SignerEvent>) {
        self.observed(holder, once, stop, &|_| {})
    }

    /// Runs a signer until it reports an event.
    pub(super) fn run_until(&self, is_last: &(dyn Fn(&SignerEvent) -> bool + Send + Sync)) -> Vec<SignerEvent> {
        self.mailbox.restart();
        let (seen, end) = (AtomicBool::new(false), Instant::now() + LIMIT);
        let stop = || seen.load(Ordering::SeqCst) || Instant::now() > end;
        let observe = |event: &SignerEvent| {
            if is_last(event) {
                seen.store(true, Ordering::SeqCst);
            }
        };
        let (result, events) = self.observed("one", false, &stop, &observe);
        result.expect("a run without errors");
        assert!(seen.into_inner(), "{events:?}");
        events
    }

    fn observed(
        &self,
        holder: &str,
        once: bool,
        stop: &(dyn Fn() -> bool + Send + Sync),
        observe: &(dyn Fn(&SignerEvent) + Send + Sync),
    ) -> (Result<Counts, app::Error>, Vec<SignerEvent>) {
        let events = Mutex::new(Vec::new());
        let report = |event| {
            observe(&event);
            events.lock().expect("no panic").push(event);
        };
        let now = self.lab.now;
        let clock = move || now;
        let options = SignerOptions {
            layout: self.layout(),
            actor: "signer@test".to_owned(),
            issuers: &self.issuers,
            clock: &clock,
            once,
            lease: LeaseTerms { namespace: "n".into(), name: "l".into(), holder: holder.to_owned(), seconds: 15 },
            stop,
            report: &report,
            reviewers: Arc::new(LocalReviewers),
            metrics: None,
            turn: Mutex::new(()),
        };
        let mailboxes: Vec<Box<dyn Mailbox>> = vec![Box::new(Shared(Arc::clone(&self.mailbox)))];
        let counts = signer::run(&mailboxes, &options);
        drop(mailboxes);
        (counts, events.into_inner().expect("no panic"))
    }

    pub(super) fn certificate(&self, name: &str) -> Certificate {
        let request = self.mailbox.get(name);
        assert_eq!(request.state, State::Issued, "{:?}", request.conditions);
        let der = pem::certificates(&request.certificate).expect("a certificate").swap_remove(0);
        Certificate::from_der(der).expect("a certificate")
    }

    fn env(&self) -> app::Env {
        app::Env { layout: self.layout(), now: self.lab.now, actor: "person@test".to_owned() }
    }

    /// Returns the annotation of a request with an approval more.
    pub(super) fn approval(&self, request: &EnrolmentRequest, key: &SshKey) -> String {
        let env = self.env();
        let judge = Judge::open(&env).expect("a directory");
        let inventory = judge.inventory(request).expect("a ledger");
        let subject = Persons::read(&judge, &env).subject(request, &inventory).expect("a subject");
        let signed = approval::sign(&subject, Choice::Approve, self.lab.now, key).expect("signed");
        let present = request.annotations.get(approval::ANNOTATION).map(String::as_str).unwrap_or_default();
        approval::added(present, signed).expect("room")
    }

    /// Returns a request with a statement about `host` that an SSH key signed.
    pub(super) fn asked_by(
        &self,
        name: &str,
        user: &str,
        host: &str,
        key: &SshKey,
        time: OffsetDateTime,
    ) -> EnrolmentRequest {
        self.proven_by(name, user, host, Proofs { ssh_host_key: Some(key), token: None }, time)
    }

    /// Returns a request with a statement about `host` and these proofs.
    pub(super) fn proven_by(
        &self,
        name: &str,
        user: &str,
        host: &str,
        proofs: Proofs<'_>,
        time: OffsetDateTime,
    ) -> EnrolmentRequest {
        let ask = Ask::client(name, user);
        let csr = ask.csr(&new_key());
        let statement = Statement {
            host: HostName::parse(host).expect("a name"),
            time,
            cluster: Judge::open(&self.env()).expect("a directory").pin(),
            request: Fingerprint::of(&csr),
            occasion: Occasion::Join,
        };
        Ask { evidence: statement.to_blocks(&proofs).expect("signed"), ..ask }.with(&csr)
    }

    pub(super) fn state(&self, name: &str) -> State {
        self.mailbox.get(name).state
    }
}

struct Shared(Arc<Memory>);

impl Mailbox for Shared {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn changes(&self, wait: Duration) -> Result<Vec<clusterctl::mailbox::Change>, clusterctl::mailbox::MailboxError> {
        self.0.changes(wait)
    }

    fn rule(
        &self,
        rulings: &[(EnrolmentRequest, clusterctl::mailbox::Ruling)],
    ) -> Vec<Result<EnrolmentRequest, clusterctl::mailbox::MailboxError>> {
        self.0.rule(rulings)
    }

    fn deliver(
        &self,
        certificates: &[(EnrolmentRequest, String)],
    ) -> Vec<Result<EnrolmentRequest, clusterctl::mailbox::MailboxError>> {
        self.0.deliver(certificates)
    }

    fn hold_lease(&self, terms: &LeaseTerms) -> Result<bool, clusterctl::mailbox::MailboxError> {
        self.0.hold_lease(terms)
    }

    fn release_lease(&self, terms: &LeaseTerms) -> Result<(), clusterctl::mailbox::MailboxError> {
        self.0.release_lease(terms)
    }
}

/// What a host asks for.
pub(super) struct Ask<'a> {
    pub(super) name: &'a str,
    pub(super) user: &'a str,
    pub(super) addresses: &'a [&'a str],
    pub(super) is_serving: bool,
    pub(super) evidence: String,
    pub(super) created: OffsetDateTime,
}

impl<'a> Ask<'a> {
    /// A client certificate of a host.
    pub(super) fn client(name: &'a str, user: &'a str) -> Self {
        let created = crate::support::NOW;
        Self { name, user, addresses: &[], is_serving: false, evidence: String::new(), created }
    }

    pub(super) fn serving(name: &'a str, user: &'a str, addresses: &'a [&'a str]) -> Self {
        Self { addresses, is_serving: true, ..Self::client(name, user) }
    }

    pub(super) fn csr(&self, key: &PrivateKey) -> Vec<u8> {
        let addresses: Vec<_> = self
            .addresses
            .iter()
            .map(|text| clusterctl::cluster::address::Address::parse(text).expect("an address"))
            .collect();
        let usage = if self.is_serving { Usage::Server } else { Usage::Client };
        create_request(&LocalKey::open(key).expect("a key"), self.user, &addresses, usage).expect("a request")
    }

    /// Returns the request, made with a new key.
    pub(super) fn make(&self) -> EnrolmentRequest {
        self.with(&self.csr(&new_key()))
    }

    pub(super) fn with(&self, csr: &[u8]) -> EnrolmentRequest {
        let text = format!("{}{}", pem::write_request(csr), self.evidence);
        let (signer, usage) = match (self.user.starts_with("kubelet:"), self.is_serving) {
            (true, false) => ("clusterctl.io/kubelet-client", "client auth"),
            (true, true) => ("clusterctl.io/kubelet-serving", "server auth"),
            (false, false) => ("kubernetes.io/kube-apiserver-client-kubelet", "client auth"),
            (false, true) => ("kubernetes.io/kubelet-serving", "server auth"),
        };
        let usages = ["digital signature", usage].map(str::to_owned);
        let fields = RequestFields { signer, usages: &usages, pem: text.as_bytes() };
        EnrolmentRequest {
            name: self.name.to_owned(),
            uid: format!("uid-of-{}", self.name),
            resource_version: "1".to_owned(),
            annotations: BTreeMap::new(),
            created: self.created,
            content: RequestContent::read(fields).expect("a request"),
            requester: Requester::anonymous(),
            state: State::Pending,
            conditions: Vec::new(),
            certificate: Vec::new(),
        }
    }
}

pub(super) fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyKind::EcdsaP256).expect("a key")
}
