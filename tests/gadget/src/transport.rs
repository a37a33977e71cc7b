//! What plays behind a gadget: an echo with a will of its own, or a simulated unit, whose pty is
//! carried to the endpoints byte for byte.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::cable::Cable;
use crate::functionfs::{self, Endpoints, HIGH};
use crate::gadget::Gadget;
use crate::say;

/// What a simulated unit says first after each boot.
const BOOT_LOG: &[u8] = b"\r\nets boot rom";
/// How long a unit that resets is off the bus.
const RESET: Duration = Duration::from_millis(300);
/// Between tries at a port that has just gone.
const AGAIN: Duration = Duration::from_millis(2);

/// A message to the echo that is no echo's: it halts its endpoint, then answers with the next byte.
pub(crate) const HALT: u8 = b'H';
/// The same with an empty packet first.
pub(crate) const EMPTY: u8 = b'Z';

/// An echo: each message comes back in one piece, without an end of its own when it fills its last
/// packet, as careless firmware does it.
pub(crate) fn echo(name: &str) -> Result<Arc<Cable>> {
    let (cable, mut endpoints) = functionfs::vendor(name)?;
    std::thread::spawn(move || {
        let mut message = vec![0; 16 * 1024]; // ends with a short packet or not at all
        loop {
            match endpoints.from_host.read(&mut message) {
                Ok(length) => {
                    let _ = answer(&mut endpoints.to_host, &message[..length]); // the host may be gone
                }
                Err(_) => sleep(AGAIN),
            }
        }
    });
    Ok(cable)
}

fn answer(to_host: &mut File, message: &[u8]) -> io::Result<()> {
    match message {
        [HALT, rest @ ..] => {
            // The wrong way: FunctionFS halts it with a bad message. Whatever else comes is no halt, and
            // the byte that shows one is not said.
            match to_host.read(&mut [0]) {
                Err(error) if error.raw_os_error() == Some(Errno::BADMSG.raw_os_error()) => {
                    to_host.write_all(rest)
                }
                not_halted => {
                    say(&format!("no halt: {not_halted:?}"));
                    Ok(())
                }
            }
        }
        [EMPTY, rest @ ..] => {
            let _ = to_host.write(&[])?;
            to_host.write_all(rest)
        }
        message => to_host.write_all(message),
    }
}

/// How a unit behaves towards the bus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnReset {
    /// It stays on the bus, as behind a bridge in the fixture.
    Stays,
    /// It leaves the bus and comes back, as a unit that is its own USB side does.
    Leaves,
}

/// A simulated unit at `pty` behind a vendor-class interface.
pub(crate) fn vendor_unit(name: &str, pty: &Path, on_reset: OnReset) -> Result<Arc<Cable>> {
    let (cable, endpoints) = functionfs::vendor(name)?;
    let Endpoints {
        mut from_host,
        mut to_host,
    } = endpoints;
    let (mut hears, mut speaks) = unit(pty)?;
    let there = Arc::clone(&cable);
    std::thread::spawn(move || {
        let mut packet = [0; HIGH as usize];
        loop {
            match from_host.read(&mut packet) {
                Ok(length) => deliver(&there, &packet[..length], &mut hears),
                Err(_) => sleep(AGAIN),
            }
        }
    });
    let there = Arc::clone(&cable);
    std::thread::spawn(move || {
        speak(&mut speaks, &there, on_reset, &mut |bytes| {
            let _ = to_host.write_all(bytes); // a cable that is pulled under it loses it
        });
    });
    Ok(cable)
}

/// A simulated unit at `pty` behind CDC-ACM, the serial port of USB. The first such gadget of a
/// machine is this end of it.
pub(crate) fn serial_unit(name: &str, pty: &Path) -> Result<Arc<Cable>> {
    let cable = Gadget::new(name, &format!("acm.{name}"))?.finish()?;
    let (mut hears, mut speaks) = unit(pty)?;
    let port: Arc<Mutex<Option<File>>> = Arc::default();
    let (there, shared) = (Arc::clone(&cable), Arc::clone(&port));
    std::thread::spawn(move || {
        loop {
            // It is hung up with each pull, and has to be opened again.
            let Ok((mut reads, writes)) = raw(&PathBuf::from("/dev/ttyGS0")) else {
                sleep(AGAIN);
                continue;
            };
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(writes);
            let mut bytes = [0; 256];
            while let Ok(length @ 1..) = reads.read(&mut bytes) {
                deliver(&there, &bytes[..length], &mut hears);
            }
            sleep(AGAIN);
        }
    });
    let there = Arc::clone(&cable);
    std::thread::spawn(move || {
        speak(&mut speaks, &there, OnReset::Stays, &mut |bytes| {
            let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(port) = &mut *port {
                let _ = port.write_all(bytes);
            }
        });
    });
    Ok(cable)
}

/// The two ends of a unit's pty.
fn unit(pty: &Path) -> Result<(File, File)> {
    Ok(raw(pty)?)
}

/// A terminal that changes no byte, for reading and for writing.
fn raw(path: &Path) -> io::Result<(File, File)> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut termios = tcgetattr(&file)?;
    termios.make_raw();
    tcsetattr(&file, OptionalActions::Now, &termios)?;
    let other = file.try_clone()?;
    Ok((file, other))
}

/// Carries bytes to the unit, as far as the cable is in.
fn deliver(cable: &Arc<Cable>, bytes: &[u8], unit: &mut File) {
    let kept = cable.carry(bytes.len()).expect("a cable can be pulled");
    unit.write_all(&bytes[..kept])
        .expect("a unit hears as long as it lives");
}

/// Carries what the unit says to whoever listens; to nobody while the cable is out.
fn speak(unit: &mut File, cable: &Arc<Cable>, on_reset: OnReset, say: &mut impl FnMut(&[u8])) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = unit.read(&mut bytes) {
        let mut rest = &bytes[..length];
        let log = rest.windows(BOOT_LOG.len()).position(|at| at == BOOT_LOG);
        if let Some(log) = log.filter(|_| on_reset == OnReset::Leaves) {
            say(&rest[..log]);
            rest = &rest[log..];
            cable.replug(RESET).expect("a cable can be pulled");
        }
        if cable.is_in() {
            say(rest);
        }
    }
}
