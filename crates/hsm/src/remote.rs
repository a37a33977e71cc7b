//! The client of a token elsewhere: [`Hsm`] over `proto/hsm/v1`, sans socket.
//!
//! A small pool of connections, each logged in once, so that many threads do not wait for one
//! another's round trips. A connection that breaks is thrown away and the command is asked again,
//! once, on a new one: every command may be repeated without harm, also when it was done and only
//! its reply was lost. A token that cannot be reached is said to be so at once; how long anything
//! may take is up to the streams that [`Connect`] makes, which should have time-outs.
//!
//! Deliberately absent: a breaker and its clock, which belong to the server; and a second try of a
//! PIN that was wrong, because real tokens lock.

use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::material::OVERHEAD;
use crate::message::v1::request::Command;
use crate::message::v1::response::Outcome;
use crate::message::{self, RANDOM_MAX, v1};
use crate::{Description, Hsm, HsmError, Key, Pin, bounded};

/// Connections at once; more threads wait for one to be free.
const POOL_MAX: usize = 8;

/// A connection's bytes, such as a Unix socket's.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Opens a connection to the token. Its reads and writes should time out.
pub type Connect = Box<dyn Fn() -> io::Result<Box<dyn Stream>> + Send + Sync>;

/// A token elsewhere. See the module's text.
pub struct RemoteToken {
    connect: Connect,
    pin: Pin,
    pool: Mutex<Pool>,
    /// Told once each time a connection is given back or thrown away.
    freed: Condvar,
}

/// `idle.len() + lent <= POOL_MAX` always.
struct Pool {
    /// Logged in and between commands.
    idle: Vec<Box<dyn Stream>>,
    /// In some thread's hands, or being opened by one.
    lent: usize,
}

impl RemoteToken {
    /// A client that connects when it is first asked something.
    pub fn new(connect: Connect, pin: Pin) -> RemoteToken {
        let pool = Mutex::new(Pool {
            idle: Vec::new(),
            lent: 0,
        });
        RemoteToken {
            connect,
            pin,
            pool,
            freed: Condvar::new(),
        }
    }

    /// Asks once, and once more on a new connection when the first one broke.
    fn call(&self, command: Command, key: Option<Key>) -> Result<Outcome, HsmError> {
        let request = v1::Request {
            command: Some(command),
        };
        let first = match self.ask(&request, false)? {
            Asked::Answered(outcome) => return settle(outcome, key),
            Asked::Broken(error) => error,
        };
        match self.ask(&request, true)? {
            Asked::Answered(outcome) => settle(outcome, key),
            Asked::Broken(second) => Err(HsmError::unavailable(format!(
                "the connection broke ({first}), and so did the next ({second})"
            ))),
        }
    }

    /// One command on one connection. `Err` when there is no connection to be had.
    fn ask(&self, request: &v1::Request, fresh: bool) -> Result<Asked, HsmError> {
        let mut lease = self.lease();
        let mut stream = match lease.stream.take() {
            Some(idle) if !fresh => idle,
            _ => self.open()?,
        };
        let error = match exchange(stream.as_mut(), request) {
            Ok(Outcome::Failure(failure)) if failure.code() == v1::Code::NotLoggedIn => {
                io::Error::other("the token forgot the login")
            }
            Ok(outcome) => {
                lease.stream = Some(stream);
                lease.healthy = true;
                return Ok(Asked::Answered(outcome));
            }
            Err(error) => error,
        };
        // Those beside it most likely broke with it, as when the token restarts.
        lock(&self.pool).idle.clear();
        Ok(Asked::Broken(error))
    }

    /// A place in the pool, with an idle connection if there is one.
    fn lease(&self) -> Lease<'_> {
        let mut pool = lock(&self.pool);
        while pool.idle.is_empty() && pool.lent >= POOL_MAX {
            pool = self
                .freed
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let stream = pool.idle.pop();
        pool.lent += 1;
        Lease {
            token: self,
            stream,
            healthy: false,
        }
    }

    /// Connects and logs in.
    fn open(&self) -> Result<Box<dyn Stream>, HsmError> {
        let unreachable = |error: io::Error| HsmError::unavailable(error.to_string());
        let mut stream = (self.connect)().map_err(unreachable)?;
        let login = self.pin.expose(|pin| v1::Login { pin: pin.to_vec() });
        let request = v1::Request {
            command: Some(Command::Login(login)),
        };
        match exchange(stream.as_mut(), &request).map_err(unreachable)? {
            Outcome::Done(_) => Ok(stream),
            Outcome::Failure(failure) => Err(failure.to_error(None)),
            _ => Err(out_of_turn()),
        }
    }

    /// A command that is answered by bytes.
    fn bytes(&self, command: Command, key: Option<Key>) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        match self.call(command, key)? {
            Outcome::Done(bytes) => Ok(Zeroizing::new(bytes)),
            _ => Err(out_of_turn()),
        }
    }
}

enum Asked {
    Answered(Outcome),
    Broken(io::Error),
}

/// One of the pool's places in one thread's hands. Dropped, the place is free again, also after a
/// panic or a failed login; the connection is kept only when its exchange went well.
struct Lease<'a> {
    token: &'a RemoteToken,
    stream: Option<Box<dyn Stream>>,
    healthy: bool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = lock(&self.token.pool);
        pool.lent -= 1;
        if self.healthy {
            pool.idle.extend(self.stream.take());
        }
        drop(pool);
        self.token.freed.notify_one();
    }
}

impl Hsm for RemoteToken {
    fn describe(&self) -> Result<Description, HsmError> {
        match self.call(Command::Describe(v1::Describe {}), None)? {
            Outcome::Description(it) => Ok(Description {
                model: it.model,
                serial: it.serial,
                simulated: it.simulated,
            }),
            _ => Err(out_of_turn()),
        }
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        for chunk in out.chunks_mut(RANDOM_MAX) {
            let random = v1::Random {
                length: chunk.len() as u32,
            };
            let bytes = self.bytes(Command::Random(random), None)?;
            // A short answer must not leave the rest of `out` as it was.
            if bytes.len() != chunk.len() {
                return Err(out_of_turn());
            }
            chunk.copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        bounded(data.len())?;
        let mac = v1::Mac {
            key: key.label().to_owned(),
            data: data.to_vec(),
        };
        let bytes = self.bytes(Command::Mac(mac), Some(key))?;
        bytes.as_slice().try_into().map_err(|_| out_of_turn())
    }

    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(message.len())?;
        let sign = v1::Sign {
            key: key.label().to_owned(),
            message: message.to_vec(),
        };
        self.bytes(Command::Sign(sign), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError> {
        let public = v1::PublicKey {
            key: key.label().to_owned(),
        };
        self.bytes(Command::PublicKey(public), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(aad.len().saturating_add(plain.len()))?;
        let key_label = key.label().to_owned();
        let wrap = v1::Wrap {
            key: key_label,
            aad: aad.to_vec(),
            plaintext: plain.to_vec(),
        };
        self.bytes(Command::Wrap(wrap), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        bounded(
            aad.len()
                .saturating_add(wrapped.len().saturating_sub(OVERHEAD)),
        )?;
        let key_label = key.label().to_owned();
        let unwrap = v1::Unwrap {
            key: key_label,
            aad: aad.to_vec(),
            wrapped: wrapped.to_vec(),
        };
        self.bytes(Command::Unwrap(unwrap), Some(key))
    }

    fn make_key(&self, key: Key) -> Result<(), HsmError> {
        let make = v1::MakeKey {
            key: key.label().to_owned(),
        };
        self.bytes(Command::MakeKey(make), Some(key)).map(|_| ())
    }
}

/// One request, one response.
fn exchange(stream: &mut dyn Stream, request: &v1::Request) -> io::Result<Outcome> {
    message::write(stream, request)?;
    let response: Option<v1::Response> = message::read(stream)?;
    let response = response.ok_or(io::ErrorKind::UnexpectedEof)?;
    response
        .outcome
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn settle(outcome: Outcome, key: Option<Key>) -> Result<Outcome, HsmError> {
    match outcome {
        Outcome::Failure(failure) => Err(failure.to_error(key)),
        outcome => Ok(outcome),
    }
}

fn out_of_turn() -> HsmError {
    HsmError::unavailable("it answered another question than was asked")
}

fn lock(mutex: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
