//! One client's connection: requests in, responses out, and the fault that is on between them.
//!
//! A login comes before every command but describe, fault and status. A client that sends
//! something that is no request is cut off.

mod door;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hsm::message::v1::request::Command;
use hsm::message::v1::response::Outcome;
use hsm::message::{self, RANDOM_MAX, v1};
use hsm::{Hsm, HsmError, Key, SoftToken};

use crate::Fault;
use crate::generator::Generator;
use crate::model::{Model, PIN_TRIES};
use crate::names::{key, log, settle, use_name};

/// What [`Fault::Slow`] adds to a command.
const SLOW: Duration = Duration::from_secs(2);

/// Which command of all finds its login forgotten under [`Fault::SessionLost`]: each eighth.
const FORGETS: u64 = 8;

/// The token, and what every session knows of it.
pub(crate) struct Desk {
    token: Arc<SoftToken>,
    model: Model,
    state: Mutex<State>,
    /// Held while a PIN is tried.
    door: Mutex<()>,
    /// Told when the fault is switched or the desk closes, which ends a slow command's wait.
    changed: Condvar,
}

struct State {
    fault: Fault,
    /// Whether [`Fault::ReplyLost`] takes the next reply.
    lose_next: bool,
    /// No further command is waited for; set once.
    closed: bool,
    /// What the generator's fault is made of; begun anew with each switch.
    generator: Generator,
    /// Commands answered, by key label and command name.
    uses: BTreeMap<String, u64>,
    /// Commands that came, whatever became of them.
    came: u64,
    /// How often the token was reset; a session of an earlier time is cut off.
    resets: u64,
    /// Sessions that are logged in.
    sessions: usize,
    /// Wrong PINs since the last right one.
    wrong_pins: u32,
}

fn busy() -> v1::Response {
    let reason = "it is busy".to_owned();
    HsmError::Unavailable { reason }.into()
}

fn signs_log(command: &Command) -> bool {
    matches!(command, Command::Sign(it) if key(&it.key).is_ok_and(|key| key == Key::Log))
}

/// One client's session.
struct Session {
    number: u64,
    logged_in: bool,
    /// [`State::resets`] when it began.
    resets: u64,
}

impl Desk {
    pub(crate) fn new(token: Arc<SoftToken>, model: Model) -> Desk {
        let state = State {
            fault: Fault::None,
            lose_next: true,
            closed: false,
            generator: Generator::default(),
            uses: BTreeMap::new(),
            came: 0,
            resets: 0,
            sessions: 0,
            wrong_pins: model.tries.as_ref().map_or(0, |tries| tries.found),
        };
        Desk {
            token,
            model,
            state: Mutex::new(state),
            door: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.state().fault
    }

    pub(crate) fn commands(&self) -> u64 {
        self.state().uses.values().sum()
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        let mut state = self.state();
        if fault == Fault::Reset {
            state.resets += 1;
            state.fault = Fault::None;
        } else {
            state.fault = fault;
        }
        state.lose_next = true;
        state.generator = Generator::default();
        self.changed.notify_all();
        drop(state);
        tracing::info!(%fault, "fault switched");
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Answers one client until it hangs up or a fault cuts it off.
    ///
    /// # Errors
    ///
    /// What the stream says, or that it carried something that is no request.
    pub(crate) fn serve(&self, number: u64, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let mut session = Session {
            number,
            logged_in: false,
            resets: self.state().resets,
        };
        let ended = self.attend(&mut session, stream);
        self.log_out(&mut session);
        ended
    }

    fn attend(&self, session: &mut Session, stream: &mut (impl Read + Write)) -> io::Result<()> {
        while let Some(request) = message::read::<v1::Request>(stream)? {
            let command = request.command.ok_or(io::ErrorKind::InvalidData)?;
            let Some(mut response) = self.respond(command, session) else {
                return Ok(());
            };
            let written = message::write(stream, &response);
            response.wipe();
            written?;
        }
        Ok(())
    }

    /// `None` when the fault that is on eats the command or its reply.
    fn respond(&self, command: Command, session: &mut Session) -> Option<v1::Response> {
        match command {
            Command::Fault(v1::Fault { name }) => return Some(self.switch(&name)),
            Command::Status(_) => return Some(settle(self.status())),
            _ => {}
        }
        let (fault, came, resets) = {
            let mut state = self.state();
            state.came += 1;
            (state.fault, state.came, state.resets)
        };
        if session.resets != resets {
            return None;
        }
        match fault {
            Fault::Gone => return None,
            Fault::Busy => return Some(busy()),
            Fault::LogUnsigned if signs_log(&command) => {
                self.set_fault(Fault::None);
                return Some(busy());
            }
            Fault::Slow => self.linger(Fault::Slow, SLOW),
            Fault::Paused => self.linger(Fault::Paused, Duration::MAX),
            Fault::SessionLost if came.is_multiple_of(FORGETS) => self.log_out(session),
            // Broken, and as ready to answer as a sound one.
            _ => {}
        }
        let is_login = matches!(command, Command::Login(_));
        let name = use_name(&command);
        let response = settle(self.answer(command, session, fault));
        *self.state().uses.entry(name.clone()).or_default() += 1;
        if let Some(audit) = &self.model.audit {
            audit.write(session.number, &name, &response);
        }
        if !is_login && self.loses_reply() {
            None
        } else {
            Some(response)
        }
    }

    fn answer(
        &self,
        command: Command,
        session: &mut Session,
        fault: Fault,
    ) -> Result<v1::Response, v1::Failure> {
        match &command {
            Command::Login(login) => {
                self.log_out(session);
                self.log_in(session, &login.pin, fault)?;
                Ok(v1::Response::done(Vec::new()))
            }
            Command::Describe(_) => {
                let outcome = Outcome::Description(self.description()?);
                Ok(v1::Response {
                    outcome: Some(outcome),
                })
            }
            _ if !session.logged_in => Err(v1::Failure::new(v1::Code::NotLoggedIn, "log in first")),
            Command::HighWater(it) => {
                let size = self.token.high_water(log(&it.log)?)?;
                Ok(v1::Response {
                    outcome: Some(Outcome::Mark(v1::Mark { size })),
                })
            }
            _ => {
                let begun = Instant::now();
                let answer = match &command {
                    Command::Random(_) => self.use_key(&command),
                    _ if fault == Fault::KeyMissing => {
                        let text = "no key has this label";
                        Err(v1::Failure::new(v1::Code::NoSuchKey, text))
                    }
                    _ => self.use_key(&command),
                };
                // What its own work took is part of what a command takes.
                let rest = self.model.latency.saturating_sub(begun.elapsed());
                if !rest.is_zero() {
                    std::thread::sleep(rest);
                }
                answer.map(v1::Response::done)
            }
        }
    }

    fn log_out(&self, session: &mut Session) {
        if std::mem::take(&mut session.logged_in) {
            self.state().sessions -= 1;
        }
    }

    /// The commands that are behind the login.
    fn use_key(&self, command: &Command) -> Result<Vec<u8>, v1::Failure> {
        let token = &self.token;
        let done = match command {
            Command::Random(v1::Random { length }) => self.random(*length as usize)?,
            Command::Mac(it) => token.mac(key(&it.key)?, &it.data)?.to_vec(),
            Command::Sign(it) => token.sign(key(&it.key)?, &it.message)?,
            Command::PublicKey(it) => token.public_key(key(&it.key)?)?,
            Command::Wrap(it) => match <[u8; 12]>::try_from(&it.nonce[..]) {
                Ok(nonce) => token.wrap_with(key(&it.key)?, &it.aad, &it.plaintext, nonce)?,
                Err(_) if it.nonce.is_empty() => {
                    token.wrap(key(&it.key)?, &it.aad, &it.plaintext)?
                }
                Err(_) => {
                    let text = "a nonce has 12 bytes";
                    return Err(v1::Failure::new(v1::Code::Refused, text));
                }
            },
            Command::Unwrap(it) => {
                let mut plain = token.unwrap(key(&it.key)?, &it.aad, &it.wrapped)?;
                // Moved, not copied: the response is wiped once it was written.
                std::mem::take(&mut *plain)
            }
            Command::MakeKey(it) => {
                token.make_key(key(&it.key)?)?;
                Vec::new()
            }
            Command::RaiseHighWater(it) => {
                token.raise_high_water(log(&it.log)?, it.size)?;
                Vec::new()
            }
            Command::Login(_)
            | Command::Describe(_)
            | Command::Fault(_)
            | Command::Status(_)
            | Command::HighWater(_) => {
                unreachable!("answered before a login is asked for")
            }
        };
        Ok(done)
    }

    /// Random bytes, of a generator as good as the fault lets it be.
    fn random(&self, length: usize) -> Result<Vec<u8>, HsmError> {
        if !(1..=RANDOM_MAX).contains(&length) {
            let reason = format!("1 to {RANDOM_MAX} random bytes are given at once");
            return Err(HsmError::Refused { reason });
        }
        let mut bytes = vec![0; length];
        let fair = |out: &mut [u8]| self.token.random(out);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut state = self.state();
        let fault = state.fault;
        state
            .generator
            .fill(fault, &mut bytes, &fair, now.as_secs())?;
        Ok(bytes)
    }

    fn switch(&self, name: &str) -> v1::Response {
        match Fault::from_name(name) {
            Some(fault) => {
                self.set_fault(fault);
                v1::Response::done(Vec::new())
            }
            None => {
                let names = Fault::ALL.map(Fault::name).join(", ");
                v1::Response::failure(v1::Code::Refused, format!("the faults are {names}"))
            }
        }
    }

    fn status(&self) -> Result<v1::Response, v1::Failure> {
        let token = Some(self.description()?);
        let state = self.state();
        let fault = match state.fault {
            Fault::None => String::new(),
            fault => fault.name().to_owned(),
        };
        let report = v1::StatusReport {
            token,
            fault,
            uses: state.uses.clone(),
            sessions: state.sessions as u64,
            resets: state.resets,
        };
        Ok(v1::Response {
            outcome: Some(Outcome::Status(report)),
        })
    }

    fn description(&self) -> Result<v1::Description, HsmError> {
        let it = self.token.describe()?;
        let wrong = self.state().wrong_pins;
        Ok(v1::Description {
            model: it.model,
            serial: it.serial,
            firmware: it.firmware,
            simulated: it.simulated,
            pin_tries: (wrong > 0).then(|| PIN_TRIES - wrong),
        })
    }

    /// Waits for so long, or until another fault is on.
    fn linger(&self, on: Fault, most: Duration) {
        let state = self.state();
        let still = |state: &mut State| state.fault == on && !state.closed;
        let waited = self.changed.wait_timeout_while(state, most, still);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn loses_reply(&self) -> bool {
        let mut state = self.state();
        if state.fault != Fault::ReplyLost {
            return false;
        }
        let lose = state.lose_next;
        state.lose_next = !lose;
        lose
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
