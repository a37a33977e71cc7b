//! Reads the three entries that nearly every line of a log is in one pass over their bytes.
//!
//! The general way buffers every field before it knows the kind, which costs more than hashing
//! the entry. What is read here is what the general way would have read: whatever is not exactly
//! one of the three, or odd in any field, is left to it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{
    Attempt, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, Issued, KeyId, LabelProof,
    Mac, OperatorId, OrderId, Serial, Sku, Slot, StationName, Step, Timestamp,
};

/// A text that is parsed and not kept: borrowed from the bytes when it has no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Every field of the three, side by side.
#[derive(Deserialize)]
struct Flat<'a> {
    seq: u64,
    time: Timestamp,
    #[serde(default)]
    simulated_hsm: bool,
    kind: &'a str,
    serial: Serial,
    device_id: DeviceId,
    order: OrderId,
    station: StationName,
    attempt: Attempt,
    operator: Option<OperatorId>,
    slot: Option<Slot>,
    #[serde(default)]
    macs: Vec<Mac>,
    product: Option<Sku>,
    product_sha256: Option<Digest>,
    policy_sha256: Option<Digest>,
    fingerprint: Option<Fingerprint>,
    fingerprint_key: Option<KeyId>,
    certificate_sha256: Option<Digest>,
    public_key_sha256: Option<Digest>,
    bundle_sha256: Option<Digest>,
    key_made_on_unit: Option<bool>,
    gate: Option<GateRecord>,
    receipt_signed: Option<bool>,
    profile_sha256: Option<Digest>,
    label: Option<LabelProof>,
    #[serde(default)]
    reprint: u32,
}

/// The entry, when it is one of the three and nothing about it is odd.
pub(crate) fn read(bytes: &[u8]) -> Option<Entry> {
    let flat: Flat<'_> = serde_json::from_slice(bytes).ok()?;
    let step = Step {
        serial: flat.serial,
        device_id: flat.device_id,
        order: flat.order,
        station: flat.station,
        attempt: flat.attempt,
        operator: flat.operator,
    };
    let event = match flat.kind {
        "issued" => Event::Issued(Box::new(Issued {
            step,
            slot: flat.slot,
            macs: flat.macs,
            product: flat.product?,
            product_sha256: flat.product_sha256?,
            policy_sha256: flat.policy_sha256?,
            fingerprint: flat.fingerprint?,
            fingerprint_key: flat.fingerprint_key?,
            certificate_sha256: flat.certificate_sha256?,
            public_key_sha256: flat.public_key_sha256?,
            bundle_sha256: flat.bundle_sha256?,
            key_made_on_unit: flat.key_made_on_unit?,
            gate: flat.gate?,
        })),
        "loaded" => Event::Loaded {
            step,
            bundle_sha256: flat.bundle_sha256?,
            receipt_signed: flat.receipt_signed?,
            profile_sha256: flat.profile_sha256,
        },
        "sealed" => Event::Sealed {
            step,
            label: flat.label?,
            reprint: flat.reprint,
        },
        _ => return None,
    };
    Some(Entry {
        seq: flat.seq,
        time: flat.time,
        simulated_hsm: flat.simulated_hsm,
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = "\"serial\":\"BM-000001\",\"device_id\":\"00112233aabbccdd\",\
        \"order\":\"WO-1\",\"station\":\"bench-1\",\"attempt\":1";

    /// The three, as they are written.
    fn samples() -> [String; 5] {
        let [d, f, k] = ["07".repeat(32), "03".repeat(16), "04".repeat(8)];
        let head = "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,";
        [
            format!(
                "{head}\"kind\":\"issued\",{STEP},\"operator\":\"OP-7\",\"slot\":\"slot-2\",\
                 \"macs\":[\"02:00:00:00:00:01\"],\"product\":\"CAM-2\",\"product_sha256\":\"{d}\",\
                 \"policy_sha256\":\"{d}\",\"fingerprint\":\"{f}\",\"fingerprint_key\":\"{k}\",\
                 \"certificate_sha256\":\"{d}\",\"public_key_sha256\":\"{d}\",\
                 \"bundle_sha256\":\"{d}\",\"key_made_on_unit\":true,\
                 \"gate\":{{\"detectors\":\"1\",\"redraws\":0,\"collisions\":0}}}}"
            ),
            format!(
                "{head}\"kind\":\"loaded\",{STEP},\"bundle_sha256\":\"{d}\",\
                 \"receipt_signed\":false}}"
            ),
            format!(
                "{head}\"kind\":\"loaded\",{STEP},\"bundle_sha256\":\"{d}\",\
                 \"receipt_signed\":false,\"profile_sha256\":\"{d}\"}}"
            ),
            format!("{head}\"kind\":\"sealed\",{STEP},\"label\":\"scanned\"}}"),
            format!("{head}\"kind\":\"sealed\",{STEP},\"label\":\"scanned\",\"reprint\":12}}"),
        ]
    }

    /// What is read in one pass, and what is read plainly, is what the general way reads.
    fn check(bytes: &[u8]) -> bool {
        let general = serde_json::from_slice::<Entry>(bytes).ok();
        let text = String::from_utf8_lossy(bytes);
        let flat = read(bytes);
        assert!(flat.is_none() || flat == general, "{text}");
        let plain = crate::plain::read(bytes);
        assert!(plain.is_none() || plain == general, "{text}");
        flat.is_some()
    }

    #[test]
    fn the_three_are_read_in_one_pass() {
        for text in samples() {
            assert!(check(text.as_bytes()), "{text}");
            let plain = crate::plain::read(text.as_bytes()).unwrap();
            assert_eq!(crate::plain::write(&plain).unwrap(), text.as_bytes());
            assert_eq!(serde_json::to_vec(&plain).unwrap(), text.as_bytes());
            assert_eq!(read(text.as_bytes()).unwrap().to_bytes(), text.as_bytes());
        }
    }

    /// What cannot be written plainly is written the general way, and what can is the same.
    #[test]
    fn oddities_are_written_as_before() {
        let [issued, ..] = samples();
        for (slot, detectors, macs) in [
            ("a\"b", "1", 0),
            ("a\\b", "1", 2),
            ("a/b", "ü", 1),
            ("a~b", "\u{7f}", 3),
            ("-", "\n", 0),
        ] {
            let mut entry = read(issued.as_bytes()).unwrap();
            let Event::Issued(record) = &mut entry.event else {
                panic!("{issued}")
            };
            record.slot = Some(Slot::parse(slot).unwrap());
            record.gate.detectors = detectors.into();
            record.gate.redraws = u32::MAX;
            record.macs = vec![Mac([0xab, 1, 2, 3, 4, 5]); macs];
            record.step.operator = None;
            entry.seq = u64::MAX;
            entry.simulated_hsm = macs == 0;
            assert_eq!(entry.to_bytes(), serde_json::to_vec(&entry).unwrap());
        }
    }

    #[test]
    fn every_changed_byte_is_read_as_before() {
        for text in samples() {
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    check(&bytes);
                }
                let mut bytes = text.clone().into_bytes();
                bytes.remove(at);
                check(&bytes);
                check(&text.as_bytes()[..at]);
            }
        }
    }

    #[test]
    fn oddities_are_read_as_before() {
        for text in samples() {
            for (from, to) in [
                ("\"attempt\":1", "\"attempt\":1,\"attempt\":2"),
                ("\"attempt\":1", "\"attempt\":1.0"),
                ("\"attempt\":1", "\"attempt\":4294967296"),
                ("\"attempt\":1", "\"attempt\":1,\"macs\":null,\"slot\":null"),
                ("\"attempt\":1", "\"attempt\":1,\"operator\":null"),
                ("\"attempt\":1", "\"attempt\":1,\"label\":7"),
                ("\"attempt\":1", "\"attempt\":1,\"extra\":{\"a\":[1]}"),
                ("\"seq\":7", "\"kind\":\"sealed\",\"seq\":7"),
                ("\"seq\":7", "\"seq\":-7"),
                ("\"simulated_hsm\":true,", ""),
                ("\"simulated_hsm\":true", "\"simulated_hsm\":null"),
                ("\"kind\":\"", "\"kind\":\"\\u0073"),
                ("BM-000001", "B\\u004d-000001"),
                ("\"label\":\"scanned\"", "\"label\":null"),
                ("\"reprint\":12", "\"reprint\":0"),
                ("\"reprint\":12", "\"reprint\":null"),
                ("\"reprint\":12", "\"reprint\":4294967296"),
                ("\"attempt\":1", "\"attempt\":1,\"reprint\":\"a\""),
                ("\"macs\":[", "\"macs\":[null,"),
                ("{\"seq\"", " \n{ \"seq\""),
                ("}", "} "),
            ] {
                check(text.replacen(from, to, 1).as_bytes());
            }
        }
    }
}
