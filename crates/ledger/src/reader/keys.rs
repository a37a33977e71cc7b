//! Which keys sign the log and certify units.

use super::Reader;
use crate::Error;
use crate::rows::{SignerName, SigningKeyRow};
use crate::rules::View;
use crate::table::Table;

impl Reader {
    /// Every key that has signed the log.
    ///
    /// # Errors
    /// [`Error::NotALog`] when the table of keys is not one that entries could have made.
    pub fn log_keys(&self) -> Result<tlog::LogKeys, Error> {
        crate::signers::log_keys(&self.connection).map_err(|why| Error::NotALog {
            path: self.connection.path().unwrap_or_default().into(),
            why,
        })
    }

    /// The notes in which one key of the log handed over to the next, in their order.
    ///
    /// # Errors
    /// What the database says.
    pub fn rotations(&self) -> Result<Vec<String>, Error> {
        let filter = "WHERE key = 'log' AND seq > 0 ORDER BY seq";
        let rows = SigningKeyRow::list(&self.connection, filter, [])?;
        Ok(rows.into_iter().map(|row| row.proof).collect())
    }

    /// The key that certifies units; none in a log that does not say which is the first.
    ///
    /// # Errors
    /// What the database says.
    pub fn issuing_key(&self) -> Result<Option<SigningKeyRow>, Error> {
        self.view().signing_key(SignerName::Issuing)
    }
}
