//! Where scans come from: lines on standard input, or a scanner on a serial port.
//!
//! A scan may be a label, which is secret: it is wiped when it was used, and a terminal does not
//! show it. The terminal's echo is off for the whole shift, because a scan may come between two
//! reads; what was typed before the shift began is thrown away.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcsetattr,
};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::sleep;
use zeroize::{Zeroize, Zeroizing};

use super::burst::{BY_HAND, Burst, Keys};
use super::slots::ScannerAt;
use crate::port::{Port, SerialPort};

/// Longest scan in bytes; a label's code is under 120.
const LONGEST: usize = 1_024;
/// Scans that wait; a scanner that is faster than that waits itself.
const WAITING: usize = 64;
/// The control characters that some scanners put around a scan.
const STX: u8 = 0x02;
pub(super) const ETX: u8 = 0x03;
/// How often a serial scanner that was unplugged is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What comes from a scanner.
pub(super) enum Line {
    /// One scan, without its end.
    Scan {
        text: Zeroizing<String>,
        /// Whether it is a further line of what came in one go: a code may hold several.
        behind: bool,
    },
    /// More than a scan can be; dropped.
    TooLong,
    /// An ETX that ends no scan: a scanner's second end, or a person's Ctrl-C.
    Etx,
    /// The scanner does not answer, or does again.
    Here(bool),
}

/// Begins to read. The channel closes when no more can come, which is the end of a script.
pub(super) fn listen(at: &ScannerAt) -> mpsc::Receiver<Line> {
    let (lines, scans) = mpsc::channel(WAITING);
    match at {
        // A thread of its own, since a read of a terminal cannot be taken back.
        ScannerAt::Stdin => drop(std::thread::spawn(move || from_stdin(&lines))),
        ScannerAt::Port { path, baud } => {
            let port = SerialPort::new(path.clone(), *baud);
            drop(tokio::spawn(from_port(port, lines)));
        }
    }
    scans
}

fn from_stdin(lines: &mpsc::Sender<Line>) {
    // Only what types is a scanner: a script's lines are lines, however fast they come.
    let types = io::stdin().is_terminal();
    let (mut splitter, mut burst) = (Splitter::default(), Burst::default());
    let mut bytes = Zeroizing::new([0; LONGEST]);
    let (mut keys, began) = (Keys::default(), Instant::now());
    loop {
        if keys.pressed() && !comes_within(BY_HAND) {
            keys.heard();
            let _ = kill_process(getpid(), Signal::INT);
        }
        // Not by way of `Stdin`, whose buffer keeps what was scanned.
        let length = match rustix::io::read(io::stdin(), &mut *bytes) {
            Ok(0) => break,
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(_) => break,
        };
        let now = began.elapsed();
        if types {
            keys.read(&bytes[..length], now);
        }
        let together = types && burst.goes_on(now, splitter.in_line(), length == LONGEST);
        for mut line in splitter.push(&bytes[..length], together) {
            if let Line::Scan { behind, .. } = &mut line {
                *behind &= types;
            }
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    }
    // The last line of a script may have no end.
    for line in splitter.push(b"\n", false) {
        let _ = lines.blocking_send(line);
    }
}

/// Whether there is something to read, or nothing more will come, before this time is over.
fn comes_within(time: Duration) -> bool {
    let stdin = io::stdin();
    let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    // A signal that comes in between makes it begin anew, a few times.
    for _ in 0..4 {
        match poll(&mut wanted, time.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return !matches!(ready, Ok(0)),
        }
    }
    false
}

async fn from_port(mut port: SerialPort, lines: mpsc::Sender<Line>) {
    loop {
        let Ok(mut stream) = port.open().await else {
            if lines.send(Line::Here(false)).await.is_err() {
                return;
            }
            sleep(LOOK_EVERY).await;
            continue;
        };
        if lines.send(Line::Here(true)).await.is_err() {
            return;
        }
        let (mut splitter, mut burst) = (Splitter::default(), Burst::default());
        let (mut bytes, began) = (Zeroizing::new([0; LONGEST]), Instant::now());
        while let Ok(length @ 1..) = AsyncReadExt::read(&mut stream, &mut *bytes).await {
            let full = length == LONGEST;
            let together = burst.goes_on(began.elapsed(), splitter.in_line(), full);
            for line in splitter.push(&bytes[..length], together) {
                if lines.send(line).await.is_err() {
                    return;
                }
            }
        }
        drop(stream);
        sleep(LOOK_EVERY).await;
    }
}

/// Cuts bytes into scans; a scan ends with CR, LF or both, or stands between STX and ETX.
#[derive(Default)]
struct Splitter {
    begun: Zeroizing<Vec<u8>>,
    /// Until the next end everything is dropped.
    too_long: bool,
    /// Whether a line of what comes in one go has ended.
    another: bool,
}

impl Splitter {
    fn in_line(&self) -> bool {
        self.too_long || !self.begun.is_empty()
    }

    /// Takes in what was read, `together` when it came in one go with what was read before.
    fn push(&mut self, bytes: &[u8], together: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        self.another &= together;
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => lines.extend(self.end()),
                &ETX => lines.push(self.end().unwrap_or(Line::Etx)),
                &STX if self.begun.is_empty() && !self.too_long => {}
                _ if self.begun.len() == LONGEST => {
                    self.too_long = true;
                    self.begun.zeroize();
                }
                _ if self.too_long => {}
                byte => {
                    // Grown once and for all: a copy that is left behind would not be wiped.
                    if self.begun.capacity() < LONGEST {
                        self.begun.reserve_exact(LONGEST);
                    }
                    self.begun.push(*byte);
                }
            }
        }
        lines
    }

    fn end(&mut self) -> Option<Line> {
        if !self.in_line() {
            return None;
        }
        let behind = std::mem::replace(&mut self.another, true);
        if std::mem::take(&mut self.too_long) {
            return Some(Line::TooLong);
        }
        let text = Zeroizing::new(String::from_utf8_lossy(&self.begun).into_owned());
        self.begun.zeroize();
        Some(Line::Scan { text, behind })
    }
}

/// A terminal that shows nothing of what is typed and obeys no byte of it, until this is dropped.
pub(super) struct Quiet(Termios);

impl Quiet {
    /// `None` when standard input is no terminal: then nobody would see it anyway.
    pub(super) fn terminal() -> Option<Quiet> {
        let stdin = io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok())??;
        set(&stdin, &quiet(&before)).ok()?;
        Some(Quiet(before))
    }
}

impl Quiet {
    /// Where the scanner is on a port of its own, nobody reads the terminal, and what is typed there is
    /// a person's: Ctrl-C ends the shift.
    pub(super) fn obey_keys(&self) {
        let _ = set(io::stdin(), &keyed(&self.0));
    }
}

fn keyed(before: &Termios) -> Termios {
    let mut keyed = before.clone();
    keyed.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
    keyed.local_modes |= LocalModes::ISIG;
    keyed
}

/// At once, whatever the terminal has still to show: one that takes no output would be waited for.
/// What was typed before is not read any more.
fn set(terminal: impl AsFd, modes: &Termios) -> rustix::io::Result<()> {
    tcsetattr(&terminal, OptionalActions::Now, modes)?;
    tcflush(&terminal, QueueSelector::IFlush)
}

/// A code with a Ctrl-S in it must not stop the screen, nor one with a Ctrl-C, -D, -V, -Z or -\ the
/// shift: every byte is only read.
fn quiet(before: &Termios) -> Termios {
    let mut quiet = before.clone();
    quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
    quiet.local_modes -= LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
    quiet.input_modes -= InputModes::IXON;
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    quiet
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = set(io::stdin(), &self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    fn check(pushes: &[&[u8]], expected: &[&str]) {
        let mut splitter = Splitter::default();
        let lines: Vec<String> = pushes
            .iter()
            .flat_map(|bytes| splitter.push(bytes, false))
            .map(|line| match line {
                Line::Scan { text, .. } => text.to_string(),
                Line::TooLong => "too long".to_owned(),
                Line::Etx => "etx".to_owned(),
                Line::Here(_) => unreachable!("a splitter knows no scanner"),
            })
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_scan_ends_as_its_scanner_ends_it() {
        check(
            &[b"A47\r\n", b"\n\r", b"A4", b"8\rA49\n"],
            &["A47", "A48", "A49"],
        );
        check(&[b"A47"], &[]);
        check(&[b"\xff\n"], &["\u{fffd}"]);
    }

    #[test]
    fn a_scan_between_stx_and_etx_is_one_and_no_end_of_the_shift() {
        check(&[b"\x02A47\x03\x02A4", b"8\x03"], &["A47", "A48"]);
        check(&[b"A47\r\x03"], &["A47", "etx"]);
        check(&[b"\x03"], &["etx"]);
    }

    #[test]
    fn the_further_lines_of_one_code_stand_behind_its_first() {
        let mut splitter = Splitter::default();
        let mut behind = |bytes: &[u8], together| {
            let lines = splitter.push(bytes, together).into_iter();
            let behind = lines.map(|line| matches!(line, Line::Scan { behind: true, .. }));
            behind.collect::<Vec<_>>()
        };
        assert_eq!(behind(b"A47\nL-1\r\nSCR", false), [false, true]);
        assert_eq!(behind(b"AP\n", true), [true]);
        assert_eq!(behind(b"L-1", false), [false; 0]);
        assert_eq!(behind(b"\r\n", true), [false]);
        assert_eq!(behind(b"SLOT1\r", false), [false]);
        let long = vec![b'A'; 5 * LONGEST];
        assert_eq!(behind(&long, false), [false; 0]);
        assert_eq!(
            behind(b"\nL-1\n", true),
            [false, true],
            "dropped, and was one"
        );
    }

    /// A code of somebody else's, each line of it padded to what a bridge or a scanner hands on.
    #[test]
    fn a_line_in_a_read_of_its_own_stands_behind_as_well() {
        let (mut splitter, mut burst) = (Splitter::default(), Burst::default());
        let reads: [(u64, &[u8]); 7] = [
            (1_000, b"A47            \r"),
            (1_016, b"\r\r\r\r"),
            (1_032, b"L-1            \r"),
            (1_048, b"SLOT1          \r"),
            (1_064, b"CANCEL         \r"),
            // A lead's own scan, and the slot's.
            (1_114, b"L-1\r"),
            (1_130, b"SLOT1\r"),
        ];
        let mut behind = Vec::new();
        for (at, bytes) in reads {
            let together = burst.goes_on(Duration::from_millis(at), splitter.in_line(), false);
            for line in splitter.push(bytes, together) {
                behind.push(matches!(line, Line::Scan { behind: true, .. }));
            }
        }
        assert_eq!(behind, [false, true, true, true, false, true]);
    }

    /// A terminal, and its other end.
    fn pty() -> (OwnedFd, OwnedFd) {
        use rustix::fs::{Mode, OFlags};
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        (master, terminal)
    }

    /// Any control character can be in a code, and a terminal would act on it.
    #[test]
    fn a_terminal_obeys_no_byte_of_a_scan() {
        use std::io::{Read as _, Write as _};

        let (master, terminal) = pty();
        let before = tcgetattr(&terminal).unwrap();
        set(&terminal, &quiet(&before)).unwrap();
        let sent = b"A\x03\x04\x16\x1a\x1c\x13\x15B";
        let mut master = std::fs::File::from(master);
        master.write_all(sent).unwrap();
        let mut terminal = std::fs::File::from(terminal);
        let mut read = [0; 9];
        terminal.read_exact(&mut read).unwrap();
        assert_eq!(&read, sent);
    }

    /// With a scanner on a port the terminal makes the signal itself: no thread reads a Ctrl-C there.
    #[test]
    fn beside_a_scanner_on_a_port_the_terminal_keeps_its_keys() {
        let (_master, terminal) = pty();
        let before = tcgetattr(&terminal).unwrap();
        set(&terminal, &quiet(&before)).unwrap();
        set(&terminal, &keyed(&before)).unwrap();
        let now = tcgetattr(&terminal).unwrap().local_modes;
        assert!(now.contains(LocalModes::ISIG) && !now.contains(LocalModes::ECHO));
    }

    #[test]
    fn a_key_that_hangs_costs_one_line() {
        let long = vec![b'A'; 5 * LONGEST];
        check(&[&long, b"B\n", b"A47\n"], &["too long", "A47"]);
        check(
            &[&long[..LONGEST], b"\nA47\n"],
            &[&"A".repeat(LONGEST), "A47"],
        );
    }
}
