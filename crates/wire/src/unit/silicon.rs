//! What the unit's side asks of the chip: who it is, and signatures.

use crate::message::{PUBLIC_KEY_MAX, SIGNATURE_MAX};

/// What does not change about a unit.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The silicon's own id, 4 to 32 bytes.
    pub device_id: &'a [u8],
    /// MAC addresses, six bytes each, one after the other.
    pub macs: &'a [u8],
    /// What it is.
    pub model: &'a str,
    /// Its hardware revision, where it knows one.
    pub revision: Option<&'a str>,
    /// Version of its firmware.
    pub firmware: &'a str,
}

/// Which key signs a receipt.
pub enum SigningKey<'a> {
    /// The one the unit made itself.
    Own,
    /// The one in the bundle (PKCS#8 DER, secret).
    Minted(&'a [u8]),
}

/// The chip under the firmware.
pub trait Silicon {
    /// Who this is.
    fn identity(&self) -> Identity<'_>;

    /// How often it has booted, this time included.
    fn boots(&self) -> u32;

    /// PKCS#10 (DER) of its own key, when it has made one.
    fn csr(&self) -> Option<&[u8]>;

    /// Writes the public key (SubjectPublicKeyInfo, DER); `None` when there is no such key.
    fn public_key(&self, key: &SigningKey<'_>, out: &mut [u8; PUBLIC_KEY_MAX]) -> Option<usize>;

    /// Writes an ECDSA P-256 signature over SHA-256 (DER); `None` when there is no such key.
    fn sign(
        &self,
        key: &SigningKey<'_>,
        message: &[u8],
        out: &mut [u8; SIGNATURE_MAX],
    ) -> Option<usize>;
}
