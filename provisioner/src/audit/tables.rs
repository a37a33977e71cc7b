//! Tables of an exported log for spreadsheets and programs, written beside its tiles.
//!
//! Nothing is proven with a table: whoever doubts one recomputes it from the bundle. It holds what
//! the entries hold, so never a secret.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::TableFormat;
use crate::site::sync_folder_of;

/// Columns of `entries.csv`: what people filter by. The .jsonl has every field.
pub(super) const ENTRIES: &[&str] = &[
    "seq",
    "time",
    "kind",
    "serial",
    "attempt",
    "order",
    "station",
    "slot",
    "operator",
    "device_id",
    "product",
    "cause",
    "reason",
    "label",
    "reprint",
    "by",
    "fingerprint",
    "certificate_sha256",
    "bundle_sha256",
    "policy_sha256",
    "profile_sha256",
    "expires",
    "released",
    "simulated_hsm",
];
/// Columns of `units.csv`.
pub(super) const UNITS: &[&str] = &[
    "serial",
    "state",
    "attempt",
    "order",
    "station",
    "device_id",
    "issued_seq",
    "last_seq",
    "since",
    "certificate_sha256",
    "public_key_sha256",
];
/// Columns of `orders.csv`.
pub(super) const ORDERS: &[&str] = &[
    "order",
    "product",
    "state",
    "quantity",
    "sealed",
    "scrapped",
    "open",
    "not_started",
    "voided",
    "reworked",
    "allowance",
    "leased",
    "returned",
    "product_sha256",
];

/// One file that is being written.
pub(super) struct Table {
    format: TableFormat,
    columns: &'static [&'static str],
    file: BufWriter<File>,
    path: PathBuf,
}

impl Table {
    /// Begins `NAME.csv` or `NAME.jsonl` in `dir`; it gets its name when it is whole.
    pub(super) fn create(
        dir: &Path,
        name: &str,
        format: TableFormat,
        columns: &'static [&'static str],
    ) -> std::io::Result<Table> {
        fs::create_dir_all(dir)?;
        let kind = match format {
            TableFormat::Csv => "csv",
            TableFormat::Jsonl => "jsonl",
        };
        let path = dir.join(format!("{name}.{kind}"));
        let mut file = BufWriter::new(File::create(fresh(&path))?);
        if format == TableFormat::Csv {
            file.write_all(csv_line(columns.iter().map(|name| (*name).to_owned())).as_bytes())?;
        }
        Ok(Table {
            format,
            columns,
            file,
            path,
        })
    }

    /// Writes one row.
    pub(super) fn row(&mut self, row: &Value) -> std::io::Result<()> {
        match self.format {
            TableFormat::Csv => {
                let line = csv_line(self.columns.iter().map(|name| cell(&row[*name])));
                self.file.write_all(line.as_bytes())
            }
            TableFormat::Jsonl => writeln!(self.file, "{row}"),
        }
    }

    /// Writes a row that is JSON already: as it is, when it is one line.
    pub(super) fn json_row(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.format == TableFormat::Jsonl && !bytes.contains(&b'\n') {
            self.file.write_all(bytes)?;
            return self.file.write_all(b"\n");
        }
        self.row(&flattened(serde_json::from_slice(bytes)?))
    }

    /// Puts the whole table in place.
    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(fresh(&self.path), &self.path)?;
        sync_folder_of(&self.path)
    }
}

/// An entry that was lost and written again has the cells of what it was, in its new place.
fn flattened(entry: Value) -> Value {
    let Value::Object(mut was) = entry["entry"].clone() else {
        return entry;
    };
    let kind = was["kind"].as_str().unwrap_or_default();
    let kind = format!("recovered {kind}");
    was.insert("seq".to_owned(), entry["seq"].clone());
    was.insert("kind".to_owned(), Value::String(kind));
    Value::Object(was)
}

fn fresh(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// A record of RFC 4180.
fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|cell| csv_cell(&cell)).collect();
    cells.join(",") + "\r\n"
}

/// A cell that a spreadsheet shows and does not run: what would begin a formula (also after
/// white space, or in the full-width forms some locales take) gets an apostrophe in front.
fn csv_cell(text: &str) -> String {
    let runs = |c: char| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    };
    let guard = text.trim_start().starts_with(runs) || text.starts_with(['\t', '\r', '\n']);
    let text = match guard {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    if text.contains([',', '"', '\r', '\n', ';', '\t']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_run_and_every_cell_comes_back() {
        for (text, expected) in [
            ("BM-1", "BM-1"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+44", "'+44"),
            ("-2", "'-2"),
            (" =1", "' =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\t=1", "\"'\t=1\""),
            (
                "=cmd|' /C calc'!A0,\"x\"",
                "\"'=cmd|' /C calc'!A0,\"\"x\"\"\"",
            ),
            ("a,b", "\"a,b\""),
            ("a;=1", "\"a;=1\""),
            ("two\nlines", "\"two\nlines\""),
            ("a-b=c", "a-b=c"),
        ] {
            assert_eq!(csv_cell(text), expected);
        }
    }
}
