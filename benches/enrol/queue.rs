//! Fills a queue with rows of the past.

use std::path::Path;

use clusterctl::store::queue::Queue;
use rusqlite::Connection;

pub(crate) fn fill(path: &Path, finished: i64, pending: i64) {
    drop(Queue::open(path).expect("a queue"));
    let connection = Connection::open(path).expect("a database");
    connection.pragma_update(None, "synchronous", "OFF").expect("set");
    let insert = "INSERT INTO requests (name, uid, version, born, signer, host, spki_sha256, proven, known, state, created, changed, pem, usages, \
                  requester, annotations, conditions, certificate, archived) \
                  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                  SELECT ?2 || i, 'uid-' || ?2 || i, i + ?4, i + ?4, 'clusterctl.io/kubelet-client', 'node-' || i, randomblob(32), 1, 1, ?3, \
                  unixepoch(), unixepoch(), randomblob(600), '[]', '{\"username\":\"x\",\"groups\":[]}', '{}', '[]', randomblob(?5), ?6 FROM n";
    connection.execute_batch("BEGIN").expect("a transaction");
    connection.execute(insert, (finished, "finished-", "issued", 0, 700, 1)).expect("filled");
    connection.execute(insert, (pending, "pending-", "pending", finished, 0, 0)).expect("filled");
    connection.execute("UPDATE sequence SET version = ?1", [finished + pending]).expect("set");
    connection.execute_batch("COMMIT").expect("durable");
}
