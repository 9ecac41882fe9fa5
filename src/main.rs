//! The shell round [`clusterctl::run`].

use std::process::ExitCode;

/// `bundle` takes less time with it, and `verify` of many nodes less memory; docs/src/development/performance.md has the figures. Its second
/// version hands memory back sooner than its third.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    clusterctl::cli::process::keep_memory_private();
    ExitCode::from(clusterctl::run(&mut clusterctl::cli::process::Process::real()).code())
}
