//! The gRPC interface: generated types, parsed once into `traveler` types, and the list of
//! reasons a call can be refused for.
//!
//! Stations switch on [`Reason`], never on a message's text. Deliberately absent: the map from
//! errors to gRPC codes, which is the server's (`provisioner/src/status.rs`), and the map from
//! reasons to operator sentences, which is the station's.

mod break_seal;
mod in_use;
mod parse;
mod reason;

pub use break_seal::BreakSealCall;
pub use in_use::InUse;
pub use parse::{
    BadRequest, ConfirmCall, IssueCall, LEASES_PER_CALL, LeaseCall, RETURNS_PER_CALL, ReprintCall,
    ResumeCall, ReturnLeaseCall, SealCall, SignedReceipt, SpendCall, Target, VoidCall,
};
pub use reason::{DOMAIN, Reason};

/// Generated from `proto/provisioning/v1/provisioning.proto`, which documents every field.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("birthmark.provisioning.v1");
}

/// The compiled interface, for gRPC server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/provisioning_v1.bin"));

/// The DNS name in the server's certificate, whatever address it listens on.
pub const SERVER_NAME: &str = "provisioner.birthmark";

/// The longest gRPC message either side accepts, in bytes.
///
/// Bounds what one caller can make the other hold: a product definition is at most 16 KiB and an
/// order list of a busy year stays well under it.
pub const MESSAGE_MAX: usize = 4 << 20;
