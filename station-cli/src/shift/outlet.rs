//! Lines on their way to somebody who may be slow: a reader that pauses must not hold up a bench.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait; what there is no room for is counted.
const WAITING: usize = 1_024;

/// A thread that writes, and the lines on their way to it.
pub(super) struct Outlet {
    lines: Option<SyncSender<String>>,
    done: Receiver<()>,
    dropped: u64,
}

impl Outlet {
    pub(super) fn new(write: impl FnMut(String) + Send + 'static) -> Outlet {
        let (lines, wanted) = sync_channel(WAITING);
        let (ended, done) = sync_channel(1);
        thread::spawn(move || {
            wanted.into_iter().for_each(write);
            let _ = ended.send(());
        });
        Outlet {
            lines: Some(lines),
            done,
            dropped: 0,
        }
    }

    /// Sends one, if there is room, behind what `missed` says of those that there was none for.
    pub(super) fn send(&mut self, line: String, missed: impl FnOnce(u64) -> String) {
        let Some(lines) = &self.lines else { return };
        if self.dropped > 0 && lines.try_send(missed(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        if self.dropped > 0 || matches!(lines.try_send(line), Err(TrySendError::Full(_))) {
            self.dropped += 1;
        }
    }

    /// Takes no more, and waits so long at most until everything is written.
    pub(super) fn end(&mut self, within: Duration) {
        self.lines = None;
        let _ = self.done.recv_timeout(within);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn a_reader_that_pauses_holds_up_nobody_and_hears_what_it_missed() {
        let (go, wait) = channel::<()>();
        let (written, read) = channel();
        let (began, begun) = channel();
        let mut outlet = Outlet::new(move |line| {
            let _ = began.send(());
            let _ = wait.recv(); // until `go` is dropped
            let _ = written.send(line);
        });
        let missed = |count| format!("missed {count}");
        let all = 3 * WAITING as u64;
        outlet.send("0".to_owned(), missed);
        begun.recv_timeout(SOON).unwrap(); // one is in hand, and no more is taken
        for number in 1..all {
            outlet.send(number.to_string(), missed);
        }
        let dropped = outlet.dropped;
        assert_eq!(dropped, all - 1 - WAITING as u64);
        drop(go);
        for number in 0..all - dropped {
            assert_eq!(read.recv_timeout(SOON).unwrap(), number.to_string());
        }
        outlet.send("last".to_owned(), missed);
        outlet.end(SOON);
        let rest: Vec<String> = read.iter().collect();
        assert_eq!(rest, [format!("missed {dropped}"), "last".to_owned()]);
    }
}
