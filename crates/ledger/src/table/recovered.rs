//! The tables of what a log went on without: recoveries, and serials that are blocked since.

use rusqlite::types::Value;
use traveler::{DeviceId, Serial};

use super::{Cells, Table, int, number, text};
use crate::rows::{BlockRow, RecoveryRow};

impl Table for RecoveryRow {
    type Key = u64;
    const NAME: &'static str = "recoveries";
    const SELECT: &'static str = "SELECT seq, kept, remembered FROM recoveries";
    const PUT: &'static str = "INSERT INTO recoveries (seq, kept, remembered) VALUES (?1, ?2, ?3)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<RecoveryRow> {
        Ok(RecoveryRow {
            seq: cells.number()?,
            kept: cells.number()?,
            remembered: cells.number()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        [self.seq, self.kept, self.remembered]
            .map(|cell| number(int(cell)))
            .to_vec()
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Table for BlockRow {
    type Key = u64;
    const NAME: &'static str = "blocks";
    const SELECT: &'static str = "SELECT seq, serial, device_id FROM blocks";
    const PUT: &'static str = "INSERT INTO blocks (seq, serial, device_id) VALUES (?1, ?2, ?3)";

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<BlockRow> {
        Ok(BlockRow {
            seq: cells.number()?,
            serial: cells.text::<Serial>()?,
            device_id: cells.text_or_none::<DeviceId>()?,
        })
    }

    fn cells(&self) -> Vec<Value> {
        let device_id = self.device_id.as_ref();
        vec![
            number(int(self.seq)),
            text(self.serial.as_str()),
            device_id.map_or(Value::Null, |id| text(id.as_str())),
        ]
    }

    fn key(&self) -> u64 {
        self.seq
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}
