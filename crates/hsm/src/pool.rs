//! The connections of a [`crate::RemoteToken`]: a small pool, each logged in once, so that many
//! threads do not wait for one another's round trips.
//!
//! A connection that breaks is thrown away and the command is asked again, once, on a new one:
//! every command may be repeated without harm, also when it was done and only its reply was lost.
//! A token that cannot be reached is said to be so at once, also to those who wait for a place; how long anything may take is up to
//! the streams that [`Connect`] makes, which should have time-outs.
//!
//! Deliberately absent: a breaker and its clock, which belong to the server; and a second try of a
//! PIN that was wrong, because real tokens lock.

use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::message::v1::request::Command;
use crate::message::v1::response::Outcome;
use crate::message::{self, v1};
use crate::{HsmError, Key, Pin};

/// Connections at once; more threads wait for one to be free.
pub(crate) const POOL_MAX: usize = 8;

/// A connection's bytes, such as a Unix socket's.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Opens a connection to the token. Its reads and writes should time out.
pub type Connect = Box<dyn Fn() -> io::Result<Box<dyn Stream>> + Send + Sync>;

pub(crate) struct Pool {
    connect: Connect,
    pin: Pin,
    places: Mutex<Places>,
    /// Told once each time a place becomes free, and to all when the token was lost.
    freed: Condvar,
    /// Told to all when a login has ended.
    opened: Condvar,
}

/// `idle.len() + lent <= POOL_MAX` always.
struct Places {
    /// Logged in and between commands.
    idle: Vec<Box<dyn Stream>>,
    /// In some thread's hands, or being opened by one.
    lent: usize,
    /// Commands that failed also on a new connection: those who waited meanwhile are not tried.
    broke: u64,
    /// Some thread is logging in.
    opening: bool,
    /// The PIN was wrong, which holds for as long as this process lives.
    wrong: bool,
}

impl Pool {
    /// Connects when it is first asked something.
    pub(crate) fn new(connect: Connect, pin: Pin) -> Pool {
        let places = Mutex::new(Places {
            idle: Vec::new(),
            lent: 0,
            broke: 0,
            opening: false,
            wrong: false,
        });
        Pool {
            connect,
            pin,
            places,
            freed: Condvar::new(),
            opened: Condvar::new(),
        }
    }

    /// Asks once, and once more on a new connection when the first one broke. A failure that the
    /// token answers is an `Err` that speaks of `key`.
    pub(crate) fn call(&self, command: Command, key: Option<Key>) -> Result<Outcome, HsmError> {
        settle(self.twice(command)?, key)
    }

    fn twice(&self, command: Command) -> Result<Outcome, HsmError> {
        let request = v1::Request {
            command: Some(command),
        };
        let first = match self.ask(&request, false)? {
            Asked::Answered(outcome) => return Ok(outcome),
            Asked::Broken(error) => error,
        };
        match self.ask(&request, true)? {
            Asked::Answered(outcome) => Ok(outcome),
            Asked::Broken(second) => {
                self.tell(&mut lock(&self.places));
                Err(HsmError::unavailable(format!(
                    "the connection broke ({first}), and so did the next ({second})"
                )))
            }
        }
    }

    /// One command on one connection. `Err` when there is no connection to be had.
    fn ask(&self, request: &v1::Request, fresh: bool) -> Result<Asked, HsmError> {
        let mut lease = self.lease()?;
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
        lock(&self.places).idle.clear();
        Ok(Asked::Broken(error))
    }

    /// Whoever waits for a place is told at once that the token is lost: woken one by one, they would
    /// stay behind whoever comes next, takes the place, and waits for the token as well.
    fn tell(&self, places: &mut Places) {
        places.broke += 1;
        self.freed.notify_all();
    }

    /// A place in the pool, with an idle connection if there is one.
    fn lease(&self) -> Result<Lease<'_>, HsmError> {
        let mut places = lock(&self.places);
        let broke = places.broke;
        while places.idle.is_empty() && places.lent >= POOL_MAX {
            places = self
                .freed
                .wait(places)
                .unwrap_or_else(PoisonError::into_inner);
            if places.broke != broke {
                // Another one may wait for the place that was offered to this one.
                self.freed.notify_one();
                return Err(HsmError::unavailable("it was lost while this call waited"));
            }
        }
        let stream = places.idle.pop();
        places.lent += 1;
        Ok(Lease {
            pool: self,
            stream,
            healthy: false,
        })
    }

    /// Connects and logs in. One at a time: of many who would try a wrong PIN one does, and of many
    /// who would wait for a token that hangs one waits. Whoever waited while a login failed is told
    /// then, also when another one comes first and tries again.
    fn open(&self) -> Result<Box<dyn Stream>, HsmError> {
        let mut places = lock(&self.places);
        let broke = places.broke;
        loop {
            if places.wrong {
                return Err(HsmError::WrongPin);
            }
            if places.broke != broke {
                return Err(HsmError::unavailable("it was lost while this call waited"));
            }
            if !places.opening {
                break;
            }
            places = self
                .opened
                .wait(places)
                .unwrap_or_else(PoisonError::into_inner);
        }
        places.opening = true;
        drop(places);
        let _turn = Turn(self);
        let opened = self.log_in();
        if let Err(error) = &opened {
            let mut places = lock(&self.places);
            places.wrong = *error == HsmError::WrongPin;
            self.tell(&mut places);
        }
        opened
    }

    fn log_in(&self) -> Result<Box<dyn Stream>, HsmError> {
        let unreachable = |error: io::Error| HsmError::unavailable(error.to_string());
        let mut stream = (self.connect)().map_err(unreachable)?;
        let login = self.pin.expose(|pin| v1::Login { pin: pin.to_vec() });
        let request = v1::Request {
            command: Some(Command::Login(login)),
        };
        match exchange(stream.as_mut(), &request).map_err(unreachable)? {
            Outcome::Done(_) => Ok(stream),
            Outcome::Failure(failure) => Err(failure.to_error(None)),
            _ => Err(HsmError::out_of_turn()),
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
    pool: &'a Pool,
    stream: Option<Box<dyn Stream>>,
    healthy: bool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut places = lock(&self.pool.places);
        places.lent -= 1;
        if self.healthy {
            places.idle.extend(self.stream.take());
        }
        drop(places);
        self.pool.freed.notify_one();
    }
}

/// One thread's turn to log in, which ends also after a panic.
struct Turn<'a>(&'a Pool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.places).opening = false;
        self.0.opened.notify_all();
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

fn lock(mutex: &Mutex<Places>) -> MutexGuard<'_, Places> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::Hsm;
    use crate::far::{Play, client};

    fn check(plan: &[Play], expected: Result<[u8; 32], HsmError>, connects: usize) {
        let (token, far) = client("1234", plan);
        assert_eq!(token.mac(Key::Fingerprint, b"data"), expected);
        assert_eq!(far.connects.load(Ordering::SeqCst), connects);
    }

    #[test]
    fn a_command_is_asked_once_more_when_its_reply_was_lost() {
        use Play::{Answer, Fail, Lie, LoseReply};
        check(&[Answer], Ok([1; 32]), 1);
        check(&[LoseReply, Answer], Ok([1; 32]), 2);
        check(&[Fail(v1::Code::NotLoggedIn), Answer], Ok([1; 32]), 2);
        let twice = "the connection broke (unexpected end of file), and so did the next \
                     (unexpected end of file)";
        check(
            &[LoseReply, LoseReply],
            Err(HsmError::unavailable(twice)),
            2,
        );
        check(&[Lie], Err(HsmError::out_of_turn()), 1);
        // What the token says is not asked again, and its text cannot move a terminal's cursor.
        check(
            &[Fail(v1::Code::Unavailable)],
            Err(HsmError::unavailable("why[2J")),
            1,
        );
        check(
            &[Fail(v1::Code::Refused)],
            Err(HsmError::refused("why[2J")),
            1,
        );
        check(
            &[Fail(v1::Code::NoSuchKey)],
            Err(HsmError::NoSuchKey(Key::Fingerprint)),
            1,
        );
        check(
            &[Fail(v1::Code::WrongKeyKind)],
            Err(HsmError::WrongKind(Key::Fingerprint)),
            1,
        );
    }

    #[test]
    fn a_wrong_pin_is_tried_once() {
        let (token, far) = client("4321", &[]);
        assert_eq!(token.make_key(Key::Log), Err(HsmError::WrongPin));
        assert_eq!(far.logins.load(Ordering::SeqCst), 1);
        assert_eq!(token.make_key(Key::Log), Err(HsmError::WrongPin));
        assert_eq!(far.logins.load(Ordering::SeqCst), 1);
        assert_eq!(far.commands.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_token_that_is_gone_is_said_to_be_and_found_again() {
        let (token, far) = client("1234", &[]);
        assert!(token.sign(Key::Log, b"m").is_ok());
        *far.down.lock().unwrap() = true;
        far.plan.lock().unwrap().push_back(Play::LoseReply);
        let refused = HsmError::unavailable("connection refused");
        assert_eq!(token.sign(Key::Log, b"m"), Err(refused.clone()));
        assert_eq!(token.sign(Key::Log, b"m"), Err(refused));
        *far.down.lock().unwrap() = false;
        assert!(token.sign(Key::Log, b"m").is_ok());
    }

    #[test]
    fn many_threads_share_a_few_connections() {
        let (token, far) = client("1234", &[]);
        std::thread::scope(|scope| {
            for _ in 0..4 * POOL_MAX {
                scope.spawn(|| {
                    for _ in 0..50 {
                        token.mac(Key::Fingerprint, b"data").unwrap();
                    }
                });
            }
        });
        assert_eq!(far.commands.load(Ordering::SeqCst), 4 * POOL_MAX * 50);
        let connects = far.connects.load(Ordering::SeqCst);
        assert!(connects <= POOL_MAX, "{connects} connections were opened");
        assert_eq!(far.most_open.load(Ordering::SeqCst), connects);
    }

    #[test]
    fn connections_that_broke_cost_a_place_only_while_they_last() {
        let (token, _) = client("1234", &[Play::LoseReply; 4 * POOL_MAX]);
        for _ in 0..2 * POOL_MAX {
            assert!(token.mac(Key::Fingerprint, b"data").is_err());
        }
        assert!(token.mac(Key::Fingerprint, b"data").is_ok());
    }
}
