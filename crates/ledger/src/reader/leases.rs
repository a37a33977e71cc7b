//! What stations hold for units they have not met yet.
//!
//! A file that no newer software wrote to yet has none of the tables, and nobody had a lease.

use traveler::{Attempt, OrderId, Serial, StationName, Timestamp};

use super::Reader;
use crate::rows::{LeaseCountRow, LeaseRow};
use crate::rules::View;
use crate::table::Table;
use crate::{Error, schema};

/// Which leases are held.
const HELD: &str = "voided IS NULL AND spent_seq IS NULL";

impl Reader {
    /// The newest lease of a serial, whatever became of it.
    ///
    /// # Errors
    /// What the database says; so for every method here.
    pub fn lease(&self, serial: &Serial) -> Result<Option<LeaseRow>, Error> {
        if !self.has_leases()? {
            return Ok(None);
        }
        self.view().lease(serial)
    }

    /// The leases that a station holds, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn leases_held(&self, station: &StationName) -> Result<Vec<LeaseRow>, Error> {
        let filter = format!("WHERE station = ?1 AND {HELD} ORDER BY seq");
        self.leases_where(&filter, [station.as_str()])
    }

    /// At most `most` of the leases that are held and whose time was over at `time`, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn leases_expired(&self, time: Timestamp, most: u32) -> Result<Vec<LeaseRow>, Error> {
        // The index over what is held is small: it is read whole.
        let filter = format!("WHERE {HELD} AND expires_ms <= ?1 ORDER BY seq LIMIT ?2");
        self.leases_where(&filter, (time.unix_ms(), most))
    }

    /// What an order's leases add up to.
    ///
    /// # Errors
    /// What the database says.
    pub fn lease_count(&self, order: &OrderId) -> Result<LeaseCountRow, Error> {
        let row = if self.has_leases()? {
            self.view().lease_count(order)?
        } else {
            None
        };
        Ok(row.unwrap_or_else(|| LeaseCountRow::none(order.clone())))
    }

    /// The number of the next try at a serial: leases count as tries.
    ///
    /// # Errors
    /// What the database says.
    pub fn next_attempt(&self, serial: &Serial) -> Result<Attempt, Error> {
        let leased = self.lease(serial)?.map(|row| row.attempt);
        let newest = leased.max(self.unit(serial)?.map(|unit| unit.attempt));
        Ok(newest.map_or(Attempt::FIRST, Attempt::next))
    }

    /// The entries in which leases of a serial began and ended without a unit.
    pub(super) fn lease_seqs(&self, serial: &Serial) -> Result<Vec<u64>, Error> {
        let rows = self.leases_where("WHERE serial = ?1", [serial.as_str()])?;
        let seqs = rows.iter().map(|row| [Some(row.seq), row.voided_seq]);
        Ok(seqs.flatten().flatten().collect())
    }

    fn leases_where(
        &self,
        filter: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<LeaseRow>, Error> {
        if !self.has_leases()? {
            return Ok(Vec::new());
        }
        Ok(LeaseRow::list(&self.connection, filter, params)?)
    }

    fn has_leases(&self) -> Result<bool, Error> {
        Ok(schema::version(&self.connection)? >= schema::LEASED)
    }
}
