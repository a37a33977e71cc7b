//! A list as a factory keeps it: CSV text into the columns that the detectors look at.
//!
//! The header decides: its names say which columns there are, in any order; whatever is not known
//! is left out and said. Comma, semicolon or tab; quotes as in RFC 4180; LF or CRLF; a UTF-8 byte
//! order mark is skipped. The text arrives in pieces of any size and is not kept: memory grows by
//! the columns that are looked at. Deliberately absent: guessing what a column without a name
//! holds, and repairing rows; a row that does not fit its header says where, and the file is
//! unusable.

mod error;

use csv_core::{ReadRecordResult, ReaderBuilder};
pub use error::Error;
use zeroize::Zeroizing;

use crate::list::{Column, List, ROWS_MAX};

/// Longest row, in bytes without quotes: bounds what a quote that never ends can take.
const ROW_MAX: usize = 64 << 10;

/// Most columns of a row.
const COLUMNS_MAX: usize = 1_024;

/// Longest cell that is looked at, in bytes: twice what a Wi-Fi key or any identifier has.
const CELL_MAX: usize = 128;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Names of columns besides [`Column::name`], lower case, without spaces, `_` and `-`.
const OTHER_NAMES: &[(&str, Column)] = &[
    ("serialnumber", Column::Serial),
    ("serialno", Column::Serial),
    ("s/n", Column::Serial),
    ("sn", Column::Serial),
    ("macaddress", Column::Mac),
    ("macid", Column::Mac),
    ("modelname", Column::Model),
    ("modelnumber", Column::Model),
    ("wifissid", Column::Ssid),
    ("networkname", Column::Ssid),
    ("deviceid", Column::Uid),
    ("chipid", Column::Uid),
    ("uniqueid", Column::Uid),
    ("productiondate", Column::Date),
    ("dateofmanufacture", Column::Date),
];

/// A file that was read.
pub struct Read {
    /// What the detectors look at.
    pub list: List,
    /// The line of each row, from 1.
    pub lines: Vec<u64>,
    /// The header's columns that are looked at.
    pub columns: Vec<Column>,
    /// The header's names that are not, as they stand there.
    pub ignored: Vec<String>,
}

/// Reads a list piece by piece.
pub struct Reader {
    /// The first line, until its end is there.
    head: Zeroizing<Vec<u8>>,
    rows: Option<Rows>,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    /// A reader that has seen nothing yet.
    #[must_use]
    pub fn new() -> Reader {
        Reader {
            head: Zeroizing::new(Vec::with_capacity(ROW_MAX)),
            rows: None,
        }
    }

    /// Takes the next piece of the text.
    ///
    /// # Errors
    /// Any but [`Error::NoRows`]; the reader is of no use afterwards.
    pub fn feed(&mut self, text: &[u8]) -> Result<(), Error> {
        if let Some(rows) = &mut self.rows {
            return rows.feed(text);
        }
        match text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => {
                self.head(&text[..end])?;
                let head = std::mem::take(&mut *self.head);
                self.rows.insert(Rows::under(&head)?).feed(&text[end..])
            }
            None => self.head(text),
        }
    }

    /// Ends the text.
    ///
    /// # Errors
    /// What is wrong with the last row, or [`Error::NoRows`].
    pub fn finish(mut self) -> Result<Read, Error> {
        if self.rows.is_none() {
            Rows::under(&self.head)?; // a header in want of a name says so first
            return Err(Error::NoRows { line: 1 });
        }
        let rows = self.rows.take().map(Rows::finish);
        rows.unwrap_or(Err(Error::NoRows { line: 1 }))
    }

    fn head(&mut self, text: &[u8]) -> Result<(), Error> {
        if self.head.len() + text.len() > ROW_MAX {
            return Err(Error::TooLong { line: 1, column: 1 });
        }
        self.head.extend_from_slice(text);
        Ok(())
    }
}

/// The rows under a header.
struct Rows {
    core: csv_core::Reader,
    /// What each place of a row is, `None` when it is not looked at.
    places: Vec<Option<Column>>,
    read: Read,
    /// The row so far, without quotes.
    row: Zeroizing<Vec<u8>>,
    used: usize,
    ends: Vec<usize>,
    ended: usize,
    /// The line being read, from 1, and where the row began.
    line: u64,
    began: u64,
    within: bool,
    /// The byte before what comes next.
    before: u8,
}

impl Rows {
    fn under(head: &[u8]) -> Result<Rows, Error> {
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || head.contains(&0) {
            return Err(Error::Utf16);
        }
        let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
        let named = |delimiter: u8| {
            let names = names(head, delimiter);
            let places: Vec<Option<Column>> = names.iter().map(|name| column(name)).collect();
            (delimiter, names, places)
        };
        let (delimiter, names, places) = [b',', b';', b'\t']
            .map(named)
            .into_iter()
            .find(|(_, _, places)| places.contains(&Some(Column::Password)))
            .ok_or_else(|| no_password(head))?;
        for (second, place) in places.iter().enumerate() {
            let same = |other: &Option<Column>| other.is_some() && other == place;
            if let Some(first) = places[..second].iter().position(same) {
                return Err(Error::Twice {
                    name: place.map_or("", Column::name),
                    first: first + 1,
                    second: second + 1,
                });
            }
        }
        let columns: Vec<Column> = places.iter().copied().flatten().collect();
        let unknown = names.iter().zip(&places).filter(|(_, it)| it.is_none());
        Ok(Rows {
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            read: Read {
                list: List::new(&columns),
                lines: vec![],
                ignored: unknown.map(|(name, _)| shortened(name)).collect(),
                columns,
            },
            places,
            row: Zeroizing::new(vec![0; ROW_MAX]),
            used: 0,
            ends: vec![0; COLUMNS_MAX],
            ended: 0,
            line: 1,
            began: 1,
            within: false,
            before: 0,
        })
    }

    fn feed(&mut self, mut text: &[u8]) -> Result<(), Error> {
        while !text.is_empty() {
            if !self.within {
                // The reader would skip empty lines itself, and the row would not know its line.
                let blank = text.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
                let blank = blank.count();
                self.pass(&text[..blank]);
                text = &text[blank..];
                if text.is_empty() {
                    break;
                }
                (self.within, self.began) = (true, self.line);
            }
            let taken = self.step(text)?;
            text = &text[taken..];
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Read, Error> {
        if self.within {
            self.step(b"")?;
        }
        if self.read.list.is_empty() {
            return Err(Error::NoRows { line: self.line });
        }
        Ok(self.read)
    }

    /// Counts the lines that end in what was taken.
    fn pass(&mut self, taken: &[u8]) {
        self.line += newlines(self.before, taken);
        self.before = taken.last().copied().unwrap_or(self.before);
    }

    /// Reads on; `text` is empty at the end of the file. Returns how much was taken.
    fn step(&mut self, text: &[u8]) -> Result<usize, Error> {
        let (result, taken, written, ended) = self.core.read_record(
            text,
            &mut self.row[self.used..],
            &mut self.ends[self.ended..],
        );
        self.pass(&text[..taken]);
        self.used += written;
        self.ended += ended;
        match result {
            ReadRecordResult::InputEmpty => Ok(taken),
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                Err(Error::TooLong {
                    line: self.began,
                    column: self.ended.min(COLUMNS_MAX - 1) + 1,
                })
            }
            ReadRecordResult::Record => {
                self.take()?;
                (self.used, self.ended, self.within) = (0, 0, false);
                Ok(taken)
            }
            ReadRecordResult::End => {
                self.within = false;
                Ok(taken)
            }
        }
    }

    /// Takes the row that has just ended.
    fn take(&mut self) -> Result<(), Error> {
        let line = self.began;
        let named = self.places.len();
        let cell = |place: usize| {
            let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
            self.row[start..self.ends[place]].trim_ascii()
        };
        // Some tables end each row with a delimiter; anything behind it is another matter.
        let extra = (named..self.ended).find(|&place| !cell(place).is_empty());
        if self.ended < named || extra.is_some() {
            return Err(Error::Columns {
                line,
                column: extra.unwrap_or(self.ended) + 1,
                got: self.ended,
                named,
            });
        }
        if self.read.list.len() == ROWS_MAX {
            return Err(Error::TooMany { line });
        }
        let mut cells: Vec<(Column, &[u8])> = Vec::with_capacity(self.read.columns.len());
        for (place, column) in self.places.iter().enumerate() {
            let Some(column) = *column else { continue };
            let text = cell(place);
            let why = if text.iter().any(u8::is_ascii_control) {
                "it holds a control character or a line break; is a quote left open?"
            } else if text.len() > CELL_MAX {
                "it is too long for an identifier or a password; is a quote left open?"
            } else if text.is_empty() && column == Column::Password {
                return Err(Error::NoValue {
                    line,
                    column: place + 1,
                });
            } else {
                cells.push((column, text));
                continue;
            };
            return Err(Error::Cell {
                line,
                column: place + 1,
                name: column.name(),
                why,
            });
        }
        self.read.list.push(&cells);
        self.read.lines.push(line);
        Ok(())
    }
}

/// Lines that end in `text`, which the byte `before` precedes: at LF, at CR, at both together once.
fn newlines(before: u8, text: &[u8]) -> u64 {
    let mut before = before;
    let mut lines = 0;
    for &byte in text {
        lines += u64::from(byte == b'\r' || byte == b'\n' && before != b'\r');
        before = byte;
    }
    lines
}

/// The cells of one line.
fn names(head: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let mut core = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut row, mut ends) = (vec![0; head.len() + 1], vec![0; COLUMNS_MAX]);
    let (_, taken, mut written, mut ended) = core.read_record(head, &mut row, &mut ends);
    // The end of the text is told by no text, and ends the last cell.
    let last = core.read_record(&head[taken..], &mut row[written..], &mut ends[ended..]);
    (written, ended) = (written + last.2, ended + last.3);
    row.truncate(written);
    let mut start = 0;
    let cell = |&end: &usize| {
        let cell = row[start..end.min(row.len())].to_vec();
        start = end;
        cell
    };
    ends[..ended].iter().map(cell).collect()
}

fn column(name: &[u8]) -> Option<Column> {
    let plain: String = name
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'_' | b'-'))
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let own = Column::ALL.into_iter().find(|it| it.name() == plain);
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == plain);
    own.or(other.map(|(_, column)| *column))
}

/// What the first line names, without repeating it: without a header it is the first unit's.
fn no_password(head: &[u8]) -> Error {
    let delimiters = [b',', b';', b'\t'];
    let lines = delimiters.map(|delimiter| names(head, delimiter));
    let most = lines.into_iter().max_by_key(Vec::len).unwrap_or_default();
    let known = most.iter().filter_map(|name| column(name));
    let known: Vec<&str> = known.map(Column::name).collect();
    Error::NoPassword {
        columns: most.len(),
        known: match known.is_empty() {
            true => "none that is known".to_owned(),
            false => known.join(", "),
        },
    }
}

/// What a file says of itself, safe and short enough for a message.
fn shortened(text: &[u8]) -> String {
    const SHOWN: usize = 100;
    let shown: String = String::from_utf8_lossy(text)
        .trim()
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.len() > SHOWN {
        return format!("{shown}...");
    }
    shown
}

#[cfg(test)]
mod tests;
