//! The whole line as its users have it: the real binaries as processes, real TCP, real ptys.
//!
//! Nothing is mocked; only the silicon is simulated. A test that needs to look inside reads the
//! same files and JSON that a user could. Deliberately absent: virtual time and faults of single
//! calls, which the crates' own tests have; here a process is killed, and a clock is a clock.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod audit;
mod bench;
mod binaries;
mod cycle;
mod kill;
mod lease;
mod memory;
mod oracle;
mod outage;
mod printer;
mod profile;
mod proof;
mod recover;
mod refusals;
mod rotation;
mod scripts;
mod shift;
mod site;
mod softhsm;
mod units;
