//! The source of a token's PIN: the file that the cluster file names, the environment, or a prompt.

use super::passphrase_file::pin_of_file;
use crate::cli::context::Context;
use crate::pki::passphrase::Passphrase;
use crate::signers::SignerEnv;
use crate::signers::pins::{PinQuestion, Pins};

/// The environment variable that may hold the PIN.
const VARIABLE: &str = "CLUSTERCTL_PIN";
/// The environment variable that may name the module.
const MODULE: &str = "CLUSTERCTL_PKCS11_MODULE";

/// Returns the facts about this process that holders of keys depend on: whether there is a terminal, and the module.
pub(crate) fn signer_env(context: &Context<'_>) -> SignerEnv {
    SignerEnv { has_terminal: context.prompts.is_some(), module: context.variable(MODULE).map(str::to_owned) }
}

/// Reads PINs from these sources.
pub(crate) struct PinsOf<'c, 'w>(pub(crate) &'c mut Context<'w>);

impl Pins for PinsOf<'_, '_> {
    fn pin(&mut self, question: &PinQuestion) -> Result<Passphrase, String> {
        let Self(context) = self;
        if let Some(path) = &question.source {
            return pin_of_file(path, context).map_err(|error| error.to_string());
        }
        if let Some(pin) = context.variable(VARIABLE) {
            return Ok(Passphrase::new(pin.to_owned()));
        }
        if question.is_last_try {
            context.screen.warn(format_args!("the token {} locks after one more wrong PIN", question.token));
        }
        let Some(prompts) = &mut context.prompts else {
            return Err("there is no terminal to ask on".to_owned());
        };
        let typed = prompts.passphrase(&format!("PIN of the token {}", question.token));
        match typed {
            Ok(pin) if pin.is_empty() => Err("none was typed".to_owned()),
            Ok(pin) => Ok(pin),
            Err(error) => Err(error.to_string()),
        }
    }
}
