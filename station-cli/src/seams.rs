//! What a station needs besides server and unit: a scanner, a printer, and someone who watches.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use console::Term;
use traveler::{Attempt, Serial};
use zeroize::Zeroizing;

use crate::durable;
use crate::report::Report;

/// Gives what an operator scans.
pub trait Scanner: Send {
    /// The next scan, asked for by name; `None` when no more will come. Secret: it is a label.
    ///
    /// # Errors
    /// When the scanner cannot be read.
    fn scan(
        &mut self,
        serial: &Serial,
    ) -> impl Future<Output = io::Result<Option<Zeroizing<String>>>> + Send;
}

/// Takes labels to print.
pub trait Labels: Send {
    /// Prints one label, or leaves it where a printer finds it; it is out of this program's hands
    /// when this returns.
    ///
    /// # Errors
    /// When it was not taken.
    fn print(&mut self, serial: &Serial, attempt: Attempt, zpl: &str) -> io::Result<()>;
}

/// What a station is doing with a unit, in order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Asking the server for the order.
    Server,
    /// Waiting for a cable that was pulled; then all is asked again.
    Reconnect,
    /// Asking who is there.
    Greet,
    /// Asking the server for a credential.
    Issue,
    /// Writing it.
    Load,
    /// Resetting the unit.
    Reset,
    /// Reading back.
    Prove,
    /// Handing the receipt over.
    Confirm,
    /// Locking the unit.
    Lock,
    /// Waiting for the label to be scanned.
    Label,
    /// Closing the attempt.
    Seal,
}

impl Stage {
    /// How many there are.
    pub const COUNT: u64 = 11;

    /// What a progress line says.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Server => "server",
            Stage::Reconnect => "RECONNECT THE UNIT",
            Stage::Greet => "greet",
            Stage::Issue => "issue",
            Stage::Load => "load",
            Stage::Reset => "reset",
            Stage::Prove => "read back",
            Stage::Confirm => "confirm",
            Stage::Lock => "lock",
            Stage::Label => "scan the label",
            Stage::Seal => "seal",
        }
    }

    /// How many came before it.
    #[must_use]
    pub fn number(self) -> u64 {
        self as u64
    }
}

/// Watches units go by.
pub trait Progress: Send {
    /// A unit has come to a stage; it may come to one again.
    fn stage(&mut self, serial: &Serial, stage: Stage);

    /// A unit is done with, well or not.
    fn ended(&mut self, report: &Report);
}

/// Nobody watches.
impl Progress for () {
    fn stage(&mut self, _: &Serial, _: Stage) {}

    fn ended(&mut self, _: &Report) {}
}

/// One line of standard input is one scan, as a keyboard-wedge scanner gives it.
pub struct StdinScanner;

impl StdinScanner {
    /// The longest scan that is read, in bytes; a label's code is under 120.
    const LONGEST: u64 = 1_024;
}

impl Scanner for StdinScanner {
    async fn scan(&mut self, _: &Serial) -> io::Result<Option<Zeroizing<String>>> {
        let reading = tokio::task::spawn_blocking(|| {
            // On a terminal the scan would stay on the screen: it is a password.
            if io::stdin().is_terminal() {
                // Not by way of standard error: somebody may have sent that to a file.
                let screen = OpenOptions::new().write(true).open("/dev/tty");
                let term = screen.map_or_else(
                    |_| Term::stderr(),
                    |screen| Term::read_write_pair(io::stdin(), screen),
                );
                let text = Zeroizing::new(term.read_secure_line()?);
                return Ok((!text.is_empty()).then_some(text));
            }
            let mut text = Zeroizing::new(String::new());
            let mut input = io::stdin().lock().take(StdinScanner::LONGEST);
            let length = input.read_line(&mut text)?;
            Ok((length > 0).then_some(text))
        });
        reading.await.map_err(io::Error::other)?
    }
}

/// A folder that a printer takes labels from: `SERIAL.zpl`, one a unit, the newest attempt's.
#[derive(Clone, Debug)]
pub struct LabelFolder(pub PathBuf);

impl LabelFolder {
    /// Takes back the label of a withdrawn attempt, when no printer has taken it yet.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn take_back(&self, serial: &Serial) -> io::Result<()> {
        durable::remove(&self.path(serial))
    }

    fn path(&self, serial: &Serial) -> PathBuf {
        self.0.join(format!("{serial}.zpl"))
    }
}

impl Labels for LabelFolder {
    fn print(&mut self, serial: &Serial, _: Attempt, zpl: &str) -> io::Result<()> {
        durable::make_folder(&self.0)?;
        let path = self.path(serial);
        // A crash between print and journal brings the same label here twice: printed once.
        let there = Zeroizing::new(durable::read(&path)?.unwrap_or_default());
        if *there == zpl {
            return Ok(());
        }
        durable::replace(&path, zpl.as_bytes(), durable::PRIVATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_left_once_and_replaced_by_a_newer_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let mut labels = LabelFolder(folder.path().join("labels"));
        let serial = Serial::parse("A47").unwrap();
        let path = folder.path().join("labels/A47.zpl");
        labels.print(&serial, Attempt(1), "^XA1^XZ").unwrap();
        let first = std::fs::metadata(&path).unwrap().modified().unwrap();
        labels.print(&serial, Attempt(1), "^XA1^XZ").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), first);
        labels.print(&serial, Attempt(2), "^XA2^XZ").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "^XA2^XZ");
        labels.take_back(&serial).unwrap();
        labels.take_back(&serial).unwrap();
        assert!(!path.exists());
    }
}
