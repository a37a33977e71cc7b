//! Where the log ends: its size and the hashes of its complete subtrees, kept in memory so that
//! an entry's hashes and the root are computed without reading anything back.

use rusqlite::Connection;
use tlog::{EMPTY_ROOT, Hash, node_hash, stored_index};

use crate::Error;
use crate::sql::{self, hash_error, stored_hash};

/// The end of a log, entry by entry.
#[derive(Clone)]
pub(crate) struct Tip {
    size: u64,
    /// The widest first: one for each one in `size`.
    peaks: Vec<Hash>,
}

impl Tip {
    /// The end as the stored hashes have it.
    pub(crate) fn read(connection: &Connection) -> Result<Tip, Error> {
        let size = sql::size(connection)?;
        let levels = (0..64u8).rev().filter(|level| size >> level & 1 == 1);
        let peaks = levels.map(|level| {
            let position = stored_index(level, (size >> level) - 1);
            stored_hash(connection, position).map_err(hash_error(size))
        });
        Ok(Tip {
            size,
            peaks: peaks.collect::<Result<_, _>>()?,
        })
    }

    /// Entries.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub(crate) fn root(&self) -> Hash {
        let peaks = self.peaks.iter().copied().rev();
        peaks
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or(EMPTY_ROOT)
    }

    /// Takes the next leaf; gives the hashes it adds, in the order of their positions, which begin
    /// at `tlog::stored_count` of the size before.
    pub(crate) fn push(&mut self, leaf: Hash) -> Vec<Hash> {
        let mut added = vec![leaf];
        let mut newest = leaf;
        for _ in 0..self.size.trailing_ones() {
            // There is a peak for each one in `size`.
            let left = self.peaks.pop().unwrap_or(EMPTY_ROOT);
            newest = node_hash(&left, &newest);
            added.push(newest);
        }
        self.peaks.push(newest);
        self.size += 1;
        added
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const START: Tip = Tip {
        size: 0,
        peaks: Vec::new(),
    };

    #[test]
    fn it_adds_what_the_arithmetic_of_tlog_adds() {
        let (mut tip, mut stored) = (START, Vec::new());
        for n in 0..1_000u64 {
            let leaf = tlog::leaf_hash(&n.to_be_bytes());
            let read = &mut |at| Ok::<Hash, Infallible>(stored[at as usize]);
            let Ok(expected) = tlog::append_hashes(n, leaf, read);
            assert_eq!(tip.push(leaf), expected);
            stored.extend(expected);
            let read = &mut |at| Ok::<Hash, Infallible>(stored[at as usize]);
            assert_eq!(Ok(tip.root()), tlog::root(n + 1, read));
        }
    }
}
