//! Port and clock under the console engine of `wire`.

use std::io;
use std::sync::Arc;

use credential::Bundle;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, Instant, timeout_at};
use wire::WireError;
use wire::console::{Action, Console, ConsoleError, Event, Found, Transcript, Values};
use wire::profile::{ConsoleProfile, Part, States, Step};

use crate::begin::Credential;
use crate::drive::UnitError;
use crate::steps::Steps;

/// How long a port may take for the few bytes that are written at once.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// A unit's console on an open port.
pub(crate) struct ConsoleUnit<S> {
    stream: S,
    profile: Arc<ConsoleProfile>,
    console: Console,
    started: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ConsoleUnit<S> {
    pub(crate) fn new(stream: S, profile: Arc<ConsoleProfile>) -> ConsoleUnit<S> {
        ConsoleUnit {
            stream,
            console: Console::new(Arc::clone(&profile)),
            profile,
            started: Instant::now(),
        }
    }

    pub(crate) fn writes(&mut self, bundle: &Bundle) {
        self.console.holds(Values::of(bundle));
    }

    pub(crate) fn has_reset(&self) -> bool {
        self.console.has_reset()
    }

    /// Whether the unit has reset, on a port that came back after it: what the reset step asks once
    /// it has booted, or the profile's word that the port is the unit's own.
    pub(crate) async fn finish_reset(&mut self) -> Result<bool, UnitError> {
        if !self.console.begin_after_boot().map_err(unit_error)? {
            return Ok(self.profile.manner.own_port);
        }
        match self.finish().await {
            Ok(_) => Ok(true),
            Err(UnitError::Console(ConsoleError::Refused { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn transcript(&self) -> &Transcript {
        self.console.transcript()
    }

    async fn run(&mut self, step: Step) -> Result<Found, UnitError> {
        self.console.begin(step).map_err(unit_error)?;
        self.finish().await
    }

    /// Does what was begun.
    async fn finish(&mut self) -> Result<Found, UnitError> {
        let mut bytes = [0; 1024];
        let mut event = Event::Opened;
        loop {
            let now = self.started.elapsed();
            let within = match self.console.on(event, now).map_err(unit_error)? {
                Action::Finish(found) => return Ok(found),
                Action::Wait(within) => within,
                Action::Send(text, within) => {
                    self.write(&text).await?;
                    within
                }
            };
            let reading = timeout_at(Instant::now() + within, self.stream.read(&mut bytes));
            event = match reading.await {
                Err(_) => Event::TimedOut,
                // A closed pty and a yanked adapter read as an end of file, for ever.
                Ok(Ok(0)) => return Err(UnitError::Cable(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(length)) => Event::Received(&bytes[..length]),
                Ok(Err(error)) => return Err(UnitError::Cable(error)),
            };
        }
    }

    /// A port that takes nothing is as silent as a unit that says nothing.
    async fn write(&mut self, text: &[u8]) -> Result<(), UnitError> {
        let end = Instant::now() + WRITTEN_WITHIN;
        let writing = async {
            self.stream.write_all(text).await?;
            self.stream.flush().await
        };
        match timeout_at(end, writing).await {
            Ok(written) => written.map_err(UnitError::Cable),
            Err(_) => Ok(()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Steps for ConsoleUnit<S> {
    fn holds(&mut self, credential: &Credential) {
        self.writes(&credential.bundle);
    }

    async fn step(&mut self, step: Step) -> Result<Found, UnitError> {
        self.run(step).await
    }

    fn states(&self) -> &States {
        &self.profile.scripts.states
    }

    fn parts(&self) -> &[Part] {
        &self.profile.scripts.parts
    }

    fn locks(&self) -> bool {
        self.profile.scripts.unlocked().is_none()
    }
}

/// A unit that does not hold what was written is the same, however it is spoken to.
fn unit_error(error: ConsoleError) -> UnitError {
    match error {
        ConsoleError::Mismatch { .. } => WireError::Mismatch.into(),
        error => error.into(),
    }
}
