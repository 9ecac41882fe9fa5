//! A cache of the requests that changed last: most reads and patches are about one of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::queue::{Kind, Published, StoredRequest};

/// The number of requests in one half of the cache.
const HALF: usize = 1024;

/// The requests that changed last, as they are stored. When the newer half is full, it replaces the older one.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    newer: HashMap<String, Arc<StoredRequest>>,
    older: HashMap<String, Arc<StoredRequest>>,
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a request that changed lately and is still listed.
    pub(super) fn get(&self, name: &str) -> Option<Arc<StoredRequest>> {
        let halves = self.lock();
        halves.newer.get(name).or_else(|| halves.older.get(name)).cloned()
    }

    /// Adds committed changes. Called before watchers get them, so that no client reads an older state than it was sent.
    pub(super) fn note(&self, events: &[Published]) {
        let mut halves = self.lock();
        for Published { kind, request, .. } in events {
            if *kind == Kind::Deleted {
                halves.newer.remove(&request.name);
                halves.older.remove(&request.name);
                continue;
            }
            if halves.newer.len() >= HALF {
                halves.older = std::mem::take(&mut halves.newer);
            }
            halves.newer.insert(request.name.clone(), request.clone());
        }
    }
}
