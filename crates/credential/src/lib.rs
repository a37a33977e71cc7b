//! Mints passwords and keys, wraps them in bundles; owns the secret types.
//!
//! A bundle is what a unit may hold: one password, one certificate chain, and a private key when
//! the unit could not make its own. Its bytes are CBOR, deterministic, so that server, station
//! and unit agree on one digest and the ledger can commit to it.
//!
//! Deliberately absent: the gate (`guess`), the fingerprint (a key inside the HSM makes it), any
//! ambient randomness, any way to print, copy, compare or serialize a secret. `expose` and
//! `folded` lend one; grep for them to see everyone who looks.

mod bundle;
mod collision;
mod lease;
mod mint;
mod monitor;
mod policy;
mod receipt;
mod secret;
#[cfg(test)]
mod vector;

pub use bundle::{Bundle, BundleError};
pub use collision::collisions_tolerated;
pub use lease::{LeaseError, LeaseFor, LeasedBundle, Recipient, wrap_to};
pub use mint::{KeyError, MintError, MintedKey, mint, mint_key, mint_seen};
pub use monitor::{Monitor, Output, Unfit};
pub use policy::{Breach, Class, Policy, PolicyError};
pub use receipt::receipt;
pub use secret::{BundleBytes, LeaseKey, Password, PasswordError, PrivateKey, Salt};
