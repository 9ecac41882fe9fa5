//! `verify` on real sockets: against the simulated cluster, without a fault and with each fault, and against third-party
//! servers.

mod addresses;
mod beside;
mod closing;
mod denials;
mod fake_cluster;
mod fleet;
mod foreign;
mod hostile;
mod junit;
mod keys;
mod lab;
mod limits;
mod remedies;
mod revoked;
mod site;
