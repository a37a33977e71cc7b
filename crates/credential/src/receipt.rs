//! The receipt: what a unit signs to say that it holds a bundle.

use traveler::{Attempt, DeviceId, Digest, Serial};

/// Domain separation, so that no other signature of the unit's key reads as a receipt.
const DOMAIN: &[u8] = b"birthmark receipt v1\0";

/// The bytes a unit signs (ECDSA P-256, SHA-256), the same for station, server and unit.
///
/// Domain, length and text of the serial, attempt (32 bits, big endian), length and bytes of the
/// device id, digest of the bundle as it was read back after the reset. Lengths are one byte.
#[must_use]
pub fn receipt(
    serial: &Serial,
    attempt: Attempt,
    device_id: &DeviceId,
    digest: &Digest,
) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    prefixed(&mut bytes, serial.as_str().as_bytes());
    bytes.extend_from_slice(&attempt.0.to_be_bytes());
    prefixed(&mut bytes, &silicon(device_id));
    bytes.extend_from_slice(&digest.0);
    bytes
}

fn prefixed(out: &mut Vec<u8>, field: &[u8]) {
    out.push(u8::try_from(field.len()).expect("ids are at most 32 bytes"));
    out.extend_from_slice(field);
}

/// The silicon's own bytes behind the hexadecimal of its id.
fn silicon(device_id: &DeviceId) -> Vec<u8> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .expect("a device id is hexadecimal")
    };
    let pairs = device_id.as_str().as_bytes().chunks_exact(2);
    pairs
        .map(|pair| (digit(pair[0]) << 4 | digit(pair[1])) as u8)
        .collect()
}
