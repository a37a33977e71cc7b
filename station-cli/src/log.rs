//! What this station believes of the server's log, and why.
//!
//! A server that says "recorded" must show it: the entry itself, a checkpoint signed by the log's
//! key, and the path between them (RFC 6962; C2SP tlog-checkpoint). The newest checkpoint is kept
//! in the station's folder. A server restored from an old backup has a shorter log than one it has
//! shown before; it is refused, because it would mint again what units already hold.
//!
//! Before a unit is begun, the server proves that its log begins with the one this station
//! remembers (RFC 6962, 2.1.2). So a log that was restored or rewritten is refused for as long as
//! this station remembers, and not only until it has grown again.
//!
//! The log's key may be rotated. The key it was enrolled with signs a note that names the next one,
//! which signs it too; the station follows such notes, keeps them, and from then on believes the new
//! key alone for what came after.

mod error;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use api::v1::ProofResponse;
use tlog::{
    Checkpoint, EntryProof, Hash, LogKeys, VerifierKey, leaf_hash, verify_consistency,
    verify_inclusion,
};
use tokio::runtime::Handle;
use traveler::{Attempt, DeviceId, Entry, Event, Serial, State, Step, Timestamp};

use crate::durable;
use crate::proven::{Kept, ProvenEntries};
use crate::remembered::{Remembered, Signed, When};

pub use error::LogError;

/// The newest log this station has seen.
pub(crate) struct Seen<'a> {
    path: PathBuf,
    vkey: &'a VerifierKey,
    shared: &'a Arc<Remembered>,
}

/// A step that was proven to be in the log.
pub(crate) struct Proven {
    /// Its leaf index.
    pub(crate) index: u64,
    /// When, by the server's clock; advisory.
    pub(crate) time: Timestamp,
    /// What happened.
    pub(crate) event: Event,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(
        path: PathBuf,
        vkey: &'a VerifierKey,
        shared: &'a Arc<Remembered>,
    ) -> Seen<'a> {
        Seen { path, vkey, shared }
    }

    /// How long the log was at its longest. Ask before a call, and hold the reply against it:
    /// replies to several slots may overtake each other, so a later look would accuse an honest
    /// server.
    pub(crate) fn size(&self) -> Result<u64, LogError> {
        Ok(self.newest()?.map_or(0, |checkpoint| checkpoint.size))
    }

    /// The newest checkpoint as it was signed; empty when none was seen.
    pub(crate) fn note(&self) -> Result<String, LogError> {
        Ok(self.latest()?.map_or_else(String::new, |(_, note)| note))
    }

    /// What was proven to this station.
    pub(crate) fn proven(&self) -> ProvenEntries {
        ProvenEntries::beside(&self.path)
    }

    /// Where a silicon stands under a serial, from an attempt on, as far as this station knows by itself.
    pub(crate) fn newest_of(
        &self,
        serial: &Serial,
        device_id: &DeviceId,
        from: Attempt,
    ) -> Result<Option<(Step, State)>, LogError> {
        let newest = self.proven().newest(serial, device_id, from);
        newest.map_err(|e| self.io(e))
    }

    /// The newest log this station has seen, to be held against what the server shows next.
    pub(crate) fn newest(&self) -> Result<Option<Checkpoint>, LogError> {
        Ok(self.latest()?.map(|(checkpoint, _)| checkpoint))
    }

    /// In the file or still due: the longer of the two.
    fn latest(&self) -> Result<Option<Signed>, LogError> {
        let (due, written) = (self.shared.due(), self.written()?);
        let size = |signed: &Option<Signed>| signed.as_ref().map(|(checkpoint, _)| checkpoint.size);
        Ok(match size(&due) > size(&written) {
            true => due,
            false => written,
        })
    }

    /// What the file holds: another process of this station may have gone on.
    fn written(&self) -> Result<Option<Signed>, LogError> {
        let Some(note) = durable::read(&self.path).map_err(|e| self.io(e))? else {
            return Ok(None);
        };
        if let Some(known) = self.shared.known(&note) {
            return Ok(Some((known, note)));
        }
        let damaged = || {
            let what = "it is not a checkpoint of this server; restore it from a copy";
            self.io(io::Error::new(io::ErrorKind::InvalidData, what))
        };
        let keys = self.keys(&self.rotations()?).map_err(|_| damaged())?;
        // Who had to sign it was checked when it came. A log that was recovered since may have come
        // to its next key at a smaller size.
        let checkpoint = keys.open_remembered(&note).map_err(|_| damaged())?;
        self.shared.read(&checkpoint, &note);
        Ok(Some((checkpoint, note)))
    }

    /// How the log's keys were handed over, as far as this station has seen it.
    pub(crate) fn rotations(&self) -> Result<Vec<String>, LogError> {
        let kept = durable::read(&self.rotations_file()).map_err(|e| self.io(e))?;
        let Some(kept) = kept else {
            return Ok(Vec::new());
        };
        serde_json::from_str(&kept).map_err(|e| self.io(e.into()))
    }

    fn rotations_file(&self) -> PathBuf {
        self.path.with_file_name("rotations.json")
    }

    fn keys(&self, rotations: &[String]) -> Result<LogKeys, LogError> {
        let notes = rotations.iter().map(String::as_str);
        LogKeys::chain(self.vkey, notes).map_err(|e| no_proof(&e))
    }

    /// Follows the rotations that the server tells of, when they go on from those seen before. They
    /// are kept before anything that the new key signed is believed.
    fn follow(&self, seen: &[String], told: &[String]) -> Result<LogKeys, LogError> {
        if told.len() <= seen.len() {
            return self.keys(seen);
        }
        // All slots hear of a rotation at once, and the first of them keeps it.
        let _line = self.in_line()?;
        let seen = self.rotations()?;
        if told.len() <= seen.len() {
            return self.keys(&seen);
        }
        if !told.starts_with(&seen) {
            return Err(no_proof(
                &"the log's keys were handed over in another way before",
            ));
        }
        let keys = self.keys(told)?;
        let text = serde_json::to_string(told).map_err(|e| self.io(e.into()))?;
        durable::replace(&self.rotations_file(), text.as_bytes(), durable::PUBLIC)
            .map_err(|e| self.io(e))?;
        Ok(keys)
    }

    /// Takes a log only when it begins with the one seen before; then remembers it.
    pub(crate) fn grown(
        &self,
        before: Option<&Checkpoint>,
        note: &str,
        consistency: &[Vec<u8>],
        rotations: &[String],
    ) -> Result<(), LogError> {
        let checkpoint = self.signed(note, rotations)?;
        if let Some(seen) = before {
            if checkpoint.size < seen.size {
                let (had, has) = (seen.size, checkpoint.size);
                return Err(LogError::WentBack { had, has });
            }
            let path = hashes(consistency)?;
            let (old, new) = ((seen.size, &seen.root), (checkpoint.size, &checkpoint.root));
            verify_consistency(old.0, old.1, new.0, new.1, &path)
                .map_err(|_| LogError::Forked { size: seen.size })?;
        }
        self.remember(&checkpoint, note, When::Soon)
    }

    /// A checkpoint that the log's key has signed.
    fn signed(&self, note: &str, told: &[String]) -> Result<Checkpoint, LogError> {
        let seen = self.rotations()?;
        let after = seen.len().max(told.len());
        if let Some(checked) = self.shared.checked(note, after) {
            return Ok(checked);
        }
        let keys = self.follow(&seen, told)?;
        let checkpoint = keys.open(note).map_err(|why| no_proof(&why))?;
        self.shared.check(&checkpoint, note, after);
        Ok(checkpoint)
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

    /// Takes a proof only when it holds and is of this step; then remembers its checkpoint, and all
    /// that are due, on disk when `when` says.
    pub(crate) fn verify(
        &self,
        before: u64,
        proof: &ProofResponse,
        when: When,
        (step, states): (&Step, &[State]),
    ) -> Result<Proven, LogError> {
        self.prove(before, proof, when, |event| is_step(event, step, states))
    }

    /// The same of an entry that is no step of a unit.
    pub(crate) fn take(
        &self,
        before: u64,
        proof: &ProofResponse,
        is_it: impl FnOnce(&Event) -> bool,
    ) -> Result<Proven, LogError> {
        self.prove(before, proof, When::Now, is_it)
    }

    fn prove(
        &self,
        before: u64,
        proof: &ProofResponse,
        when: When,
        is_it: impl FnOnce(&Event) -> bool,
    ) -> Result<Proven, LogError> {
        let (checkpoint, entry) = self.included(proof)?;
        if !is_it(&entry.event) {
            return Err(no_proof(&"the entry is of another step"));
        }
        if checkpoint.size < before {
            return Err(LogError::WentBack {
                had: before,
                has: checkpoint.size,
            });
        }
        // Before the checkpoint: who remembers a log can then prove its own part of it.
        let kept = EntryProof {
            index: proof.index,
            hashes: hashes(&proof.inclusion)?,
            checkpoint: proof.checkpoint.clone(),
        };
        if let Some(kept) = Kept::new(&proof.entry, &kept) {
            self.shared.owe_entry(kept.line().map_err(|e| self.io(e))?);
        }
        if when == When::Entry {
            self.keep_due()?;
        }
        self.remember(&checkpoint, &proof.checkpoint, when)?;
        Ok(Proven {
            index: proof.index,
            time: entry.time,
            event: entry.event,
        })
    }

    /// The entry that a proof is of, and the checkpoint it leads to.
    pub(crate) fn included(&self, proof: &ProofResponse) -> Result<(Checkpoint, Entry), LogError> {
        let checkpoint = self.signed(&proof.checkpoint, &proof.rotations)?;
        let path = hashes(&proof.inclusion)?;
        let leaf = leaf_hash(&proof.entry);
        verify_inclusion(&leaf, proof.index, checkpoint.size, &checkpoint.root, &path)
            .map_err(|e| no_proof(&e))?;
        let entry = Entry::from_bytes(&proof.entry).map_err(|e| no_proof(&e))?;
        if entry.seq != proof.index {
            return Err(no_proof(&"the entry is of another step"));
        }
        Ok((checkpoint, entry))
    }

    /// Puts another checkpoint in the place of `lost`, which a lead has accepted as lost. The old
    /// one is kept beside it for ever.
    pub(crate) fn give_up(&self, lost: &Checkpoint, note: &str) -> Result<(), LogError> {
        self.write_due()?;
        let _line = self.in_line()?;
        match self.newest()? {
            Some(newest) if newest == *lost => {}
            _ => return Err(no_proof(&"another process of this station has gone on")),
        }
        let aside = self
            .path
            .with_file_name(format!("checkpoint.lost-{}", lost.size));
        let old = self.note()?;
        durable::replace(&aside, old.as_bytes(), durable::PUBLIC).map_err(|e| self.io(e))?;
        // Crash here: nothing was given up, and it is asked again.
        durable::replace(&self.path, note.as_bytes(), durable::PUBLIC).map_err(|e| self.io(e))
    }

    /// Keeps the longer of two checkpoints.
    fn remember(&self, checkpoint: &Checkpoint, note: &str, when: When) -> Result<(), LogError> {
        match self.newest()? {
            Some(newest) if newest.size == checkpoint.size && newest.root != checkpoint.root => {
                return Err(LogError::Forked { size: newest.size });
            }
            Some(newest) if newest.size >= checkpoint.size => {}
            _ => self.shared.owe(checkpoint, note),
        }
        match (when, Handle::try_current()) {
            (When::Entry | When::Soon, Ok(runtime)) => {
                let (path, vkey) = (self.path.clone(), self.vkey.clone());
                let shared = Arc::clone(self.shared);
                // What fails stays due, and is tried again before a record is closed.
                runtime.spawn_blocking(move || Seen::new(path, &vkey, &shared).write_due());
                Ok(())
            }
            _ => durable::waiting(|| self.write_due()),
        }
    }

    /// Writes the entries that are due.
    pub(crate) fn keep_due(&self) -> Result<(), LogError> {
        let proven = self.proven();
        let keep = || self.shared.keep(|lines| proven.append(lines));
        durable::waiting(keep).map_err(|e| self.io(e))
    }

    /// Writes what is due, with every slot and process of this station in line.
    fn write_due(&self) -> Result<(), LogError> {
        let _writing = self.shared.writing();
        let due = self.shared.due();
        // After the look: whatever this checkpoint was shown with is among them.
        self.keep_due()?;
        let Some(due) = due else {
            return Ok(()); // by another slot, for all
        };
        let _line = self.in_line()?;
        let (checkpoint, note) = &due;
        match self.written()? {
            Some((newest, _))
                if newest.size == checkpoint.size && newest.root != checkpoint.root =>
            {
                return Err(LogError::Forked { size: newest.size });
            }
            Some((newest, _)) if newest.size >= checkpoint.size => {}
            _ => {
                durable::replace(&self.path, note.as_bytes(), durable::PUBLIC)
                    .map_err(|e| self.io(e))?;
                self.shared.read(checkpoint, note);
            }
        }
        self.shared.paid(&due);
        Ok(())
    }

    /// Until it is dropped no other slot and no other process of this station writes here. Whoever
    /// holds it and asks again waits for itself.
    fn in_line(&self) -> Result<std::fs::File, LogError> {
        durable::lock(&self.path.with_extension("lock")).map_err(|e| self.io(e))
    }

    fn io(&self, source: io::Error) -> LogError {
        LogError::Io {
            path: self.path.display().to_string(),
            source,
        }
    }
}

pub(crate) fn no_proof(why: &dyn std::fmt::Display) -> LogError {
    LogError::NoProof(why.to_string())
}

fn hashes(path: &[Vec<u8>]) -> Result<Vec<Hash>, LogError> {
    let hash = |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice());
    let hashes = path.iter().map(hash).collect::<Result<_, _>>();
    hashes.map_err(|_| no_proof(&"a hash does not have 32 bytes"))
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use ring::signature::{Ed25519KeyPair, KeyPair};
    use tlog::{CheckpointSigner, Rotation, SignError};

    use super::*;

    struct Key {
        pair: Ed25519KeyPair,
        vkey: VerifierKey,
    }

    impl Key {
        fn new(seed: u8) -> Key {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            let vkey = tlog::vkey("line.example/log", &public).unwrap();
            Key { pair, vkey }
        }
    }

    impl CheckpointSigner for Key {
        fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
            Ok(self.pair.sign(note).as_ref().try_into().unwrap())
        }

        fn vkey(&self) -> &VerifierKey {
            &self.vkey
        }
    }

    /// When the server comes back under its next key, every slot asks it at the same moment.
    #[test]
    fn a_rotation_that_all_slots_hear_of_at_once_is_kept_whole() {
        const SLOTS: usize = 8;
        let (old, new) = (Key::new(1), Key::new(2));
        let told = [Rotation::sign(4, &old, &new).unwrap()];
        for _ in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let start = Barrier::new(SLOTS);
            let shared = Arc::default();
            std::thread::scope(|scope| {
                let slots: [_; SLOTS] = std::array::from_fn(|_| {
                    scope.spawn(|| {
                        let path = folder.path().join("checkpoint");
                        let seen = Seen::new(path, &old.vkey, &shared);
                        let before = seen.rotations().unwrap();
                        start.wait();
                        let keys = seen.follow(&before, &told);
                        keys.map(|keys| keys.newest().clone())
                    })
                });
                for slot in slots {
                    assert_eq!(slot.join().unwrap().unwrap(), new.vkey);
                }
            });
            let seen = Seen::new(folder.path().join("checkpoint"), &old.vkey, &shared);
            assert_eq!(seen.rotations().unwrap(), told);
        }
    }
}
