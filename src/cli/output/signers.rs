//! Tokens and programs that hold CAs' keys, as text.

use crate::cluster::signer::Signer;

/// Returns the place of a key that is not in the cluster directory.
pub(crate) fn words(signer: &Signer) -> String {
    match signer {
        Signer::Exec(exec) => format!("with the program {}", exec.program),
        Signer::Pkcs11(token) => format!("in the token {}, as {}", token.uri.token_name(), token.uri.key_name()),
    }
}

/// Returns the kind of holder, as the cluster file names it.
pub(crate) fn kind(signer: &Signer) -> &'static str {
    match signer {
        Signer::Exec(_) => "exec",
        Signer::Pkcs11(_) => "pkcs11",
    }
}
