//! The shell round [`clusterctl::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(clusterctl::run(&mut clusterctl::world::World::real()).code())
}
