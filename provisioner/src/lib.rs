//! The server: mints, records and proves one identity for each unit.
//!
//! Read `issue` first: it is the path a secret travels, and every other module serves it.
//! `draw` makes the secret and `watch` remembers for its gate, `stop` ends issuing when the generator
//! is unfit, `resume` gives a secret again, `line` holds what the path works with, `close` ends
//! attempts, `services` is the gRPC face,
//! `serve` the listener, `auth` who may call, `status` the one map from errors to gRPC codes.
//! `breaker` stands before the token, `ceremony` writes down how its keys came to be, `pin` is where
//! its PIN comes from, `offline` a root that is kept elsewhere. `init` makes a site, `backup` copies
//! its log and `recover` makes a copy whole again, `admin`, `audit` and `lint` are the command line,
//! `operators` the one file with names.
//!
//! Deliberately absent: a store of passwords. A password exists here only between `mint` and the
//! reply, and afterwards inside tickets that only the HSM can open and stations keep.

pub mod admin;
mod audit;
mod auth;
pub mod authority;
mod backup;
mod backwards;
mod breaker;
mod ceremony;
mod choice;
mod chores;
pub mod cli;
mod close;
pub mod config;
mod connections;
mod draw;
mod enrol;
mod figures;
mod format;
pub mod init;
mod issue;
pub mod keys;
mod labels;
mod lease;
mod line;
mod lint;
mod memory;
pub mod offline;
mod operators;
mod orders;
pub mod pin;
mod policy;
mod records;
mod recover;
mod reopen;
mod resume;
mod rotate;
pub mod serve;
mod services;
pub mod site;
mod spoken;
mod status;
mod stop;
pub mod tls;
mod turns;
mod watch;
mod withdraw;

pub use memory::keep_to_itself;
