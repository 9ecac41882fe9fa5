//! temp
#![allow(missing_docs)]
pub mod kubeconfig;
use crate::cluster::spec::*;
pub const LIMIT: u64 = 32 << 20;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct ReadError;
impl ReadError {
    pub fn hint(&self) -> String {
        String::new()
    }
}
pub struct FromKubectl {
    pub masters: Vec<DraftHost>,
    pub nodes: Vec<DraftHost>,
}
pub fn read(b: &[u8]) -> Result<Cluster, ReadError> {
    serde_yaml::from_slice::<u8>(b).map_err(|_| ReadError)?;
    Err(ReadError)
}
pub fn from_kubectl(_b: &[u8]) -> Result<FromKubectl, ReadError> {
    Err(ReadError)
}
pub fn write(_d: &Draft) -> String {
    String::new()
}
