//! The words of the line: ids, states, dispositions, the log entry and its bytes.
//!
//! Everything that crosses a boundary is parsed here once, so that no other crate holds a
//! `String` that might not be a serial. Deliberately absent: I/O, clocks, randomness, secrets.
//! An [`Entry`] cannot carry a password, because no type of this crate can hold one.

mod bytes;
mod ceremony;
mod entry;
mod flat;
mod id;
mod issued;
mod lease;
mod plain;
mod recovered;
mod rotation;
mod short;
mod state;
mod timestamp;
mod void;

pub use bytes::{Digest, Fingerprint, KeyId};
pub use ceremony::{Ceremony, CeremonyKey};
pub use entry::{Change, Entry, Event, Step};
pub use id::{DeviceId, Mac, OperatorId, OrderId, ParseIdError, Serial, Sku, Slot, StationName};
pub use issued::{GateRecord, Issued, LabelProof};
pub use lease::{LEASE_LASTS_S, LEASES_HELD_MAX, LeaseStep, Leased, Spent};
pub use recovered::{Blocked, JournalUsed, LogRecovered, LostCheckpoint, Recovered};
pub use rotation::IssuingRotation;
pub use state::{Attempt, State};
pub use timestamp::Timestamp;
pub use void::VoidCause;
