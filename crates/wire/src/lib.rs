//! What station and unit say to each other; both sides; no I/O.
