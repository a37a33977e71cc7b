//! Facts that need no statistics: how many units there are, how many different passwords, and who
//! shares one. Paragraph 1(2)(a) asks that a password be unique per product, whatever chance says.

use super::audit::poisson_log10;
use super::report::{Class, EXAMPLES, Finding, Severity};
use super::table::{Table, mixed};
use super::{Column, UNIT};
use crate::Clause;
use crate::text::plain;

/// Chance equals no more than this strength allows, whatever strength the symbols suggest: lists of
/// words look stronger than they are.
const BITS_MAX: f64 = 40.0;

/// What the rows say of units and passwords.
pub(super) struct Facts {
    /// Different units: rows that list one again are not counted.
    pub(super) units: usize,
    /// Different passwords, to the letter.
    pub(super) passwords: usize,
    /// Passwords on more than one unit, if any.
    pub(super) shared: Option<Finding>,
    /// Identifier columns that name no unit, because one value has several passwords.
    pub(super) ambiguous: Vec<Column>,
}

/// Counts; `bits` bounds the strength of a password from above.
pub(super) fn count(table: &Table<'_>, bits: f64) -> Facts {
    let passwords: Vec<u64> = (0..table.len())
        .map(|row| hash(table.password(row)))
        .collect();
    let (mut naming, mut ambiguous) = (vec![], vec![]);
    for column in UNIT.into_iter().filter(|&column| table.has(column)) {
        match names_units(table, column, &passwords) {
            true => naming.push(column),
            false => ambiguous.push(column),
        }
    }
    // Password, unit, row: equal passwords together, and equal units among them.
    let mut keys: Vec<(u64, u64, u32)> = (0..table.len())
        .map(|row| (passwords[row], unit(table, &naming, row), row as u32))
        .collect();
    keys.sort_unstable();
    let mut facts = Facts {
        units: 0,
        passwords: 0,
        shared: None,
        ambiguous,
    };
    let (mut rows, mut repeats, mut examples) = (0, 0, vec![]);
    for group in keys.chunk_by(|a, b| a.0 == b.0) {
        let units = group.chunk_by(|a, b| a.1 == b.1);
        let mut firsts: Vec<usize> = units.map(|unit| unit[0].2 as usize).collect();
        firsts.sort_unstable();
        facts.units += firsts.len();
        facts.passwords += 1;
        if firsts.len() > 1 {
            rows += firsts.len();
            repeats += firsts.len() - 1;
            examples.extend(firsts.iter().take(EXAMPLES - examples.len().min(EXAMPLES)));
        }
    }
    if repeats > 0 {
        let units = facts.units as f64;
        let expected = units * (units - 1.0) / 2.0 * (-bits.min(BITS_MAX)).exp2();
        facts.shared = Some(Finding {
            severity: Severity::Refused,
            class: Class::Small,
            detector: "uniqueness",
            clause: Clause::Unique,
            rows,
            examples: examples.iter().map(|&row| table.number(row)).collect(),
            evidence: format!(
                "{rows} units share a password with another: {} units, {} different passwords",
                facts.units, facts.passwords
            ),
            chance_log10: poisson_log10(expected, repeats),
        });
    }
    facts
}

/// Whether a column tells units apart: no value of it has two different passwords.
fn names_units(table: &Table<'_>, column: Column, passwords: &[u64]) -> bool {
    let mut cells: Vec<(u64, u64)> = (0..table.len())
        .map(|row| (plain(table.cell(column, row)), passwords[row]))
        .filter(|(cell, _)| !cell.is_empty())
        .map(|(cell, password)| (hash(&cell), password))
        .collect();
    cells.sort_unstable();
    let different = |two: &[(u64, u64)]| two[0].0 == two[1].0 && two[0].1 != two[1].1;
    !cells.windows(2).any(different)
}

/// What a row's unit is known by; a row without identifiers is a unit of its own.
fn unit(table: &Table<'_>, naming: &[Column], row: usize) -> u64 {
    let mut known = false;
    let mut unit = 0;
    for &column in naming {
        let cell = plain(table.cell(column, row));
        known |= !cell.is_empty();
        unit = mixed(unit ^ hash(&cell));
    }
    match known {
        true => unit,
        false => mixed(row as u64),
    }
}

/// A text as a number; others meet it with 2^-64.
pub(super) fn hash(text: &[u8]) -> u64 {
    let grown = |hash: u64, byte: &u8| mixed(hash ^ u64::from(*byte));
    text.iter().fold(text.len() as u64, grown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::List;

    #[track_caller]
    fn check(rows: &[(&str, &str)], expected: &str) {
        let mut list = List::new(&[Column::Serial]);
        for (serial, password) in rows {
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, password.as_bytes()),
            ]);
        }
        let facts = count(&Table::whole(&list), 60.0);
        let shared = facts.shared.map_or(String::new(), |it| {
            format!(" {:?} {} {:?}", it.severity, it.clause, it.examples)
        });
        let got = format!("{} {}{shared}", facts.units, facts.passwords);
        assert_eq!(got, expected, "{rows:?}");
    }

    #[test]
    fn two_units_with_one_password_are_told_however_few_they_are() {
        check(&[("1", "K7QDM2X9TR4W"), ("2", "9XTR4WK7QDM2")], "2 2");
        let two = "2 1 Refused 1(2)(a) [0, 1]";
        check(&[("1", "K7QDM2X9TR4W"), ("2", "K7QDM2X9TR4W")], two);
        check(&[("1", "!!!!"), ("2", "????")], "2 2");
    }

    #[test]
    fn a_unit_listed_twice_is_one_unit() {
        check(&[("1", "K7QDM2X9TR4W"), ("1", "K7QDM2X9TR4W")], "1 1");
        check(
            &[("", "K7QDM2X9TR4W"), ("", "K7QDM2X9TR4W")],
            "2 1 Refused 1(2)(a) [0, 1]",
        );
    }

    #[test]
    fn a_lot_number_is_no_unit() {
        let rows = [
            ("LOT7", "K7QDM2X9TR4W"),
            ("LOT7", "K7QDM2X9TR4W"),
            ("LOT7", "9XTR4WK7QDM2"),
        ];
        check(&rows, "3 2 Refused 1(2)(a) [0, 1]");
    }

    #[test]
    fn chance_in_a_small_space_is_told_and_excuses_nothing() {
        let passwords: Vec<String> = (0..2_000)
            .map(|n| format!("{:06}", n * 400 % 799_999))
            .collect();
        let serials: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
        let mut rows: Vec<(&str, &str)> = serials
            .iter()
            .map(String::as_str)
            .zip(passwords.iter().map(String::as_str))
            .collect();
        rows[1].1 = rows[0].1;
        let mut list = List::new(&[Column::Serial]);
        for (serial, password) in &rows {
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, password.as_bytes()),
            ]);
        }
        let shared = count(&Table::whole(&list), 19.9).shared.unwrap();
        assert_eq!(
            (shared.severity, shared.clause, &shared.examples[..]),
            (Severity::Refused, Clause::Unique, &[0, 1][..])
        );
        assert!(shared.chance_log10 > -1.0, "{}", shared.chance_log10);
    }
}
