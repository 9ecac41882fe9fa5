//! Performs TLS handshakes, and examines servers that do not complete one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::config::Dialer;
use super::socket::{Socket, millis, server_name, sni};
use super::tcp::{OUT_OF_DESCRIPTORS, TcpError};
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::verify::capturing_verifier::{CapturingVerifier, Keys};
use crate::verify::error::{ConnectionError, describe};
use crate::verify::identity::Identity;
use crate::verify::observation::{Handshake, OldHello, Signature, Tls};
use crate::verify::old_hello;
use crate::verify::sniffing_stream::SniffingStream;

/// The kinds of records that TLS has (RFC 8446 § 5.1, RFC 6520).
const TLS_RECORDS: std::ops::RangeInclusive<u8> = 0x14..=0x18;

impl Dialer {
    /// Performs a handshake on an open connection. The client certificate is presented, because a server that requires
    /// one would not complete the handshake without it.
    pub(in crate::verify) async fn handshake(
        &self,
        stream: TcpStream,
        socket: &Socket,
        identity: Option<&Identity>,
    ) -> Tls {
        self.handshake_before(self.verifier(), stream, socket, identity).await
    }

    /// Performs another handshake that offers only the other kind of key, RSA or not, because a server may have a
    /// certificate of each kind. Returns `None` if it has no other certificate.
    pub(in crate::verify) async fn with_another_key(
        &self,
        socket: &Socket,
        identity: Option<&Identity>,
        tls: &Tls,
    ) -> Option<Tls> {
        let kept = |fingerprint| {
            let kept = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(fingerprint).map(|der| der.0.clone())
        };
        let leaf = Certificate::from_der(kept(tls.server_chain.first()?)?).ok()?;
        let keys = if matches!(leaf.key, PublicKeyKind::Rsa(_)) { Keys::NotRsa } else { Keys::Rsa };
        let stream = self.tcp(socket.to).await.0.ok()?;
        let verifier = Arc::new(CapturingVerifier::of(&self.provider, keys));
        let other = self.handshake_before(verifier, stream, socket, identity).await;
        (!other.server_chain.is_empty() && other.server_chain != tls.server_chain).then_some(other)
    }

    async fn handshake_before(
        &self,
        verifier: Arc<CapturingVerifier>,
        stream: TcpStream,
        socket: &Socket,
        identity: Option<&Identity>,
    ) -> Tls {
        let config = self.config(identity, &verifier);
        let mut stream = SniffingStream { stream, first: Vec::new() };
        let connector = TlsConnector::from(Arc::new(config));
        let connecting = connector.connect(server_name(socket.name(), socket.to), &mut stream);
        let mut tls = Tls {
            outcome: Handshake::Done,
            version: None,
            cipher: None,
            server_chain: Arc::default(),
            sent: 0,
            signature: Signature::None,
        };
        tls.outcome = match timeout(self.limit, connecting).await {
            Ok(Ok(mut stream)) => {
                let (_, session) = stream.get_ref();
                tls.version = session.protocol_version().and_then(|v| Some(v.as_str()?.replace('_', ".")));
                tls.cipher = session.negotiated_cipher_suite().and_then(|c| Some(c.suite().as_str()?.to_owned()));
                // An orderly close: no response is needed after the handshake.
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
        let seen = verifier.take();
        tls.sent = seen.chain.len();
        tls.server_chain = self.keep(seen.chain);
        tls.signature = seen.signature;
        if let Handshake::Alert(alert) = &tls.outcome
            && matches!(alert.as_str(), "HandshakeFailure" | "InsufficientSecurity")
            && tls.sent == 0
            && verifier.takes_every_key()
            && self.accepts_go_hello(socket).await
        {
            tls.outcome = Handshake::NothingShared;
        }
        if tls.outcome != Handshake::Done && tls.sent == 0 && verifier.takes_every_key() {
            let first = std::mem::take(&mut stream.first);
            drop(stream);
            if first.starts_with(b"HTTP/") || self.answers_plain_http(socket.to, &first).await {
                tls.outcome = Handshake::PlainHttp;
            } else if let Handshake::Failed(reason) = &mut tls.outcome
                && first.first().is_some_and(|kind| !TLS_RECORDS.contains(kind))
            {
                *reason = format!("the response is not TLS: {}", String::from_utf8_lossy(&first));
            }
        }
        tls
    }

    /// Returns true if a server speaks HTTP without TLS. Go's "Client sent an HTTP request to an HTTPS server" is the
    /// response of a port that does speak TLS.
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

    /// Returns true if a server that rejects this offer accepts the offer of Go's clients.
    async fn accepts_go_hello(&self, socket: &Socket) -> bool {
        let hello = old_hello::go_client_hello(sni(socket));
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

    /// Offers TLS 1.1 at most, and classifies the first bytes of the response.
    pub(in crate::verify) async fn old_hello(&self, socket: &Socket) -> OldHello {
        let (stream, began) = self.tcp(socket.to).await;
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(TcpError::TimedOut) => return OldHello::TimedOut(millis(self.limit)),
            Err(TcpError::OutOfDescriptors) => return OldHello::Failed(OUT_OF_DESCRIPTORS.to_owned()),
            Err(TcpError::Io(error)) => return OldHello::Failed(error.to_string()),
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
}
