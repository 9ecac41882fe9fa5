//! The processor time and the memory of processes. On a busy machine it says more than the time that passes.

use std::time::{Duration, Instant};

/// The fields of `/proc/PID/stat` after the name of the program: user and system time, and those of children that ended.
const OWN: usize = 11;
const OF_CHILDREN: usize = 13;

fn processor_time(process: &str, field: usize) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let after = stat.rsplit(')').next().expect("fields");
    let ticks = after.split_whitespace().skip(field).take(2).filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Returns the processor time of a process.
pub(crate) fn of(id: u32) -> Duration {
    processor_time(&id.to_string(), OWN)
}

/// Returns the resident memory of a process, in MiB.
pub(crate) fn resident(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// The time that passed and the processor time since a start.
pub(crate) struct Used {
    start: Instant,
    own: Duration,
    of_children: Duration,
    of_server: Duration,
    server: u32,
}

/// The result of a row.
pub(crate) struct Spent {
    /// Seconds that passed.
    pub(crate) elapsed: f64,
    /// Processor seconds of the clients in this process.
    pub(crate) clients: f64,
    /// Processor seconds of programs that ended meanwhile.
    pub(crate) children: f64,
    /// Processor seconds of the server.
    pub(crate) server: f64,
}

impl Used {
    pub(crate) fn start(server: u32) -> Self {
        Self {
            start: Instant::now(),
            own: processor_time("self", OWN),
            of_children: processor_time("self", OF_CHILDREN),
            of_server: of(server),
            server,
        }
    }

    pub(crate) fn stop(&self) -> Spent {
        Spent {
            elapsed: self.start.elapsed().as_secs_f64(),
            clients: (processor_time("self", OWN) - self.own).as_secs_f64(),
            children: (processor_time("self", OF_CHILDREN) - self.of_children).as_secs_f64(),
            server: (of(self.server) - self.of_server).as_secs_f64(),
        }
    }
}

impl Spent {
    pub(crate) fn processor(&self) -> f64 {
        self.clients + self.children + self.server
    }

    /// Returns the processor time of each part for one of `count`, as text.
    pub(crate) fn each(&self, count: usize) -> String {
        let micros = |seconds: f64| seconds * 1e6 / count as f64;
        let signer = match self.children {
            0.0 => String::new(),
            seconds => format!(", signer {:.0}", micros(seconds)),
        };
        format!("processor µs each: server {:.0}, clients {:.0}{signer}", micros(self.server), micros(self.clients))
    }
}
