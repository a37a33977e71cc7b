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
mod measure;
#[cfg(test)]
mod tests;

use super::{Detector, Link};

pub(crate) const DETECTORS: &[Detector] = &[
    Detector {
        name: "generator seeded by an identifier",
        hangs_on: Link::Units,
        look: seeded::identified,
    },
    Detector {
        name: "linear generator",
        hangs_on: Link::Units,
        look: linear::look,
    },
    Detector {
        name: "additive generator",
        hangs_on: Link::Units,
        look: lagged::look,
    },
    Detector {
        name: "congruential generator",
        hangs_on: Link::Passwords,
        look: state::look,
    },
    Detector {
        name: "generator with few seeds",
        hangs_on: Link::Passwords,
        look: seeded::small,
    },
    Detector {
        name: "generator seeded by the clock",
        hangs_on: Link::Passwords,
        look: seeded::dated,
    },
];
