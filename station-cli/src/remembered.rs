//! What the slots of one station share of the log, so that none of them checks or writes again what
//! another has.
//!
//! Nothing here is believed that was not checked before: only the text that was checked last is
//! known again, byte for byte.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tlog::Checkpoint;
use traveler::OrderId;

/// When an entry that was proven, and the checkpoint that it was proven by, have to be on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    /// When the call returns, with all that were due before them.
    Now,
    /// The entry when the call returns, because nobody proves it again; the checkpoint while the
    /// unit works. A power cut before it forgets the checkpoint; the record of the attempt is still
    /// open then, and is not closed before it is there.
    Entry,
    /// Both while the unit works, the entry first: for a step that is taken again, and proven again,
    /// by whoever comes back to an open record.
    Soon,
}

/// A checkpoint and its note.
pub(crate) type Signed = (Checkpoint, String);

/// Shared by all clones of a `Home`.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Lines of proven entries that are not on disk yet, in their order.
    entries: Mutex<Vec<Vec<u8>>>,
    /// Held by the one that writes them.
    keeping: Mutex<()>,
    /// What the file held when it was read last.
    read: Mutex<Option<Signed>>,
    /// The newest note that the log's key was found under, after so many rotations.
    checked: Mutex<Option<(Signed, usize)>>,
    /// The newest checkpoint that is not in the file yet.
    due: Mutex<Option<Signed>>,
    /// Held by the one that writes the file.
    writing: Mutex<()>,
    /// What the newest bundle ended with, and for which order it was: the next one of the same order
    /// most probably does too, and whoever is wrong sends it again.
    ending: Mutex<Option<(OrderId, Vec<u8>)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remembered {
    /// What this text was found to be when it was read last.
    pub(crate) fn known(&self, note: &str) -> Option<Checkpoint> {
        let read = locked(&self.read);
        let known = read.as_ref().filter(|(_, known)| known == note)?;
        Some(known.0.clone())
    }

    pub(crate) fn read(&self, checkpoint: &Checkpoint, note: &str) {
        *locked(&self.read) = Some((checkpoint.clone(), note.to_owned()));
    }

    /// The same of one that came from the server. Another key may count after another rotation.
    pub(crate) fn checked(&self, note: &str, rotations: usize) -> Option<Checkpoint> {
        let checked = locked(&self.checked);
        let ((checkpoint, known), after) = checked.as_ref()?;
        (known == note && *after == rotations).then(|| checkpoint.clone())
    }

    pub(crate) fn check(&self, checkpoint: &Checkpoint, note: &str, rotations: usize) {
        let signed = (checkpoint.clone(), note.to_owned());
        *locked(&self.checked) = Some((signed, rotations));
    }

    /// An entry to be kept, before any checkpoint that is owed after it.
    pub(crate) fn owe_entry(&self, line: Vec<u8>) {
        locked(&self.entries).push(line);
    }

    /// Writes all entries that are due, of every slot, by `write`. What it could not write stays due.
    pub(crate) fn keep<E>(&self, write: impl FnOnce(&[Vec<u8>]) -> Result<(), E>) -> Result<(), E> {
        let _keeping = locked(&self.keeping);
        let lines = std::mem::take(&mut *locked(&self.entries));
        if lines.is_empty() {
            return Ok(()); // by another slot, for all
        }
        let written = write(&lines);
        if written.is_err() {
            drop(locked(&self.entries).splice(..0, lines));
        }
        written
    }

    /// The newest that is not in the file yet.
    pub(crate) fn due(&self) -> Option<Signed> {
        locked(&self.due).clone()
    }

    /// To be written, unless a newer one is.
    pub(crate) fn owe(&self, checkpoint: &Checkpoint, note: &str) {
        let mut due = locked(&self.due);
        if due
            .as_ref()
            .is_none_or(|(due, _)| due.size < checkpoint.size)
        {
            *due = Some((checkpoint.clone(), note.to_owned()));
        }
    }

    /// It is in the file, or a newer one is.
    pub(crate) fn paid(&self, written: &Signed) {
        let mut due = locked(&self.due);
        if due.as_ref() == Some(written) {
            *due = None;
        }
    }

    /// What bundles of this order end with, as far as is known.
    pub(crate) fn ending(&self, order: &OrderId) -> Vec<u8> {
        let ending = locked(&self.ending);
        let known = ending.as_ref().filter(|(of, _)| of == order);
        known.map(|(_, ending)| ending.clone()).unwrap_or_default()
    }

    pub(crate) fn remember_ending(&self, order: &OrderId, ending: Vec<u8>) {
        *locked(&self.ending) = Some((order.clone(), ending));
    }

    /// The right to write the file; whoever has it next finds what the one before left due.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        locked(&self.writing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_could_not_be_kept_stays_due_in_its_place() {
        let remembered = Remembered::default();
        let found = Mutex::new(Vec::new());
        let write = |lines: &[Vec<u8>]| {
            locked(&found).extend_from_slice(lines);
            Ok::<(), ()>(())
        };
        remembered.owe_entry(vec![1]);
        remembered.owe_entry(vec![2]);
        assert_eq!(remembered.keep(|_| Err("full")), Err("full"));
        remembered.owe_entry(vec![3]);
        assert_eq!(remembered.keep(write), Ok(()));
        assert_eq!(remembered.keep(write), Ok(()));
        assert_eq!(*locked(&found), [[1], [2], [3]]);
    }

    #[test]
    fn slots_that_owe_entries_at_once_keep_each_of_them_once() {
        const SLOTS: u8 = 8;
        let remembered = Remembered::default();
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for slot in 0..SLOTS {
                let (remembered, found) = (&remembered, &found);
                scope.spawn(move || {
                    remembered.owe_entry(vec![slot]);
                    let write = |lines: &[Vec<u8>]| {
                        locked(found).extend_from_slice(lines);
                        Ok::<(), ()>(())
                    };
                    remembered.keep(write).unwrap();
                    // Its own is there when it returns, whoever wrote it.
                    assert!(locked(found).contains(&vec![slot]));
                });
            }
        });
        assert_eq!(locked(&found).len(), usize::from(SLOTS));
    }
}
