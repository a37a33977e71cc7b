//! Merkle arithmetic, checkpoints, notes, proofs, tiles; bytes in, bytes out.
//!
//! Everything here is what other people's tools already read: leaf and node hashes of RFC 6962,
//! proofs of RFC 9162 (section 2.1), and from c2sp.org signed-note, tlog-checkpoint,
//! tlog-cosignature, tlog-proof and tlog-tiles. Deliberately absent: files, databases, private keys, clocks. Hashes are fetched
//! through a function the caller lends, and a signature comes from a [`CheckpointSigner`].

mod checkpoint;
mod cosign;
mod entry_proof;
mod hash;
mod note;
mod proof;
mod rotation;
mod stored;
mod tile;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosign::{Cosignature, WitnessKey, WitnessSigner, cosign, cosignatures};
pub use entry_proof::{EntryProof, EntryProofError};
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
pub use note::{
    CheckpointSigner, KeyError, NoteError, SignError, VerifierKey, open_note, sign_note, vkey,
};
pub use proof::{ProofError, consistency, inclusion, root, verify_consistency, verify_inclusion};
pub use rotation::{LogKeys, Rotation, RotationError, countersigned};
pub use stored::{append_hashes, stored_count, stored_index};
pub use tile::{Level, TILE_WIDTH, TileError, TilePath, decode_bundle, encode_bundle, tiles};
