//! A shift that is told to end: what it started ends with it.
//!
//! The shift itself waits in one thread, by [`Halt::pause`] alone, so that a signal is heard within
//! one wait and everything is dropped in order. A second signal changes nothing: who closes a terminal
//! sends two at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell adds to a signal's number for its exit code.
const BY_SIGNAL: i32 = 128;

/// Whether this process was told to end; every clone knows.
#[derive(Clone, Default)]
pub(super) struct Halt(Arc<AtomicI32>);

impl Halt {
    /// Hears INT, TERM and HUP from now on.
    pub(super) fn listen() -> io::Result<Halt> {
        let halt = Halt::default();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            let (mut heard, halt) = (signal(kind)?, halt.clone());
            tokio::spawn(async move {
                while heard.recv().await.is_some() {
                    halt.0.store(kind.as_raw_value(), Ordering::Relaxed);
                }
            });
        }
        Ok(halt)
    }

    /// The exit code, when it was told to.
    pub(super) fn code(&self) -> Option<u8> {
        let number = self.0.load(Ordering::Relaxed);
        (number != 0).then(|| u8::try_from(BY_SIGNAL + number).unwrap_or(u8::MAX))
    }

    /// Waits, unless it was told to end.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        if self.code().is_some() {
            bail!("told to end");
        }
        sleep(time);
        Ok(())
    }
}
