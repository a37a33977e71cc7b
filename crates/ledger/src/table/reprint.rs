//! The table of labels that were printed again.

use rusqlite::types::Value;
use traveler::{Attempt, Serial};

use super::{Cells, Table, int, number, text};
use crate::rows::ReprintRow;

impl Table for ReprintRow {
    type Key = u64;
    const NAME: &'static str = "reprints";
    const SELECT: &'static str = "SELECT seq, serial, attempt, reprint FROM reprints";
    const PUT: &'static str =
        "INSERT INTO reprints (seq, serial, attempt, reprint) VALUES (?1, ?2, ?3, ?4)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<ReprintRow> {
        Ok(ReprintRow {
            seq: cells.number()?,
            serial: cells.text::<Serial>()?,
            attempt: Attempt(cells.number()?),
            reprint: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        vec![
            number(int(self.seq)),
            text(self.serial.as_str()),
            number(self.attempt.0),
            number(self.reprint),
        ]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
