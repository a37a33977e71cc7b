//! The hardwareModuleName of a unit (RFC 4108 section 5), which IEEE 802.1AR puts in the
//! subjectAltName of an IDevID.

use rcgen::CustomExtension;
use traveler::Serial;

/// What kind of hardware a serial counts: `2.25` and this number (ITU-T X.667: the UUID
/// 60c44dc8-425e-4232-aec0-43e4095eb4af as an arc, which needs no registrar).
///
/// One for all products: the serial is unique over all of them, and the product is in the subject.
const HARDWARE_TYPE: u128 = 0x60c4_4dc8_425e_4232_aec0_43e4_095e_b4af;

/// id-on-hardwareModuleName, 1.3.6.1.5.5.7.8.4.
const HARDWARE_MODULE_NAME: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x04];

/// id-ce-subjectAltName.
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;

/// The subjectAltName extension that names the unit's hardware. rcgen writes otherName only with
/// text in it, so the bytes are made here.
pub(crate) fn hardware_module_name(serial: &Serial) -> CustomExtension {
    let hardware_type = tlv(OBJECT_IDENTIFIER, &uuid_arc(HARDWARE_TYPE));
    let number = tlv(OCTET_STRING, serial.as_str().as_bytes());
    let name = tlv(SEQUENCE, &[hardware_type, number].concat());
    let kind = tlv(OBJECT_IDENTIFIER, &HARDWARE_MODULE_NAME);
    // otherName is GeneralName [0] IMPLICIT, its value [0] EXPLICIT (RFC 5280 section 4.2.1.6).
    let other_name = tlv(CONTEXT_0, &[kind, tlv(CONTEXT_0, &name)].concat());
    CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, tlv(SEQUENCE, &other_name))
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    assert!(
        content.len() < 128,
        "a serial is at most 32 bytes, so one length byte is enough"
    );
    [&[tag, content.len() as u8], content].concat()
}

/// `2.25.uuid` as the content of an OBJECT IDENTIFIER: seven bits a byte (X.690 section 8.19).
fn uuid_arc(uuid: u128) -> Vec<u8> {
    let mut bytes = vec![2 * 40 + 25];
    let groups = (128 - uuid.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        bytes.push((uuid >> (7 * group)) as u8 & 0x7f | more);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uuid: u128, expected: &[u8]) {
        assert_eq!(uuid_arc(uuid), expected, "{uuid:x}");
    }

    #[test]
    fn arcs_are_written_seven_bits_a_byte() {
        check(0, &[0x69, 0x00]);
        check(0x7f, &[0x69, 0x7f]);
        check(0x80, &[0x69, 0x81, 0x00]);
        // The UUID of X.667: 2.25.329800735698586629295641978511506172918.
        check(
            0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6,
            &[
                0x69, 0x83, 0xf0, 0x9d, 0xa7, 0xeb, 0xcf, 0xde, 0xe0, 0xc7, 0xa1, 0xa7, 0xb2, 0xc0,
                0x94, 0x8c, 0xc8, 0xf9, 0xd7, 0x76,
            ],
        );
    }

    #[test]
    fn the_longest_serial_fits() {
        let serial = Serial::parse(&"A".repeat(32)).unwrap();
        let extension = hardware_module_name(&serial);
        assert!(extension.content().ends_with(&[b'A'; 32]) && !extension.criticality());
    }
}
