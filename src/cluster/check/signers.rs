//! Checks `signers`.

use super::errors::Errors;
use crate::cluster::config_error::Reason;
use crate::cluster::signer::{
    DEFAULT_TIMEOUT, ExecSigner, RawSigner, RawSigners, Signer, SignerError, Signers, parse_timeout,
};

pub(super) fn parse(raw: &RawSigners, errors: &mut Errors) -> Signers {
    Signers {
        cluster: raw.cluster.as_ref().and_then(|raw| signer("signers.cluster", raw, errors)),
        etcd: raw.etcd.as_ref().and_then(|raw| signer("signers.etcd", raw, errors)),
        front_proxy: raw.front_proxy.as_ref().and_then(|raw| signer("signers.front-proxy", raw, errors)),
    }
}

fn signer(path: &str, raw: &RawSigner, errors: &mut Errors) -> Option<Signer> {
    let wrong = |error| Reason::Signer(error);
    let timeout = match &raw.timeout {
        None => Some(DEFAULT_TIMEOUT),
        Some(text) => errors.parsed(&format!("{path}.timeout"), text, parse_timeout(text).map_err(wrong)),
    };
    let Some(exec) = &raw.exec else {
        errors.add(path, None, wrong(SignerError::NoHolder));
        return None;
    };
    let before = errors.0.len();
    for (i, text) in exec.iter().enumerate().filter(|(_, text)| text.contains('\0')) {
        errors.add(&format!("{path}.exec[{i}]"), Some(text.clone()), wrong(SignerError::Nul));
    }
    match exec.split_first() {
        Some((program, args)) if !program.trim().is_empty() => {
            let (program, args) = (program.clone(), args.to_vec());
            (errors.0.len() == before).then_some(())?;
            Some(Signer::Exec(ExecSigner { program, args, timeout: timeout? }))
        }
        _ => {
            errors.add(&format!("{path}.exec"), None, wrong(SignerError::NoProgram));
            None
        }
    }
}
