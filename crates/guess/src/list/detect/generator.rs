//! Class F: weak generators.
//!
//! A generator betrays itself in two ways. It has few seeds, or seeds that stand on the label: the
//! search runs every generator a factory script reaches for from each of them. Or its outputs hang
//! together, whatever the seed. Deliberately absent: generators behind a hash, and generators of
//! cryptographic strength, which no output shows.

mod chance;
mod field;
mod lagged;
mod linear;
mod rows;
mod search;
mod seed;
mod seeded;
mod source;
mod state;
mod symbol;
mod target;

#[cfg(test)]
mod tests;

use super::{Detector, Link};

/// As findings name them.
const UNIT: &str = "generator seeded by an identifier";
const LINEAR: &str = "linear generator";
const ADDITIVE: &str = "additive generator";
const CONGRUENTIAL: &str = "congruential generator";
const FEW: &str = "generator with few seeds";
const CLOCK: &str = "generator seeded by the clock";

pub(crate) const DETECTORS: &[Detector] = &[
    Detector {
        name: UNIT,
        hangs_on: Link::Units,
        searches: true,
        one_length: false,
        look: seeded::identified,
    },
    Detector {
        name: LINEAR,
        hangs_on: Link::Units,
        searches: false,
        one_length: true,
        look: linear::look,
    },
    Detector {
        name: ADDITIVE,
        hangs_on: Link::Units,
        searches: false,
        one_length: true,
        look: lagged::look,
    },
    Detector {
        name: CONGRUENTIAL,
        hangs_on: Link::Passwords,
        searches: true,
        one_length: true,
        look: state::look,
    },
    Detector {
        name: FEW,
        hangs_on: Link::Passwords,
        searches: true,
        one_length: true,
        look: seeded::small,
    },
    Detector {
        name: CLOCK,
        hangs_on: Link::Passwords,
        searches: true,
        one_length: true,
        look: seeded::dated,
    },
];
