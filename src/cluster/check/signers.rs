//! Checks `signers`.

use super::errors::Errors;
use crate::cluster::config_error::Reason;
use crate::cluster::pkcs11_uri::Pkcs11Uri;
use crate::cluster::signer::{
    DEFAULT_TIMEOUT, ExecSigner, RawSigner, RawSigners, Signer, SignerError, Signers, TokenSigner, parse_timeout,
};

pub(super) fn parse(raw: &RawSigners, errors: &mut Errors) -> Signers {
    Signers {
        cluster: raw.cluster.as_ref().and_then(|raw| signer("signers.cluster", raw, errors)),
        etcd: raw.etcd.as_ref().and_then(|raw| signer("signers.etcd", raw, errors)),
        front_proxy: raw.front_proxy.as_ref().and_then(|raw| signer("signers.front-proxy", raw, errors)),
        next_cluster: raw.next_cluster.as_ref().and_then(|raw| signer("signers.next-cluster", raw, errors)),
    }
}

fn signer(path: &str, raw: &RawSigner, errors: &mut Errors) -> Option<Signer> {
    let before = errors.0.len();
    for (key, value, holder, is_named) in
        [("timeout", &raw.timeout, "exec", raw.exec.is_some()), ("module", &raw.module, "pkcs11", raw.pkcs11.is_some())]
    {
        if value.is_some() && !is_named {
            errors.add(&format!("{path}.{key}"), value.clone(), Reason::Signer(SignerError::OfOther(holder)));
        }
    }
    let signer = match (&raw.exec, &raw.pkcs11) {
        (Some(exec), None) => program(path, exec, raw.timeout.as_deref(), errors).map(Signer::Exec),
        (None, Some(uri)) => token(path, uri, raw.module.as_deref(), errors).map(Signer::Pkcs11),
        (found, _) => {
            let error = if found.is_some() { SignerError::TwoHolders } else { SignerError::NoHolder };
            errors.add(path, None, Reason::Signer(error));
            None
        }
    };
    signer.filter(|_| errors.0.len() == before)
}

fn program(path: &str, exec: &[String], timeout: Option<&str>, errors: &mut Errors) -> Option<ExecSigner> {
    let timeout = match timeout {
        None => Some(DEFAULT_TIMEOUT),
        Some(text) => errors.parsed(&format!("{path}.timeout"), text, parse_timeout(text).map_err(Reason::Signer)),
    };
    for (i, text) in exec.iter().enumerate().filter(|(_, text)| text.contains('\0')) {
        errors.add(&format!("{path}.exec[{i}]"), Some(text.clone()), Reason::Signer(SignerError::Nul));
    }
    match exec.split_first() {
        Some((program, args)) if !program.trim().is_empty() => {
            Some(ExecSigner { program: program.clone(), args: args.to_vec(), timeout: timeout? })
        }
        _ => {
            errors.add(&format!("{path}.exec"), None, Reason::Signer(SignerError::NoProgram));
            None
        }
    }
}

fn token(path: &str, uri: &str, module: Option<&str>, errors: &mut Errors) -> Option<TokenSigner> {
    let parsed = Pkcs11Uri::parse(uri).map_err(|error| Reason::Signer(error.into()));
    let uri = errors.parsed(&format!("{path}.pkcs11"), uri, parsed)?;
    if module.is_some_and(|module| module.trim().is_empty() || module.contains('\0')) {
        errors.add(&format!("{path}.module"), module.map(str::to_owned), Reason::Path);
    }
    Some(TokenSigner { uri, module: module.map(str::to_owned) })
}
