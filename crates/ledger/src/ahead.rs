//! Hashing and parsing ahead of the rules, which must be asked one entry after the other.
//!
//! Entries go to the threads in turns, a block at a time, and come back in the same turns, so the
//! order is that of the log whatever a thread is busy with. At most [`IN_FLIGHT`] blocks a thread
//! are held in memory.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::replay::Prepared;

/// Entries handed over at once: a hand-over costs microseconds, and so does an entry.
const BLOCK: usize = 256;
/// Blocks a thread may hold: one at work, one waiting, so that it never idles.
const IN_FLIGHT: usize = 2;
/// Threads that are of any use: the rules alone take longer than an eighth of the rest.
const THREADS_MAX: usize = 8;

/// An entry's bytes and its place.
pub(crate) type Numbered = (u64, Vec<u8>);
type Block = Vec<Numbered>;
type Done = Vec<(u64, Prepared)>;

/// The threads, and what they hand back.
pub(crate) struct Ahead<E> {
    workers: Vec<(SyncSender<Block>, Receiver<Done>)>,
    /// Blocks handed out and not yet taken back belong to the workers from `first` on.
    first: usize,
    in_flight: usize,
    /// The block that is being taken up.
    open: VecDeque<(u64, Prepared)>,
    drained: bool,
    /// Why no more could be read; told once all that was read before is taken up.
    failed: Option<E>,
}

impl<E> Ahead<E> {
    /// Starts the threads; 0 and 1 need none. They end when this is dropped.
    pub(crate) fn new(threads: usize) -> Ahead<E> {
        let count = threads.clamp(1, THREADS_MAX) - 1;
        let worker = |_| {
            let (jobs, queue) = sync_channel::<Block>(IN_FLIGHT);
            let (reply, done) = sync_channel::<Done>(IN_FLIGHT);
            std::thread::spawn(move || {
                while let Ok(block) = queue.recv() {
                    let prepared = |(seq, bytes): Numbered| (seq, Prepared::new(&bytes));
                    if reply
                        .send(block.into_iter().map(prepared).collect())
                        .is_err()
                    {
                        return; // the audit has ended early
                    }
                }
            });
            (jobs, done)
        };
        Ahead {
            workers: (0..count).map(worker).collect(),
            first: 0,
            in_flight: 0,
            open: VecDeque::new(),
            drained: false,
            failed: None,
        }
    }

    /// The next entry, in the order in which `read` gives them.
    ///
    /// # Errors
    /// That of `read`, once, behind all that it gave before.
    pub(crate) fn next(
        &mut self,
        mut read: impl FnMut() -> Result<Option<Numbered>, E>,
    ) -> Result<Option<(u64, Prepared)>, E> {
        if self.workers.is_empty() {
            let entry = read()?;
            return Ok(entry.map(|(seq, bytes)| (seq, Prepared::new(&bytes))));
        }
        if let Some(entry) = self.open.pop_front() {
            return Ok(Some(entry));
        }
        while !self.drained && self.in_flight < self.workers.len() * IN_FLIGHT {
            self.hand_out(&mut read);
        }
        if self.in_flight == 0 {
            return self.failed.take().map_or(Ok(None), Err);
        }
        let (_, done) = &self.workers[self.first];
        self.first = (self.first + 1) % self.workers.len();
        self.in_flight -= 1;
        let block = done.recv().expect("a worker ends only when its queue does");
        self.open = block.into();
        Ok(self.open.pop_front())
    }

    fn hand_out(&mut self, read: &mut impl FnMut() -> Result<Option<Numbered>, E>) {
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK && !self.drained {
            match read() {
                Ok(Some(entry)) => block.push(entry),
                Ok(None) => self.drained = true,
                Err(error) => (self.drained, self.failed) = (true, Some(error)),
            }
        }
        if !block.is_empty() {
            let turn = (self.first + self.in_flight) % self.workers.len();
            let sent = self.workers[turn].0.send(block);
            sent.expect("a worker ends only when its queue does");
            self.in_flight += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_their_order_and_all_of_them() {
        for threads in [0, 1, 2, 3, 5, 100] {
            for count in [0, 1, 255, 256, 257, 3_000] {
                let mut ahead = Ahead::new(threads);
                let mut left = 0..count;
                let mut read = || Ok::<_, ()>(left.next().map(|seq| (seq, vec![])));
                let mut seen = vec![];
                while let Some((seq, _)) = ahead.next(&mut read).unwrap() {
                    seen.push(seq);
                }
                assert!(seen.iter().copied().eq(0..count), "{threads} {count}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_after_what_could() {
        for threads in [1, 2, 4] {
            let mut ahead = Ahead::new(threads);
            let mut left = 0..3_000;
            let mut read = || left.next().map(|seq| Some((seq, vec![]))).ok_or("damaged");
            for seq in 0..3_000 {
                let next = ahead.next(&mut read).unwrap();
                assert_eq!(next.map(|(seq, _)| seq), Some(seq), "{threads}");
            }
            assert_eq!(ahead.next(&mut read).err(), Some("damaged"));
        }
    }
}
