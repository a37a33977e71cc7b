//! What single rows show, looked for in every row: a list of good passwords may hide a bad one.
//!
//! Two questions. Is this row's password text that an attacker tries early? Does it share more with
//! its own unit's identifiers than with another unit's? Thresholds are those of an audit: what one
//! row in a long list may show by chance accuses nobody.

use super::UNIT;
use super::audit::poisson_log10;
use super::detect::small::tries;
use super::report::{Class, EXAMPLES, Finding, Severity};
use super::shape::Shape;
use super::table::Table;
use crate::Clause;
use crate::text::fold;

/// log10 of the chance under which a row is accused.
const CHANCE_LOG10: f64 = -9.0;

/// Tries, in bits, under which text is guessable: as for lists of words.
const GUESSABLE_BITS: f64 = 40.0;

/// Chance at which a row shares a run with its unit by accident: 2^-13 and less.
const SHARED_BITS: f64 = 13.0;

/// Ways in which two runs can lie: some 12 places each, forwards and backwards, three identifiers.
const WAYS_BITS: f64 = 9.8;

/// Another unit is the one so many rows on: neighbours are like each other.
const OTHER: usize = 37;

/// Both looks.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let shape = Shape::of(table);
    if table.len() == 0 || shape.alphabet.len() < 2 {
        return vec![];
    }
    early(table, &shape)
        .into_iter()
        .chain(shared(table, &shape))
        .collect()
}

/// Rows whose password is tried early: words by rank with digits, few symbols, one part repeated.
fn early(table: &Table<'_>, shape: &Shape) -> Option<Finding> {
    let each = (shape.alphabet.len() as f64).log2();
    let rows = (table.len() as f64).log2();
    let (mut hits, mut worst) = (vec![], 0f64);
    for row in 0..table.len() {
        let password = table.password(row);
        let symbols = password.len() as f64;
        let (cost, tries) = match plain(password) {
            Some(bits) => (bits, bits),
            None if symbols * each < -CHANCE_LOG10 * std::f64::consts::LOG2_10 => continue,
            None => tries(password),
        };
        let chance = (rows + cost - symbols * each) * std::f64::consts::LOG10_2;
        if tries < GUESSABLE_BITS && chance <= CHANCE_LOG10 {
            worst = worst.min(chance);
            hits.push(row);
        }
    }
    let evidence = format!(
        "{} of {} rows hold words, repeats or hardly any different symbols: tried within 2^40 guesses",
        hits.len(),
        table.len()
    );
    told(
        table,
        hits,
        "common text",
        Class::Small,
        Clause::Guessable,
        evidence,
        worst,
    )
}

/// Bits that describe a password of one part repeated, or of two symbols.
fn plain(password: &[u8]) -> Option<f64> {
    let length = password.len();
    let period = (1..=length / 2).find(|&it| password[it..] == password[..length - it]);
    let mut different = zeroize::Zeroizing::new(password.to_vec());
    different.sort_unstable();
    different.dedup();
    match (period, different.len()) {
        (Some(part), _) => Some(part as f64 * 6.6 + 6.0),
        (None, ..=2) => Some(length as f64 + 19.0),
        _ => None,
    }
}

/// Rows that share a longer run with their own unit than chance allows.
fn shared(table: &Table<'_>, shape: &Shape) -> Option<Finding> {
    let least = (SHARED_BITS + WAYS_BITS) / (shape.alphabet.len().min(32) as f64).log2();
    let least = least.ceil() as usize;
    let rows = table.len();
    let (mut own, mut others) = (vec![], 0usize);
    for row in 0..rows {
        let password = fold(table.password(row));
        if password.len() < least {
            continue;
        }
        if shares(&password, table, row, least) {
            own.push(row);
        }
        // What another unit's identifiers share as well is constant, or chance.
        others +=
            usize::from(rows > OTHER && shares(&password, table, (row + OTHER) % rows, least));
    }
    let expected = rows as f64 * (-SHARED_BITS).exp2();
    let expected = expected.max(others as f64 * 1.5 + 5.0 * f64::from(u8::from(others > 0)));
    let chance = poisson_log10(expected, own.len());
    if chance > CHANCE_LOG10 || rows <= OTHER {
        return None;
    }
    let evidence = format!(
        "{} of {rows} rows share {least} symbols in a row, or more, with their unit's own identifiers; \
         with another unit's {others} do",
        own.len()
    );
    told(
        table,
        own,
        "identifier overlap",
        Class::Verbatim,
        Clause::Identifier,
        evidence,
        chance,
    )
}

fn shares(password: &[u8], table: &Table<'_>, row: usize, least: usize) -> bool {
    UNIT.into_iter()
        .filter(|&column| table.has(column))
        .any(|column| {
            let mut text = fold(table.cell(column, row));
            let mut found = || {
                let mut runs = text.windows(least);
                let inside = |run: &[u8]| password.windows(least).any(|other| other == run);
                let found = runs.any(inside);
                text.reverse();
                found
            };
            found() || found()
        })
}

fn told(
    table: &Table<'_>,
    rows: Vec<usize>,
    detector: &'static str,
    class: Class,
    clause: Clause,
    evidence: String,
    chance_log10: f64,
) -> Option<Finding> {
    (!rows.is_empty()).then(|| Finding {
        severity: Severity::Refused,
        class,
        detector,
        clause,
        rows: rows.len(),
        examples: rows
            .iter()
            .take(EXAMPLES)
            .map(|&row| table.number(row))
            .collect(),
        evidence,
        chance_log10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::table::mixed;
    use crate::list::{Column, List};

    fn drawn(seed: u64, length: usize) -> String {
        let symbols = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let symbol = |n: usize| symbols[(mixed(seed * 64 + n as u64) % 32) as usize];
        (0..length).map(|n| char::from(symbol(n))).collect()
    }

    /// What is told of `good` drawn passwords with `bad` among them.
    #[track_caller]
    fn check(good: u64, bad: &[(&str, &str)], expected: &[&str]) {
        let mut list = List::new(&[Column::Serial]);
        let mut push = |serial: &str, password: &str| {
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, password.as_bytes()),
            ]);
        };
        for unit in 0..good {
            push(
                &format!("BM{:06}", mixed(unit) % 1_000_000),
                &drawn(unit, 12),
            );
        }
        bad.iter()
            .for_each(|(serial, password)| push(serial, password));
        let found = look(&Table::whole(&list));
        let told: Vec<&str> = found.iter().map(|it| it.detector).collect();
        assert_eq!(told, expected, "{found:?}");
    }

    #[test]
    fn one_bad_row_is_found_alone_and_among_many() {
        for good in [0, 1, 1_000] {
            check(good, &[("1", "password12345678")], &["common text"]);
            check(good, &[("1", "aaaaaaaaaaaaaaaaaaaa")], &["common text"]);
            check(good, &[("1", "ABABABABABABABAB")], &["common text"]);
        }
    }

    #[test]
    fn a_few_rows_with_their_serial_are_found_among_many() {
        let serials: Vec<String> = (0..40u64)
            .map(|n| format!("{}", 10_000_000 + mixed(n) % 90_000_000))
            .collect();
        let passwords: Vec<String> = serials.iter().map(|it| format!("{it}ABCD")).collect();
        let bad: Vec<(&str, &str)> = serials
            .iter()
            .map(String::as_str)
            .zip(passwords.iter().map(String::as_str))
            .collect();
        check(4_000, &bad, &["identifier overlap"]);
        check(4_000, &[], &[]);
        check(2, &[], &[]);
    }
}
