//! The unit's end of a serial cable: the master of a pty.
//!
//! The unit holds the slave open too. So nothing hangs up when a station leaves, the port stays raw,
//! and a mark of exclusiveness (TIOCEXCL, as `serialport` sets it) can be taken away: on a pty it
//! outlives a station that was killed, and nobody but root could open the port again. Two stations
//! still cannot have it together, since `serialport` also locks the file.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, ioctl_tiocnxcl, tcgetattr, tcsetattr};

use super::pace::Pace;

/// How often a silent port is made free, in nanoseconds: 20 ms.
pub(super) const FREE_EVERY: i64 = 20_000_000;
/// How long a station may leave its buffer full before what it does not read is lost: 100 ms.
const FULL_BUFFER: i64 = 100_000_000;
/// How long after its last byte a station may still listen: longer than any exchange waits.
const LISTENER: Duration = Duration::from_secs(15);

pub(super) struct Port {
    master: OwnedFd,
    slave: OwnedFd,
    path: PathBuf,
    /// When a station last spoke.
    heard: Option<Instant>,
    pace: Pace,
}

impl Port {
    pub(super) fn open(pace: Pace) -> io::Result<Port> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut termios = tcgetattr(&slave)?;
        termios.make_raw(); // or it would echo to the unit what the unit says
        tcsetattr(&slave, OptionalActions::Now, &termios)?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok(Port {
            master,
            slave,
            path,
            heard: None,
            pace,
        })
    }

    /// The line's speed and counts, which stay when it is plugged in anew.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the next station open the port, however the one before left it.
    pub(super) fn free(&self) -> io::Result<()> {
        Ok(ioctl_tiocnxcl(&self.slave)?)
    }

    /// Whether somebody is there to hear what was not asked for. Nobody can tell for sure, as on
    /// any serial line; what is said to nobody would wait here for the next station.
    pub(super) fn has_listener(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < LISTENER)
    }

    /// Reads what is there; 0 when there is nothing or nobody.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.master, out) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
            Ok(length) => {
                self.heard = Some(Instant::now());
                self.free()?; // before the answer: a station may leave as soon as it has it
                self.pace.hear(length);
                Ok(length)
            }
        }
    }

    /// Writes at the line's speed; what nobody reads is lost when the buffer is full, as on a wire.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let master = &self.master;
        self.pace.say(bytes, |piece| put(master, piece))
    }
}

fn put(master: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(master, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(master, PollFlags::OUT)];
                if poll(&mut fds, Some(&nanoseconds(FULL_BUFFER)))? == 0 {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

/// A time-out below one second.
pub(super) fn nanoseconds(tv_nsec: i64) -> Timespec {
    Timespec { tv_sec: 0, tv_nsec }
}
