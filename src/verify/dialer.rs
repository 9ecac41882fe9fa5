//! One connection at a time: TCP and TLS; what is said over it is [`super::line`]'s. All that a peer can do to us is
//! bounded here. No trust is decided: any chain is taken and written down, only the handshake's signature is checked, by rustls.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, SupportedCipherSuite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::capturing_verifier::{CapturingVerifier, Keys, Presenter};
use super::error::{ConnectionError, describe, outcome};
use super::http::{HttpConnection, Question};
use super::leases;
use super::nodes;
use super::observation::{
    Access, Answer, Caller, Connect, Der, Exchange, Further, Handshake, Leases, Listed, MAX_CHAIN, OldHello, Outcome,
    Request, Ruling, Signature, Tls,
};
use super::old_hello;
use super::shared::Shared;
use super::sniffing_stream::SniffingStream;
use super::target::Identity;
use crate::cluster::address::Address;
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::pki::fingerprint::Fingerprint;

/// The kinds of records that TLS has (RFC 8446 § 5.1, RFC 6520).
const TLS_RECORDS: std::ops::RangeInclusive<u8> = 0x14..=0x18;

/// Which protocols a caller offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// HTTP/2 and HTTP/1.1, as Kubernetes's own clients do.
    Both,
    /// HTTP/1.1 alone, which costs both sides far less.
    One,
}

/// Makes connections.
pub(super) struct Dialer {
    provider: Arc<CryptoProvider>,
    anonymous: ClientConfig,
    limit: Duration,
    certificates: Mutex<BTreeMap<Fingerprint, Der>>,
    chains: Shared<[Fingerprint]>,
    texts: Shared<str>,
    rulings: Shared<[(Access, Ruling)]>,
}

/// The name in a ClientHello, which no address is (RFC 6066 § 3).
fn sni(socket: &Socket) -> Option<&str> {
    match socket.name() {
        Address::Dns(name) => Some(name.as_str()),
        Address::Ip(_) => None,
    }
}

/// Where a connection goes, and what it says it wants there.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) to: SocketAddr,
    pub(super) address: Address,
    /// What TLS asks for in place of `address`.
    pub(super) tls_name: Option<Address>,
}

impl Socket {
    /// What TLS asks for.
    pub(super) fn name(&self) -> &Address {
        self.tls_name.as_ref().unwrap_or(&self.address)
    }
}

impl Dialer {
    pub(super) fn new(limit: Duration) -> Result<Self, rustls::Error> {
        let provider = Arc::new(provider());
        let verifier = Arc::new(CapturingVerifier::new(&provider));
        let mut anonymous = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        anonymous.resumption = Resumption::disabled();
        anonymous.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            provider,
            anonymous,
            limit,
            certificates: Mutex::default(),
            chains: Shared::default(),
            texts: Shared::default(),
            rulings: Shared::default(),
        })
    }

    /// Every certificate seen so far, to keep.
    pub(super) fn certificates(&self) -> BTreeMap<Fingerprint, Der> {
        std::mem::take(&mut self.certificates.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens a TCP connection.
    pub(super) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, Connect> {
        match self.tcp(to).await.0 {
            Ok(stream) => Ok(stream),
            Err(NoStream::TimedOut) => Err(Connect::TimedOut(millis(self.limit))),
            Err(NoStream::OutOfDescriptors) => Err(Connect::NotTried(OUT_OF_DESCRIPTORS.to_owned())),
            Err(NoStream::Io(error)) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Connect::Refused,
                io::ErrorKind::TimedOut => Connect::TimedOut(millis(self.limit)),
                _ => Connect::Failed(error.to_string()),
            }),
        }
    }

    /// Opens a TCP connection, and says when it began to: the peer's time runs from there. A want of file descriptors is
    /// ours and not the peer's, so that it is waited out.
    async fn tcp(&self, to: SocketAddr) -> (Result<TcpStream, NoStream>, Instant) {
        for _ in 0..DESCRIPTOR_TRIES {
            let began = Instant::now();
            let opened = match timeout(self.limit, TcpStream::connect(to)).await {
                Ok(Ok(stream)) => {
                    // Answers are small; waiting to fill a segment only costs time. A failure changes nothing.
                    let _ = stream.set_nodelay(true);
                    Ok(stream)
                }
                Ok(Err(error)) if wants_descriptors(&error) => {
                    tokio::time::sleep(DESCRIPTOR_PAUSE).await;
                    continue;
                }
                Ok(Err(error)) => Err(NoStream::Io(error)),
                Err(_) => Err(NoStream::TimedOut),
            };
            return (opened, began);
        }
        (Err(NoStream::OutOfDescriptors), Instant::now())
    }

    /// Shakes hands on an open connection. The client certificate is shown, so that a server which demands one gets as
    /// far as it would with the real caller.
    pub(super) async fn handshake(&self, stream: TcpStream, socket: &Socket, client: Option<&Identity>) -> Tls {
        self.handshake_before(self.witness(), stream, socket, client).await
    }

    /// Shakes hands once more and offers only what a certificate of another kind could sign with, RSA where `tls` showed something
    /// else and the other way round: a server may have one of each. Nothing where it has no other.
    pub(super) async fn with_another_key(&self, socket: &Socket, client: Option<&Identity>, tls: &Tls) -> Option<Tls> {
        let kept = |fingerprint| {
            let kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(fingerprint).map(|der| der.0.clone())
        };
        let leaf = Certificate::from_der(kept(tls.shown.first()?)?).ok()?;
        let keys = if matches!(leaf.key, PublicKeyKind::Rsa(_)) { Keys::NotRsa } else { Keys::Rsa };
        let stream = self.tcp(socket.to).await.0.ok()?;
        let witness = Arc::new(CapturingVerifier::of(&self.provider, keys));
        let other = self.handshake_before(witness, stream, socket, client).await;
        (!other.shown.is_empty() && other.shown != tls.shown).then_some(other)
    }

    async fn handshake_before(
        &self,
        witness: Arc<CapturingVerifier>,
        stream: TcpStream,
        socket: &Socket,
        client: Option<&Identity>,
    ) -> Tls {
        let config = self.config(client, &witness);
        let mut tapped = SniffingStream { stream, first: Vec::new() };
        let connector = TlsConnector::from(Arc::new(config));
        let connecting = connector.connect(server_name(socket.name(), socket.to), &mut tapped);
        let mut tls = Tls {
            outcome: Handshake::Done,
            version: None,
            cipher: None,
            shown: Arc::default(),
            sent: 0,
            signature: Signature::None,
        };
        tls.outcome = match timeout(self.limit, connecting).await {
            Ok(Ok(mut stream)) => {
                let (_, session) = stream.get_ref();
                tls.version = session.protocol_version().and_then(|v| Some(v.as_str()?.replace('_', ".")));
                tls.cipher = session.negotiated_cipher_suite().and_then(|c| Some(c.suite().as_str()?.to_owned()));
                // Politeness only: the handshake is all that is wanted here.
                let _ = timeout(Duration::from_millis(100), stream.shutdown()).await;
                Handshake::Done
            }
            Ok(Err(error)) => match describe(&error) {
                ConnectionError::Alert(alert) => Handshake::Alert(alert),
                ConnectionError::Closed | ConnectionError::Reset => Handshake::Closed,
                ConnectionError::Other(reason) => Handshake::Failed(reason),
            },
            Err(_) => Handshake::TimedOut(millis(self.limit)),
        };
        let seen = witness.take();
        tls.sent = seen.chain.len();
        tls.shown = self.keep(seen.chain);
        tls.signature = seen.signature;
        if let Handshake::Alert(alert) = &tls.outcome
            && matches!(alert.as_str(), "HandshakeFailure" | "InsufficientSecurity")
            && tls.sent == 0
            && witness.takes_every_key()
            && self.answers_go(socket).await
        {
            tls.outcome = Handshake::NothingShared;
        }
        if tls.outcome != Handshake::Done && tls.sent == 0 && witness.takes_every_key() {
            let first = std::mem::take(&mut tapped.first);
            drop(tapped);
            if first.starts_with(b"HTTP/") || self.answers_plain_http(socket.to, &first).await {
                tls.outcome = Handshake::PlainHttp;
            } else if let Handshake::Failed(reason) = &mut tls.outcome
                && first.first().is_some_and(|kind| !TLS_RECORDS.contains(kind))
            {
                *reason = format!("what came is not TLS: {}", String::from_utf8_lossy(&first));
            }
        }
        tls
    }

    /// Asks once without TLS, where TLS got nothing at all. Go's "Client sent an HTTP request to an HTTPS server" is the
    /// answer of a port that does speak TLS.
    async fn answers_plain_http(&self, to: SocketAddr, first: &[u8]) -> bool {
        if !first.is_empty() {
            return false;
        }
        let limit = self.limit.min(Duration::from_secs(1));
        let ask = async {
            let Ok(mut stream) = self.tcp(to).await.0 else { return Ok(Vec::new()) };
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
            let mut said = Vec::with_capacity(256);
            stream.take(256).read_to_end(&mut said).await?;
            Ok::<_, io::Error>(said)
        };
        let said = match timeout(limit, ask).await {
            Ok(Ok(said)) => said,
            _ => return false,
        };
        said.starts_with(b"HTTP/") && !String::from_utf8_lossy(&said).contains("HTTPS server")
    }

    /// Whether a server that finds nothing in common with us goes on with what Go's clients offer.
    async fn answers_go(&self, socket: &Socket) -> bool {
        let hello = old_hello::message_of_go(sni(socket));
        let ask = async {
            let Ok(mut stream) = self.tcp(socket.to).await.0 else { return Ok(false) };
            stream.write_all(&hello).await?;
            let (mut said, mut some) = (Vec::new(), [0; 64]);
            loop {
                let count = stream.read(&mut some).await?;
                said.extend_from_slice(&some[..count]);
                if let Some(answer) = old_hello::is_server_hello(&said, count == 0) {
                    return Ok::<_, io::Error>(answer);
                }
            }
        };
        matches!(timeout(self.limit, ask).await, Ok(Ok(true)))
    }

    /// Offers TLS 1.1 and nothing newer, and reads the first bytes of the answer.
    pub(super) async fn old_hello(&self, socket: &Socket) -> OldHello {
        let (stream, began) = self.tcp(socket.to).await;
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(NoStream::TimedOut) => return OldHello::TimedOut(millis(self.limit)),
            Err(NoStream::OutOfDescriptors) => return OldHello::Failed(OUT_OF_DESCRIPTORS.to_owned()),
            Err(NoStream::Io(error)) => return OldHello::Failed(error.to_string()),
        };
        let hello = old_hello::message(sni(socket));
        let ask = async {
            stream.write_all(&hello).await?;
            let (mut said, mut some) = (Vec::new(), [0; 64]);
            loop {
                let count = stream.read(&mut some).await?;
                said.extend_from_slice(&some[..count]);
                if let Some(answer) = old_hello::read(&said, count == 0) {
                    return Ok::<_, io::Error>(answer);
                }
            }
        };
        match timeout_at(began + self.limit, ask).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => OldHello::Closed,
            Err(_) => OldHello::TimedOut(millis(self.limit)),
        }
    }

    /// One request on a new connection, and `more` behind it, each within the limit.
    pub(super) async fn exchange(
        &self,
        socket: &Socket,
        caller: Caller,
        client: Option<&Identity>,
        request: Request,
        more: &[Request],
    ) -> Exchange {
        let more: Vec<_> = more.iter().map(|request| (*request, Question::of(*request))).collect();
        self.ask(socket, caller, client, request, (Question::of(request), &more)).await
    }

    /// One request on a new connection, put as `question` puts it, and where it is answered `more` behind it, each within the
    /// limit.
    pub(super) async fn ask(
        &self,
        socket: &Socket,
        caller: Caller,
        client: Option<&Identity>,
        request: Request,
        (question, more): (Question, &[(Request, Question)]),
    ) -> Exchange {
        let mut seen = unanswered(caller, client, request);
        let witness = self.witness();
        let (opened, began) = self.open(socket, client, &witness, Offer::Both).await;
        match opened {
            Ok(mut line) => {
                seen.outcome = line.ask(request, question, began + self.limit).await;
                let goes_on = |answer: &Answer| request != Request::DenialReview || (200..300).contains(&answer.status);
                if matches!(&seen.outcome, Outcome::Answer(answer) if goes_on(answer)) {
                    seen.more = self.further(line, more, &witness, (socket, client)).await;
                }
            }
            Err(outcome) => seen.outcome = outcome,
        }
        self.finish(&mut seen, &witness, began, (socket, client, Offer::Both)).await;
        seen
    }

    /// Asks `more` on an open connection, and on others where the peer ends one after an answer. What those show is noted where it
    /// is not what the first one showed.
    async fn further(
        &self,
        line: HttpConnection,
        more: &[(Request, Question)],
        first: &Arc<CapturingVerifier>,
        (socket, client): (&Socket, Option<&Identity>),
    ) -> Vec<Further> {
        let (mut line, mut shown) = (Some(line), Arc::default());
        let mut seen = Vec::with_capacity(more.len());
        for (request, question) in more {
            let (request, question) = (*request, || question.clone());
            let mut outcome = match &mut line {
                Some(line) => line.ask(request, question(), Instant::now() + self.limit).await,
                None => Outcome::Closed,
            };
            if matches!(outcome, Outcome::Closed | Outcome::Reset) {
                let witness = self.witness();
                let (opened, began) = self.open(socket, client, &witness, Offer::Both).await;
                outcome = match opened {
                    Ok(mut other) => {
                        let same = first.saw_the_same_as(&witness);
                        shown = if same { Arc::default() } else { self.keep(witness.take().chain) };
                        let outcome = other.ask(request, question(), began + self.limit).await;
                        line = Some(other);
                        outcome
                    }
                    Err(outcome) => outcome,
                };
            }
            // One of HTTP/1.1 that owes an answer takes no other question.
            if matches!(outcome, Outcome::TimedOut(_)) {
                line = line.filter(HttpConnection::takes_several);
            }
            let late = matches!(outcome, Outcome::TimedOut(_));
            seen.push(Further { request, outcome, shown: shown.clone() });
            // These are many, and all of one kind: who is late with one is late with the next.
            if late && request == Request::DenialReview {
                break;
            }
        }
        seen
    }

    /// Asks who the caller is and, where it is known, what it may do; on one new connection, if the peer keeps it. `reviews` are the
    /// bodies of SelfSubjectAccessReviews. Each question has the limit to itself.
    pub(super) async fn introduction(
        &self,
        socket: &Socket,
        caller: Caller,
        client: &Identity,
        reviews: &[(Access, String)],
        offer: Offer,
    ) -> Exchange {
        let mut seen = unanswered(caller, Some(client), Request::WhoAmI);
        let witness = self.witness();
        let (opened, began) = self.open(socket, Some(client), &witness, offer).await;
        match opened {
            Ok(mut line) => {
                seen.outcome = line.ask(Request::WhoAmI, Question::of(Request::WhoAmI), began + self.limit).await;
                if matches!(&seen.outcome, Outcome::Answer(answer) if (200..300).contains(&answer.status)) {
                    let mut rulings = line.rulings(reviews, self.limit).await;
                    drop(line);
                    self.other_rulings(reviews, &mut rulings, &witness, (socket, client, offer)).await;
                    seen.rulings = self.rulings.of(&rulings);
                }
            }
            Err(outcome) => seen.outcome = outcome,
        }
        self.finish(&mut seen, &witness, began, (socket, Some(client), offer)).await;
        seen
    }

    /// Asks the rest of `reviews` on more connections: a peer of HTTP/1.1 may end each after one answer. All have to show the
    /// first one's certificates; another server's word is not this one's.
    async fn other_rulings(
        &self,
        reviews: &[(Access, String)],
        rulings: &mut Vec<(Access, Ruling)>,
        first: &Arc<CapturingVerifier>,
        (socket, client, offer): (&Socket, &Identity, Offer),
    ) {
        while let rest @ [(access, _), ..] = &reviews[rulings.len()..] {
            let witness = self.witness();
            let more = match self.open(socket, Some(client), &witness, offer).await.0 {
                Ok(mut line) if first.saw_the_same_as(&witness) => line.rulings(rest, self.limit).await,
                Err(Outcome::TimedOut(_)) => vec![(*access, Ruling::late())],
                _ => Vec::new(),
            };
            if more.is_empty() {
                break;
            }
            rulings.extend(more);
        }
        let ended = || Ruling::Unclear("the connection ended".to_owned());
        let unanswered = &reviews[rulings.len()..];
        rulings.extend(unanswered.iter().map(|(access, _)| (*access, ended())));
    }

    async fn finish(
        &self,
        seen: &mut Exchange,
        witness: &Arc<CapturingVerifier>,
        began: Instant,
        (socket, client, offer): (&Socket, Option<&Identity>, Offer),
    ) {
        if matches!(seen.outcome, Outcome::Closed | Outcome::Reset)
            && let Some(alert) = self.farewell(socket, client, offer).await
        {
            seen.outcome = Outcome::Alert(alert);
        }
        let wire = witness.take();
        if let Some(presented) = wire.presented {
            seen.presented = presented;
        }
        seen.shown = self.keep(wire.chain);
        seen.elapsed_ms = millis(began.elapsed());
        for outcome in std::iter::once(&mut seen.outcome).chain(seen.more.iter_mut().map(|more| &mut more.outcome)) {
            self.share_the_texts_of(outcome);
        }
    }

    fn share_the_texts_of(&self, outcome: &mut Outcome) {
        if let Outcome::Answer(answer) = outcome {
            answer.version = self.texts.of(&answer.version);
            answer.content_type = answer.content_type.as_deref().map(|text| self.texts.of(text));
            answer.body = self.texts.of(&answer.body);
        }
    }

    /// Every node that an API server knows, page by page, within `limit`.
    pub(super) async fn listing(
        &self,
        socket: &Socket,
        client: &Identity,
        limit: Duration,
    ) -> (Arc<[Fingerprint]>, Listed) {
        let witness = self.witness();
        let config = self.config(Some(client), &witness);
        let listed = nodes::list(config, socket, Instant::now() + limit).await;
        (self.keep(witness.take().chain), listed)
    }

    /// The leases of all nodes, page by page, within `limit`.
    pub(super) async fn leases(
        &self,
        socket: &Socket,
        client: &Identity,
        limit: Duration,
    ) -> (Arc<[Fingerprint]>, Leases) {
        let witness = self.witness();
        let config = self.config(Some(client), &witness);
        let leases = leases::list(config, socket, Instant::now() + limit).await;
        (self.keep(witness.take().chain), leases)
    }

    /// The alert behind a closed connection. In TLS 1.3 it comes after the handshake, and an HTTP client that is still
    /// writing may see only the end; one that reads at once sees why.
    async fn farewell(&self, socket: &Socket, client: Option<&Identity>, offer: Offer) -> Option<String> {
        let config = self.config_for(client, &self.witness(), offer);
        let listen = async {
            let Ok(stream) = self.tcp(socket.to).await.0 else { return Ok(0) };
            let name = server_name(socket.name(), socket.to);
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            stream.read(&mut [0; 64]).await
        };
        match timeout(self.limit.min(Duration::from_secs(1)), listen).await {
            Ok(Err(error)) => match describe(&error) {
                ConnectionError::Alert(alert) => Some(alert),
                _ => None,
            },
            _ => None,
        }
    }

    /// Opens a connection for HTTP, by the protocol that ALPN chose. Whoever is to be refused, and whoever is let in to prove that
    /// a refusal is one, comes with both on offer: a gate may stand before the one protocol and not before the other, and a
    /// refusal in the one is not proven by a welcome in the other.
    async fn open(
        &self,
        socket: &Socket,
        client: Option<&Identity>,
        witness: &Arc<CapturingVerifier>,
        offer: Offer,
    ) -> (Result<HttpConnection, Outcome>, Instant) {
        let (stream, began) = self.tcp(socket.to).await;
        let late = || Outcome::TimedOut(millis(self.limit));
        let stream = match stream {
            Ok(stream) => stream,
            Err(NoStream::TimedOut) => return (Err(late()), began),
            Err(NoStream::OutOfDescriptors) => return (Err(Outcome::NotTried(OUT_OF_DESCRIPTORS.to_owned())), began),
            Err(NoStream::Io(error)) => return (Err(outcome(&error)), began),
        };
        let connector = TlsConnector::from(Arc::new(self.config_for(client, witness, offer)));
        let opening = async {
            let stream = connector.connect(server_name(socket.name(), socket.to), stream).await;
            let stream = stream.map_err(|error| outcome(&error))?;
            let authority = format!("{}:{}", socket.address.for_url(), socket.to.port());
            HttpConnection::begin(stream, authority).await.map_err(|error| outcome(&error))
        };
        match timeout_at(began + self.limit, opening).await {
            Ok(result) => (result, began),
            Err(_) => (Err(late()), began),
        }
    }

    fn witness(&self) -> Arc<CapturingVerifier> {
        Arc::new(CapturingVerifier::new(&self.provider))
    }

    fn config(&self, client: Option<&Identity>, witness: &Arc<CapturingVerifier>) -> ClientConfig {
        let mut config = self.anonymous.clone();
        config.dangerous().set_certificate_verifier(witness.clone());
        if let Some(identity) = client {
            let presenter = Presenter { identity: identity.clone(), witness: witness.clone() };
            config.client_auth_cert_resolver = Arc::new(presenter);
        }
        config
    }

    fn config_for(&self, client: Option<&Identity>, witness: &Arc<CapturingVerifier>, offer: Offer) -> ClientConfig {
        let mut config = self.config(client, witness);
        if offer == Offer::One {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        config
    }

    /// Keeps each certificate, and each chain, once.
    fn keep(&self, chain: Vec<CertificateDer<'static>>) -> Arc<[Fingerprint]> {
        let mut kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |der: CertificateDer<'static>| {
            let fingerprint = Fingerprint::of(&der);
            kept.entry(fingerprint).or_insert_with(|| Der(der.to_vec()));
            fingerprint
        };
        let chain: Vec<Fingerprint> = chain.into_iter().take(MAX_CHAIN).map(keep).collect();
        self.chains.of(&chain)
    }
}

/// Returns ring's cipher suites in the order of Go's clients, AES with 128 bits first: a server that leaves the choice to its
/// clients does with us what it does with Kubernetes's.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let with_128_bits =
        |suite: &SupportedCipherSuite| suite.suite().as_str().is_some_and(|name| name.contains("AES_128"));
    provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), !with_128_bits(suite)));
    provider
}

/// The name that TLS asks for; a name that no certificate could carry is asked for by its address.
fn server_name(address: &Address, to: SocketAddr) -> ServerName<'static> {
    match address {
        Address::Dns(name) => ServerName::try_from(name.to_string()).unwrap_or_else(|_| to.ip().into()),
        Address::Ip(ip) => (*ip).into(),
    }
}

/// An exchange of which nothing came yet.
fn unanswered(caller: Caller, client: Option<&Identity>, request: Request) -> Exchange {
    Exchange {
        caller,
        presented: client.map(|identity| identity.certificate.fingerprint()),
        request,
        shown: Arc::default(),
        outcome: Outcome::Closed,
        more: Vec::new(),
        rulings: Arc::default(),
        elapsed_ms: 0,
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Why there is no stream.
enum NoStream {
    TimedOut,
    OutOfDescriptors,
    Io(io::Error),
}

const OUT_OF_DESCRIPTORS: &str = "this machine was out of file descriptors all the time";
/// How often, and how far apart, descriptors are asked for: for a minute.
const DESCRIPTOR_TRIES: u32 = 3000;
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);

/// EMFILE and ENFILE.
fn wants_descriptors(error: &io::Error) -> bool {
    let wanting = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| errno.raw_os_error());
    error.raw_os_error().is_some_and(|code| wanting.contains(&code))
}
