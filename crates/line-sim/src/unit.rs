//! A simulated unit: the unit side of `wire` behind a pty, with a flash file and a key of its own.
//!
//! A station opens the pty as it opens any serial port. The unit lives in one thread that waits on
//! the port and on its handle, so it answers at once and stops at once. Its flash file says in
//! plain JSON what a person with a debugger would read from the chip, secrets included.
//!
//! Deliberately absent: simulated time (a port is real, so is its clock), and faults of the line
//! itself, which belong to whoever sits between. Faults here are the unit's own: see [`Fault`].

mod chip;
pub mod console;
mod console_flash;
mod console_port;
mod image;
mod life;
mod pace;
mod port;
mod terminal;
pub(crate) mod verb;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;
use traveler::{DeviceId, Mac};

use image::Image;
use life::Life;
use pace::Pace;
use port::Port;

pub use console_port::SimConsole;
pub use pace::LineCounts;
pub use terminal::Terminal;

/// How long a unit takes from power to its first word, unless the configuration says otherwise.
pub const BOOT: Duration = Duration::from_millis(20);

/// What a simulated unit is.
#[derive(Clone, Debug)]
pub struct SimUnitConfig {
    /// Its flash file. Made when absent, in a folder that is there; otherwise the unit goes on
    /// from what it holds.
    pub flash_path: PathBuf,
    /// The silicon's own id.
    pub device_id: DeviceId,
    /// At most eight.
    pub macs: Vec<Mac>,
    /// What it says it is.
    pub model: String,
    /// Its hardware revision.
    pub revision: Option<String>,
    /// Version of its firmware.
    pub firmware: String,
    /// Whether it makes its own key at first start; otherwise one is minted for it.
    pub own_key: bool,
    /// From power to its first word.
    pub boot: Duration,
    /// The speed of its line, in bits a second; `None` is as fast as a pty goes.
    pub baud: Option<u32>,
    /// What will go wrong, each once.
    pub faults: Vec<Fault>,
}

impl SimUnitConfig {
    /// A healthy unit with a key of its own.
    #[must_use]
    pub fn new(flash_path: impl Into<PathBuf>, device_id: DeviceId, model: &str) -> SimUnitConfig {
        SimUnitConfig {
            flash_path: flash_path.into(),
            device_id,
            macs: Vec::new(),
            model: model.to_owned(),
            revision: None,
            firmware: "1.0.0-sim".to_owned(),
            own_key: true,
            boot: BOOT,
            baud: None,
            faults: Vec::new(),
        }
    }
}

/// Something that goes wrong in a unit, once.
#[derive(Clone, Debug)]
pub enum Fault {
    /// One bit of the bundle flips while the unit resets.
    FlipBitOnReset,
    /// Power fails when so many more bytes have been written to flash, and comes back by itself.
    CutPowerAfterBytes(usize),
    /// Another unit is in the fixture after the next reset; the port stays, as a fixture's does.
    SwapOnReset(Box<SimUnitConfig>),
}

/// Why a simulated unit does not live.
#[derive(Debug, Error)]
pub enum SimError {
    /// Its flash file cannot be read or written.
    #[error("the flash file {path} cannot be used")]
    Flash {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not one this version wrote.
    #[error("the flash file {path} is damaged: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file is another unit's.
    #[error("the flash file {path} belongs to unit {device_id}")]
    OtherUnit {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        device_id: DeviceId,
    },
    /// The key could not be made or read.
    #[error("the unit has no usable key")]
    Key(#[source] rcgen::Error),
    /// The system gave no randomness for a key.
    #[error("the unit could not make a key")]
    Random(#[from] credential::KeyError),
    /// No pty, or the port failed.
    #[error("the unit has no port")]
    Port(#[source] io::Error),
    /// The unit's thread has ended.
    #[error("the unit is dead")]
    Dead,
}

/// What a handle tells its unit.
enum Command {
    PullCable,
    PlugCable,
    PowerCycle,
    Inject(Fault),
    Swap(Box<SimUnitConfig>),
    Stop,
}

/// A command and where to say that it is done; the path is that of a new port.
struct Order {
    command: Command,
    done: Sender<Option<PathBuf>>,
}

/// A living unit. Dropping it stops it.
pub struct SimUnit {
    /// The pty a station opens; `None` while the cable is pulled.
    port: Option<PathBuf>,
    orders: Sender<Order>,
    /// What went over its line.
    counts: Arc<LineCounts>,
    /// One byte makes the thread look at its orders.
    bell: UnixStream,
    /// `None` once it was joined.
    thread: Option<JoinHandle<Result<(), SimError>>>,
}

impl SimUnit {
    /// Powers a unit up, with the cable plugged in.
    ///
    /// # Errors
    /// Every variant of [`SimError`] but `Dead`.
    pub fn spawn(mut config: SimUnitConfig) -> Result<SimUnit, SimError> {
        let faults = std::mem::take(&mut config.faults);
        let image = Image::open(&config)?;
        let counts = Arc::new(LineCounts::default());
        let pace = Pace::new(config.baud, Arc::clone(&counts));
        let port = Port::open(pace).map_err(SimError::Port)?;
        let path = port.path().to_owned();
        let (bell, heard) = UnixStream::pair().map_err(SimError::Port)?;
        let (orders, taken): (_, Receiver<Order>) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("unit {}", config.device_id))
            .spawn(move || Life::new(config, image, port, taken, heard, faults).run())
            .map_err(SimError::Port)?;
        Ok(SimUnit {
            port: Some(path),
            orders,
            counts,
            bell,
            thread: Some(thread),
        })
    }

    /// The pty to open, or `None` while the cable is pulled.
    #[must_use]
    pub fn port(&self) -> Option<&Path> {
        self.port.as_deref()
    }

    /// What went over its line since it was powered.
    #[must_use]
    pub fn counts(&self) -> &LineCounts {
        &self.counts
    }

    /// Pulls the cable: whoever has the port open reads an end of file. The unit keeps its power.
    ///
    /// # Errors
    /// [`SimError::Dead`].
    pub fn pull_cable(&mut self) -> Result<(), SimError> {
        self.port = self.order(Command::PullCable)?;
        Ok(())
    }

    /// Plugs the cable in again, which gives another pty, as a USB adapter gets another name.
    ///
    /// # Errors
    /// [`SimError::Dead`].
    pub fn plug_cable(&mut self) -> Result<&Path, SimError> {
        self.port = self.order(Command::PlugCable)?;
        self.port.as_deref().ok_or(SimError::Dead)
    }

    /// Cuts the power and gives it back; what was not in flash is gone.
    ///
    /// # Errors
    /// [`SimError::Dead`].
    pub fn power_cycle(&mut self) -> Result<(), SimError> {
        self.order(Command::PowerCycle).map(drop)
    }

    /// Makes something go wrong, once.
    ///
    /// # Errors
    /// [`SimError::Dead`].
    pub fn inject(&mut self, fault: Fault) -> Result<(), SimError> {
        self.order(Command::Inject(fault)).map(drop)
    }

    /// Puts another unit into the fixture, on the same port, and powers it up.
    ///
    /// # Errors
    /// [`SimError::Dead`]; the thread ends, and `stop` says why, when the other unit's flash file
    /// cannot be used.
    pub fn swap(&mut self, other: SimUnitConfig) -> Result<(), SimError> {
        self.order(Command::Swap(Box::new(other))).map(drop)
    }

    /// Cuts the power for good.
    ///
    /// # Errors
    /// What ended the unit, when it had ended before.
    ///
    /// # Panics
    /// When the unit's thread did.
    pub fn stop(mut self) -> Result<(), SimError> {
        let _ = self.order(Command::Stop); // it may be dead already: the join says why
        match self.thread.take() {
            Some(thread) => thread.join().expect("a unit's thread ends by returning"),
            None => Ok(()),
        }
    }

    fn order(&mut self, command: Command) -> Result<Option<PathBuf>, SimError> {
        use std::io::Write;
        let (done, wait) = channel();
        let order = Order { command, done };
        self.orders.send(order).map_err(|_| SimError::Dead)?;
        self.bell.write_all(&[1]).map_err(|_| SimError::Dead)?;
        wait.recv().map_err(|_| SimError::Dead)
    }
}

impl Drop for SimUnit {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.order(Command::Stop);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // nobody is left to tell
        }
    }
}
