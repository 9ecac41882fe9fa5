//! What a person gives a command: passphrases, keys, templates.

pub(crate) mod passphrase;
pub(crate) mod secrets;
pub(crate) mod ssh_keys;
pub(crate) mod templates;
