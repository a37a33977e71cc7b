//! What goes with a station that is revoked: its attempts under way, and what it holds for units that
//! it has not met.

use ledger::{AppendError, UnitRow};
use traveler::{Event, StationName, Step, VoidCause};

use crate::close::CloseError;
use crate::line::Line;

impl Line {
    /// Withdraws what a revoked station had under way: it cannot finish it any more.
    ///
    /// # Errors
    /// [`CloseError`]; what was withdrawn before stays withdrawn, and a repeat does the rest.
    pub(crate) fn void_open_of(&self, station: &StationName) -> Result<u32, CloseError> {
        let mut voided = 0;
        for row in self.read(|ledger| ledger.open_units(station))? {
            let step = step_of(&row);
            let cause = VoidCause::StationRevoked;
            match self.append(vec![Event::Voided { step, cause }]) {
                Ok(_) => voided += 1,
                Err(AppendError::Refused(_)) => {} // it was closed in the meantime
                Err(error) => return Err(error.into()),
            }
        }
        Ok(voided)
    }

    /// Voids what a revoked station holds for units it has not met.
    ///
    /// # Errors
    /// [`CloseError`]; what was voided before stays voided, and a repeat does the rest.
    pub(crate) fn void_leases_of(&self, station: &StationName) -> Result<u32, CloseError> {
        let rows = self.read(|ledger| ledger.leases_held(station))?;
        self.void_leases(&rows, VoidCause::StationRevoked)
    }
}

fn step_of(row: &UnitRow) -> Step {
    Step {
        serial: row.serial.clone(),
        device_id: row.device_id.clone(),
        order: row.order.clone(),
        station: row.station.clone(),
        attempt: row.attempt,
        operator: None,
    }
}
