//! The interface through which a use case reports events and is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::notice::Notice;

/// A long-running task whose progress is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Compares files with what the cluster file asks for.
    Checking,
    /// Issues certificates.
    Issuing,
    /// Packs bundles.
    Packing,
    /// Connects to the hosts of a live cluster.
    Verifying,
}

/// Receives the reports of a use case.
pub trait Observer {
    /// Receives a notice that the user should see now.
    fn notice(&mut self, notice: Notice);

    /// Returns a receiver for the progress of a task over `total` items.
    fn progress(&self, task: Task, total: u64) -> Box<dyn Progress>;

    /// Returns the cancellation flag of the use case.
    fn cancellation(&self) -> Cancellation;

    /// Defers interrupts.
    ///
    /// From now on an interrupt sets the cancellation instead of ending the process, which would leave a partial write.
    fn defer_interrupts(&self) {}
}

/// Receives the progress of one task; threads may share it.
pub trait Progress: Send + Sync {
    /// Adds `count` completed items.
    fn add(&self, count: u64);

    /// Sets the number of completed items and of all items, if the total was not known before.
    fn set(&self, completed: u64, total: u64);
}

/// A flag that requests a stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Requests a stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns true once a stop was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// An observer that ignores all reports and never requests a stop, for programs that use the library.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn notice(&mut self, _: Notice) {}

    fn progress(&self, _: Task, _: u64) -> Box<dyn Progress> {
        Box::new(Self)
    }

    fn cancellation(&self) -> Cancellation {
        Cancellation::default()
    }
}

impl Progress for Silent {
    fn add(&self, _: u64) {}

    fn set(&self, _: u64, _: u64) {}
}
