//! Works at mailboxes until it is stopped, or once.

use std::time::{Duration, Instant};

use super::error::SignerError;
use super::event::{Counts, SignerEvent};
use super::metrics::Turn;
use super::options::SignerOptions;
use super::round::Worker;
use crate::app::error::{Error, with_causes};
use crate::mailbox::{LeaseTerms, Mailbox};

/// How long to wait for changes of a mailbox when there is nothing to do.
const WAIT: Duration = Duration::from_millis(500);
/// How long to wait for changes of a mailbox while requests are being judged.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// The first pause after a failure, which doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Works at all mailboxes, each in its own thread, until it is stopped; with `once`, until no request can be decided or signed.
///
/// # Errors
/// Returns the first error, if `once` is set: a mailbox or the cluster directory cannot be used. Otherwise failures are
/// reported, and tried again.
pub fn run(mailboxes: &[Box<dyn Mailbox>], options: &SignerOptions<'_>) -> Result<Counts, Error> {
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for mailbox in mailboxes {
            let work = move || work(&**mailbox, options);
            let thread = std::thread::Builder::new().name("signer".to_owned()).spawn_scoped(scope, work);
            running.push(thread.map_err(|error| SignerError::Thread(error.to_string()))?);
        }
        let mut counts = Counts::default();
        let mut first_error = None;
        for thread in running {
            match thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(done) => counts.add(done),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(counts), Err)
    })
}

/// The state of the Lease.
#[derive(Default)]
struct Held {
    until: Option<Instant>,
    /// The time since which another signer holds it.
    standby: Option<Instant>,
}

impl Held {
    /// Returns true if another signer has held the Lease for longer than its duration, so that its holder is alive.
    fn has_waited(&self, terms: &LeaseTerms) -> bool {
        let longest = Duration::from_secs(terms.seconds.into()) + Duration::from_secs(2);
        self.standby.is_some_and(|since| since.elapsed() >= longest)
    }
}

fn work(mailbox: &dyn Mailbox, options: &SignerOptions<'_>) -> Result<Counts, Error> {
    let mut worker = Worker::new(mailbox, options);
    let (mut counts, mut held, mut pause) = (Counts::default(), Held::default(), FIRST_PAUSE);
    let mut has_listed = false;
    while !(options.stop)() {
        match turn(&mut worker, &mut held, &mut has_listed, options) {
            Ok(Some(done)) => {
                counts.add(done);
                options.note(mailbox.name(), worker.worked(done));
                pause = FIRST_PAUSE;
                if options.once && has_listed && worker.is_idle() {
                    break;
                }
            }
            Ok(None) if options.once && held.has_waited(&options.lease) => {
                return Err(SignerError::Standby(mailbox.name().to_owned()).into());
            }
            Ok(None) => {
                options.note(mailbox.name(), Turn::Standby);
                sleep(Duration::from_secs(1), options);
            }
            Err(error) if options.once => {
                let _ = mailbox.release_lease(&options.lease);
                return Err(error);
            }
            Err(error) => {
                options.note(mailbox.name(), Turn::Failed);
                (options.report)(SignerEvent::Retry {
                    subject: mailbox.name().to_owned(),
                    reason: with_causes(&error),
                });
                sleep(pause, options);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    drop(worker);
    if let Some(Err(error)) = options.metrics.as_ref().map(|metrics| metrics.finish(mailbox.name())) {
        (options.report)(SignerEvent::Retry { subject: "metrics".to_owned(), reason: error.to_string() });
    }
    if held.until.is_some() {
        // Then another signer takes it over at once; without this, after its duration.
        let _ = mailbox.release_lease(&options.lease);
    }
    Ok(counts)
}

/// Does one round; `None` if another signer has the Lease.
fn turn(
    worker: &mut Worker<'_>,
    held: &mut Held,
    has_listed: &mut bool,
    options: &SignerOptions<'_>,
) -> Result<Option<Counts>, Error> {
    let mailbox = worker.mailbox;
    let third = Duration::from_secs(options.lease.seconds.into()) / 3;
    if held.until.is_none_or(|until| Instant::now() >= until) {
        let asked = Instant::now();
        let was_held = held.until.take().is_some();
        if !mailbox.hold_lease(&options.lease).map_err(SignerError::from)? {
            if held.standby.is_none() {
                held.standby = Some(Instant::now());
                (options.report)(SignerEvent::Standby { mailbox: mailbox.name().to_owned() });
            }
            return Ok(None);
        }
        held.until = Some(asked + third);
        worker.lease_until = Some(asked + third * 3);
        held.standby = None;
        if !was_held {
            (options.report)(SignerEvent::Working { mailbox: mailbox.name().to_owned() });
        }
    }
    let wait = match () {
        () if worker.waiting.has_due() => Duration::ZERO,
        () if worker.is_idle() => WAIT,
        () => SHORT_WAIT,
    };
    // The first list may be long.
    let wait = if *has_listed { wait } else { third };
    let changes = mailbox.changes(wait).map_err(SignerError::from)?;
    *has_listed |= changes.iter().any(|change| matches!(change, crate::mailbox::Change::All(_)));
    for (request, reason) in worker.waiting.take(changes) {
        (options.report)(SignerEvent::Unreadable { request, reason });
    }
    worker.round().map(Some)
}

/// Sleeps for `time`, or until the signer is stopped.
fn sleep(time: Duration, options: &SignerOptions<'_>) {
    let end = Instant::now() + time;
    while Instant::now() < end && !(options.stop)() {
        std::thread::sleep(Duration::from_millis(50));
    }
}
