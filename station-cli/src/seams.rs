//! What a station needs besides server and unit: a scanner, a printer, and someone who watches.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use console::Term;
use rustix::io::Errno;
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
    /// Writing it; of a native unit that knows install, all of write, reset and proof.
    Load,
    /// Resetting the unit, where the station asks for that.
    Reset,
    /// Reading back, where the station does it or asks for it.
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
    const LONGEST: usize = 1_024;
}

/// One line, read from the descriptor itself: a buffer in between would keep what was scanned. No
/// byte behind the line is taken. `None` at the end.
fn line(from: impl AsFd) -> io::Result<Option<Zeroizing<String>>> {
    // As large as it gets: one that grew would leave copies behind that nobody wipes.
    let mut line = Zeroizing::new(Vec::with_capacity(StdinScanner::LONGEST));
    let mut byte = Zeroizing::new([0; 1]);
    while line.len() < StdinScanner::LONGEST && !line.ends_with(b"\n") {
        match rustix::io::read(&from, &mut *byte) {
            Ok(0) => break,
            Ok(_) => line.push(byte[0]),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((!line.is_empty()).then(|| Zeroizing::new(text.to_owned())))
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
            line(io::stdin())
        });
        reading.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_line_is_taken_and_not_a_byte_more() {
        let (mut from, mut to) = UnixStream::pair().unwrap();
        to.write_all(b"BM1:A47:X\nrest").unwrap();
        drop(to);
        assert_eq!(
            line(&from).unwrap().as_deref().map(String::as_str),
            Some("BM1:A47:X\n")
        );
        let mut rest = String::new();
        from.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
        assert!(line(&from).unwrap().is_none());
    }
}
