//! Merkle arithmetic, checkpoints, notes, proofs, tiles; bytes in, bytes out.
