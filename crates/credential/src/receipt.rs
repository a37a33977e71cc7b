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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Vector;

    #[test]
    fn the_receipt_is_the_golden_one() {
        let vector = Vector(include_str!("../../../tests/vectors/v1/receipt.txt"));
        let bytes = receipt(
            &Serial::parse(vector.text("serial")).unwrap(),
            Attempt(vector.text("attempt").parse().unwrap()),
            &DeviceId::parse(vector.text("device_id")).unwrap(),
            &Digest::parse(vector.text("bundle_sha256")).unwrap(),
        );
        assert_eq!(bytes, vector.bytes("receipt"));
    }

    /// Lengths stand before what they measure, so no two units share a receipt.
    #[test]
    fn fields_cannot_run_into_each_other() {
        let make = |serial: &str, device_id: &str| {
            let (serial, device_id) = (Serial::parse(serial), DeviceId::parse(device_id));
            receipt(
                &serial.unwrap(),
                Attempt(0),
                &device_id.unwrap(),
                &Digest([0; 32]),
            )
        };
        assert_ne!(make("A47", "30313233"), make("A470", "313233343536"));
        assert_eq!(
            make(&"A".repeat(32), &"00".repeat(32)).len(),
            21 + 33 + 4 + 33 + 32
        );
    }
}
