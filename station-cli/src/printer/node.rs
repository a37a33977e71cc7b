//! A printer that is a file of this machine: `/dev/usb/lp0`, a serial line, a pipe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use tokio::time::{Duration, Instant, sleep};

/// How often a line that is not ready is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Whether a path is, or would be, a file that can be replaced whole. A device that is unplugged just
/// now is none: a file in its place would take labels that no printer gets.
pub(super) fn is_plain(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => found.is_file() && !path.starts_with("/dev"),
        Err(error) => error.kind() == io::ErrorKind::NotFound && !path.starts_with("/dev"),
    }
}

/// An open printer. It is read and written without waiting: a printer without paper takes nothing,
/// and a call that waits for it cannot be ended.
pub(super) struct Node(File);

impl Node {
    pub(super) fn open(path: &Path) -> io::Result<Node> {
        let found = fs::metadata(path)?;
        if !found.file_type().is_char_device() && !found.file_type().is_fifo() {
            return Err(io::Error::other("it is no printer but a file"));
        }
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let flags = i32::try_from(flags).map_err(io::Error::other)?;
        let both = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path);
        both.map(Node)
    }

    pub(super) async fn write(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.0.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => left = &left[taken..],
                Err(error) => wait(error, until).await?,
            }
        }
        Ok(())
    }

    /// At least a byte. The end of a file is only that nothing is there yet.
    pub(super) async fn read(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Ok(0) => wait(io::ErrorKind::WouldBlock.into(), until).await?,
                Ok(count) => return Ok(count),
                Err(error) => wait(error, until).await?,
            }
        }
    }

    /// Drops what lies there from before.
    pub(super) fn drain(&mut self) {
        let mut old = [0; 256];
        for _ in 0..16 {
            if !matches!(self.0.read(&mut old), Ok(count) if count > 0) {
                return;
            }
        }
    }
}

async fn wait(error: io::Error, until: Instant) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock if Instant::now() < until => {
            sleep(LOOK_EVERY).await;
            Ok(())
        }
        io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
        _ => Err(error),
    }
}
