//! Concurrent work with results in order.

use std::future::Future;

use tokio::task::JoinSet;

/// Runs all of `work`, at most `concurrency` items at a time, and returns the results in the order of `work`.
pub(super) async fn in_order<T: Send + 'static, F>(
    mut work: impl Iterator<Item = F>,
    concurrency: usize,
    step: &impl Fn(),
) -> Vec<Option<T>>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    // Most names have one address, and a growing vector allocates four.
    let mut results = Vec::with_capacity(work.size_hint().0);
    loop {
        // Started one by one: thousands of waiting tasks take much memory.
        while set.len() < concurrency
            && let Some(future) = work.next()
        {
            let i = results.len();
            set.spawn(async move { (i, future.await) });
            results.push(None);
        }
        let Some(joined) = set.join_next().await else { return results };
        if let Ok((i, result)) = joined {
            results[i] = Some(result);
        }
        step();
    }
}
