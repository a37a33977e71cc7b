//! The second door: do these records hang together?
//!
//! A [`List`] holds the columns a file brought, [`audit`] runs every detector over it and holds
//! each finding against control lists. Deliberately absent: reading files (the caller does), and
//! the passwords themselves in anything that is reported.

mod again;
mod alone;
mod audit;
mod detect;
mod parts;
mod report;
mod shape;
mod table;
mod units;

pub use again::{Pairing, Unmatched, again};
pub use audit::{Progress, audit, audit_by};
pub use report::{Class, Finding, Report, Severity, UNSEEN, Withdrawn};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Rows a list may hold.
pub const ROWS_MAX: usize = 16_000_000;

/// What a column says of each unit.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Column {
    /// The serial on its label.
    Serial,
    /// A network address, hexadecimal with or without separators.
    Mac,
    /// What it is.
    Model,
    /// The network name it opens with.
    Ssid,
    /// Its silicon's own id.
    Uid,
    /// When it was made.
    Date,
    /// Its factory password. Every list has this column.
    Password,
}

impl Column {
    /// All of them, in the order a report names them.
    pub const ALL: [Column; 7] = [
        Column::Serial,
        Column::Mac,
        Column::Model,
        Column::Ssid,
        Column::Uid,
        Column::Date,
        Column::Password,
    ];

    /// What a header calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Column::Serial => "serial",
            Column::Mac => "mac",
            Column::Model => "model",
            Column::Ssid => "ssid",
            Column::Uid => "uid",
            Column::Date => "date",
            Column::Password => "password",
        }
    }
}

/// What may name a unit, the best first.
pub(crate) const UNIT: [Column; 3] = [Column::Serial, Column::Mac, Column::Uid];

/// Units and their passwords, column by column. Wiped when dropped.
#[derive(Default)]
pub struct List {
    rows: usize,
    cells: [Option<Cells>; Column::ALL.len()],
}

impl List {
    /// An empty list with these columns, and [`Column::Password`] in any case.
    #[must_use]
    pub fn new(columns: &[Column]) -> List {
        let mut list = List::default();
        for column in columns.iter().chain(&[Column::Password]) {
            list.cells[*column as usize] = Some(Cells::default());
        }
        list
    }

    /// Adds one unit; a column that is not given is empty for it.
    ///
    /// # Panics
    /// When a column is given that the list was not made with, or [`ROWS_MAX`] is passed: the
    /// caller counts.
    pub fn push(&mut self, row: &[(Column, &[u8])]) {
        assert!(self.rows < ROWS_MAX, "the caller bounds the rows");
        for (column, _) in row {
            assert!(self.has(*column), "a column that the header did not name");
        }
        for column in Column::ALL {
            let given = row.iter().find(|(other, _)| *other == column);
            if let Some(cells) = &mut self.cells[column as usize] {
                cells.push(given.map_or(b"", |(_, text)| text));
            }
        }
        self.rows += 1;
    }

    /// How many units.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether the column was named.
    #[must_use]
    pub fn has(&self, column: Column) -> bool {
        self.cells[column as usize].is_some()
    }

    /// What a column says of a row, empty when it says nothing.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn cell(&self, column: Column, row: usize) -> &[u8] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.cells[column as usize]
            .as_ref()
            .map_or(b"", |cells| cells.get(row))
    }
}

/// Texts in one piece of memory, so that a million rows are not a million allocations.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Cells {
    bytes: Vec<u8>,
    /// Where each text ends in `bytes`.
    ends: Vec<u64>,
}

impl Cells {
    pub(crate) fn push(&mut self, text: &[u8]) {
        // A vector that grows leaves what it held behind: move it, then wipe the old place.
        if self.bytes.len() + text.len() > self.bytes.capacity() {
            let mut larger = Vec::with_capacity((self.bytes.len() + text.len()) * 2);
            larger.extend_from_slice(&self.bytes);
            std::mem::swap(&mut self.bytes, &mut larger);
            larger.zeroize();
        }
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u64);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[row] as usize]
    }
}

impl<'a> FromIterator<&'a [u8]> for Cells {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(texts: T) -> Cells {
        let mut cells = Cells::default();
        for text in texts {
            cells.push(text);
        }
        cells
    }
}
