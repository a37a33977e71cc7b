//! Why a file is no list, and where.

use super::{COLUMNS_MAX, ROW_MAX};
use crate::list::ROWS_MAX;

/// Why a file is no list.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The first line names no password. It is not repeated: it may hold one.
    #[error(
        "line 1: none of its {columns} columns is called `password` (known: {known}). The first line \
         must name the columns: serial, mac, model, ssid, uid, date and password, as far as there are any"
    )]
    NoPassword {
        /// Columns of the first line.
        columns: usize,
        /// Those of them that are known.
        known: String,
    },
    /// Two columns are one.
    #[error("line 1: columns {first} and {second} are both `{name}`; rename one of them")]
    Twice {
        /// Which column.
        name: &'static str,
        /// Its first place, from 1.
        first: usize,
        /// Its second place.
        second: usize,
    },
    /// The text is in an encoding of two bytes a character.
    #[error("line 1, column 1: this is UTF-16 text; save the table as CSV in UTF-8")]
    Utf16,
    /// A row has another number of columns than the header.
    #[error("line {line}, column {column}: the row has {got} columns, the header {named}")]
    Columns {
        /// The row's line, from 1.
        line: u64,
        /// The first column that is missing or too much, from 1.
        column: usize,
        /// Columns of the row.
        got: usize,
        /// Columns of the header.
        named: usize,
    },
    /// There is no password for a unit.
    #[error("line {line}, column {column}: the password is empty")]
    NoValue {
        /// The row's line, from 1.
        line: u64,
        /// The password's column, from 1.
        column: usize,
    },
    /// A cell holds what no identifier or password does.
    #[error("line {line}, column {column} ({name}): {why}")]
    Cell {
        /// The row's line, from 1.
        line: u64,
        /// The cell's column, from 1.
        column: usize,
        /// The column's name.
        name: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A row does not end.
    #[error(
        "line {line}, column {column}: the row has more than {ROW_MAX} bytes or {COLUMNS_MAX} \
         columns; is a quote left open?"
    )]
    TooLong {
        /// The line where the row begins, from 1.
        line: u64,
        /// The column that does not end, from 1.
        column: usize,
    },
    /// A header and nothing under it, or not even that.
    #[error("line {line}, column 1: there are no rows under the header")]
    NoRows {
        /// Where a row was missing.
        line: u64,
    },
    /// More than the detectors take.
    #[error("line {line}, column 1: more than {ROWS_MAX} rows; split the list")]
    TooMany {
        /// The first row too many.
        line: u64,
    },
}
