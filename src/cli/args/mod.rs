//! Arguments and secrets that several commands take: passphrases, keys, templates, output formats.

pub(crate) mod backup_key;
pub(crate) mod ca_passphrase;
pub(crate) mod encryption;
pub(crate) mod hosts;
pub(crate) mod identity;
pub(crate) mod output;
pub(crate) mod passphrase_file;
pub(crate) mod pins;
pub(crate) mod secrets;
pub(crate) mod signing;
pub(crate) mod ssh_keys;
