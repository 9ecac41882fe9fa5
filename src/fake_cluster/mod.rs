//! A cluster on loopback that behaves on the wire as real API servers and kubelets were recorded to, with a fault to
//! order: for `demo` and the tests. It proves nothing about a real cluster and knows nothing of `verify`.

mod answers;
pub mod cluster;
pub mod injected_fault;
mod small;
