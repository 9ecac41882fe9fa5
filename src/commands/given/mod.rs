//! What a person gives a command: passphrases, keys, templates; and the key that is refused where a file was to be named.

pub(crate) mod passphrase;
pub(crate) mod secrets;
pub(crate) mod ssh_keys;
pub(crate) mod templates;
