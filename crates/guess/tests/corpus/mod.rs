//! Lists to try the list door on: weak ones, whose scheme it should name, and clean ones, of which
//! it must refuse none. Written from descriptions, without a look at the detectors.
//!
//! A seed replays every list. Deliberately absent: tables of real vendors' units or passwords.

pub(crate) mod clean;
pub(crate) mod draw;
pub(crate) mod encode;
pub(crate) mod generators;
pub(crate) mod judge;
pub(crate) mod lists;
pub(crate) mod units;
pub(crate) mod weak;
