//! The words after `--format`: how facts are printed, and how tables are written.

use clap::ValueEnum;

/// A word after `--format`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Word {
    /// For people.
    Text,
    /// One JSON object or list, for scripts.
    Json,
    /// Tables for spreadsheets: `audit export` alone.
    #[value(hide = true)]
    Csv,
    /// Tables for programs, one JSON object a line: `audit export` alone.
    #[value(hide = true)]
    Jsonl,
}

/// How facts are printed on stdout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object or list, for scripts.
    Json,
}

/// How a table is written into a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TableFormat {
    /// RFC 4180, with cells that no spreadsheet runs.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// What is printed how, and which tables are asked for.
pub(crate) fn formats(words: &[Word]) -> (Format, Vec<TableFormat>) {
    let format = match words.contains(&Word::Json) {
        true => Format::Json,
        false => Format::Text,
    };
    let table = |word: &Word| match word {
        Word::Csv => Some(TableFormat::Csv),
        Word::Jsonl => Some(TableFormat::Jsonl),
        Word::Text | Word::Json => None,
    };
    (format, words.iter().filter_map(table).collect())
}
