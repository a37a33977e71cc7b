//! A lease: a credential that a station holds for a serial whose silicon nobody has met yet.
//!
//! It is minted while there is a network and meets its unit when there is none. Until then it is no
//! attempt at a unit: it has no device id and no state. `leased` opens it; `spent` says which unit
//! it met and makes it an attempt like any other; `lease_voided` ends it without one.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{
    Attempt, Digest, Fingerprint, GateRecord, KeyId, Mac, OperatorId, OrderId, Serial, Sku, Slot,
    StationName, Step, Timestamp,
};

/// Leases that one station may hold: what a bench uses up in a night, and what is exposed at most
/// when it is stolen.
pub const LEASES_HELD_MAX: u32 = 256;

/// How long a lease may last, in seconds: a minute to half a day.
pub const LEASE_LASTS_S: RangeInclusive<u32> = 60..=43_200;

/// What identifies one lease: a [`Step`] without silicon.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LeaseStep {
    /// The unit that will carry it.
    pub serial: Serial,
    /// The order that permits it.
    pub order: OrderId,
    /// The station that holds it.
    pub station: StationName,
    /// The try, from 1; leases count as tries.
    pub attempt: Attempt,
    /// Who stood there, when a badge was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorId>,
}

/// The record of one credential that was minted ahead. Its key is always minted with it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Leased {
    /// Which lease.
    #[serde(flatten)]
    pub lease: LeaseStep,
    /// When the station stops giving it to a unit.
    pub expires: Timestamp,
    /// How many entries of this log the station had seen when it asked: no try at the serial may have
    /// begun since. Entries of before this was asked for have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// What the unit will be.
    pub product: Sku,
    /// The product definition it is built under.
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
    /// What the gate saw: the serial and the public facts; there was no silicon to hold it against.
    pub gate: GateRecord,
}

/// The record of a lease that met its unit. From here on it is an attempt at that unit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Spent {
    /// Which attempt, and the silicon it is now at.
    #[serde(flatten)]
    pub step: Step,
    /// Where in the station, when it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The unit's network addresses, as it reported them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<Mac>,
    /// The station's clock when it gave the secret to the unit; advisory.
    pub released: Timestamp,
}

impl Spent {
    /// The lease that it spends.
    #[must_use]
    pub fn lease(&self) -> LeaseStep {
        let step = self.step.clone();
        LeaseStep {
            serial: step.serial,
            order: step.order,
            station: step.station,
            attempt: step.attempt,
            operator: step.operator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceId, Entry, Event, State, VoidCause};

    fn lease() -> LeaseStep {
        LeaseStep {
            serial: Serial::parse("BM-000001").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            station: StationName::parse("bench-1").unwrap(),
            attempt: Attempt(2),
            operator: Some(OperatorId::parse("OP-7").unwrap()),
        }
    }

    fn check(event: Event, expected: &str) {
        let entry = Entry {
            seq: 7,
            time: Timestamp::from_unix_ms(1_700_000_000_000),
            simulated_hsm: true,
            event,
        };
        let head = "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,";
        let bytes = entry.to_bytes();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            format!("{head}{expected}")
        );
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
    }

    /// People script against these bytes: if this fails, change the code, not the text.
    #[test]
    fn the_bytes_of_a_lease() {
        let [d1, d2, d5, d6, d7] = [1, 2, 5, 6, 7].map(|byte| Digest([byte; 32]));
        check(
            Event::Leased(Box::new(Leased {
                lease: lease(),
                expires: Timestamp::from_unix_ms(1_700_007_200_000),
                seen: Some(6),
                product: Sku::parse("CAM-2").unwrap(),
                product_sha256: d1,
                policy_sha256: d2,
                fingerprint: Fingerprint([3; 16]),
                fingerprint_key: KeyId([4; 8]),
                certificate_sha256: d5,
                public_key_sha256: d6,
                bundle_sha256: d7,
                gate: GateRecord {
                    detectors: "1".into(),
                    redraws: 0,
                    collisions: 0,
                },
            })),
            &format!(
                "\"kind\":\"leased\",\"serial\":\"BM-000001\",\"order\":\"WO-1\",\
                 \"station\":\"bench-1\",\"attempt\":2,\"operator\":\"OP-7\",\
                 \"expires\":\"2023-11-15T00:13:20.000Z\",\"seen\":6,\"product\":\"CAM-2\",\
                 \"product_sha256\":\"{d1}\",\"policy_sha256\":\"{d2}\",\"fingerprint\":\"{}\",\
                 \"fingerprint_key\":\"{}\",\"certificate_sha256\":\"{d5}\",\
                 \"public_key_sha256\":\"{d6}\",\"bundle_sha256\":\"{d7}\",\
                 \"gate\":{{\"detectors\":\"1\",\"redraws\":0,\"collisions\":0}}}}",
                "03".repeat(16),
                "04".repeat(8)
            ),
        );
    }

    #[test]
    fn the_bytes_of_a_spent_lease() {
        let spent = Spent {
            step: Step {
                serial: lease().serial,
                device_id: DeviceId::parse("00112233aabbccdd").unwrap(),
                order: lease().order,
                station: lease().station,
                attempt: lease().attempt,
                operator: lease().operator,
            },
            slot: Some(Slot::parse("slot-2").unwrap()),
            macs: vec![Mac([2, 0, 0, 0, 0, 1])],
            released: Timestamp::from_unix_ms(1_700_000_060_000),
        };
        assert_eq!(spent.lease(), lease());
        let event = Event::Spent(Box::new(spent.clone()));
        assert_eq!(event.step(), Some((&spent.step, State::Issued)));
        assert_eq!(
            (event.lease(), event.serial()),
            (None, Some(&spent.step.serial))
        );
        let text = "\"kind\":\"spent\",\"serial\":\"BM-000001\",\
             \"device_id\":\"00112233aabbccdd\",\"order\":\"WO-1\",\"station\":\"bench-1\",\
             \"attempt\":2,\"operator\":\"OP-7\",\"slot\":\"slot-2\",\
             \"macs\":[\"02:00:00:00:00:01\"],\"released\":\"2023-11-14T22:14:20.000Z\"}";
        check(event, text);
        let bare = Spent {
            slot: None,
            macs: vec![],
            ..spent
        };
        check(
            Event::Spent(Box::new(bare)),
            "\"kind\":\"spent\",\"serial\":\"BM-000001\",\
             \"device_id\":\"00112233aabbccdd\",\"order\":\"WO-1\",\"station\":\"bench-1\",\
             \"attempt\":2,\"operator\":\"OP-7\",\"released\":\"2023-11-14T22:14:20.000Z\"}",
        );
    }

    #[test]
    fn the_bytes_of_a_voided_lease() {
        let nobody = LeaseStep {
            operator: None,
            ..lease()
        };
        for (cause, word) in [
            (VoidCause::LeaseReturned, "lease_returned"),
            (VoidCause::LeaseExpired, "lease_expired"),
            (VoidCause::StationRevoked, "station_revoked"),
            (VoidCause::ReplyLost, "reply_lost"),
            (VoidCause::UnitLost, "unit_lost"),
        ] {
            let event = Event::LeaseVoided {
                lease: nobody.clone(),
                cause,
            };
            assert_eq!((event.step(), event.lease()), (None, Some(&nobody)));
            assert_eq!(event.serial(), Some(&nobody.serial));
            check(
                event,
                &format!(
                    "\"kind\":\"lease_voided\",\"serial\":\"BM-000001\",\"order\":\"WO-1\",\
                     \"station\":\"bench-1\",\"attempt\":2,\"cause\":\"{word}\"}}"
                ),
            );
        }
    }
}
