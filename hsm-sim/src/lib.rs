//! A software token in a process of its own, which fails on command.
//!
//! Only the silicon is replaced: keys, commands and their messages are those of [`hsm`], behind a
//! Unix socket that only this user may use. [`Server`] is the same thing inside another program,
//! such as the simulated line. See [`Fault`] for what it does to its clients.
//!
//! The PKCS#11 module in front of it is a crate of its own, below `pkcs11/`. Deliberately absent: any
//! claim to keep a key from whoever may read this process's memory.

pub mod cli;
mod fault;
mod generator;
mod memory;
mod model;
mod names;
mod server;
mod session;
mod store_file;

pub use fault::Fault;
pub use memory::keep_to_itself;
pub use model::{Audit, Model, Tries};
pub use server::{Handle, ServeError, Server, connector};
pub use store_file::{OpenError, Opened, SystemRandomness, open_or_create};
