//! Where a hash lies in the append-only list of hashes of complete subtrees.
//!
//! The list holds every complete subtree's hash in the order in which appends complete them:
//! leaf `n` is followed by the subtrees it completes, smallest first. Nothing in the list ever
//! changes, so it fits a table by row number, and every root and proof of every past size can be
//! computed from it. The order is that of Go's `sumdb/tlog`.

use crate::hash::{Hash, node_hash};

/// How many hashes are stored for a tree of `size` leaves.
///
/// A tree of `size` leaves has `size >> k` complete subtrees at level `k`; the sum over all
/// levels is `2 * size` less the number of ones in `size`. Sizes are below 2^63.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    size.saturating_mul(2) - u64::from(size.count_ones())
}

/// The position of the hash over leaves `n << level` up to `(n + 1) << level`.
///
/// The subtree is completed by its last leaf and comes `level` places behind it.
#[must_use]
pub fn stored_index(level: u8, n: u64) -> u64 {
    let width = 1u64.checked_shl(level.into()).unwrap_or(u64::MAX);
    let last_leaf = n.saturating_add(1).saturating_mul(width) - 1;
    stored_count(last_leaf).saturating_add(level.into())
}

/// The hashes that appending `leaf` to a tree of `size` leaves adds to the list, in order.
///
/// They go to the positions from [`stored_count`]`(size)` on. `read` is asked for earlier
/// positions only.
///
/// # Errors
/// Whatever `read` fails with.
pub fn append_hashes<E>(
    size: u64,
    leaf: Hash,
    read: &mut impl FnMut(u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut added = vec![leaf];
    let mut newest = leaf;
    // Each trailing one of `size` is a complete left sibling that waits for this one.
    for level in 0..size.trailing_ones() as u8 {
        let left = read(stored_index(level, (size >> level) - 1))?;
        newest = node_hash(&left, &newest);
        added.push(newest);
    }
    Ok(added)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::hash::leaf_hash;

    /// The stored hashes of a tree whose entry `n` is the decimal text of `n`.
    pub(crate) fn tree(size: u64) -> Vec<Hash> {
        let mut stored: Vec<Hash> = Vec::new();
        for n in 0..size {
            let leaf = leaf_hash(n.to_string().as_bytes());
            let Ok(added) =
                append_hashes(n, leaf, &mut |at| Ok::<_, Infallible>(stored[at as usize]));
            assert_eq!(stored.len() as u64, stored_count(n));
            stored.extend(added);
        }
        stored
    }

    #[test]
    fn positions_are_dense_and_as_in_go() {
        for level in 0..8u8 {
            for n in 0..200 {
                assert_eq!(
                    stored_index(level, n),
                    tlog_tiles::stored_hash_index(level, n),
                    "{level} {n}"
                );
            }
        }
        for size in 0..2_000 {
            assert_eq!(stored_count(size), tlog_tiles::stored_hash_count(size));
        }
    }

    #[test]
    fn absurd_positions_do_not_panic() {
        for level in [0, 1, 62, 63, 64, 255] {
            let _ = stored_index(level, u64::MAX);
        }
    }

    #[test]
    fn hashes_are_what_the_other_implementation_stores() {
        struct Reader<'a>(&'a [Hash]);
        impl tlog_tiles::HashReader for Reader<'_> {
            fn read_hashes(
                &self,
                indexes: &[u64],
            ) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
                Ok(indexes
                    .iter()
                    .map(|&at| tlog_tiles::Hash(self.0[at as usize]))
                    .collect())
            }
        }
        let ours = tree(300);
        for n in 0..300u64 {
            let start = stored_count(n) as usize;
            let theirs =
                tlog_tiles::stored_hashes(n, n.to_string().as_bytes(), &Reader(&ours)).unwrap();
            let theirs: Vec<Hash> = theirs.into_iter().map(|hash| hash.0).collect();
            assert_eq!(ours[start..start + theirs.len()], theirs);
        }
    }
}
