//! What the disk and the CPU allow: grouped commits of SQLite, and signatures that are verified.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use time::OffsetDateTime;

use crate::site::Site;
use crate::usage::Used;

pub(crate) struct Floors {
    /// Rows a second, in commits of 256.
    pub(crate) rows: f64,
    /// Certificates a second on all cores: prepared, signed, and the signature verified; keys exist already.
    pub(crate) signatures: f64,
    /// The processor time of one such certificate, in seconds.
    pub(crate) signature: f64,
}

const TIME: Duration = Duration::from_secs(2);

pub(crate) fn measure(site: &Site) -> Floors {
    let (signatures, signature) = signatures(site);
    Floors { rows: rows(site), signatures, signature }
}

impl Floors {
    /// Returns the lower rate.
    pub(crate) fn lower(&self) -> f64 {
        self.rows.min(self.signatures)
    }
}

fn rows(site: &Site) -> f64 {
    let path = site.folder().join("floor.sqlite");
    let mut connection = Connection::open(&path).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("set");
    connection.pragma_update(None, "synchronous", "FULL").expect("set");
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, name TEXT UNIQUE, content BLOB)")
        .expect("made");
    connection.execute_batch("DELETE FROM rows").expect("emptied");
    let content = vec![7_u8; 1500];
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        let transaction = connection.transaction().expect("start");
        for _ in 0..256 {
            transaction
                .prepare_cached("INSERT INTO rows (name, content) VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute((format!("node-csr-{count}"), &content)))
                .expect("inserted");
            count += 1;
        }
        transaction.commit().expect("durable");
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Returns the rate, and the processor time of one.
fn signatures(site: &Site) -> (f64, f64) {
    let now = OffsetDateTime::now_utc();
    let used = Used::start(std::process::id());
    let start = Instant::now();
    let count: usize = std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let run = || {
            let mut count = 0;
            while start.elapsed() < TIME {
                let _ = site.certificate(count % site.requests.len(), now);
                count += 1;
            }
            count
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    });
    let spent = used.stop();
    (count as f64 / spent.elapsed, spent.clients / count as f64)
}
