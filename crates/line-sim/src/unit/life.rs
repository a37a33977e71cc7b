//! The unit's thread: off, booting or running, until it is stopped.

use std::cell::RefCell;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use wire::unit::{Effect, Unit};

use super::chip::Chip;
use super::image::{Image, SimFlash};
use super::pace::Pace;
use super::port::{FREE_EVERY, Port, nanoseconds};
use super::{Command, Fault, Order, SimError, SimUnitConfig};

/// What a boot loader says before the unit does.
const BOOT_LOG: &[u8] = b"\r\nets boot rom v2.3\r\nrst:0x1 (POWERON),boot:0x13 (FLASH)\r\n\
    I (31) boot: chip revision 3, flash 4MB\r\nI (46) boot: loaded app at 0x10000\r\n";

/// Where a unit is between power and its first word.
enum Power {
    /// Says nothing and hears nothing until then.
    Booting(Instant),
    Running(Box<Unit<SimFlash, Chip>>),
}

pub(super) struct Life {
    config: SimUnitConfig,
    /// Shared with the unit's flash driver, in this thread only.
    flash: Rc<RefCell<Image>>,
    power: Power,
    port: Option<Port>,
    /// For the next port.
    pace: Pace,
    orders: Receiver<Order>,
    bell: UnixStream,
    faults: Vec<Fault>,
}

impl Life {
    pub(super) fn new(
        config: SimUnitConfig,
        image: Image,
        port: Port,
        orders: Receiver<Order>,
        bell: UnixStream,
        faults: Vec<Fault>,
    ) -> Life {
        let mut life = Life {
            power: Power::Booting(Instant::now() + config.boot),
            config,
            flash: Rc::new(RefCell::new(image)),
            pace: port.pace().clone(),
            port: Some(port),
            orders,
            bell,
            faults: Vec::new(),
        };
        faults.into_iter().for_each(|fault| life.inject(fault));
        life
    }

    /// Lives until it is stopped or its flash file cannot be written.
    pub(super) fn run(mut self) -> Result<(), SimError> {
        self.bell.set_nonblocking(true).map_err(SimError::Port)?;
        loop {
            if matches!(self.power, Power::Booting(until) if Instant::now() >= until) {
                self.start()?;
            }
            self.wait()?;
            if !self.take_orders()? {
                return Ok(());
            }
            self.hear()?;
        }
    }

    /// Sleeps until an order, a byte, or the end of the boot.
    fn wait(&self) -> Result<(), SimError> {
        if let Some(port) = &self.port {
            port.free().map_err(SimError::Port)?;
        }
        let boot = match self.power {
            Power::Booting(until) => Some(until.saturating_duration_since(Instant::now())),
            Power::Running(_) => None,
        };
        let boot = boot.and_then(|left| Timespec::try_from(left).ok());
        let free = self.port.as_ref().map(|_| nanoseconds(FREE_EVERY));
        let within = boot.into_iter().chain(free).min();
        let mut fds = vec![PollFd::new(&self.bell, PollFlags::IN)];
        if let Some(port) = &self.port {
            fds.push(PollFd::new(port, PollFlags::IN));
        }
        match poll(&mut fds, within.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(SimError::Port(error.into())),
        }
    }

    /// Does what the handle asks; false when that is to stop.
    fn take_orders(&mut self) -> Result<bool, SimError> {
        let mut rung = [0; 16];
        let _ = self.bell.read(&mut rung); // the orders say what it was about
        while let Ok(order) = self.orders.try_recv() {
            let mut stop = false;
            match order.command {
                Command::PullCable => self.port = None,
                Command::PlugCable if self.port.is_some() => {}
                Command::PlugCable => {
                    let port = Port::open(self.pace.clone());
                    self.port = Some(port.map_err(SimError::Port)?);
                }
                Command::PowerCycle => self.reboot(),
                Command::Inject(fault) => self.inject(fault),
                Command::Swap(other) => self.swap(*other)?,
                Command::Stop => stop = true,
            }
            let path = self.port.as_ref().map(|port| port.path().to_owned());
            let _ = order.done.send(path); // the handle waits, unless its thread died
            if stop {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::CutPowerAfterBytes(bytes) => self.flash.borrow_mut().cut_power_after(bytes),
            on_reset => self.faults.push(on_reset),
        }
    }

    /// Power off, or a reset: RAM is gone, flash stays.
    fn reboot(&mut self) {
        self.power = Power::Booting(Instant::now() + self.config.boot);
    }

    fn swap(&mut self, mut other: SimUnitConfig) -> Result<(), SimError> {
        let faults = std::mem::take(&mut other.faults);
        self.flash = Rc::new(RefCell::new(Image::open(&other)?));
        self.config = other;
        self.reboot();
        faults.into_iter().for_each(|fault| self.inject(fault));
        Ok(())
    }

    /// The end of the boot: the unit says that it is there.
    fn start(&mut self) -> Result<(), SimError> {
        let chip = self.flash.borrow_mut().boot(&self.config)?;
        let mut unit = Box::new(Unit::new(SimFlash(Rc::clone(&self.flash)), chip));
        self.save(&mut unit)?;
        let mut said = BOOT_LOG.to_vec();
        unit.announce(&mut |line| said.extend_from_slice(line));
        self.power = Power::Running(unit);
        match self.port.as_ref().is_some_and(Port::has_listener) {
            true => self.say(&said),
            false => Ok(()),
        }
    }

    /// Takes what came over the line, and answers it.
    fn hear(&mut self) -> Result<(), SimError> {
        let Some(port) = &mut self.port else {
            return Ok(());
        };
        let mut heard = [0; 4_096];
        let length = port.read(&mut heard).map_err(SimError::Port)?;
        if length == 0 {
            return Ok(());
        }
        let was = std::mem::replace(&mut self.power, Power::Booting(Instant::now()));
        let Power::Running(mut unit) = was else {
            self.power = was; // a unit that boots hears nothing
            return Ok(());
        };
        let mut said = Vec::new();
        let effect = unit.handle(&heard[..length], &mut |line| said.extend_from_slice(line));
        if self.flash.borrow().is_dead() {
            // Power failed in the middle: what was to be said is not, and flash is as it is.
            self.flash.borrow_mut().power_back();
            self.save(&mut unit)?;
            self.reboot();
            return Ok(());
        }
        // Saved before it is said: whoever hears of it finds it in the file.
        self.save(&mut unit)?;
        self.power = Power::Running(unit);
        if !said.is_empty() {
            self.pace.counts().answered();
        }
        self.say(&said)?;
        match effect {
            Some(Effect::Reset) => self.reset(),
            None => Ok(()),
        }
    }

    fn reset(&mut self) -> Result<(), SimError> {
        self.reboot();
        for fault in std::mem::take(&mut self.faults) {
            match fault {
                Fault::FlipBitOnReset => self.flash.borrow_mut().flip_bit(),
                Fault::SwapOnReset(other) => self.swap(*other)?,
                Fault::CutPowerAfterBytes(_) => self.inject(fault),
            }
        }
        Ok(())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), SimError> {
        match &mut self.port {
            Some(port) => port.write(bytes).map_err(SimError::Port),
            None => Ok(()),
        }
    }

    /// Writes the flash file, when flash has changed.
    fn save(&self, unit: &mut Unit<SimFlash, Chip>) -> Result<(), SimError> {
        if !self.flash.borrow().is_dirty() {
            return Ok(());
        }
        let saved = unit.contents(|state, bundle| self.flash.borrow_mut().save(state, bundle));
        saved.unwrap_or(Ok(())) // flash of a unit without power: saved when it comes back
    }
}
