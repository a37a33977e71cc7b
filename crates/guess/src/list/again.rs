//! The re-derivation challenge: the same identifiers generated twice.
//!
//! What no look at passwords can see, a hash under a secret of the vendor's, shows here at once:
//! whoever derives gets the same password again, whoever draws does not.

use std::collections::HashMap;

use super::audit::poisson_log10;
use super::report::{Class, Finding, Severity};
use super::{Column, List};
use crate::Clause;

/// Examples a finding names.
const EXAMPLES: usize = 10;

/// log10 of the chance at which equal passwords are called derived.
const CHANCE_LOG10: f64 = -9.0;

/// What both lists may tell one unit from another by, the best first.
const KEYS: [Column; 3] = [Column::Serial, Column::Mac, Column::Uid];

/// Why two lists cannot be held against each other.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unmatched {
    /// No identifier stands in both.
    #[error("the two lists share none of the columns serial, mac and uid: no unit can be matched")]
    NoColumn,
    /// No unit stands in both.
    #[error(
        "no unit of the first list is in the second by its {column}: generate the same units twice"
    )]
    NoUnit {
        /// By what units were matched.
        column: &'static str,
    },
}

/// Holds a second generation for the same units against the first. `bits` is the strength of one
/// password, at most.
///
/// # Errors
/// [`Unmatched`].
pub fn again(first: &List, second: &List, bits: f64) -> Result<Finding, Unmatched> {
    let column = KEYS
        .into_iter()
        .find(|&column| first.has(column) && second.has(column))
        .ok_or(Unmatched::NoColumn)?;
    let mut units = HashMap::with_capacity(second.len());
    for row in 0..second.len() {
        units.insert(plain(second.cell(column, row)), row);
    }
    let (mut matched, mut equal) = (0usize, vec![]);
    for row in 0..first.len() {
        let unit = plain(first.cell(column, row));
        let Some(&other) = units.get(&unit).filter(|_| !unit.is_empty()) else {
            continue;
        };
        matched += 1;
        if first.cell(Column::Password, row) == second.cell(Column::Password, other) {
            equal.push(row);
        }
    }
    if matched == 0 {
        return Err(Unmatched::NoUnit {
            column: column.name(),
        });
    }
    let expected = matched as f64 * (-bits).exp2();
    let chance_log10 = poisson_log10(expected, equal.len());
    let derived = !equal.is_empty() && chance_log10 <= CHANCE_LOG10;
    let evidence = format!(
        "{} of {matched} units got the same password when they were generated again",
        equal.len()
    );
    Ok(Finding {
        severity: if derived {
            Severity::Refused
        } else {
            Severity::Note
        },
        class: Class::Hash,
        detector: "re-derivation",
        clause: Clause::Identifier,
        rows: equal.len(),
        examples: equal.into_iter().take(EXAMPLES).collect(),
        evidence,
        chance_log10,
    })
}

/// An identifier without separators and case.
fn plain(text: &[u8]) -> Vec<u8> {
    text.iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[(&str, &str)]) -> List {
        let mut list = List::new(&[Column::Serial]);
        for (serial, password) in rows {
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, password.as_bytes()),
            ]);
        }
        list
    }

    #[track_caller]
    fn check(second: &[(&str, &str)], bits: f64, expected: &str) {
        let first = list(&[("A-1", "K7QDM2X9"), ("A-2", "9XTR4WK7"), ("", "P0C3HJ5N")]);
        let got = match again(&first, &list(second), bits) {
            Err(error) => error.to_string(),
            Ok(finding) => format!("{:?} {}", finding.severity, finding.evidence),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn the_same_password_twice_is_derived() {
        check(
            &[("a2", "9XTR4WK7"), ("a1", "K7QDM2X9")],
            40.0,
            "Refused 2 of 2 units got the same password when they were generated again",
        );
        check(
            &[("a2", "9XTR4WK7"), ("a1", "ZZZZZZZZ")],
            40.0,
            "Refused 1 of 2 units got the same password when they were generated again",
        );
    }

    #[test]
    fn what_chance_explains_is_noted() {
        let drawn = "Note 0 of 1 units got the same password when they were generated again";
        check(&[("A-1", "22222222"), ("", "P0C3HJ5N")], 40.0, drawn);
        // One of two PINs of four digits: once in 5,000 challenges.
        let pin = "Note 1 of 2 units got the same password when they were generated again";
        check(&[("A-1", "K7QDM2X9"), ("A-2", "22222222")], 13.3, pin);
    }

    #[test]
    fn lists_of_other_units_are_told() {
        check(
            &[("B-1", "K7QDM2X9")],
            40.0,
            "no unit of the first list is in the second by its serial: generate the same units twice",
        );
        let mut other = List::new(&[Column::Date]);
        other.push(&[(Column::Password, b"K7QDM2X9")]);
        let first = list(&[("A-1", "K7QDM2X9")]);
        assert_eq!(again(&first, &other, 40.0).err(), Some(Unmatched::NoColumn));
    }
}
