//! Opens a session with a token: loads the module, finds the token, and logs in.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;

use super::super::Access;
use super::super::pins::{PinQuestion, Pins};
use crate::cluster::pkcs11_uri::Pkcs11Uri;
use crate::cluster::signer::TokenSigner;
use crate::pki::signer_error::TokenError;
use crate::sanitize::sanitized;

/// Opens a session, logged in. `writes` says whether a key is to be made.
pub(super) fn session(
    signer: &TokenSigner,
    access: &Access,
    writes: bool,
    pins: &mut dyn Pins,
) -> Result<Session, TokenError> {
    let module = load(signer, access)?;
    let (slot, info) = token(&module, &signer.uri)?;
    let opened = match writes {
        true => module.open_rw_session(slot),
        false => module.open_ro_session(slot),
    };
    let session = opened.map_err(|error| refused(&error))?;
    log_in(&session, &info, signer, access, pins)?;
    Ok(session)
}

fn load(signer: &TokenSigner, access: &Access) -> Result<Pkcs11, TokenError> {
    let named = [&signer.module, &signer.uri.module_path, &access.signer_env.module].into_iter().flatten().next();
    let named = named.ok_or(TokenError::NoModule)?;
    // A name without a slash is looked up where the system has its libraries.
    let path = if named.contains('/') { access.folder.join(named) } else { named.into() };
    let failed = |error: &Error| {
        let reason = match error {
            Error::LibraryLoading(error) => error.to_string(),
            error => error.to_string(),
        };
        TokenError::Module { path: path.clone(), reason: sanitized(&reason) }
    };
    let module = Pkcs11::new(&path).map_err(|error| failed(&error))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another CA's key is in a token of the same module.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(failed(&error)),
    }
}

/// Finds the one token that the URI names.
fn token(module: &Pkcs11, uri: &Pkcs11Uri) -> Result<(Slot, TokenInfo), TokenError> {
    let slots = module.get_slots_with_initialized_token().map_err(|error| refused(&error))?;
    let info = |slot: Slot| module.get_token_info(slot).ok().map(|info| (slot, info));
    let all: Vec<(Slot, TokenInfo)> = slots.into_iter().filter_map(info).collect();
    let labels = |tokens: &[(Slot, TokenInfo)]| tokens.iter().map(|(_, info)| sanitized(info.label())).collect();
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end());
    let is_named = |(_, info): &(Slot, TokenInfo)| {
        is(&uri.token, info.label())
            && is(&uri.serial, info.serial_number())
            && is(&uri.model, info.model())
            && is(&uri.manufacturer, info.manufacturer_id())
    };
    let found: Vec<String> = labels(&all);
    let mut named: Vec<_> = all.into_iter().filter(is_named).collect();
    match (named.pop(), named.is_empty()) {
        (Some(token), true) => Ok(token),
        (None, _) => Err(TokenError::NoToken { found }),
        (Some(_), false) => Err(TokenError::SeveralTokens(named.len() + 1)),
    }
}

/// Logs in, with a PIN that is tried once.
fn log_in(
    session: &Session,
    info: &TokenInfo,
    signer: &TokenSigner,
    access: &Access,
    pins: &mut dyn Pins,
) -> Result<(), TokenError> {
    let state = session.get_session_info().map_err(|error| refused(&error))?.session_state();
    // The login of another session counts for all.
    if !info.login_required() || matches!(state, SessionState::RoUser | SessionState::RwUser) {
        return Ok(());
    }
    if info.user_pin_locked() {
        return Err(TokenError::PinLocked);
    }
    let pin = match info.protected_authentication_path() {
        // The PIN is typed on the device itself.
        true => None,
        false => {
            let question = PinQuestion {
                token: sanitized(info.label()),
                source: signer.uri.pin_source.as_ref().map(|path| access.folder.join(path)),
                is_last_try: info.user_pin_final_try(),
            };
            let pin = pins.pin(&question).map_err(TokenError::NoPin)?;
            Some(RawAuthPin::new(Box::new(pin.expose().to_vec())))
        }
    };
    let tried = match &pin {
        Some(pin) => session.login_with_raw(UserType::User, pin),
        None => session.login(UserType::User, None),
    };
    tried.or_else(|error| match error {
        Error::Pkcs11(RvError::UserAlreadyLoggedIn, _) => Ok(()),
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            Err(TokenError::WrongPin)
        }
        Error::Pkcs11(RvError::PinLocked, _) => Err(TokenError::PinLocked),
        Error::Pkcs11(RvError::UserPinNotInitialized, _) => Err(TokenError::NoUser),
        error => Err(refused(&error)),
    })
}

/// Returns the error of a call that the module or the token refused.
pub(super) fn refused(error: &Error) -> TokenError {
    match error {
        Error::Pkcs11(
            RvError::MechanismInvalid
            | RvError::KeyTypeInconsistent
            | RvError::KeyFunctionNotPermitted
            | RvError::KeySizeRange
            | RvError::CurveNotSupported,
            function @ (Function::SignInit | Function::Sign | Function::GenerateKeyPair),
        ) => TokenError::Mechanism(format!("{function:?}")),
        Error::Pkcs11(RvError::DeviceRemoved | RvError::TokenNotPresent | RvError::SessionHandleInvalid, _) => {
            TokenError::Gone
        }
        // The error's description is a paragraph; its name is what a search finds.
        Error::Pkcs11(value, function) => TokenError::Refused(format!("{function:?}: {value:?}")),
        error => TokenError::Refused(sanitized(&error.to_string())),
    }
}
