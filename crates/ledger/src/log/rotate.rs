//! The one batch that two keys sign.

use tlog::CheckpointSigner;
use traveler::{Change, Event};

use super::{Appended, Ledger};
use crate::signers::Signers;
use crate::{Error, Refused, SignerName};

impl Ledger {
    /// Writes the one entry that hands the log over to another key, and its checkpoint, which both
    /// keys sign. From the next batch on the new key signs.
    ///
    /// # Errors
    /// Those of [`Ledger::append`], and [`Error::Sign`] when either key is away: then nothing is
    /// written and the old key goes on.
    pub fn rotate(
        &mut self,
        change: &Change,
        old: &dyn CheckpointSigner,
        new: &dyn CheckpointSigner,
    ) -> Result<Result<Appended, Refused>, Error> {
        let mut keys = self.keys.clone();
        let [Event::LogKeyRotated { rotation, .. }] = &change.events[..] else {
            return Ok(Err(Refused::RotatesAlone));
        };
        if let Err(error) = keys.follow(rotation) {
            let (key, why) = (SignerName::Log, error.to_string());
            return Ok(Err(Refused::NotAuthorised { key, why }));
        }
        if keys.newest() != new.vkey() {
            let (expected, given) = (keys.newest().to_string(), new.vkey().to_string());
            return Err(Error::OtherKey { expected, given });
        }
        let batch = std::slice::from_ref(change);
        let written = self.written(batch, Signers::Both { old, new })?;
        let outcome = written.into_iter().next().unwrap_or(Err(Refused::Empty));
        if outcome.is_ok() {
            self.keys = keys;
        }
        Ok(outcome)
    }
}
