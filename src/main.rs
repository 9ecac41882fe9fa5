//! The executable, a thin wrapper around [`clusterctl::run`].

use std::process::ExitCode;

/// `bundle` takes less time with mimalloc, and `verify` of many nodes less memory; docs/src/development/performance.md
/// has the figures. Version 2 of mimalloc returns memory to the system sooner than version 3. Without `no_thp` its memory
/// is in huge pages, of which each thread fills only parts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clusterctl::cli::process::keep_memory_private();
    ExitCode::from(clusterctl::run(&mut clusterctl::cli::process::Process::real()).code())
}
