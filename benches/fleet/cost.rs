//! The time that work takes: elapsed, and on all processors together, which differs less on a busy machine.

use std::iter::Sum;
use std::time::{Duration, Instant};

/// The fields of `/proc/self/stat` after the name of the program: user and system time, and those of children that ended.
const OWN: usize = 11;
const OF_CHILDREN: usize = 13;

/// The time that some work took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) elapsed: Duration,
    /// Of all threads and processes that did the work, in the kernel's ticks of 10 ms.
    pub(crate) processor: Duration,
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            elapsed: sum.elapsed + cost.elapsed,
            processor: sum.processor + cost.processor,
        })
    }
}

/// Returns the time that the work of this process took.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> Cost {
    let (start, used) = (Instant::now(), processor_time(OWN));
    std::hint::black_box(work());
    Cost { elapsed: start.elapsed(), processor: processor_time(OWN) - used }
}

/// Returns the processor time of all children that ended.
pub(crate) fn of_children() -> Duration {
    processor_time(OF_CHILDREN)
}

fn processor_time(field: usize) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process");
    let after = stat.rsplit(')').next().expect("fields");
    let ticks = after.split_whitespace().skip(field).take(2).filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
