//! Class F: weak generators.

mod chance;
mod source;
mod symbol;

use super::Detector;

pub(crate) const DETECTORS: &[Detector] = &[];
