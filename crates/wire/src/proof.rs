//! The two things a unit computes to show what it holds: read-back proof and receipt.

use sha2::{Digest, Sha256};

use crate::message::{DEVICE_ID_MAX, Nonce, TEXT_MAX};

/// What a read-back proof hashes first, so that it is never mistaken for another digest.
const READ_BACK: &[u8] = b"birthmark read-back v1";
/// The same of a proof that also says between which boots the unit was reset.
const INSTALLED: &[u8] = b"birthmark installed v1";
/// What a receipt begins with.
const RECEIPT: &[u8] = b"birthmark receipt v1\0";

/// The longest receipt, in bytes.
pub const RECEIPT_MAX: usize = RECEIPT.len() + 1 + TEXT_MAX + 4 + 1 + DEVICE_ID_MAX + 32;

/// The boots that an install lies between, by the unit's own count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Boots {
    /// In which it was written.
    pub written_in: u32,
    /// In which the proof is made.
    pub proved_in: u32,
}

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

    /// The same for a proof after the reset of an install: what was hashed before it is another hash.
    #[must_use]
    pub fn installed(nonce: &Nonce, boots: Boots) -> ReadBack {
        let proof = Sha256::new_with_prefix(INSTALLED).chain_update(nonce.0);
        ReadBack {
            digest: Sha256::new(),
            proof: proof
                .chain_update(boots.written_in.to_be_bytes())
                .chain_update(boots.proved_in.to_be_bytes()),
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
        ReadBack::new(nonce).over(bundle)
    }

    /// The same of one that was begun, over a whole bundle at hand.
    #[must_use]
    pub fn over(mut self, bundle: &[u8]) -> ([u8; 32], [u8; 32]) {
        self.update(bundle);
        self.finish()
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
