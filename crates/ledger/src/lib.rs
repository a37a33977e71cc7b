//! The only writer to disk: uniqueness and the append-only log in one transaction.
//!
//! Entries are the truth: every other table follows from them alone and is replayed from them by
//! [`verify`]. A change is judged by the rules inside the transaction that writes it, so there is
//! no check-then-insert. Deliberately absent: sockets, clocks, randomness and secrets; a
//! password's keyed fingerprint is the nearest thing to one that comes by here.

mod error;
mod refused;
mod rows;
mod rules;

pub use error::{AppendError, Error};
pub use refused::Refused;
pub use rows::{LogRow, OrderRow, ProductRow, StationRow, StationState, UnitRow};
