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
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_reader_that_pauses_holds_up_nobody_and_hears_what_it_missed() {
        let (go, wait) = channel::<()>();
        let read = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&read);
        let mut outlet = Outlet::new(move |line| {
            let _ = wait.recv(); // until `go` is dropped
            written.lock().unwrap().push(line);
        });
        let missed = |count| format!("missed {count}");
        for number in 0..3 * WAITING {
            outlet.send(number.to_string(), missed);
        }
        drop(go);
        let all = 3 * WAITING as u64;
        let give_up = Instant::now() + Duration::from_secs(30);
        while read.lock().unwrap().len() as u64 + outlet.dropped < all {
            assert!(Instant::now() < give_up, "it reads on");
            thread::sleep(Duration::from_millis(1));
        }
        let dropped = outlet.dropped;
        assert!(dropped >= all - WAITING as u64 - 1, "{dropped}");
        outlet.send("last".to_owned(), missed);
        outlet.end(Duration::from_secs(30));
        let read = read.lock().unwrap();
        let (end, told) = (read.len() - 2, format!("missed {dropped}"));
        assert_eq!(read[end..], [told.as_str(), "last"]);
    }
}
