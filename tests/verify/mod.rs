//! `verify` on real sockets: against the stand-in cluster, whole and with each of its faults, and against servers that
//! nobody here wrote.

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
