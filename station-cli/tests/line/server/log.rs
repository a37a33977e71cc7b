//! Its log: real hashes, checkpoints and proofs.

use api::v1;
use tlog::{Checkpoint, Hash};
use traveler::{Entry, Event, State, Step, Timestamp};

use super::{Books, Row};

impl Books {
    pub fn vkey(&self) -> String {
        self.signer.vkey.to_string()
    }

    /// Restores the log as it was when it had so many entries, with all that followed forgotten.
    pub fn restore(&mut self, size: usize) {
        self.entries.truncate(size);
        let entries = std::mem::take(&mut self.entries);
        self.hashes.clear();
        self.units.clear();
        for bytes in entries {
            self.record(Entry::from_bytes(&bytes).unwrap().event);
        }
    }

    pub fn record(&mut self, event: Event) -> u64 {
        let seq = self.entries.len() as u64;
        if let Some((step, state)) = event.step() {
            let step = step.clone();
            let from = self.units.get(&step.serial).map(|row| row.state);
            let again = matches!(event, Event::Reprinted { .. }) && from == Some(State::Loaded);
            assert!(again || state.may_follow(from), "{from:?} -> {state}");
            let bundle_sha256 = match &event {
                Event::Issued(issued) => issued.bundle_sha256,
                Event::Spent(spent) => self.leases[&spent.step.serial].bundle_sha256,
                _ => self.units[&step.serial].bundle_sha256,
            };
            let row = Row {
                state,
                bundle_sha256,
                step: step.clone(),
            };
            self.units.insert(step.serial, row);
        }
        let entry = Entry {
            seq,
            time: Timestamp::from_unix_ms(0),
            simulated_hsm: true,
            event,
        };
        let bytes = entry.to_bytes();
        let hashes = &self.hashes;
        let mut read = |at: u64| Ok::<Hash, ()>(hashes[at as usize]);
        let new = tlog::append_hashes(seq, tlog::leaf_hash(&bytes), &mut read).unwrap();
        self.hashes.extend(new);
        self.entries.push(bytes);
        seq
    }

    /// The newest checkpoint.
    pub(super) fn checkpoint(&self) -> String {
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        let checkpoint = Checkpoint {
            origin: "line.test/log".into(),
            size,
            root: tlog::root(size, &mut read).unwrap(),
        };
        tlog::sign_note(&checkpoint.to_text(), &self.signer).unwrap()
    }

    /// That the log of `seen` entries is a beginning of this one, if it is.
    pub(super) fn consistency(&self, seen: u64) -> Vec<Vec<u8>> {
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        if seen > size {
            return vec![];
        }
        let path = tlog::consistency(seen, size, &mut read).unwrap();
        path.iter().map(|hash| hash.to_vec()).collect()
    }

    pub fn prove(&self, index: u64) -> v1::ProofResponse {
        let index = if self.lies { 0 } else { index };
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        let inclusion = tlog::inclusion(index, size, &mut read).unwrap();
        v1::ProofResponse {
            index,
            entry: self.entries[index as usize].clone(),
            checkpoint: self.checkpoint(),
            inclusion: inclusion.iter().map(|hash| hash.to_vec()).collect(),
            ..v1::ProofResponse::default()
        }
    }

    /// The entry that brought an attempt to a state.
    pub fn find(&self, step: &Step, state: State) -> Option<u64> {
        let at = self.entries.iter().rposition(|bytes| {
            let entry = Entry::from_bytes(bytes).unwrap();
            let reprint = matches!(entry.event, Event::Reprinted { .. });
            !reprint
                && entry.event.step().is_some_and(|(found, reached)| {
                    reached == state
                        && (&found.serial, found.attempt) == (&step.serial, step.attempt)
                })
        });
        at.map(|at| at as u64)
    }
}
