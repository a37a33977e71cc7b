//! Class E: small spaces, and the strength a list shows at most.
//!
//! Every look asks the same question in its own way: with what the other rows show, how many
//! passwords must be tried to meet the next one? What is found is graded by the answer: a template
//! that leaves a strong password is a note, one that leaves a weak one is refused. Deliberately
//! absent: any claim that a list is strong. [`bits`] is an upper bound.

mod evidence;
mod fit;
mod known;
mod pairs;
mod patterns;
mod places;
mod predict;
mod repeats;
mod symbols;
mod template;
mod tokens;
mod words;

#[cfg(test)]
mod tests;

use super::{Detector, Link};
use crate::Clause;
use crate::list::report::{Class, Finding, Severity};
use crate::list::shape::Shape;
use crate::list::table::Table;
use evidence::chance_log10;
use fit::log2;
use places::Places;

pub(crate) const DETECTORS: &[Detector] = &[
    detector("repeated passwords", repeats::look),
    detector("template", template::look),
    detector("uneven symbols", symbols::look),
    detector("dependent places", pairs::look),
    detector("patterns", patterns::look),
    detector("words", words::look),
];

const fn detector(name: &'static str, look: fn(&Table<'_>) -> Vec<Finding>) -> Detector {
    Detector {
        name,
        hangs_on: Link::Passwords,
        searches: false,
        one_length: false,
        look,
    }
}

/// Under so many bits a structure that was found is refused: 2^40 tries of a fast hash are minutes
/// on one graphics card, and a dictionary of five words of 1,296 (51 bits) stays clear of it.
const GUESSABLE_BITS: f64 = 40.0;

/// What a structure must take from the strength to be more than a way of writing: 8 bits, and a
/// quarter. A PIN that never starts with 0, or that ends in a check digit, is short, not
/// structured.
const COSTS_BITS: f64 = 8.0;
const COSTS_SHARE: f64 = 0.25;

/// What an attacker who tries words by rank spends on one password read by itself, in bits: a code
/// length, and the tries.
pub(crate) fn tries(password: &[u8]) -> (f64, f64) {
    let (cost, tries) = known::Reader::default().read(password, &[]);
    (
        cost / std::f64::consts::LN_2,
        tries / std::f64::consts::LN_2,
    )
}

/// Rows that a finding names.
const EXAMPLES: usize = 5;

/// How bad it is that passwords of `nominal` bits have only `bits`.
fn grade(bits: f64, nominal: f64) -> Severity {
    let costs = nominal - bits;
    match bits < GUESSABLE_BITS && costs >= COSTS_BITS.max(nominal * COSTS_SHARE) {
        true => Severity::Refused,
        false => Severity::Note,
    }
}

/// What a look found, before it is written as a [`Finding`].
struct Seen<'a> {
    severity: Severity,
    detector: &'static str,
    rows: usize,
    /// As rows of the table.
    examples: &'a [usize],
    evidence: String,
    /// ln of a bound on the chance.
    chance: f64,
}

impl Seen<'_> {
    fn finding(self, table: &Table<'_>) -> Finding {
        let examples = self.examples.iter().take(EXAMPLES);
        Finding {
            severity: self.severity,
            class: Class::Small,
            detector: self.detector,
            clause: Clause::Guessable,
            rows: self.rows,
            examples: examples.map(|&row| table.number(row)).collect(),
            evidence: self.evidence,
            chance_log10: chance_log10(-self.chance),
        }
    }
}

/// Upper bound on the strength of a password of this list, in bits.
///
/// A list of one length without structure has symbols x log2(alphabet) bits exactly; the alphabet
/// is the smallest standard one that fits, or the symbols seen once the rows are too many for the
/// rest to be missing by chance. What is found beyond chance lowers it: constant places, small
/// sets, the arrangement of kinds (Apple's groups: where the digit and the capital stand, plus the
/// symbols), repeated passwords and parts, dependent places, predictable text.
pub(crate) fn bits(table: &Table<'_>) -> f64 {
    let table = &*repeats::once(table);
    let shape = Shape::of(table);
    let places = Places::of(table, &shape);
    let known = pairs::bits(table, &places)
        .min(words::bits(table, &shape, &places))
        .min(repeats::bits(table, &shape, &places));
    known.max(0.0)
}

/// Strength of passwords drawn from the alphabet in the lengths that the rows have, in bits.
fn nominal(table: &Table<'_>, shape: &Shape, places: &Places) -> f64 {
    if places.rows.len() == table.len() {
        return places.nominal;
    }
    let mut lengths = std::collections::BTreeMap::new();
    for row in 0..table.len() {
        *lengths.entry(table.password(row).len()).or_insert(0usize) += 1;
    }
    let bits = |(&length, &count): (&usize, &usize)| {
        let share = count as f64 / table.len() as f64;
        let symbols = match length == shape.length {
            true => shape.symbols(),
            false => length,
        };
        share * (symbols as f64 * log2(shape.alphabet.len()) - share.log2())
    };
    lengths.iter().map(bits).sum()
}
