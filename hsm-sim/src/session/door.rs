//! The login, and the count of wrong PINs that locks it.

use std::io;
use std::sync::PoisonError;

use hsm::message::v1;
use hsm::{HsmError, Pin};

use super::{Desk, Session};
use crate::Fault;
use crate::model::PIN_TRIES;

impl Desk {
    pub(super) fn log_in(
        &self,
        session: &mut Session,
        pin: &[u8],
        fault: Fault,
    ) -> Result<(), v1::Failure> {
        // One at a time: each counts as wrong until it is known to be right, so that a process that
        // is killed meanwhile has not given a try away.
        let _door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = self.state().wrong_pins;
        if wrong >= PIN_TRIES {
            let text = "too many wrong PINs were given";
            return Err(v1::Failure::new(v1::Code::PinLocked, text));
        }
        self.count(wrong + 1)?;
        let right = match fault {
            Fault::WrongPin => Err(HsmError::WrongPin),
            _ => Pin::parse(pin)
                .map_err(|_| HsmError::WrongPin)
                .and_then(|pin| self.token.check_pin(&pin)),
        };
        match right {
            Ok(()) => self.count(0)?,
            Err(HsmError::WrongPin) => return Err(HsmError::WrongPin.into()),
            Err(error) => {
                self.count(wrong)?;
                return Err(error.into());
            }
        }
        let mut state = self.state();
        let most = self.model.sessions;
        if most.is_some_and(|most| state.sessions >= most) {
            let text = format!("all of its {} sessions are in use", state.sessions);
            return Err(v1::Failure::new(v1::Code::TooManySessions, text));
        }
        state.sessions += 1;
        session.logged_in = true;
        Ok(())
    }

    /// Sets the count of wrong PINs, and keeps it where a restart finds it.
    fn count(&self, wrong: u32) -> Result<(), HsmError> {
        if let Some(tries) = &self.model.tries {
            let unavailable = |error: io::Error| HsmError::Unavailable {
                reason: format!("it cannot count wrong PINs: {error}"),
            };
            tries.write(wrong).map_err(unavailable)?;
        }
        self.state().wrong_pins = wrong;
        Ok(())
    }
}
