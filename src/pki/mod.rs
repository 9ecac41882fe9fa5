//! Bytes and cryptography: what keys and certificates are, how they are made, and what one is worth.
//! Nothing here touches a file, a clock or a terminal; time is an argument.

pub mod allowed_signers;
pub mod ca_set;
pub mod certificate;
pub mod chain;
pub mod crl;
mod der;
pub mod fingerprint;
mod go;
mod go_names;
pub mod issuer;
pub mod key;
pub mod known_hosts;
pub mod lint;
mod made_by;
mod malformed;
pub mod material;
mod openssh_key;
mod parsed;
pub mod passphrase;
pub mod pem;
pub mod reason;
pub mod request;
pub mod ssh;
pub mod untrusted;
pub mod verified;
pub mod violation;
