//! Roots and proofs, made from stored hashes and checked from bytes (RFC 9162, section 2.1).

use crate::hash::{EMPTY_ROOT, Hash, node_hash};
use crate::stored::stored_index;

/// A proof that does not show what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The numbers cannot belong together.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutOfRange {
        /// The entry or the older size.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// More or fewer hashes than the tree's shape asks for.
    #[error("the proof has {0} hashes, which is not what this tree's shape asks for")]
    WrongLength(usize),
    /// The hashes lead to another root.
    #[error(
        "the proof leads to another root: the entry or the tree is not the one that was signed"
    )]
    WrongRoot,
}

/// The root of a tree of `size` leaves.
///
/// # Errors
/// Whatever `read` fails with.
pub fn root<E>(size: u64, read: &mut impl FnMut(u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 {
        return Ok(EMPTY_ROOT);
    }
    range_root(0, size, read)
}

/// The hashes that lead from leaf `index` to the root of a tree of `size`, from the leaf up.
///
/// Empty when `index` is not below `size`; such a proof verifies for nothing.
///
/// # Errors
/// Whatever `read` fails with.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    read: &mut impl FnMut(u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    let (mut low, mut high) = (0, size);
    while index < size && high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range_root(middle, high, read)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, read)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The hashes that show a tree of `new` leaves to begin with the tree of `old` leaves.
///
/// Empty when `old` is 0 or not below `new`.
///
/// # Errors
/// Whatever `read` fails with.
pub fn consistency<E>(
    old: u64,
    new: u64,
    read: &mut impl FnMut(u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    let mut proof = Vec::new();
    let (mut low, mut high) = (0, new);
    while old < high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range_root(middle, high, read)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, read)?);
            low = middle;
        }
    }
    // The verifier knows the old root already, so it is left out where it is a whole subtree.
    if low > 0 {
        proof.push(range_root(low, high, read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the entry with leaf hash `leaf` is number `index` of the tree with `root`.
///
/// # Errors
/// [`ProofError`] when it is not shown. Nothing about the arguments is trusted.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in proof {
        if last == 0 {
            return Err(ProofError::WrongLength(proof.len()));
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(step, &hash);
            skip_to_right_child(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength(proof.len()));
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

/// Checks that the tree with `new_root` begins with the tree with `old_root`.
///
/// # Errors
/// [`ProofError`] when it is not shown. Nothing about the arguments is trusted.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange {
            index: old_size,
            size: new_size,
        });
    }
    if old_size == 0 || old_size == new_size {
        let same = if old_size == 0 {
            old_root == &EMPTY_ROOT
        } else {
            old_root == new_root
        };
        return match (proof.is_empty(), same) {
            (false, _) => Err(ProofError::WrongLength(proof.len())),
            (true, false) => Err(ProofError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let complete = node.trailing_ones();
    node >>= complete;
    last >>= complete;
    let wrong_length = ProofError::WrongLength(proof.len());
    let (start, steps) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(wrong_length)?
    };
    let (mut old_hash, mut new_hash) = (*start, *start);
    for step in steps {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(step, &old_hash);
            new_hash = node_hash(step, &new_hash);
            skip_to_right_child(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash == *old_root && new_hash == *new_root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

/// Climbs past the levels at which the last node has no sibling.
fn skip_to_right_child(node: &mut u64, last: &mut u64) {
    let levels = if *node == 0 { 0 } else { node.trailing_zeros() };
    *node >>= levels;
    *last >>= levels;
}

/// The largest power of two below `size`, which is at least 2: where RFC 6962 splits a tree.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over leaves `low..high`, where `low` is where a split of the whole tree falls.
fn range_root<E>(
    low: u64,
    high: u64,
    read: &mut impl FnMut(u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    // Complete subtrees from the left are as wide as the ones in `high - low`, widest first;
    // they join from the right.
    let mut peaks = Vec::new();
    let mut at = low;
    while at < high {
        let level = (high - at).ilog2() as u8;
        peaks.push(read(stored_index(level, at >> level))?);
        at += 1 << level;
    }
    let joined = peaks
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right));
    Ok(joined.unwrap_or(EMPTY_ROOT))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::stored::tests::tree;

    fn reader(stored: &[Hash]) -> impl FnMut(u64) -> Result<Hash, Infallible> {
        |at| Ok(stored[at as usize])
    }

    #[test]
    fn every_small_tree_proves_and_nothing_else_does() {
        let stored = tree(40);
        let read = &mut reader(&stored);
        let roots: Vec<Hash> = (0..=40)
            .map(|size| {
                let Ok(root) = root(size, read);
                root
            })
            .collect();
        for size in 1..=40u64 {
            for index in 0..size {
                let Ok(proof) = inclusion(index, size, read);
                let leaf = leaf_hash(index.to_string().as_bytes());
                for other in 0..=40u64 {
                    let verdict =
                        verify_inclusion(&leaf, index, other, &roots[other as usize], &proof);
                    assert_eq!(
                        verdict.is_ok(),
                        other == size,
                        "{index} of {size} in {other}"
                    );
                }
            }
            for old in 0..=size {
                let Ok(proof) = consistency(old, size, read);
                let (a, b) = (&roots[old as usize], &roots[size as usize]);
                assert_eq!(
                    verify_consistency(old, a, size, b, &proof),
                    Ok(()),
                    "{old} {size}"
                );
                assert!(verify_consistency(old, b, size, a, &proof).is_err() || old == size);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_other_implementation_agrees(size in 1u64..600, a in any::<u64>(), b in any::<u64>()) {
            let stored = tree(size);
            let read = &mut reader(&stored);
            let Ok(ours) = root(size, read);
            let mut theirs = MemoryBackedTree::<sha2::Sha256, String>::new();
            (0..size).for_each(|n| theirs.push(n.to_string()));
            let oracle = theirs.root();
            prop_assert_eq!(&ours[..], &oracle.as_bytes()[..]);

            let index = a % size;
            let Ok(proof) = inclusion(index, size, read);
            let oracle = theirs.prove_inclusion(index as usize);
            prop_assert_eq!(proof.concat(), oracle.as_bytes());

            let old = 1 + b % size;
            let Ok(proof) = consistency(old, size, read);
            if old < size {
                let oracle = theirs.prove_consistency((size - old) as usize);
                prop_assert_eq!(proof.concat(), oracle.as_bytes());
            }
        }

        #[test]
        fn a_changed_proof_shows_nothing(size in 2u64..300, at in any::<u64>(), bit in 0usize..256) {
            let stored = tree(size);
            let read = &mut reader(&stored);
            let Ok(root) = root(size, read);
            let index = at % size;
            let Ok(proof) = inclusion(index, size, read);
            let leaf = leaf_hash(index.to_string().as_bytes());
            for step in 0..proof.len() {
                let mut changed = proof.clone();
                changed[step][bit / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(
                    verify_inclusion(&leaf, index, size, &root, &changed),
                    Err(ProofError::WrongRoot)
                );
            }
            let cut = &proof[1..];
            prop_assert!(verify_inclusion(&leaf, index, size, &root, cut).is_err());
            let longer = [proof.clone(), vec![root]].concat();
            prop_assert!(verify_inclusion(&leaf, index, size, &root, &longer).is_err());
        }

        #[test]
        fn hostile_numbers_do_not_panic(
            index in any::<u64>(), size in any::<u64>(), length in 0usize..70
        ) {
            let proof = vec![[7; 32]; length];
            prop_assert!(verify_inclusion(&[1; 32], index, size, &[2; 32], &proof).is_err());
            prop_assert!(verify_consistency(index, &[1; 32], size, &[2; 32], &proof).is_err());
        }
    }
}
