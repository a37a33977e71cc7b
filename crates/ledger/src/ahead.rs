//! Hashing and parsing ahead of the rules, which must be asked one entry after the other.
//!
//! Entries go to the threads in turns, a block at a time, and come back in the same turns, so the
//! order is that of the log whatever a thread is busy with. At most [`IN_FLIGHT`] blocks a thread
//! are held in memory. One thread does the same with one block after the other.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tlog::{Hash, leaf_hash, node_hash};

use crate::replay::Prepared;

/// Entries handed over at once, about: a hand-over costs microseconds, and so does an entry.
const BLOCK: usize = 256;
/// Bytes in a block beyond which it takes no more; it may be over by what is read at once, which is
/// an entry or a tile, of 17 MB at most.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Blocks a thread may hold: one at work, one waiting, so that it never idles.
const IN_FLIGHT: usize = 2;
/// Threads that are of any use: the rules alone take longer than an eighth of the rest.
const THREADS_MAX: usize = 8;

/// Entries side by side, as they were read.
#[derive(Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// Each entry's number, and where its bytes end.
    entries: Vec<(u64, usize)>,
}

impl Block {
    /// Adds an entry.
    pub(crate) fn push(&mut self, seq: u64, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.entries.push((seq, self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BLOCK || self.bytes.len() >= BLOCK_BYTES
    }

    /// All that can be said of the entries without those before them.
    fn prepare(&self) -> Done {
        let mut start = 0;
        let mut trees = Trees::default();
        let mut prepare = |&(seq, end): &(u64, usize)| {
            let bytes = &self.bytes[start..end];
            start = end;
            let leaf = leaf_hash(bytes);
            let above = trees.above(seq, leaf);
            (seq, Prepared::new(bytes, leaf, above))
        };
        self.entries.iter().map(&mut prepare).collect()
    }
}

/// The complete subtrees of a run of entries, as far as they lie within it.
#[derive(Default)]
struct Trees {
    next: u64,
    /// Levels and hashes, side by side up to the entry before.
    peaks: Vec<(u8, Hash)>,
}

impl Trees {
    /// The hashes from level 1 up that this entry completes, as far as all of their entries were
    /// in the run.
    fn above(&mut self, seq: u64, leaf: Hash) -> Box<[Hash]> {
        if seq != self.next {
            self.peaks.clear();
        }
        self.next = seq.wrapping_add(1);
        let (mut above, mut newest) = (Vec::new(), (0, leaf));
        for _ in 0..seq.trailing_ones() {
            match self.peaks.last() {
                Some((level, left)) if *level == newest.0 => {
                    newest = (newest.0 + 1, node_hash(left, &newest.1));
                    self.peaks.pop();
                    above.push(newest.1);
                }
                _ => break,
            }
        }
        self.peaks.push(newest);
        above.into_boxed_slice()
    }
}

type Done = Vec<(u64, Prepared)>;

/// The threads, and what they hand back.
pub(crate) struct Ahead<E> {
    workers: Vec<(SyncSender<Block>, Receiver<Done>)>,
    /// Blocks handed out and not yet taken back belong to the workers from `first` on.
    first: usize,
    in_flight: usize,
    /// The block that is being taken up.
    open: std::vec::IntoIter<(u64, Prepared)>,
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
                    if reply.send(block.prepare()).is_err() {
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
            open: Vec::new().into_iter(),
            drained: false,
            failed: None,
        }
    }

    /// The next entry, in the order in which `read` gives them: each call of it adds some to the
    /// block, and says whether there are more.
    ///
    /// # Errors
    /// That of `read`, once, behind all that it gave before.
    pub(crate) fn next(
        &mut self,
        mut read: impl FnMut(&mut Block) -> Result<bool, E>,
    ) -> Result<Option<(u64, Prepared)>, E> {
        loop {
            if let Some(entry) = self.open.next() {
                return Ok(Some(entry));
            }
            let most = self.workers.len() * IN_FLIGHT;
            while !self.drained && self.in_flight < most {
                if let Some(block) = self.gather(&mut read) {
                    let turn = (self.first + self.in_flight) % self.workers.len();
                    let sent = self.workers[turn].0.send(block);
                    sent.expect("a worker ends only when its queue does");
                    self.in_flight += 1;
                }
            }
            let done = if self.in_flight > 0 {
                let (_, done) = &self.workers[self.first];
                self.first = (self.first + 1) % self.workers.len();
                self.in_flight -= 1;
                done.recv().expect("a worker ends only when its queue does")
            } else {
                let block = match self.drained {
                    true => None,
                    false => self.gather(&mut read),
                };
                match block {
                    Some(block) => block.prepare(),
                    None => return self.failed.take().map_or(Ok(None), Err),
                }
            };
            self.open = done.into_iter();
        }
    }

    /// Reads a block, none at the end.
    fn gather(&mut self, read: &mut impl FnMut(&mut Block) -> Result<bool, E>) -> Option<Block> {
        let mut block = Block::default();
        while !block.is_full() && !self.drained {
            match read(&mut block) {
                Ok(more) => self.drained = !more,
                Err(error) => (self.drained, self.failed) = (true, Some(error)),
            }
        }
        (!block.entries.is_empty()).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives entries `0..count` a few at a time, and then ends as `end` says.
    fn source<E: Clone>(
        count: u64,
        at_once: u64,
        end: Result<bool, E>,
    ) -> impl FnMut(&mut Block) -> Result<bool, E> {
        let mut next = 0;
        move |block| {
            if next == count {
                return end.clone();
            }
            for _ in 0..at_once.min(count - next) {
                block.push(next, &next.to_be_bytes());
                next += 1;
            }
            Ok(true)
        }
    }

    #[test]
    fn entries_come_in_their_order_and_all_of_them() {
        for threads in [0, 1, 2, 3, 5, 100] {
            for count in [0, 1, 255, 256, 257, 3_000] {
                for at_once in [1, 7, 256] {
                    let mut ahead = Ahead::new(threads);
                    let mut read = source::<()>(count, at_once, Ok(false));
                    let mut seen = vec![];
                    while let Some((seq, _)) = ahead.next(&mut read).unwrap() {
                        seen.push(seq);
                    }
                    assert!(seen.iter().copied().eq(0..count), "{threads} {count}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_after_what_could() {
        for threads in [1, 2, 4] {
            let mut ahead = Ahead::new(threads);
            let mut read = source(3_000, 5, Err("damaged"));
            for seq in 0..3_000 {
                let next = ahead.next(&mut read).unwrap();
                assert_eq!(next.map(|(seq, _)| seq), Some(seq), "{threads}");
            }
            assert_eq!(ahead.next(&mut read).err(), Some("damaged"));
        }
    }

    /// From wherever a block begins, and across a gap: what is said is what the tree has, and of a
    /// block that begins with a tile everything in it is said.
    #[test]
    fn subtrees_of_a_block_are_those_of_the_tree() {
        let leaves: Vec<Hash> = (0..1_024u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let tree = |level: u32, n: u64| {
            let from = (n << level) as usize;
            let mut hashes = leaves[from..from + (1 << level)].to_vec();
            while hashes.len() > 1 {
                let pairs = hashes.as_chunks::<2>().0.iter();
                hashes = pairs.map(|[left, right]| node_hash(left, right)).collect();
            }
            hashes[0]
        };
        for (from, gap) in [(0, 2_000), (256, 300), (3, 5), (511, 600), (700, 701)] {
            let mut trees = Trees::default();
            let mut said = 0;
            for seq in (from..1_024u64).filter(|&seq| seq != gap) {
                let above = trees.above(seq, leaves[seq as usize]);
                for (level, hash) in (1..).zip(&above) {
                    assert_eq!(*hash, tree(level, seq >> level), "{from} {seq} {level}");
                    let first = seq >> level << level;
                    assert!(first >= from && !(first..seq).contains(&gap));
                }
                said += above.len();
            }
            assert!(from != 0 || said == 1_023, "{said}");
        }
    }
}
