//! A unit with a console, behind a pty, as a station finds it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};

use super::console::ConsoleUnit;
use super::console_flash::ConsoleFlash;
use super::pace::Pace;
use super::port::{FREE_EVERY, Port, nanoseconds};

/// A living console. Dropping it stops it.
pub struct SimConsole {
    path: PathBuf,
    unit: Arc<Mutex<ConsoleUnit>>,
    bell: UnixStream,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl SimConsole {
    /// Plugs a unit in.
    ///
    /// # Errors
    /// When the system has no pty or no thread for it.
    pub fn spawn(unit: ConsoleUnit) -> io::Result<SimConsole> {
        SimConsole::keeping(unit, None)
    }

    /// The same, with what it stores in a file before it says that it is stored.
    pub(super) fn keeping(
        unit: ConsoleUnit,
        flash: Option<ConsoleFlash>,
    ) -> io::Result<SimConsole> {
        let port = Port::open(Pace::new(None, Arc::default()))?;
        let path = port.path().to_owned();
        let (bell, heard) = UnixStream::pair()?;
        let unit = Arc::new(Mutex::new(unit));
        let thread = std::thread::Builder::new()
            .name("console".to_owned())
            .spawn({
                let unit = Arc::clone(&unit);
                move || live(port, &unit, flash, heard)
            })?;
        Ok(SimConsole {
            path,
            unit,
            bell,
            thread: Some(thread),
        })
    }

    /// The pty to open.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.path
    }

    /// Cuts the power for good.
    ///
    /// # Errors
    /// What ended the unit, when it had ended before.
    ///
    /// # Panics
    /// When the unit's thread did.
    pub(super) fn stop(mut self) -> io::Result<()> {
        let _ = self.bell.write_all(&[1]); // it may be dead already: the join says why
        match self.thread.take() {
            Some(thread) => thread.join().expect("a unit's thread ends by returning"),
            None => Ok(()),
        }
    }

    /// The unit itself, as someone with a debugger sees it.
    pub fn unit(&self) -> MutexGuard<'_, ConsoleUnit> {
        self.unit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SimConsole {
    fn drop(&mut self) {
        let _ = self.bell.write_all(&[1]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // nobody is left to tell
        }
    }
}

/// Answers until the bell rings.
fn live(
    mut port: Port,
    unit: &Mutex<ConsoleUnit>,
    mut flash: Option<ConsoleFlash>,
    mut bell: UnixStream,
) -> io::Result<()> {
    let mut bytes = [0; 512];
    loop {
        let events = {
            let mut fds = [
                PollFd::new(&port, PollFlags::IN),
                PollFd::new(&bell, PollFlags::IN),
            ];
            poll(&mut fds, Some(&nanoseconds(FREE_EVERY)))?;
            [fds[0].revents(), fds[1].revents()]
        };
        if !events[1].is_empty() {
            bell.read_exact(&mut bytes[..1])?;
            return Ok(());
        }
        port.free()?;
        if events[0].is_empty() {
            continue;
        }
        let length = port.read(&mut bytes)?;
        let said = {
            let mut unit = unit.lock().unwrap_or_else(PoisonError::into_inner);
            unit.hear(&bytes[..length]);
            if let Some(flash) = &mut flash {
                flash.save(unit.flash())?;
            }
            unit.say()
        };
        port.write(&said)?;
    }
}
