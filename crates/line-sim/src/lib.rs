//! The line on one machine: simulated units, stations, faults; the demo.

pub mod unit;
