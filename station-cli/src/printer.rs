//! Where labels go: a network printer, a printer on a cable, a folder, a file.
//!
//! What a station knows of a label that it sent is what the printer says, and a printer may say
//! nothing: then it is not known whether a label came out, and only a scan of it settles that. So a
//! printer is asked before the first byte of a label and refuses there while it costs nothing; from
//! that byte on there is no second try here, since two labels of one number could not be told apart.
//! Deliberately absent: a spooler, and any copy of a label on disk but in the folder or file that is
//! itself the printer.

mod folder;
mod link;
mod node;
mod status;

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, sleep};
use traveler::{Attempt, Serial};

pub use folder::LabelFolder;
use link::Link;
use status::{Status, Trouble};

/// TCP; a printer that is on answers in milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// One answer about its state.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// All of a label, which has at most 16 kB as text and a few hundred as a picture.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// A label of 300 mm at the slowest speed there is (51 mm a second), and those of the other slots
/// that were sent before it.
const PRINTED_WITHIN: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A label that somebody else is sending is whole within this, or another station would have given it
/// up; a part that stays longer was cut.
const PART_WITHIN: Duration = Duration::from_secs(15);
const _: () = assert!(PART_WITHIN.as_secs() > SEND_WITHIN.as_secs());

/// Ends a format that was cut in the middle (ZPL II Programming Guide, `~JX`).
const CANCEL_PART: &[u8] = b"~JX";

/// The port of raw printing.
const RAW_PORT: u16 = 9_100;

/// One label to print.
pub struct Printout<'a> {
    /// The unit.
    pub serial: &'a Serial,
    /// The try.
    pub attempt: Attempt,
    /// Which reprint it is: 0 is the first print.
    pub reprint: u32,
    /// What the printer gets. Secret.
    pub zpl: &'a str,
}

/// What is known of a label that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Taken {
    /// The printer says that it has nothing left to print, and no trouble.
    Printed,
    /// A label may have come out, may come out yet, or never: the printer did not say. Why.
    Unknown(String),
}

/// Takes labels to print.
pub trait Labels: Send {
    /// Prints one label. `begin` is called once, before its first byte leaves: what it puts on record
    /// is that a label of this number may exist from then on. When it fails nothing is sent.
    ///
    /// # Errors
    /// When no label comes out of it, surely: the caller may print the same again.
    fn print(
        &mut self,
        label: &Printout<'_>,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> impl Future<Output = io::Result<Taken>> + Send;

    /// Whether this very label lies there whole, where something will print it from or a person take
    /// it: then a print that a crash cut short is known to be done. Anybody else does not know.
    fn holds(&self, _label: &Printout<'_>) -> bool {
        false
    }
}

/// Where labels go, on the command line.
#[derive(Args)]
pub(crate) struct PrinterArgs {
    /// The printer: tcp:HOST[:PORT], usb:PATH, dir:FOLDER or file:PATH [default: dir:labels in the
    /// station's folder].
    #[arg(long, value_name = "PRINTER", env = "BIRTHMARK_PRINTER")]
    printer: Option<Printer>,
    /// A folder in place of a printer; the same as --printer dir:DIR, and goes before it.
    #[arg(long, value_name = "DIR")]
    labels: Option<PathBuf>,
}

impl PrinterArgs {
    /// The one that was named, or the station's own folder.
    pub(crate) fn open(&self, own: PathBuf) -> Printer {
        match (&self.printer, &self.labels) {
            // It comes from the command line alone, and a printer perhaps from the environment.
            (_, Some(folder)) => Printer::folder(folder.clone()),
            (Some(printer), None) => printer.clone(),
            (None, None) => Printer::folder(own),
        }
    }
}

/// A text that names no printer.
#[derive(Debug, Error, Eq, PartialEq)]
#[error(
    "printer `{0}` is not usable: expected tcp:HOST[:PORT] (9100 unless said; `?mute` behind it for \
     one that never answers), usb:PATH such as usb:/dev/usb/lp0 (or `?mute`), dir:FOLDER or file:PATH"
)]
pub struct PrinterError(String);

/// A printer by its address. Clones share it: one label at a time, whatever the slot. A station opens
/// each printer once and gives every slot a clone; to another process a busy printer seems not to
/// answer, which costs nothing.
#[derive(Clone, Debug)]
pub struct Printer {
    way: Way,
    turn: Arc<Mutex<()>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Way {
    Tcp { host: String, port: u16, mute: bool },
    Usb { path: PathBuf, mute: bool },
    Folder(LabelFolder),
    File(PathBuf),
}

impl FromStr for Printer {
    type Err = PrinterError;

    fn from_str(text: &str) -> Result<Printer, PrinterError> {
        let unusable = || {
            let shown = text.chars().take(80).flat_map(char::escape_debug);
            PrinterError(shown.collect())
        };
        let (kind, rest) = text.split_once(':').ok_or_else(unusable)?;
        let (address, mute) = match rest.strip_suffix("?mute") {
            Some(address) if matches!(kind, "tcp" | "usb") => (address, true),
            _ => (rest, false),
        };
        if address.is_empty() || address.contains(char::is_control) {
            return Err(unusable());
        }
        let path = || PathBuf::from(address);
        let way = match kind {
            "tcp" => {
                let (host, port) = host_and_port(address).ok_or_else(unusable)?;
                Way::Tcp { host, port, mute }
            }
            "usb" => Way::Usb { path: path(), mute },
            "dir" => Way::Folder(LabelFolder(path())),
            "file" => Way::File(path()),
            _ => return Err(unusable()),
        };
        Ok(Printer::new(way))
    }
}

/// `HOST`, `HOST:PORT`, `[::1]` or `[::1]:PORT`.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':')?)),
            }
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = port.map_or(Ok(RAW_PORT), str::parse).ok()?;
    let named = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-:_%".contains(c));
    (named && port != 0).then(|| (host.to_owned(), port))
}

impl Printer {
    fn new(way: Way) -> Printer {
        let turn = Arc::default();
        Printer { way, turn }
    }

    /// A folder that something else prints from.
    #[must_use]
    pub fn folder(path: PathBuf) -> Printer {
        Printer::new(Way::Folder(LabelFolder(path)))
    }

    /// The folder, when it is one.
    #[must_use]
    pub fn as_folder(&self) -> Option<&LabelFolder> {
        match &self.way {
            Way::Folder(folder) => Some(folder),
            Way::Tcp { .. } | Way::Usb { .. } | Way::File(_) => None,
        }
    }

    /// What the printer says of itself, for a person; nothing is printed.
    ///
    /// # Errors
    /// When it cannot be reached, does not answer, or cannot print now.
    pub async fn ask(&self) -> io::Result<String> {
        match &self.way {
            Way::Folder(LabelFolder(path)) => {
                folder::takes_files(path)?;
                Ok(format!("the folder {}", path.display()))
            }
            Way::File(path) if node::is_plain(path) => {
                folder::takes_files(path.parent().unwrap_or(path))?;
                Ok(format!("the file {}", path.display()))
            }
            Way::File(path) => {
                self.connect().await?;
                Ok(format!("{} can be opened", path.display()))
            }
            Way::Tcp { mute: true, .. } | Way::Usb { mute: true, .. } => {
                self.connect().await?;
                Ok("it can be reached; whether it prints it does not say".to_owned())
            }
            Way::Tcp { .. } | Way::Usb { .. } => {
                let _turn = self.turn.lock().await;
                let status = Status::ask(&mut self.connect().await?, ANSWER_WITHIN).await?;
                match status.trouble() {
                    Some(found) => Err(trouble(found.as_str())),
                    None => Ok(format!("ready, {} labels waiting", status.waiting())),
                }
            }
        }
    }

    async fn connect(&self) -> io::Result<Link> {
        match &self.way {
            Way::Tcp { host, port, .. } => Link::tcp(host, *port, CONNECT_WITHIN).await,
            Way::Usb { path, .. } | Way::File(path) => Link::node(path),
            Way::Folder(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn mute(&self) -> bool {
        match self.way {
            Way::Tcp { mute, .. } | Way::Usb { mute, .. } => mute,
            Way::Folder(_) | Way::File(_) => true,
        }
    }

    /// Sends a label to a printer at the other end of a line.
    async fn send(
        &self,
        zpl: &str,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> io::Result<Taken> {
        let mut link = self.connect().await?;
        if !self.mute() {
            ready(&mut link).await?;
        }
        begin()?;
        // From here on a label may come out, whatever fails.
        if let Err(error) = link.send(zpl.as_bytes(), SEND_WITHIN).await {
            return Ok(Taken::Unknown(format!("the label was cut off: {error}")));
        }
        if self.mute() {
            link.finish().await;
            return Ok(Taken::Unknown(
                "this printer says nothing of itself".to_owned(),
            ));
        }
        Ok(follow(&mut link).await)
    }
}

impl Labels for Printer {
    async fn print(
        &mut self,
        label: &Printout<'_>,
        begin: &mut (dyn FnMut() -> io::Result<()> + Send),
    ) -> io::Result<Taken> {
        let _turn = self.turn.lock().await;
        match &self.way {
            Way::Folder(folder) => folder.clone().print(label, begin).await,
            Way::File(path) if node::is_plain(path) => {
                begin()?;
                folder::place(path, label.zpl)
            }
            Way::Tcp { .. } | Way::Usb { .. } | Way::File(_) => self.send(label.zpl, begin).await,
        }
    }

    fn holds(&self, label: &Printout<'_>) -> bool {
        match &self.way {
            Way::Folder(folder) => folder.holds(label),
            Way::File(path) => node::is_plain(path) && folder::lies(path, label.zpl),
            Way::Tcp { .. } | Way::Usb { .. } => false,
        }
    }
}

/// Waits until the printer says that it would print at once; refuses with what is in the way.
async fn ready(link: &mut Link) -> io::Result<()> {
    let mut end = Instant::now() + PART_WITHIN;
    let mut cancelled = false;
    loop {
        let status = Status::ask(link, ANSWER_WITHIN).await?;
        match status.trouble() {
            None => return Ok(()),
            // Left by a station that lost its power in the middle: the next label would be part of it.
            Some(Trouble::Part) if Instant::now() >= end && !cancelled => {
                link.send(CANCEL_PART, ANSWER_WITHIN).await?;
                cancelled = true;
                end = Instant::now() + ANSWER_WITHIN;
            }
            Some(Trouble::Part | Trouble::Full) if Instant::now() < end => sleep(ASK_EVERY).await,
            Some(found) => return Err(trouble(found.as_str())),
        }
    }
}

/// Asks until nothing is left to print. Each answer is to a question that was asked after the label
/// was sent: a line on which an answer is overdue is given up, so that none comes late.
async fn follow(link: &mut Link) -> Taken {
    let end = Instant::now() + PRINTED_WITHIN;
    loop {
        match Status::ask(link, ANSWER_WITHIN).await {
            Err(error) => return Taken::Unknown(error.to_string()),
            Ok(status) => match status.trouble() {
                Some(Trouble::Part | Trouble::Full) => {}
                Some(found) => return Taken::Unknown(found.as_str().to_owned()),
                None if status.waiting() == 0 => return Taken::Printed,
                None => {}
            },
        }
        if Instant::now() >= end {
            return Taken::Unknown("the printer still has labels to print".to_owned());
        }
        sleep(ASK_EVERY).await;
    }
}

fn trouble(words: &str) -> io::Error {
    io::Error::other(words.to_owned())
}

#[cfg(test)]
mod tests;
