//! The two things a unit computes to show what it holds: read-back proof and receipt.

use sha2::{Digest, Sha256};

use crate::message::{DEVICE_ID_MAX, Nonce, TEXT_MAX};

/// What a read-back proof hashes first, so that it is never mistaken for another digest.
const READ_BACK: &[u8] = b"birthmark read-back v1";
/// What a receipt begins with.
const RECEIPT: &[u8] = b"birthmark receipt v1\0";

/// The longest receipt, in bytes.
pub const RECEIPT_MAX: usize = RECEIPT.len() + 1 + TEXT_MAX + 4 + 1 + DEVICE_ID_MAX + 32;

/// Hashes flash as it is read, into both the bundle's digest and the proof of now.
///
/// A unit that only remembers a digest cannot make the proof: the nonce comes before the bundle.
pub struct ReadBack {
    digest: Sha256,
    proof: Sha256,
}

impl ReadBack {
    /// Begins with the station's nonce.
    #[must_use]
    pub fn new(nonce: &Nonce) -> ReadBack {
        ReadBack {
            digest: Sha256::new(),
            proof: Sha256::new_with_prefix(READ_BACK).chain_update(nonce.0),
        }
    }

    /// Takes the next bytes of the bundle.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.proof.update(bytes);
    }

    /// SHA-256 of the bundle, and the proof.
    #[must_use]
    pub fn finish(self) -> ([u8; 32], [u8; 32]) {
        (self.digest.finalize().into(), self.proof.finalize().into())
    }

    /// SHA-256 of a bundle at hand, and its proof under `nonce`.
    #[must_use]
    pub fn of(nonce: &Nonce, bundle: &[u8]) -> ([u8; 32], [u8; 32]) {
        let mut read_back = ReadBack::new(nonce);
        read_back.update(bundle);
        read_back.finish()
    }
}

/// Writes the bytes a unit signs; `None` when a field is longer than a message allows.
///
/// The server writes the same with `credential::receipt`; a test keeps them equal.
pub fn receipt<'a>(
    serial: &str,
    attempt: u32,
    device_id: &[u8],
    digest: &[u8; 32],
    out: &'a mut [u8; RECEIPT_MAX],
) -> Option<&'a [u8]> {
    let mut length = 0;
    for part in [
        RECEIPT,
        &[u8::try_from(serial.len()).ok()?],
        serial.as_bytes(),
        &attempt.to_be_bytes(),
        &[u8::try_from(device_id.len()).ok()?],
        device_id,
        digest,
    ] {
        out.get_mut(length..length + part.len())?
            .copy_from_slice(part);
        length += part.len();
    }
    out.get(..length)
}
