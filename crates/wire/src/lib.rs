//! What station and unit say to each other; both sides; no I/O.
//!
//! One request at a time, asked by the station, answered by the unit; see [`frame`] for the bytes
//! on the line and [`message`] for what is in them. The unit side is `no_std` without
//! allocation and is the same code in firmware and in the simulator. The station's side (feature
//! `station`) is a set of [`Exchange`]s that take events and return actions, so that the driver
//! which owns port and timer is ten lines.
//!
//! Deliberately absent: ports, clocks, randomness (nonces are arguments), retries beyond the named
//! bounds, and any reply that carries a secret: a unit shows that it holds a bundle by hashing it
//! with the station's nonce, never by sending it back.

#![no_std]

#[cfg(any(test, feature = "station"))]
extern crate std;

#[cfg(feature = "station")]
pub mod console;
mod fields;
pub mod frame;
mod limits;
pub mod message;
#[cfg(feature = "station")]
pub mod profile;
pub mod proof;
mod state;
#[cfg(feature = "station")]
mod station;
pub mod unit;

pub use message::{Nonce, PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS, Refusal, UnitState};
#[cfg(feature = "station")]
pub use station::{
    Action, Answer, BOOT_POLL, BOOT_POLLS, Booted, Check, Event, Exchange, Facts, Greet, Held,
    Install, Installed, LOAD_WITHIN, Link, Load, Lock, Prove, REPLY_WITHIN, RESENDS, Receipt,
    Reply, Request, Reset, WireError,
};
