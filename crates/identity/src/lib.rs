//! Certificates of units and of the site: profiles, CSR checks, and who a peer is.
//!
//! Two trees, both P-256. Units: device root, device issuing, one IDevID (IEEE 802.1AR) a unit,
//! which never expires. Site: one root, and leafs for server, stations and people, whose role is
//! in the leaf itself.
//!
//! A request (PKCS#10) gives its public key and nothing else: subject, names and usages it asks
//! for are not even read. Deliberately absent: keys (a [`Signer`] holds them, in an HSM), clocks
//! and randomness (arguments), revocation lists (the server asks its ledger).

mod csr;
mod hardware;
mod key;
mod peer;
mod pem;
mod profile;

pub use csr::{CsrError, MAX_CSR_BYTES, check_csr};
pub use key::{KeyError, SignError, Signer, VerifyError, verify};
pub use peer::{Peer, PeerError, PersonName, PersonNameError, Role, parse_peer};
pub use pem::pem;
pub use profile::{
    Certificate, IdentityError, Issuer, Stamp, check_issuing, device, device_issuing, device_root,
    issuing_request, sha256, site_leaf, site_root,
};
