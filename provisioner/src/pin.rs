//! Where the token's PIN comes from: a file, a file descriptor or a prompt. Never an argument, never
//! the environment: other users of the machine can read those.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use hsm::{Pin, PinLength};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Config;

/// The most that is read: a PIN has at most 255 bytes, and one line ending.
const READ_MAX: u64 = 512;

/// Where the PIN comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PinSource {
    /// A file that only the server's user can read.
    File(PathBuf),
    /// A file descriptor that whoever started this process left open, such as `3`.
    Descriptor(u32),
    /// The person at the terminal.
    Prompt,
}

/// Where the token's PIN comes from. Never an argument itself: others can read those.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct PinArgs {
    /// File with the token's PIN [default: the one that `init` was told of, or made in the data directory
    /// for a new software token].
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    /// File descriptor with the token's PIN, such as 3, left open by whoever starts this.
    #[arg(long, value_name = "N", conflicts_with_all = ["pin_file", "pin_prompt"])]
    pin_fd: Option<u32>,
    /// Ask for the token's PIN on the terminal.
    #[arg(long, conflicts_with = "pin_file")]
    pin_prompt: bool,
}

impl PinArgs {
    /// The source that is good for this once; a file is named for good.
    pub(crate) fn once(&self) -> Option<PinSource> {
        match self.pin_fd {
            Some(number) => Some(PinSource::Descriptor(number)),
            None => self.pin_prompt.then_some(PinSource::Prompt),
        }
    }

    /// Says it to the configuration of one run; a file is relative to where the person stands.
    pub(crate) fn tell(self, config: &mut Config) -> io::Result<()> {
        config.pin = self.once();
        if let Some(pin_file) = self.pin_file {
            config.pin_file = Some(std::path::absolute(pin_file)?);
        }
        Ok(())
    }
}

/// Why there is no PIN.
#[derive(Debug, Error)]
pub enum PinError {
    /// The place cannot be read.
    #[error("cannot read the PIN from {place}")]
    Read {
        /// Which place.
        place: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What is there is no PIN.
    #[error("the PIN from {place} is not usable")]
    Length {
        /// Which place.
        place: String,
        /// What is wrong with it.
        #[source]
        source: PinLength,
    },
}

impl PinSource {
    /// Reads the PIN, once: a descriptor is empty afterwards.
    ///
    /// # Errors
    /// [`PinError`].
    pub(crate) fn read(&self) -> Result<Pin, PinError> {
        let place = match self {
            PinSource::File(path) => path.display().to_string(),
            PinSource::Descriptor(number) => format!("file descriptor {number}"),
            PinSource::Prompt => "the terminal".to_owned(),
        };
        let bytes = match self {
            PinSource::File(path) => read_up(path),
            PinSource::Descriptor(number) => read_up(Path::new(&format!("/dev/fd/{number}"))),
            PinSource::Prompt => OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/tty")
                .and_then(|terminal| ask(&terminal)),
        };
        let bytes = bytes.map_err(|source| PinError::Read {
            place: place.clone(),
            source,
        })?;
        Pin::parse(&bytes).map_err(|source| PinError::Length { place, source })
    }
}

fn read_up(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Never grows, so that no copy stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(READ_MAX as usize));
    File::open(path)?.take(READ_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks on a terminal and reads one line that it does not show.
fn ask(mut terminal: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let shown = tcgetattr(terminal)?;
    let mut hidden: Termios = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(terminal.as_fd(), OptionalActions::Flush, &hidden)?;
    let asked = terminal.write_all(b"PIN of the token: ");
    let mut line = Zeroizing::new(Vec::with_capacity(READ_MAX as usize));
    let read = BufReader::new(terminal)
        .take(READ_MAX)
        .read_until(b'\n', &mut line);
    // Also after an error: a terminal that stays silent is a broken one.
    tcsetattr(terminal.as_fd(), OptionalActions::Now, &shown)?;
    let _ = terminal.write_all(b"\n"); // for looks
    asked?;
    read?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    fn check(source: &PinSource, expected: Result<&[u8], &str>) {
        let read = source.read().map(|pin| pin.expose(<[u8]>::to_vec));
        assert_eq!(
            read.as_deref().map_err(ToString::to_string),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn files_and_descriptors_hold_a_pin() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        std::fs::write(&path, "1234\n").unwrap();
        check(&PinSource::File(path.clone()), Ok(b"1234"));
        let file = File::open(&path).unwrap();
        let number = u32::try_from(file.as_raw_fd()).unwrap();
        check(&PinSource::Descriptor(number), Ok(b"1234"));
        let none = "cannot read the PIN from file descriptor 999999";
        check(&PinSource::Descriptor(999_999), Err(none));
        std::fs::write(&path, "12").unwrap();
        let short = format!("the PIN from {} is not usable", path.display());
        check(&PinSource::File(path), Err(&short));
    }

    #[test]
    fn a_prompt_shows_nothing_of_what_is_typed() {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let path = Path::new(name.to_str().unwrap()).to_owned();
        let mut ours = File::from(ours);
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let before = tcgetattr(&terminal).unwrap().local_modes;
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&terminal).unwrap());
            let mut shown = vec![0; b"PIN of the token: ".len()];
            ours.read_exact(&mut shown).unwrap();
            assert_eq!(shown, b"PIN of the token: ");
            ours.write_all(b"24680\n").unwrap();
            assert_eq!(asked.join().unwrap().as_slice(), b"24680\n");
        });
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before);
        let mut rest = [0; 16];
        let length = ours.read(&mut rest).unwrap();
        assert_eq!(&rest[..length], b"\r\n", "only the new line is shown");
    }
}
