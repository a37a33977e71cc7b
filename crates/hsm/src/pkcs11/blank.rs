//! Making a token where the module has room for one.
//!
//! Tokens of production are initialised with their maker's tool, by their security officer. This is
//! for those that are files: a demo's, a test's.

use std::path::Path;

use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use super::library::Library;
use super::sessions::said;
use crate::{HsmError, Pin};

/// Initialises the first blank token of `module` with a label and both PINs.
pub(crate) fn initialize(
    module: &Path,
    label: &str,
    officer: &Pin,
    pin: &Pin,
) -> Result<(), HsmError> {
    let (officer, pin) = (auth(officer)?, auth(pin)?);
    let library = Library::load(module)?;
    let _inside = library.enter();
    let context = library.context();
    let said = |error: cryptoki::error::Error| HsmError::refused(said(&error));
    let slots = context.get_slots_with_token().map_err(said)?;
    let blank = slots.into_iter().find(|slot| {
        context
            .get_token_info(*slot)
            .is_ok_and(|info| !info.token_initialized())
    });
    let blank = blank.ok_or_else(|| HsmError::refused("the module has no blank token"))?;
    context.init_token(blank, &officer, label).map_err(said)?;
    let session = context.open_rw_session(blank).map_err(said)?;
    session.login(UserType::So, Some(&officer)).map_err(said)?;
    session.init_pin(&pin).map_err(said)?;
    session.logout().map_err(said)?;
    Ok(())
}

fn auth(pin: &Pin) -> Result<AuthPin, HsmError> {
    let text = pin.expose(|pin| String::from_utf8(pin.to_vec()));
    let text = text.map_err(|_| HsmError::refused("a new token's PINs are UTF-8"))?;
    Ok(AuthPin::new(text.into()))
}
