//! What a station needs besides server and unit: a scanner, a printer, and someone who watches.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Read};

use console::Term;
use traveler::Serial;
use zeroize::Zeroizing;

pub(crate) use crate::printer::{LabelFolder, Labels};
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
    /// Waiting for a label to be scanned that may not have come out: look into the printer.
    Printer,
    /// Waiting for the label to be scanned.
    Label,
    /// Closing the attempt.
    Seal,
}

impl Stage {
    /// How many there are.
    pub const COUNT: u64 = 12;

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
            Stage::Printer => "PRINTER: scan the label if it came out",
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
