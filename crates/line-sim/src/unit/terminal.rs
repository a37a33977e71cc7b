//! A cable between a station's port and a program that wants a terminal of its own, such as a login.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::pace::Pace;
use super::port::{FREE_EVERY, Port, nanoseconds};

/// Both ends of the cable. Dropping it pulls it.
pub struct Terminal {
    station: PathBuf,
    program: PathBuf,
    /// Keeps the program's end from hanging up between two logins.
    _slave: OwnedFd,
    bell: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Terminal {
    /// Lays the cable.
    ///
    /// # Errors
    /// When the system has no pty or no thread for it.
    pub fn open() -> io::Result<Terminal> {
        let port = Port::open(Pace::new(None, Arc::default()))?;
        let station = port.path().to_owned();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let program = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        let slave = open_terminal(&program)?;
        let (bell, heard) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("cable".to_owned())
            .spawn(move || carry(port, &master, heard))?;
        Ok(Terminal {
            station,
            program,
            _slave: slave,
            bell,
            thread: Some(thread),
        })
    }

    /// What the station opens.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.station
    }

    /// What the program gets as its terminal.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn slave(&self) -> io::Result<OwnedFd> {
        Ok(open_terminal(&self.program)?)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.bell.write_all(&[1]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // nobody is left to tell
        }
    }
}

fn open_terminal(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Carries bytes both ways until the bell rings.
fn carry(mut port: Port, master: &OwnedFd, mut bell: UnixStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        let events = {
            let mut fds = [
                PollFd::new(&port, PollFlags::IN),
                PollFd::new(master, PollFlags::IN),
                PollFd::new(&bell, PollFlags::IN),
            ];
            poll(&mut fds, Some(&nanoseconds(FREE_EVERY)))?;
            [fds[0].revents(), fds[1].revents(), fds[2].revents()]
        };
        if !events[2].is_empty() {
            bell.read_exact(&mut bytes[..1])?;
            return Ok(());
        }
        port.free()?;
        if !events[0].is_empty() {
            let length = port.read(&mut bytes)?;
            let mut rest = &bytes[..length];
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(master, rest)?..];
            }
        }
        if !events[1].is_empty() {
            match rustix::io::read(master, &mut bytes) {
                Ok(length) => port.write(&bytes[..length])?,
                Err(Errno::IO | Errno::INTR) => {} // nobody at the program's end just now
                Err(error) => return Err(error.into()),
            }
        }
    }
}
