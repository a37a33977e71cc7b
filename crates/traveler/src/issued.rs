//! The record of one minted credential, and how a label was shown to be its unit's.

use serde::{Deserialize, Serialize};

use crate::{Digest, Fingerprint, KeyId, Mac, Sku, Slot, Step};

/// The record of one minted credential.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Issued {
    /// Which attempt.
    #[serde(flatten)]
    pub step: Step,
    /// Where in the station, when it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The unit's network addresses, as it reported them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<Mac>,
    /// What it is.
    pub product: Sku,
    /// The product definition it was built under.
    pub product_sha256: Digest,
    /// The password policy it was minted under.
    pub policy_sha256: Digest,
    /// Keyed fingerprint of the folded password: unique over all history.
    pub fingerprint: Fingerprint,
    /// Which key made the fingerprint.
    pub fingerprint_key: KeyId,
    /// SHA-256 of the unit's certificate (DER).
    pub certificate_sha256: Digest,
    /// SHA-256 of the unit's public key (SubjectPublicKeyInfo, DER).
    pub public_key_sha256: Digest,
    /// SHA-256 of the bundle as the unit must hold it.
    pub bundle_sha256: Digest,
    /// Whether the private key was made on the unit or minted for it.
    pub key_made_on_unit: bool,
    /// What the gate saw.
    pub gate: GateRecord,
}

/// The gate's verdict on an issued password: it passed, and at what cost.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GateRecord {
    /// Version of the detector set.
    pub detectors: String,
    /// Draws refused by the gate before this one.
    pub redraws: u32,
    /// Draws that were in the duplicate index before this one.
    pub collisions: u32,
}

/// How a label was shown to belong to its unit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelProof {
    /// The product carries no label with a secret.
    NoLabel,
    /// The printed label was scanned and the unit itself said yes to it.
    Scanned,
}
