//! The sessions of one token: a bounded pool, each logged in, opened again after a loss.
//!
//! A command whose session was lost (a reset, a pulled cable, a module that forgot us) is asked
//! once more after the module was begun anew: every command may be repeated without harm. What
//! waits for a free session while that fails is told so too, instead of trying one by one.
//!
//! A PIN is tried once. Before that the token's own flags are read: one that counts a wrong PIN
//! already is not given another, because the next start, and the next, would lock it.

mod fault;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Limit, Slot, TokenInfo};
use cryptoki::types::RawAuthPin;

use super::library::Library;
use crate::{HsmError, Pin};

pub(crate) use fault::{Fault, said};

/// The sessions of the token with one label.
pub(crate) struct Sessions {
    library: Arc<Library>,
    label: String,
    pin: Pin,
    places: Mutex<Places>,
    /// Told once each time a place becomes free, and to all when the token was lost.
    freed: Condvar,
    door: Mutex<Door>,
    /// Told to all when a turn at the door has ended.
    passed: Condvar,
}

#[derive(Default)]
struct Door {
    /// Some thread has its turn: of many who would try a wrong PIN one does, and of many who would
    /// wait for a token that hangs one waits.
    taken: bool,
    /// The PIN was wrong, which holds for as long as this process lives: real tokens lock.
    wrong: bool,
    /// The beginning of the module in which we logged in last.
    opened: Option<u64>,
}

/// `idle.len() + lent <= most` always.
struct Places {
    idle: Vec<Open>,
    lent: usize,
    most: usize,
    /// Calls that failed also on a new session: those who waited meanwhile are not tried.
    broke: u64,
}

/// A session, and the beginning of the module it belongs to.
struct Open {
    session: Session,
    epoch: u64,
}

impl Sessions {
    /// Opens nothing yet. `most` sessions at once, fewer when the token says so.
    pub(crate) fn new(library: Arc<Library>, label: &str, pin: Pin, most: usize) -> Sessions {
        let places = Places {
            idle: Vec::new(),
            lent: 0,
            most: most.max(1),
            broke: 0,
        };
        Sessions {
            library,
            label: label.to_owned(),
            pin,
            places: Mutex::new(places),
            freed: Condvar::new(),
            door: Mutex::default(),
            passed: Condvar::new(),
        }
    }

    /// Runs `act` with a session that is logged in, and the beginning it belongs to; once more
    /// when it was lost.
    pub(crate) fn call<R>(
        &self,
        act: impl Fn(&Session, u64) -> Result<R, Fault>,
    ) -> Result<R, HsmError> {
        loop {
            let mut lease = self.lease()?;
            match self.twice(&mut lease, &act) {
                Ok(done) => return Ok(done),
                Err(Fault::Said(error)) => return Err(error),
                // With fewer places than before, until one is left.
                Err(Fault::Full) if self.shrink() => {}
                Err(Fault::Full) => {
                    let reason = "others hold all of its sessions";
                    return Err(HsmError::unavailable(reason));
                }
                Err(Fault::Lost(why)) => {
                    self.tell();
                    return Err(HsmError::unavailable(why));
                }
            }
        }
    }

    fn twice<R>(
        &self,
        lease: &mut Lease<'_>,
        act: &impl Fn(&Session, u64) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let (first, epoch) = match self.once(lease, act) {
            Err((Fault::Lost(why), epoch)) => (why, epoch),
            other => return other.map_err(|(fault, _)| fault),
        };
        if let Err(HsmError::Unavailable { reason }) = self.library.renew(epoch) {
            return Err(Fault::Lost(reason));
        }
        self.once(lease, act).map_err(|(fault, _)| match fault {
            Fault::Lost(second) if second != first => {
                Fault::Lost(format!("{first}, and after a new login {second}"))
            }
            other => other,
        })
    }

    /// Does with one session less than are in use. False when that leaves none.
    fn shrink(&self) -> bool {
        let mut places = self.places();
        places.most = places.lent.saturating_sub(1).max(1);
        places.lent > 1
    }

    /// The token's own account of itself.
    pub(crate) fn token_info(&self, session: &Session) -> Result<TokenInfo, Fault> {
        let slot = session.get_session_info()?.slot_id();
        Ok(self.library.context().get_token_info(slot)?)
    }

    /// The mechanisms of the token behind a session.
    pub(crate) fn mechanisms(
        &self,
        session: &Session,
    ) -> Result<Vec<cryptoki::mechanism::MechanismType>, Fault> {
        let slot = session.get_session_info()?.slot_id();
        Ok(self.library.context().get_mechanism_list(slot)?)
    }

    fn once<R>(
        &self,
        lease: &mut Lease<'_>,
        act: &impl Fn(&Session, u64) -> Result<R, Fault>,
    ) -> Result<R, (Fault, u64)> {
        let epoch = self.library.enter();
        let open = match lease.open.take().filter(|open| open.epoch == *epoch) {
            Some(open) => open,
            None => self.open(*epoch).map_err(|fault| (fault, *epoch))?,
        };
        let done = act(&open.session, *epoch);
        match done {
            // Not closed: the module is begun anew, which closes them all.
            Err(Fault::Lost(why)) => Err((Fault::Lost(why), *epoch)),
            other => {
                lease.open = Some(open);
                other.map_err(|fault| (fault, *epoch))
            }
        }
    }

    /// A place in the pool, with an idle session if there is one.
    fn lease(&self) -> Result<Lease<'_>, HsmError> {
        let mut places = self.places();
        let broke = places.broke;
        while places.idle.is_empty() && places.lent >= places.most {
            places = self
                .freed
                .wait(places)
                .unwrap_or_else(PoisonError::into_inner);
            if places.broke != broke {
                // Another one may wait for the place that was offered to this one.
                self.freed.notify_one();
                return Err(lost_meanwhile());
            }
        }
        let open = places.idle.pop();
        places.lent += 1;
        Ok(Lease {
            sessions: self,
            open,
        })
    }

    /// Opens a session and logs in, unless the application is logged in already.
    fn open(&self, epoch: u64) -> Result<Open, Fault> {
        let (slot, info) = self.slot()?;
        if let Limit::Max(cap) = info.max_rw_session_count() {
            let mut places = self.places();
            places.most = places.most.min(cap.max(1) as usize);
        }
        let session = self.library.context().open_rw_session_no_drop(slot)?;
        if !self.library.is_new(session.handle()) {
            return Err(Fault::Lost("it was reset".to_owned()));
        }
        self.login(&session, slot, epoch)?;
        Ok(Open { session, epoch })
    }

    /// The slot of the one token with our label.
    fn slot(&self) -> Result<(Slot, TokenInfo), Fault> {
        let context = self.library.context();
        let mut found = Vec::new();
        for slot in context.get_slots_with_token()? {
            // A token that is pulled between the list and the question is not ours to report.
            let Ok(info) = context.get_token_info(slot) else {
                continue;
            };
            if info.label() == self.label {
                found.push((slot, info));
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Fault::Said(HsmError::refused(format!(
                "several tokens are labelled {}: give each a label of its own",
                self.label
            )))),
            (None, _) => Err(Fault::Lost(format!(
                "{} shows no token labelled {}",
                self.library.path().display(),
                self.label
            ))),
        }
    }

    /// Logs in, one at a time. Whoever waited while a login failed is told then, also when another
    /// one comes first and tries again.
    fn login(&self, session: &Session, slot: Slot, epoch: u64) -> Result<(), Fault> {
        let broke = self.places().broke;
        let mut door = self.door();
        while door.taken {
            door = self
                .passed
                .wait(door)
                .unwrap_or_else(PoisonError::into_inner);
            if self.places().broke != broke {
                return Err(Fault::Said(lost_meanwhile()));
            }
        }
        door.taken = true;
        drop(door);
        let _turn = Turn(self);
        self.log_in(session, slot, epoch)
    }

    /// Logs in, in a turn of its own.
    fn log_in(&self, session: &Session, slot: Slot, epoch: u64) -> Result<(), Fault> {
        if is_logged_in(session)? {
            self.door().opened = Some(epoch);
            return Ok(());
        }
        let (wrong, opened) = {
            let door = self.door();
            (door.wrong, door.opened)
        };
        if wrong {
            return Err(Fault::Said(HsmError::WrongPin));
        }
        // Logged in before and now not: what was known of its keys is as old as that login.
        if opened == Some(epoch) {
            return Err(Fault::Lost("it forgot the login".to_owned()));
        }
        may_try(&self.library.context().get_token_info(slot)?, &self.label)?;
        let pin = self
            .pin
            .expose(|pin| RawAuthPin::new(Box::new(pin.to_vec())));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                self.door().opened = Some(epoch);
                Ok(())
            }
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                self.door().wrong = true;
                Err(Fault::Said(HsmError::WrongPin))
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(Fault::Said(locked(&self.label))),
            Err(error) => {
                self.tell();
                Err(error.into())
            }
        }
    }

    /// Whoever waits for a place is told at once that the token is lost: woken one by one, they would
    /// stay behind whoever comes next, takes the place, and waits for the token as well.
    fn tell(&self) {
        self.places().broke += 1;
        self.freed.notify_all();
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether private objects are to be seen: without a login they are not found, as if they were not.
pub(crate) fn is_logged_in(session: &Session) -> Result<bool, Fault> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RwUser))
}

/// Whether the token's own flags leave room for a PIN that may be wrong.
fn may_try(info: &TokenInfo, label: &str) -> Result<(), HsmError> {
    if info.user_pin_locked() {
        return Err(locked(label));
    }
    if !info.user_pin_initialized() {
        return Err(HsmError::refused(format!(
            "token {label} has no user PIN yet: set one with the vendor's tool"
        )));
    }
    if info.user_pin_final_try() || info.user_pin_count_low() {
        let left = if info.user_pin_final_try() {
            "one more wrong PIN locks it"
        } else {
            "a wrong PIN was given to it"
        };
        return Err(HsmError::refused(format!(
            "token {label} was not given the PIN: {left}. Put the right PIN into its file, then \
             show it to the token once by hand (pkcs11-tool --login --token-label {label} \
             --list-objects), which clears its count"
        )));
    }
    Ok(())
}

fn locked(label: &str) -> HsmError {
    HsmError::refused(format!(
        "token {label} is locked after wrong PINs: its security officer sets a new one"
    ))
}

fn lost_meanwhile() -> HsmError {
    HsmError::unavailable("it was lost while this call waited")
}

/// One thread's turn to log in, which ends also after a panic.
struct Turn<'a>(&'a Sessions);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.door().taken = false;
        self.0.passed.notify_all();
    }
}

/// One of the pool's places in one thread's hands. Dropped, the place is free again, also after a
/// panic; the session is kept when its call did not lose it.
struct Lease<'a> {
    sessions: &'a Sessions,
    open: Option<Open>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut places = self.sessions.places();
        places.lent -= 1;
        places.idle.extend(self.open.take());
        drop(places);
        self.sessions.freed.notify_one();
    }
}
