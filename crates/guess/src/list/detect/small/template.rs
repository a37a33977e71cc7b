//! Parts that never change, and places that hold but a few symbols or one kind of them.

use super::places::Places;
use super::{Seen, grade};
use crate::list::report::Finding;
use crate::list::shape::Shape;
use crate::list::table::Table;

/// What a template must take from the strength to be worth a line, in bits.
const WORTH_SAYING: f64 = 3.0;

/// A constant part of so many symbols is no longer a separator.
const PART: usize = 3;

/// Says what the places are limited to, and what that leaves.
pub(super) fn look(table: &Table<'_>) -> Vec<Finding> {
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    if !places.found() || places.nominal - places.bits < WORTH_SAYING {
        return vec![];
    }
    let constants = places.constants();
    let symbols = places.places.len();
    let (detector, what) = match () {
        () if constants == symbols => ("one password", "every password is the same".to_owned()),
        () if constants >= PART => (
            "shared part",
            format!("{constants} of {symbols} symbols are the same in every row"),
        ),
        () if places.composed => (
            "template",
            "every row has as many digits, capitals and small letters as the next".to_owned(),
        ),
        () => ("template", "places are limited".to_owned()),
    };
    let evidence = format!(
        "{what} ({}); at most {:.1} bits are left of {:.1}",
        places.description(),
        places.bits,
        places.nominal
    );
    let seen = Seen {
        severity: grade(places.bits, places.nominal),
        detector,
        rows: places.rows.len(),
        examples: &places.rows,
        evidence,
        chance: -places.evidence,
    };
    vec![seen.finding(table)]
}
