//! Classes B and D: arithmetic on identifiers, counters and dates.
//!
//! Each look states how likely chance is to show what it saw, in a list whose passwords are drawn
//! one by one; the least likely is told when, over all looks of its detector, chance shows it in
//! under 1 list of 10^9. Deliberately absent: hashes and generators (other families), and anything
//! that a secret key or a secret salt hides.

mod bits;
mod chance;
mod columns;
mod depends;
mod digits;
mod features;
mod ground;
mod modular;
mod multiples;
mod pairing;
mod planes;
mod progression;
mod readings;
mod residues;
mod steps;

use super::{Detector, Link};

pub(crate) const DETECTORS: &[Detector] = &[
    Detector {
        name: "steps",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: steps::counters,
    },
    Detector {
        name: "order",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: steps::rises,
    },
    Detector {
        name: "neighbours",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: steps::alike,
    },
    Detector {
        name: "modular",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: modular::affine,
    },
    Detector {
        name: "bits",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: bits::affine,
    },
    Detector {
        name: "dependence",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: depends::functional,
    },
    Detector {
        name: "progression",
        hangs_on: Link::Passwords,
        searches: false,
        one_length: false,
        look: progression::sets,
    },
];

#[cfg(test)]
mod tests;
