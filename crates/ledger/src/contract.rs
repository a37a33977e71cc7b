//! What an append promises, whatever the store: SQLite in one file, or a database that several
//! servers share.
//!
//! 1. **Order.** Entries are numbered from 0 without a gap, and a number is never given twice. The
//!    number is the entry's leaf index; no other order counts, clocks least of all.
//! 2. **Whole or not at all.** The events of one change get numbers in a row, or none of them does.
//!    A refused change leaves nothing, and costs the other changes of its batch nothing.
//! 3. **Judged where it is written.** The rules are asked inside the transaction that writes, and of
//!    a view that holds every entry before and none beside. No two changes are judged by one view: a
//!    store with several writers lets them through one at a time, which is its sequencing lock.
//! 4. **Exactly once.** Serial, silicon, public key and fingerprint are unique over all history, all
//!    orders, all servers. That is decided by comparing whole keys, not hashes of them, and in the
//!    same transaction; what was voided stays taken.
//! 5. **Durable before it is said.** An outcome is given when its batch survives a power cut of the
//!    machine. Before, nothing of it was seen by anyone: no reader, no proof, no reply.
//! 6. **One checkpoint with it.** A batch and the checkpoint over it become durable together, or the
//!    key was away and the next batch signs over both. Nothing is signed on top of what this store
//!    did not write.
//! 7. **In doubt.** An error means that nothing is known to be written. Asking again is safe: either
//!    nothing happened, or the rules refuse the repeat and say where the unit stands.
//! 8. **Room.** A store that runs out of room refuses new units while it can still finish those
//!    under way ([`Refused::NoRoom`]), and writes no part of a batch it cannot finish.
//! 9. **Kept.** No entry, hash or checkpoint is ever changed or deleted: not on request, not by age
//!    (the longer of 10 years and the product's support period is the law's least), not by a rule.
//!    A person's name is therefore never in one: operators are pseudonyms, and who they are is in
//!    another file, which can be erased.
//! 10. **Derived.** Everything but entries, hashes and checkpoints follows from the entries, and may
//!     be thrown away and made again. Who trusts it does so in the transaction that keeps it.
//!
//! Disk, clock and randomness are arguments: the time of an entry is in its [`Change`], what is random
//! in an entry was drawn by the caller, and the files of the key index lie on a [`crate::Disk`].
//! `tests/contract.rs` holds a store to all of this that one process can see; `tests/sweep` crashes it.

use tlog::CheckpointSigner;
use traveler::Change;

use crate::{Appended, Error, Ledger, Reader, Refused};

/// A log that entries are appended to, as the module says.
pub trait Store {
    /// Writes a batch. The outcomes are in the order of the changes.
    ///
    /// # Errors
    /// When nothing of the batch is known to be written.
    fn append(
        &mut self,
        batch: &[Change],
        signer: &dyn CheckpointSigner,
    ) -> Result<Vec<Result<Appended, Refused>>, Error>;

    /// Signs over entries that were written while the key was away. True when there were any.
    ///
    /// # Errors
    /// When the key is still away, or the store cannot be written.
    fn sign_pending(&mut self, signer: &dyn CheckpointSigner) -> Result<bool, Error>;

    /// Does what can wait until callers are answered. True when there is more of it.
    ///
    /// # Errors
    /// What costs no entry and is tried again later.
    fn maintain(&mut self, idle: bool) -> Result<bool, Error>;

    /// What is durable, for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn reader(&self) -> Result<Reader, Error>;
}

impl Store for Ledger {
    fn append(
        &mut self,
        batch: &[Change],
        signer: &dyn CheckpointSigner,
    ) -> Result<Vec<Result<Appended, Refused>>, Error> {
        Ledger::append(self, batch, signer)
    }

    fn sign_pending(&mut self, signer: &dyn CheckpointSigner) -> Result<bool, Error> {
        Ledger::sign_pending(self, signer)
    }

    fn maintain(&mut self, idle: bool) -> Result<bool, Error> {
        Ledger::maintain(self, idle)
    }

    fn reader(&self) -> Result<Reader, Error> {
        Ledger::reader(self)
    }
}
