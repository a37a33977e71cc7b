//! The detectors, family by family.

pub(crate) mod arithmetic;
pub(crate) mod derived;
pub(crate) mod generator;
pub(crate) mod small;

use super::report::Finding;
use super::table::Table;

/// One detector of the list door.
#[derive(Clone, Copy)]
pub(crate) struct Detector {
    /// What the progress of an audit calls it; its findings may carry finer names.
    pub(crate) name: &'static str,
    /// What its findings hang on, which decides the controls that must be silent.
    pub(crate) hangs_on: Link,
    /// Whether it searches for seconds whatever the list's length: then fewer controls must do.
    pub(crate) searches: bool,
    /// Whether it looks at the rows of the most common length alone: it need not look at the whole
    /// list when a part is all of these.
    pub(crate) one_length: bool,
    /// Looks. Thresholds are its own: over a clean list the sum over all detectors of the chance
    /// of a `Refused` finding stays under 1e-7, so each keeps to 1e-9.
    pub(crate) look: fn(&Table<'_>) -> Vec<Finding>,
}

/// What a finding hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// The passwords alone, as a set: shuffling them over the units changes nothing.
    Passwords,
    /// Which unit has which password, or their order: shuffling must make it vanish.
    Units,
}

/// Every detector.
pub(crate) fn all() -> Vec<Detector> {
    [
        derived::DETECTORS,
        arithmetic::DETECTORS,
        small::DETECTORS,
        generator::DETECTORS,
    ]
    .concat()
}
