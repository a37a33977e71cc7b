//! Class F: weak generators.

use super::Detector;

pub(crate) const DETECTORS: &[Detector] = &[];
