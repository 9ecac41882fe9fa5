//! The state that all requests share.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use hyper::Response;
use time::OffsetDateTime;

use super::api::status::Failed;
use super::client::{BOOTSTRAP_USER, BOOTSTRAPPERS, Client, SOURCE_ADDRESS, host_of_account};
use super::clock::Clock;
use super::figures::Figures;
use super::notice::Notices;
use super::recent::Recent;
use super::site::Site;
use super::trust::Rejected;
use super::watchers::Watchers;
use super::writer::{NotWritten, Writer};
use crate::enrol::request::Requester;
use crate::pki::certificate::Certificate;
use crate::store::queue::{Answer, Change, Queue, QueueError};

/// The state that all requests share.
pub(super) struct State {
    pub(super) site: Arc<dyn Site>,
    pub(super) writer: Writer,
    pub(super) watchers: Arc<Watchers>,
    pub(super) recent: Arc<Recent>,
    pub(super) figures: Figures,
    pub(super) notices: Notices,
    pub(super) clock: Clock,
    pub(super) version: &'static str,
    readers: Vec<Mutex<Queue>>,
    turn: AtomicUsize,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(…)")
    }
}

/// A connection: its address, the certificates that the client presented, and the last result of verifying them.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    presented: Option<Box<Presented>>,
    /// An answer that is written by [`super::lasting`].
    lasting: Mutex<Option<Box<Response<Body>>>>,
}

#[derive(Debug)]
struct Presented {
    chain: Vec<Certificate>,
    judged: Mutex<Option<Judged>>,
}

/// The generation of the trust, the time of a verification, and its result.
type Judged = (u64, OffsetDateTime, Result<Requester, Rejected>);

/// How long the result of a verification is used again while the trust does not change.
const JUDGED_FOR: time::Duration = time::Duration::SECOND;

impl Connection {
    pub(super) fn new(address: SocketAddr, chain: Option<Vec<Certificate>>) -> Self {
        let presented = chain.map(|chain| Box::new(Presented { chain, judged: Mutex::default() }));
        Self { address, presented, lasting: Mutex::default() }
    }

    /// Passes an answer to the task of the connection.
    pub(super) fn hand_over(&self, response: Response<Body>) {
        *self.lasting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(response));
    }

    /// Returns the answer that was passed, once.
    pub(super) fn handed_over(&self) -> Option<Response<Body>> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner).take().map(|response| *response)
    }
}

impl State {
    pub(super) fn new(
        site: Arc<dyn Site>,
        writer: Writer,
        published: (Arc<Watchers>, Arc<Recent>),
        readers: Vec<Queue>,
        clock: Clock,
        version: &'static str,
    ) -> Self {
        let readers = readers.into_iter().map(Mutex::new).collect();
        let (watchers, recent) = published;
        let (figures, turn) = (Figures::default(), AtomicUsize::new(0));
        let notices = Notices::default();
        Self { site, writer, watchers, recent, figures, notices, clock, version, readers, turn }
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    /// Reads the queue. Queries of single rows take microseconds, and readers never wait for the writer.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Queue) -> Result<T, QueueError>) -> Result<T, Failed> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(reader) = self.readers.get(turn % self.readers.len().max(1)) else {
            return Err(Failed::unavailable("no reader of the queue"));
        };
        let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&reader).map_err(|error| Failed::from(&error))
    }

    /// Changes the queue.
    pub(super) async fn change(&self, change: Change, is_privileged: bool) -> Result<Answer, Failed> {
        match self.writer.change(change, is_privileged).await {
            Ok(outcome) => outcome.map_err(|error| Failed::from(&error)),
            Err(NotWritten::Busy) => Err(Failed::too_many("too many requests wait to be written", 1)),
            Err(NotWritten::Stopping) => Err(Failed::unavailable("the server stops")),
        }
    }

    /// Authenticates the client of a request, each time: by its certificate, else by its bearer token.
    pub(super) fn client(&self, connection: &Connection, authorization: Option<&str>) -> Result<Client, Failed> {
        let (now, address) = (self.now(), canonical(connection.address.ip()));
        if let Some(presented) = &connection.presented {
            let requester = self.judge(presented, now).map_err(|rejected| {
                self.figures.rejected.fetch_add(1, Ordering::Relaxed);
                Failed::unauthorized(&rejected.to_string())
            })?;
            let host = host_of_account(&requester);
            return Ok(Client { requester: with_address(requester, address), host, address });
        }
        let Some(authorization) = authorization else {
            let anonymous = Client::anonymous(address);
            let requester = with_address(anonymous.requester, address);
            return Ok(Client { requester, ..anonymous });
        };
        let token = authorization.strip_prefix("Bearer ").and_then(|token| self.site.bearer(token.trim(), now));
        let Some(token) = token else {
            self.figures.rejected.fetch_add(1, Ordering::Relaxed);
            return Err(Failed::unauthorized("the bearer token is not valid"));
        };
        let requester = Requester {
            username: format!("{BOOTSTRAP_USER}{}", token.id),
            groups: vec![BOOTSTRAPPERS.to_owned(), "system:authenticated".to_owned()],
            ..Requester::default()
        };
        Ok(Client { requester: with_address(requester, address), host: token.host, address })
    }

    fn judge(&self, presented: &Presented, now: OffsetDateTime) -> Result<Requester, Rejected> {
        let trust = self.site.trust();
        let mut judged = presented.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((generation, at, result)) = judged.as_ref()
            && *generation == trust.generation
            && (*at..*at + JUDGED_FOR).contains(&now)
        {
            return result.clone();
        }
        let result = trust.authenticate(&presented.chain, now);
        *judged = Some((trust.generation, now, result.clone()));
        result
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn with_address(mut requester: Requester, address: IpAddr) -> Requester {
    requester.extra.insert(SOURCE_ADDRESS.to_owned(), vec![address.to_string()]);
    requester
}
