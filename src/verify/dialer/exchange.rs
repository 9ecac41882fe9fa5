//! Requests on separate connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::config::Dialer;
use super::socket::{Offer, Socket, millis, server_name};
use super::tcp::{OUT_OF_DESCRIPTORS, TcpError};
use crate::verify::capturing_verifier::CapturingVerifier;
use crate::verify::error::{ConnectionError, describe, outcome};
use crate::verify::http::{HttpConnection, HttpRequest};
use crate::verify::identity::Identity;
use crate::verify::observation::{Answer, Client, Exchange, FollowUp, Outcome, Request};

impl Dialer {
    /// Makes one request on a new connection, and `more` after it, each within the timeout.
    pub(in crate::verify) async fn exchange(
        &self,
        socket: &Socket,
        client: Client,
        identity: Option<&Identity>,
        request: Request,
        more: &[Request],
    ) -> Exchange {
        let more: Vec<_> = more.iter().map(|request| (*request, HttpRequest::of(*request))).collect();
        self.ask(socket, client, identity, request, (HttpRequest::of(request), &more)).await
    }

    /// Makes one request by HTTP/1.1 on a new connection: etcd answers HTTP/2 with gRPC.
    pub(in crate::verify) async fn exchange_by_http1(
        &self,
        socket: &Socket,
        client: Client,
        identity: &Identity,
        request: Request,
    ) -> Exchange {
        let mut seen = unanswered(client, Some(identity), request);
        let verifier = self.verifier();
        let (opened, began) = self.open(socket, Some(identity), &verifier, Offer::Http1).await;
        seen.outcome = match opened {
            Ok(mut connection) => connection.ask(request, HttpRequest::of(request), began + self.limit).await,
            Err(outcome) => outcome,
        };
        self.finish(&mut seen, &verifier, began, (socket, Some(identity), Offer::Http1)).await;
        seen
    }

    /// Makes one request on a new connection and, after a response, the follow-up requests, each within the timeout.
    pub(in crate::verify) async fn ask(
        &self,
        socket: &Socket,
        client: Client,
        identity: Option<&Identity>,
        request: Request,
        (question, more): (HttpRequest, &[(Request, HttpRequest)]),
    ) -> Exchange {
        let mut seen = unanswered(client, identity, request);
        let verifier = self.verifier();
        let (opened, began) = self.open(socket, identity, &verifier, Offer::Http2OrHttp1).await;
        match opened {
            Ok(mut connection) => {
                seen.outcome = connection.ask(request, question, began + self.limit).await;
                let continues =
                    |answer: &Answer| request != Request::DenialReview || (200..300).contains(&answer.status);
                if matches!(&seen.outcome, Outcome::Answer(answer) if continues(answer)) {
                    seen.more = self.further(connection, more, &verifier, (socket, identity)).await;
                }
            }
            Err(outcome) => seen.outcome = outcome,
        }
        self.finish(&mut seen, &verifier, began, (socket, identity, Offer::Http2OrHttp1)).await;
        seen
    }

    /// Makes the requests `more` on an open connection, and on new ones if the server closes it. Chains that differ
    /// from the first one's are recorded.
    ///
    /// API servers close an HTTP/2 connection after they refused a client on it (Kubernetes
    /// `UnauthenticatedHTTP2DOSMitigation`), and may discard what arrives meanwhile. So the first of the requests that
    /// is not answered on a connection with earlier requests is made once more, on a new one, as are all after it.
    async fn further(
        &self,
        connection: HttpConnection,
        more: &[(Request, HttpRequest)],
        first: &Arc<CapturingVerifier>,
        (socket, identity): (&Socket, Option<&Identity>),
    ) -> Vec<FollowUp> {
        let (mut connection, mut server_chain) = (Some(connection), Arc::default());
        let mut seen = Vec::with_capacity(more.len());
        let mut was_unanswered = false;
        for (request, question) in more {
            let (request, question) = (*request, || question.clone());
            let mut outcome = match &mut connection {
                Some(connection) => connection.ask(request, question(), Instant::now() + self.limit).await,
                None => Outcome::Closed,
            };
            let is_first_late = matches!(outcome, Outcome::TimedOut(_)) && !was_unanswered;
            was_unanswered |= is_first_late;
            if is_first_late || matches!(outcome, Outcome::Closed | Outcome::Reset) {
                let verifier = self.verifier();
                let (opened, began) = self.open(socket, identity, &verifier, Offer::Http2OrHttp1).await;
                outcome = match opened {
                    Ok(mut other) => {
                        let same = first.saw_same_chain_as(&verifier);
                        server_chain = if same { Arc::default() } else { self.keep(verifier.take().chain) };
                        let outcome = other.ask(request, question(), began + self.limit).await;
                        connection = Some(other).filter(|_| !was_unanswered);
                        outcome
                    }
                    Err(outcome) => outcome,
                };
            }
            // An HTTP/1.1 connection with a pending response takes no other request.
            if matches!(outcome, Outcome::TimedOut(_)) {
                connection = connection.filter(HttpConnection::is_multiplexed);
            }
            let late = matches!(outcome, Outcome::TimedOut(_));
            seen.push(FollowUp { request, outcome, server_chain: server_chain.clone() });
            // A run makes many requests of one kind: after one timeout, the next would also time out.
            if late && request == Request::DenialReview {
                break;
            }
        }
        seen
    }

    pub(super) async fn finish(
        &self,
        seen: &mut Exchange,
        verifier: &Arc<CapturingVerifier>,
        began: Instant,
        (socket, identity, offer): (&Socket, Option<&Identity>, Offer),
    ) {
        if matches!(seen.outcome, Outcome::Closed | Outcome::Reset)
            && let Some(alert) = self.alert_after_close(socket, identity, offer).await
        {
            seen.outcome = Outcome::Alert(alert);
        }
        let captured = verifier.take();
        if let Some(presented) = captured.presented {
            seen.presented = presented;
        }
        seen.server_chain = self.keep(captured.chain);
        seen.elapsed_ms = millis(began.elapsed());
        for outcome in std::iter::once(&mut seen.outcome).chain(seen.more.iter_mut().map(|more| &mut more.outcome)) {
            self.share_texts(outcome);
        }
    }

    fn share_texts(&self, outcome: &mut Outcome) {
        if let Outcome::Answer(answer) = outcome {
            answer.version = self.texts.of(&answer.version);
            answer.content_type = answer.content_type.as_deref().map(|text| self.texts.of(text));
            answer.body = self.texts.of(&answer.body);
        }
    }

    /// Returns the alert that closed a connection. In TLS 1.3 it comes after the handshake: an HTTP client that is still
    /// writing may see only that the connection was closed, but one that reads at once sees the alert.
    async fn alert_after_close(&self, socket: &Socket, identity: Option<&Identity>, offer: Offer) -> Option<String> {
        let config = self.config_for(identity, &self.verifier(), offer);
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

    /// Opens a connection for HTTP, by the protocol that ALPN selects.
    ///
    /// Clients that must be refused, and the permitted ones beside them, offer both protocols: a proxy may check only
    /// one protocol, and an acceptance by one proves nothing about a refusal by the other.
    pub(super) async fn open(
        &self,
        socket: &Socket,
        identity: Option<&Identity>,
        verifier: &Arc<CapturingVerifier>,
        offer: Offer,
    ) -> (Result<HttpConnection, Outcome>, Instant) {
        let (stream, began) = self.tcp(socket.to).await;
        let late = || Outcome::TimedOut(millis(self.limit));
        let stream = match stream {
            Ok(stream) => stream,
            Err(TcpError::TimedOut) => return (Err(late()), began),
            Err(TcpError::OutOfDescriptors) => return (Err(Outcome::NotTried(OUT_OF_DESCRIPTORS.to_owned())), began),
            Err(TcpError::Io(error)) => return (Err(outcome(&error)), began),
        };
        let connector = TlsConnector::from(Arc::new(self.config_for(identity, verifier, offer)));
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
}

/// Creates an exchange without a response.
pub(super) fn unanswered(client: Client, identity: Option<&Identity>, request: Request) -> Exchange {
    Exchange {
        client,
        presented: identity.map(|identity| identity.certificate.fingerprint()),
        request,
        server_chain: Arc::default(),
        outcome: Outcome::Closed,
        more: Vec::new(),
        decisions: Arc::default(),
        elapsed_ms: 0,
    }
}
