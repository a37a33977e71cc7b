//! Whether the log goes on from what somebody remembers of it.
//!
//! Proven by consistency proofs between signed roots, so that nothing the folder or the database
//! keeps is believed on the way: a hash that is wrong makes a proof that does not hold.

use tlog::{Checkpoint, Hash, stored_index};

use crate::replay::Replay;

/// The hashes of the complete subtrees of a tree of `size` leaves, the widest first.
pub(crate) fn peaks<E>(
    size: u64,
    read: &mut impl FnMut(u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut peaks = Vec::new();
    for level in (0..63u8).rev().filter(|level| size >> level & 1 == 1) {
        peaks.push(read(stored_index(level, (size >> level) - 1))?);
    }
    Ok(peaks)
}

/// Holds the newest good checkpoint of the replay against each remembered one.
pub(crate) fn goes_on_from(
    replay: &mut Replay<'_>,
    remembered: &[Checkpoint],
    read: &mut impl FnMut(u64) -> Result<Hash, String>,
) {
    for seen in remembered {
        if let Err((seq, what)) = one(replay, seen, read) {
            replay.findings.add(seq, what);
        }
    }
}

fn one(
    replay: &Replay<'_>,
    seen: &Checkpoint,
    read: &mut impl FnMut(u64) -> Result<Hash, String>,
) -> Result<(), (Option<u64>, String)> {
    let (size, root) = replay.signed();
    if seen.origin != replay.trusted_key.name() {
        let what = format!(
            "a remembered checkpoint is of the log {:?}, this one is {:?}",
            seen.origin,
            replay.trusted_key.name()
        );
        return Err((None, what));
    }
    if seen.size > size {
        let what = format!(
            "the log went backwards: a remembered checkpoint was signed over {} entries, the \
             newest here over {size}: the tail is cut",
            seen.size
        );
        return Err((Some(size), what));
    }
    let proof = tlog::consistency(seen.size, size, read).map_err(|why| (None, why))?;
    tlog::verify_consistency(seen.size, &seen.root, size, &root, &proof).map_err(|_| {
        let what = format!(
            "the log was forked: its first {} entries are not those that a remembered checkpoint \
             was signed over",
            seen.size
        );
        (None, what)
    })
}

/// The tree level of a position in the stored order, and the number in it: what
/// [`stored_index`] was asked for.
pub(crate) fn place_of(position: u64) -> (u8, u64) {
    // The leaf after which it is stored: the list is under twice as long as the tree, and short
    // of that by at most one for each bit of a size.
    let mut leaf = position / 2;
    while tlog::stored_count(leaf + 1) <= position {
        leaf += 1;
    }
    let level = (position - tlog::stored_count(leaf)) as u8;
    (level, leaf >> level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_leads_back_to_its_place() {
        for leaf in (0..3_000).chain([1 << 20, (1 << 32) - 1, (1 << 40) + 12_345]) {
            for level in 0..=40u8 {
                if leaf >> level << level == leaf {
                    let n = leaf >> level;
                    assert_eq!(place_of(stored_index(level, n)), (level, n));
                }
            }
        }
    }
}
