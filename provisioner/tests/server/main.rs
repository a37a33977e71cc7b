//! The server over real mutual TLS on loopback: what it grants, refuses and repeats.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod attempts;
mod contention;
mod generator;
mod lapse;
mod lease;
mod overtaken;
mod profiles;
mod put_back;
mod reopen;
mod roles;
mod rotation;
mod site;
mod softhsm;
mod token;
