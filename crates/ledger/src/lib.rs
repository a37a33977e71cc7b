//! The only writer to disk: uniqueness and the append-only log in one transaction.
//!
//! Entries are the truth: every other table follows from them alone and is replayed from them by
//! the verifier. A change is judged by the rules inside the transaction that writes it, so there is
//! no check-then-insert. A credential that a station holds for a unit it has not met yet is a lease:
//! its place in the order, its serial and its password are taken, and there is no unit until it is
//! spent. Deliberately absent: sockets, clocks, randomness and secrets; a password's keyed fingerprint
//! is the nearest thing to one that comes by here.

mod ahead;
mod backup;
mod bundle;
pub mod contract;
mod disk;
mod end;
mod error;
mod files;
mod findings;
mod folder;
#[cfg(feature = "measure")]
mod history;
mod index;
mod log;
mod memory;
mod near;
mod options;
mod profiles;
mod reader;
mod recovered;
mod refused;
mod remembered;
mod replay;
mod room;
mod rows;
mod rules;
mod schema;
mod signers;
mod spans;
mod sql;
mod steps;
mod stream;
mod table;
mod tail;
mod tile_hashes;
mod tip;
mod transaction;
mod verify;
mod writer;

pub use backup::{Backup, backup};
pub use bundle::{
    Exported, Holdings, bundle_entries, bundle_keys, export, holdings, verify_bundle,
    verify_bundle_with,
};
pub use disk::{Disk, DiskFile, Folder};
pub use error::{AppendError, Error};
pub use findings::{Finding, Newer, Report};
pub use log::{Appended, Ledger};
pub use options::Options;
pub use profiles::ProfileOf;
pub use reader::{Consistency, Proof, Reader};
pub use refused::Refused;
pub use rows::{
    BlockRow, LeaseCountRow, LeaseRow, LogRow, OrderRow, ProductRow, RecoveryRow, ReprintRow,
    SignerName, SigningKeyRow, StationRow, StationState, StopRow, UnitRow,
};
pub use verify::{Audit, verify, verify_with};
pub use writer::Writer;
