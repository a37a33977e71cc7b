//! What this station believes of the server's log, and why.
//!
//! A server that says "recorded" must show it: the entry itself, a checkpoint signed by the log's
//! key, and the path between them (RFC 6962; C2SP tlog-checkpoint). The newest checkpoint is kept
//! in the station's folder. A server restored from an old backup has a shorter log than one it has
//! shown before; it is refused, because it would mint again what units already hold.
//!
//! Deliberately absent: consistency proofs between two checkpoints. A log that was rewritten and
//! grew past what this station saw is for `provisioner audit verify` and the witnesses.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use api::v1::ProofResponse;
use fs4::fs_std::FileExt;
use thiserror::Error;
use tlog::{Checkpoint, Hash, VerifierKey, leaf_hash, open_note, verify_inclusion};
use traveler::{Entry, Event, State, Step};

use crate::durable;

/// Why the server's word is not taken.
#[derive(Debug, Error)]
pub enum LogError {
    /// The proof does not prove, or proves something else.
    #[error("the server's proof does not hold: {0}")]
    NoProof(String),
    /// The log is shorter than it was.
    #[error("the server's log went backwards: it had {had} entries, now {has}")]
    WentBack {
        /// Entries this station has seen.
        had: u64,
        /// Entries the server now has.
        has: u64,
    },
    /// Two logs of one length.
    #[error("the server shows two different logs of {size} entries")]
    Forked {
        /// Entries of either.
        size: u64,
    },
    /// The station cannot remember what it saw.
    #[error("{path} cannot be read or written: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The newest log this station has seen.
pub(crate) struct Seen<'a> {
    path: PathBuf,
    vkey: &'a VerifierKey,
}

/// A step that was proven to be in the log.
pub(crate) struct Proven {
    /// Its leaf index.
    pub(crate) index: u64,
    /// What happened.
    pub(crate) event: Event,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(path: PathBuf, vkey: &'a VerifierKey) -> Seen<'a> {
        Seen { path, vkey }
    }

    /// How long the log was at its longest. Ask before a call, and hold the reply against it:
    /// replies to several slots may overtake each other, so a later look would accuse an honest
    /// server.
    pub(crate) fn size(&self) -> Result<u64, LogError> {
        Ok(self.newest()?.map_or(0, |checkpoint| checkpoint.size))
    }

    /// An entry that was appended after a call began cannot lie within the log as it was before.
    pub(crate) fn check_new(before: u64, index: u64) -> Result<(), LogError> {
        if index < before {
            return Err(LogError::WentBack {
                had: before,
                has: index,
            });
        }
        Ok(())
    }

    /// Takes a proof only when it holds and is of this step; then remembers its checkpoint.
    pub(crate) fn verify(
        &self,
        before: u64,
        proof: &ProofResponse,
        step: &Step,
        states: &[State],
    ) -> Result<Proven, LogError> {
        let no_proof = |why: &dyn std::fmt::Display| LogError::NoProof(why.to_string());
        let keys = std::slice::from_ref(self.vkey);
        let text = open_note(&proof.checkpoint, keys).map_err(|e| no_proof(&e))?;
        let checkpoint = Checkpoint::parse(text).map_err(|e| no_proof(&e))?;
        if checkpoint.origin != self.vkey.name() {
            return Err(no_proof(&"the checkpoint is of another log"));
        }
        let path = proof
            .inclusion
            .iter()
            .map(|hash| Hash::try_from(hash.as_slice()))
            .collect::<Result<Vec<Hash>, _>>()
            .map_err(|_| no_proof(&"a hash does not have 32 bytes"))?;
        let leaf = leaf_hash(&proof.entry);
        verify_inclusion(&leaf, proof.index, checkpoint.size, &checkpoint.root, &path)
            .map_err(|e| no_proof(&e))?;
        let entry = Entry::from_bytes(&proof.entry).map_err(|e| no_proof(&e))?;
        if entry.seq != proof.index || !is_step(&entry.event, step, states) {
            return Err(no_proof(&"the entry is of another step"));
        }
        if checkpoint.size < before {
            return Err(LogError::WentBack {
                had: before,
                has: checkpoint.size,
            });
        }
        self.remember(&checkpoint, &proof.checkpoint)?;
        Ok(Proven {
            index: proof.index,
            event: entry.event,
        })
    }

    /// Keeps the longer of two checkpoints, with every slot and process of this station in line.
    fn remember(&self, checkpoint: &Checkpoint, note: &str) -> Result<(), LogError> {
        let lock = self.path.with_extension("lock");
        let lock = open_lock(&lock).map_err(|e| self.io(e))?;
        FileExt::lock_exclusive(&lock).map_err(|e| self.io(e))?;
        match self.newest()? {
            Some(newest) if newest.size == checkpoint.size && newest.root != checkpoint.root => {
                Err(LogError::Forked { size: newest.size })
            }
            Some(newest) if newest.size >= checkpoint.size => Ok(()),
            _ => durable::replace(&self.path, note.as_bytes(), durable::PUBLIC)
                .map_err(|e| self.io(e)),
        }
    }

    fn newest(&self) -> Result<Option<Checkpoint>, LogError> {
        let Some(note) = durable::read(&self.path).map_err(|e| self.io(e))? else {
            return Ok(None);
        };
        let damaged = || {
            let what = "it is not a checkpoint of this server; restore it from a copy";
            self.io(io::Error::new(io::ErrorKind::InvalidData, what))
        };
        let text = open_note(&note, std::slice::from_ref(self.vkey)).map_err(|_| damaged())?;
        Checkpoint::parse(text).map(Some).map_err(|_| damaged())
    }

    fn io(&self, source: io::Error) -> LogError {
        LogError::Io {
            path: self.path.display().to_string(),
            source,
        }
    }
}

fn open_lock(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Badges may differ: a repeat of a call may be another person's, and the first one is on record.
fn is_step(event: &Event, step: &Step, states: &[State]) -> bool {
    event.step().is_some_and(|(found, reached)| {
        states.contains(&reached)
            && (&found.serial, &found.device_id, &found.order)
                == (&step.serial, &step.device_id, &step.order)
            && (found.attempt, &found.station) == (step.attempt, &step.station)
    })
}
