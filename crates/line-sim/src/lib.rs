//! The line on one machine: simulated units, stations, faults; the demo.
//!
//! Everything but the silicon is the real thing: the stations, the server, the token behind its
//! socket are the libraries that run in a factory, and a unit is the `wire` crate's unit side
//! behind a pty. `demo` tells the story; `town` is the site it happens in; `load` measures a server.

mod bench;
pub mod cli;
mod demo;
mod guard;
mod load;
mod outcomes;
mod printer;
mod search;
mod shift;
mod show;
mod softhsm;
mod town;
pub mod unit;

pub use printer::{LabelReader, Paper, PrinterFault, SimPrinter, picture};
pub use search::holders;
pub use town::Town;
