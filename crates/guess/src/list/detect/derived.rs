//! Classes A and C: identifiers written otherwise, and hashed without a key.
//!
//! Both ask one question of a text that anybody can make from a unit's identifiers: does the
//! password run along it, in the same way in more rows than chance allows? A search over some rows
//! proposes alignments, a few hundred rows weigh them, and only what stands out is held against
//! every row.

mod alphabet;
mod digests;
mod forms;
mod found;
mod hashed;
mod password;
mod scan;
mod spell;
mod spelling;
mod symbols;
mod unit;
mod verbatim;
mod views;
mod weigh;
mod wps;

use super::{Detector, Link};

pub(crate) const DETECTORS: &[Detector] = &[
    Detector {
        name: "identifier",
        hangs_on: Link::Units,
        searches: false,
        one_length: false,
        look: verbatim::look,
    },
    Detector {
        name: "unkeyed hash",
        hangs_on: Link::Units,
        searches: true,
        one_length: false,
        look: hashed::look,
    },
];

#[cfg(test)]
mod tests;
