//! A printer that is a file of this machine: `/dev/usb/lp0`, a serial line, a pipe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use tokio::time::{Duration, Instant, sleep};

/// How often a line that is not ready is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Whether a path is, or would be, a file that can be replaced whole. A printer that is unplugged just
/// now is none: a file in its place would take labels that no printer gets.
pub(super) fn is_plain(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => found.is_file() && !path.starts_with("/dev"),
        Err(error) => error.kind() == io::ErrorKind::NotFound && !path.starts_with("/dev"),
    }
}

/// On a line that was opened just now, an answer to somebody before us may be on its way yet: the line
/// is quiet when none has come for so long. USB brings one within a few milliseconds.
const QUIET: Duration = Duration::from_millis(100);
/// A printer that never falls quiet is asked all the same.
const QUIET_WITHIN: Duration = Duration::from_secs(1);

/// An open printer. It is read and written without waiting: a printer without paper takes nothing,
/// and a call that waits for it cannot be ended.
pub(super) struct Node {
    file: File,
    /// Until it is asked for the first time.
    fresh: bool,
}

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
        both.map(|file| Node { file, fresh: true })
    }

    pub(super) async fn write(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.file.write(left) {
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
            match self.file.read(bytes) {
                Ok(0) => wait(io::ErrorKind::WouldBlock.into(), until).await?,
                Ok(count) => return Ok(count),
                Err(error) => wait(error, until).await?,
            }
        }
    }

    /// Drops what lies there from before.
    pub(super) async fn drain(&mut self) {
        let mut old = [0; 256];
        let quiet = match std::mem::take(&mut self.fresh) {
            true => QUIET,
            false => Duration::ZERO,
        };
        let end = Instant::now() + QUIET_WITHIN;
        while Instant::now() < end {
            let until = Instant::now() + quiet;
            if self.read(&mut old, until).await.is_err() {
                return;
            }
        }
    }

    /// Waits until what was written has left: the kernel's USB printer driver takes the end of a label
    /// back when the line is closed before (`usblp_release` kills the transfer), and says by poll when
    /// it is out. A file that cannot be polled has nothing on its way.
    pub(super) async fn sent(&self, within: Duration) {
        let end = Instant::now() + within;
        while Instant::now() < end {
            let mut line = [PollFd::new(&self.file, PollFlags::OUT)];
            match poll(&mut line, Some(&Timespec::default())) {
                Ok(0) => sleep(LOOK_EVERY).await,
                Ok(_) | Err(_) => return,
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::tests::cable;
    use super::*;

    /// An answer that comes after the line was opened and before we have asked is not ours either.
    #[tokio::test(start_paused = true)]
    async fn a_line_is_let_fall_quiet_before_the_first_question() {
        let (mut far, path) = cable::pair();
        let mut node = Node::open(&path).unwrap();
        let late = async {
            for _ in 0..2 {
                tokio::time::advance(QUIET - LOOK_EVERY * 2).await;
                far.write_all(b"old").unwrap();
            }
        };
        tokio::join!(node.drain(), late);
        far.write_all(b"new").unwrap();
        let mut heard = [0; 8];
        let until = Instant::now() + QUIET;
        let count = node.read(&mut heard, until).await.unwrap();
        assert_eq!(&heard[..count], b"new");
        // From then on there is nobody else's answer to wait for.
        let before = Instant::now();
        node.drain().await;
        assert!(before.elapsed() <= LOOK_EVERY);
    }

    /// A pipe that is full stands for a transfer that is on its way.
    #[tokio::test]
    async fn a_line_is_not_closed_before_its_bytes_have_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("printer");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let mut node = Node::open(&path).unwrap();
        node.sent(Duration::from_secs(60)).await; // at once: nothing is on its way
        let much = vec![b'a'; 1 << 20];
        let full = node.write(&much, Instant::now()).await;
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let before = Instant::now();
        node.sent(Duration::from_millis(50)).await;
        assert!(
            before.elapsed() >= Duration::from_millis(50),
            "not for ever"
        );
        let mut reader = File::open(&path).unwrap();
        let order = RefCell::new(Vec::new());
        let sent = async {
            node.sent(Duration::from_secs(60)).await;
            order.borrow_mut().push("sent");
        };
        let taken = async {
            assert!(reader.read(&mut vec![0; 1 << 16]).unwrap() > 0);
            order.borrow_mut().push("taken");
        };
        tokio::join!(sent, taken);
        assert_eq!(order.into_inner(), ["taken", "sent"]);
    }
}
