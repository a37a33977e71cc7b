//! Class E: small spaces, and the strength a list shows at most.

use super::Detector;

pub(crate) const DETECTORS: &[Detector] = &[];

/// Upper bound on the strength of a password of this list, in bits.
pub(crate) fn bits(table: &crate::list::table::Table<'_>) -> f64 {
    let shape = crate::list::shape::Shape::of(table);
    shape.symbols() as f64 * (shape.alphabet.len().max(1) as f64).log2()
}
