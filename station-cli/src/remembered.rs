//! What the slots of one station share of the log, so that none of them checks or writes again what
//! another has.
//!
//! Nothing here is believed that was not checked before: only the text that was checked last is
//! known again, byte for byte.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tlog::Checkpoint;

use crate::together::Together;

/// When a checkpoint that was proven has to be on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum When {
    /// When the call returns, with all that were due before it.
    Now,
    /// While the unit works. A power cut before it forgets this one; the record of the attempt is
    /// still open then, and is not closed before it is there.
    Soon,
}

/// A checkpoint and its note.
pub(crate) type Signed = (Checkpoint, String);

/// Shared by all clones of a `Home`.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Writes the proven entries.
    pub(crate) together: Together<Vec<u8>>,
    /// What the file held when it was read last.
    read: Mutex<Option<Signed>>,
    /// The newest note that the log's key was found under, after so many rotations.
    checked: Mutex<Option<(Signed, usize)>>,
    /// The newest checkpoint that is not in the file yet.
    due: Mutex<Option<Signed>>,
    /// Held by the one that writes the file.
    writing: Mutex<()>,
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

    /// The right to write the file; whoever has it next finds what the one before left due.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        locked(&self.writing)
    }
}
