//! Classes A and C: identifiers written otherwise, and hashed without a key.

use super::Detector;

pub(crate) const DETECTORS: &[Detector] = &[];
