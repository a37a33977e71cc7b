//! Classes B and D: arithmetic on identifiers, counters and dates.

use super::Detector;

pub(crate) const DETECTORS: &[Detector] = &[];
