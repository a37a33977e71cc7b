//! The other end of a [`crate::RemoteToken`] for tests: in memory, and it lies on command.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::message::v1::request::Command;
use crate::message::{self, v1};
use crate::{Connect, Pin, RemoteToken};

/// What the other end does with the next command that is no login.
#[derive(Clone, Copy)]
pub(crate) enum Play {
    Answer,
    /// Done, and the connection closed before the reply.
    LoseReply,
    Fail(v1::Code),
    /// A reply of another shape or length than the command's.
    Lie,
}

/// The other end: what it was asked, and what it will do. Answers when nothing is planned.
#[derive(Default)]
pub(crate) struct Far {
    pub(crate) plan: Mutex<VecDeque<Play>>,
    pub(crate) connects: AtomicUsize,
    open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    pub(crate) commands: AtomicUsize,
    pub(crate) logins: AtomicUsize,
    pub(crate) down: Mutex<bool>,
}

/// A connection to [`Far`]: each flushed frame is answered into `unread`.
struct Line {
    far: Arc<Far>,
    written: Vec<u8>,
    unread: VecDeque<u8>,
    logged_in: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let request: v1::Request = message::read(&mut self.written.as_slice())?.unwrap();
        self.written.clear();
        if let Some(response) = self.answer(request.command.unwrap()) {
            let mut bytes = Vec::new();
            message::write(&mut bytes, &response)?;
            self.unread.extend(bytes);
        }
        Ok(())
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.unread.read(out)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.far.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Line {
    fn answer(&mut self, command: Command) -> Option<v1::Response> {
        if let Command::Login(login) = &command {
            self.far.logins.fetch_add(1, Ordering::SeqCst);
            self.logged_in = login.pin == b"1234";
            let wrong = v1::Response::failure(v1::Code::WrongPin, "");
            return Some(if self.logged_in {
                v1::Response::done(vec![])
            } else {
                wrong
            });
        }
        assert!(self.logged_in, "a command before the login");
        self.far.commands.fetch_add(1, Ordering::SeqCst);
        std::thread::yield_now(); // lets other threads in, so that connections overlap
        let honest = match command {
            Command::Random(random) => vec![7; random.length as usize],
            _ => vec![1; 32],
        };
        match self
            .far
            .plan
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Play::Answer)
        {
            Play::Answer => Some(v1::Response::done(honest)),
            Play::LoseReply => None,
            Play::Fail(code) => Some(v1::Response::failure(code, "why\x1b[2J")),
            Play::Lie => Some(v1::Response::done(vec![1; 31])),
        }
    }
}

pub(crate) fn client(pin: &str, plan: &[Play]) -> (RemoteToken, Arc<Far>) {
    let far = Arc::new(Far {
        plan: Mutex::new(plan.to_vec().into()),
        ..Far::default()
    });
    let to = far.clone();
    let connect: Connect = Box::new(move || {
        if *to.down.lock().unwrap() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        to.connects.fetch_add(1, Ordering::SeqCst);
        let open = to.open.fetch_add(1, Ordering::SeqCst) + 1;
        to.most_open.fetch_max(open, Ordering::SeqCst);
        let far = to.clone();
        Ok(Box::new(Line {
            far,
            written: Vec::new(),
            unread: VecDeque::new(),
            logged_in: false,
        }))
    });
    (
        RemoteToken::new(connect, Pin::parse(pin.as_bytes()).unwrap()),
        far,
    )
}
