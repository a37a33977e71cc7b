//! The key ceremony: which keys a site began with, in what, and who stood there.

use serde::{Deserialize, Serialize};

use crate::KeyId;

/// What two people sign on paper and the first entry of the log repeats.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ceremony {
    /// What the token says it is.
    pub model: String,
    /// Tells one token from another.
    pub serial: String,
    /// Version of what runs in it; empty when it does not say.
    pub firmware: String,
    /// Who stood there, in their own words; may be empty for a trial.
    pub operators: Vec<String>,
    /// Every key of the line.
    pub keys: Vec<CeremonyKey>,
}

/// One key, as its token describes it (PKCS #11 v2.40, section 4.9).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CeremonyKey {
    /// Its label in the token.
    pub key: String,
    /// What it can do: `P-256`, `Ed25519`, `HMAC-SHA-256` or `AES-256-GCM`.
    pub algorithm: String,
    /// The first 8 bytes of SHA-256 of the public key, or of a fixed text's MAC; none for a key
    /// that only wraps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<KeyId>,
    /// SubjectPublicKeyInfo (DER) as hexadecimal digits, of a signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Made at this ceremony; otherwise it was there before.
    pub made: bool,
    /// The token does not show it.
    pub sensitive: bool,
    /// It can leave the token.
    pub extractable: bool,
    /// It was sensitive all its life.
    pub always_sensitive: bool,
    /// It was never extractable.
    pub never_extractable: bool,
    /// The token made it.
    pub made_inside: bool,
}
