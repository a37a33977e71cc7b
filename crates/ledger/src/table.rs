//! Derived rows to and from SQL: one implementation of [`Table`] per table.
//!
//! Reading parses every cell: a cell that was altered into something impossible is an error with
//! its column, never a panic and never a guess.

mod lease;
mod recovered;
mod reprint;
mod site;
mod unit;

use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use rusqlite::types::{FromSql, Type, Value};
use rusqlite::{Connection, OptionalExtension, Params, params_from_iter};
use traveler::Timestamp;

/// A row type and its table.
pub(crate) trait Table: Sized + PartialEq {
    /// What tells rows apart.
    type Key: Eq + Hash + Display;
    /// The table's name.
    const NAME: &'static str;
    /// Reads all columns, in the order of `cells` and `read`; a filter can follow.
    const SELECT: &'static str;
    /// Writes one row. Rows that never change are plain inserts, so that a second one of the
    /// same key is an error and not an update. Never REPLACE: it would delete what it hits.
    const PUT: &'static str;

    fn read(cells: &mut Cells<'_>) -> rusqlite::Result<Self>;
    fn cells(&self) -> Vec<Value>;
    fn key(&self) -> Self::Key;
    /// The entry that made the row what it is.
    fn seq(&self) -> u64;

    /// Writes the row.
    fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(Self::PUT)?;
        statement.execute(params_from_iter(self.cells())).map(drop)
    }

    /// The first row under `filter`.
    fn find(
        connection: &Connection,
        filter: &str,
        params: impl Params,
    ) -> rusqlite::Result<Option<Self>> {
        let mut statement = connection.prepare_cached(&format!("{} {filter}", Self::SELECT))?;
        statement
            .query_row(params, |row| Self::read(&mut Cells { row, next: 0 }))
            .optional()
    }

    /// Every row under `filter`.
    fn list(
        connection: &Connection,
        filter: &str,
        params: impl Params,
    ) -> rusqlite::Result<Vec<Self>> {
        let mut statement = connection.prepare_cached(&format!("{} {filter}", Self::SELECT))?;
        let rows = statement.query_map(params, |row| Self::read(&mut Cells { row, next: 0 }))?;
        rows.collect()
    }
}

/// The cells of one row, from left to right.
pub(crate) struct Cells<'a> {
    row: &'a rusqlite::Row<'a>,
    next: usize,
}

impl<'a> Cells<'a> {
    pub(crate) fn new(row: &'a rusqlite::Row<'a>) -> Cells<'a> {
        Cells { row, next: 0 }
    }

    /// The cells from number `next` on.
    pub(crate) fn from(row: &'a rusqlite::Row<'a>, next: usize) -> Cells<'a> {
        Cells { row, next }
    }

    fn cell<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    /// A text that is parsed and not kept.
    fn str(&mut self) -> rusqlite::Result<&'a str> {
        self.next += 1;
        let text = self.row.get_ref(self.next - 1)?.as_str();
        text.map_err(rusqlite::Error::from)
    }

    fn text<T>(&mut self) -> rusqlite::Result<T>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let parsed = self.str()?.parse();
        parsed.map_err(|error| self.bad(Type::Text, error))
    }

    fn text_or_none<T>(&mut self) -> rusqlite::Result<Option<T>>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let text: Option<String> = self.cell()?;
        let parsed = text.map(|text| text.parse()).transpose();
        parsed.map_err(|error| self.bad(Type::Text, error))
    }

    fn word<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
        let word = parse(self.str()?);
        word.ok_or_else(|| self.bad(Type::Text, std::io::Error::other("unknown word")))
    }

    fn word_or_none<T>(
        &mut self,
        parse: impl Fn(&str) -> Option<T>,
    ) -> rusqlite::Result<Option<T>> {
        let Some(text) = self.cell::<Option<String>>()? else {
            return Ok(None);
        };
        let word = parse(&text);
        let unknown = || self.bad(Type::Text, std::io::Error::other("unknown word"));
        word.ok_or_else(unknown).map(Some)
    }

    fn bytes<const N: usize>(&mut self) -> rusqlite::Result<[u8; N]> {
        self.cell()
    }

    fn number<T>(&mut self) -> rusqlite::Result<T>
    where
        T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
    {
        let number: i64 = self.cell()?;
        T::try_from(number).map_err(|error| self.bad(Type::Integer, error))
    }

    fn number_or_none<T>(&mut self) -> rusqlite::Result<Option<T>>
    where
        T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
    {
        let number: Option<i64> = self.cell()?;
        let number = number.map(T::try_from).transpose();
        number.map_err(|error| self.bad(Type::Integer, error))
    }

    fn flag(&mut self) -> rusqlite::Result<bool> {
        match self.cell::<i64>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad(Type::Integer, std::io::Error::other("neither 0 nor 1"))),
        }
    }

    /// The one number the table's single row may have.
    fn zero(&mut self) -> rusqlite::Result<()> {
        match self.cell::<i64>()? {
            0 => Ok(()),
            _ => Err(self.bad(Type::Integer, std::io::Error::other("not 0"))),
        }
    }

    fn time(&mut self) -> rusqlite::Result<Timestamp> {
        Ok(Timestamp::from_unix_ms(self.cell()?))
    }

    /// The error for the cell that was read last.
    fn bad(
        &self,
        kind: Type,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(self.next - 1, kind, Box::new(error))
    }
}

/// A sequence number as SQLite keeps it. Numbers that do not fit cannot be reached by counting.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

fn number(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}
