//! The re-derivation challenge: the same identifiers generated twice.
//!
//! What no look at passwords can see, a hash under a secret of the vendor's, shows here at once:
//! whoever derives gets the same password again, whoever draws does not.

use std::collections::{HashMap, HashSet};

use super::audit::poisson_log10;
use super::report::{Class, EXAMPLES, Finding, Severity};
use super::units::hash;
use super::{Column, List, UNIT};
use crate::Clause;
use crate::text::{alike, plain};

/// log10 of the chance at which equal passwords are called derived.
const CHANCE_LOG10: f64 = -9.0;

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

/// Rows under which the strength of a list is a guess.
const MEASURED_ROWS: usize = 30;

/// Strength that a short list is taken to have at most: it may be made of words nobody has seen.
const SHORT_BITS: f64 = 36.0;

/// Which rows of two lists are of one unit.
pub struct Pairing {
    column: Column,
    /// Row of the first list, and the rows of the second.
    units: Vec<(usize, Vec<usize>)>,
}

impl Pairing {
    /// Matches the units of both lists by the identifier that most of them share.
    ///
    /// # Errors
    /// [`Unmatched`].
    pub fn of(first: &List, second: &List) -> Result<Pairing, Unmatched> {
        let shared = UNIT
            .into_iter()
            .filter(|&column| first.has(column) && second.has(column));
        let pairings = shared.map(|column| Pairing::by(column, first, second));
        // The first of equals: serials before addresses.
        let fuller = |best: Pairing, other: Pairing| match other.units.len() > best.units.len() {
            true => other,
            false => best,
        };
        let pairing = pairings.reduce(fuller).ok_or(Unmatched::NoColumn)?;
        if pairing.units.is_empty() {
            let column = pairing.column.name();
            return Err(Unmatched::NoUnit { column });
        }
        Ok(pairing)
    }

    fn by(column: Column, first: &List, second: &List) -> Pairing {
        let mut rows: HashMap<Vec<u8>, Vec<usize>> = HashMap::with_capacity(second.len());
        for row in 0..second.len() {
            let unit = plain(second.cell(column, row));
            rows.entry(unit).or_default().push(row);
        }
        let unit = |row: usize| {
            let unit = plain(first.cell(column, row));
            let others = rows.get(&unit).filter(|_| !unit.is_empty())?;
            Some((row, others.clone()))
        };
        Pairing {
            column,
            units: (0..first.len()).filter_map(unit).collect(),
        }
    }

    /// Rows of the first list whose unit is in the second.
    #[must_use]
    pub fn matched(&self) -> usize {
        self.units.len()
    }
}

/// Holds a second generation for the same units against the first: by unit, and, since a generator
/// with a fixed seed gives the same passwords in another order, by passwords alone. As labels show
/// them: case, look-alikes and hyphens make no other password. `bits` is the strength of one
/// password, at most.
#[must_use]
pub fn again(first: &List, second: &List, pairing: &Pairing, bits: f64) -> Finding {
    let bits = match first.len() < MEASURED_ROWS {
        true => bits.min(SHORT_BITS),
        false => bits,
    };
    let password = |list: &List, row| alike(list.cell(Column::Password, row));
    let same = |row: usize, others: &[usize]| {
        let own = password(first, row);
        others.iter().any(|&other| *password(second, other) == *own)
    };
    let units = pairing.units.iter();
    let equal: Vec<usize> = units
        .filter(|(row, others)| same(*row, others))
        .map(|(row, _)| *row)
        .collect();
    let given: HashSet<u64> = (0..second.len())
        .map(|row| hash(&password(second, row)))
        .collect();
    let anywhere: Vec<usize> = (0..first.len())
        .filter(|&row| given.contains(&hash(&password(first, row))))
        .collect();
    let chance = |pairs: f64, hits: usize| poisson_log10(pairs * (-bits).exp2(), hits);
    let by_unit = chance(pairing.units.len() as f64, equal.len());
    let by_set = chance(first.len() as f64 * second.len() as f64, anywhere.len());
    let matched = pairing.matched();
    let (rows, chance_log10, evidence) = match by_set < by_unit && anywhere.len() > equal.len() {
        true => {
            let evidence = format!(
                "{} of {} passwords came again, to whichever unit, when {matched} units were \
                 generated again",
                anywhere.len(),
                first.len()
            );
            (anywhere, by_set, evidence)
        }
        false => {
            let evidence = format!(
                "{} of {matched} units got the same password when they were generated again",
                equal.len()
            );
            (equal, by_unit, evidence)
        }
    };
    let derived = !rows.is_empty() && chance_log10 <= CHANCE_LOG10;
    Finding {
        severity: match derived {
            true => Severity::Refused,
            false => Severity::Note,
        },
        class: Class::Hash,
        detector: "re-derivation",
        clause: Clause::Identifier,
        rows: rows.len(),
        examples: rows.into_iter().take(EXAMPLES).collect(),
        evidence,
        chance_log10,
    }
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
        let second = list(second);
        let got = match Pairing::of(&first, &second) {
            Err(error) => error.to_string(),
            Ok(pairing) => {
                let finding = again(&first, &second, &pairing, bits);
                format!("{:?} {}", finding.severity, finding.evidence)
            }
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
    fn another_case_another_order_and_a_second_listing_hide_nothing() {
        let both = "Refused 2 of 2 units got the same password when they were generated again";
        check(&[("a2", "9xtr-4wk7"), ("a1", "k7qd-m2x9")], 40.0, both);
        let twice = [
            ("a1", "K7QDM2X9"),
            ("a1", "ZZZZZZZZ"),
            ("a2", "9XTR4WK7"),
            ("a2", "YYYYYYYY"),
        ];
        check(&twice, 40.0, both);
        check(
            &[("a2", "K7QDM2X9"), ("a1", "9XTR4WK7")],
            40.0,
            "Refused 2 of 3 passwords came again, to whichever unit, when 2 units were generated again",
        );
    }

    #[test]
    fn what_chance_explains_is_noted() {
        let drawn = "Note 0 of 1 units got the same password when they were generated again";
        check(&[("A-1", "22222222"), ("", "33333333")], 40.0, drawn);
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
        assert_eq!(Pairing::of(&first, &other).err(), Some(Unmatched::NoColumn));
    }
}
