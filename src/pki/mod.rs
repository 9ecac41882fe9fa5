//! Keys, certificates, requests and CRLs: parsed, checked and issued.
//!
//! Nothing here touches a file, a clock or a terminal; time is an argument.

pub mod allowed_signers;
pub mod ca_certificate;
pub mod ca_key;
pub mod ca_set;
pub mod certificate;
pub mod chain;
pub mod credential;
pub mod crl;
mod der;
pub mod fields;
pub mod fingerprint;
mod go;
mod go_names;
pub mod issue_error;
pub mod issuer;
pub mod key;
mod key_encryption;
mod key_error;
pub mod key_facts;
mod key_pair;
pub mod known_hosts;
pub mod lint;
pub mod local_key;
mod malformed;
pub mod material;
pub mod new_ca;
mod openssh_key;
mod params;
mod parsed;
pub mod passphrase;
pub mod pem;
pub mod public_key;
mod rcgen_keys;
pub mod reason;
pub mod request;
mod signature;
pub mod signer_error;
pub mod signing_key;
pub mod ssh;
pub mod token_key;
pub mod trust_bundle;
mod unsigned;
pub mod untrusted;
pub mod verified;
pub mod violation;
