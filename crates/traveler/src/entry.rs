//! The log entry: what happened, as one JSON object, and the bytes that are hashed.
//!
//! The bytes are made once, when the entry gets its sequence number, and kept verbatim: nobody
//! hashes a re-encoding. An entry never holds a secret; a fingerprint is keyed inside the HSM and
//! `bundle_sha256` commits to a bundle that carries 16 random bytes beside the password, so
//! neither can be searched for a password.

use serde::{Deserialize, Serialize};

use crate::{
    Attempt, Blocked, Ceremony, DeviceId, Digest, Issued, KeyId, LabelProof, LeaseStep, Leased,
    LogRecovered, OperatorId, OrderId, Recovered, Serial, Sku, Spent, State, StationName,
    Timestamp, VoidCause,
};

/// One line of the log. `seq` is its leaf index and the only order there is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Leaf index, from 0.
    pub seq: u64,
    /// The server's clock when the entry was sequenced; advisory.
    pub time: Timestamp,
    /// Present and true when the keys were in a software token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated_hsm: bool,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Entry {
    /// The longest entry: the length prefix in a C2SP tlog-tiles entry bundle is 16 bits.
    pub const MAX_BYTES: usize = 65_535;

    /// The bytes that are stored and hashed.
    ///
    /// # Panics
    /// Never: every field of an entry is a string, a number or a list of those.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::plain::write(self)
            .unwrap_or_else(|| serde_json::to_vec(self).expect("an entry is plain data"))
    }

    /// Reads an entry back.
    ///
    /// # Errors
    /// When the bytes are not the JSON of an entry this version knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Entry, serde_json::Error> {
        crate::plain::read(bytes)
            .or_else(|| crate::flat::read(bytes))
            .map_or_else(|| serde_json::from_slice(bytes), Ok)
    }
}

/// What one call asks to be recorded: all of its events in a row, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The server's clock at the call.
    pub time: Timestamp,
    /// Whether the keys are in a software token.
    pub simulated_hsm: bool,
    /// One event, or a few that only make sense together (void and remint).
    pub events: Vec<Event>,
}

/// Everything that can happen, by `kind`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The first entry: which log this is and which keys it trusts.
    LogOpened {
        /// The checkpoint origin, which is also the name of the log key.
        origin: String,
        /// Verifier key of the log (C2SP signed-note).
        vkey: String,
        /// What the keys are kept in, as the token describes itself.
        hsm: String,
        /// Id of the key that fingerprints passwords.
        fingerprint_key: KeyId,
        /// SHA-256 of the root certificate (DER) above the units' certificates.
        device_root_sha256: Digest,
        /// SHA-256 of the certificate (DER) that signs stations and people.
        site_root_sha256: Digest,
        /// How its keys came to be; absent in logs of older servers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ceremony: Option<Box<Ceremony>>,
    },
    /// A product definition came into force.
    ProductApplied {
        /// Which product.
        product: Sku,
        /// SHA-256 of `definition`.
        product_sha256: Digest,
        /// The TOML as it was applied.
        definition: String,
        /// Who applied it.
        by: String,
    },
    /// Permission to build `quantity` units.
    OrderCreated {
        /// The order's name.
        order: OrderId,
        /// What it builds.
        product: Sku,
        /// The definition in force when it was created.
        product_sha256: Digest,
        /// Units that may be sealed, from 1.
        quantity: u32,
        /// Voids and reworks that may be replaced beyond `quantity`.
        allowance: u32,
        /// Who created it.
        by: String,
    },
    /// No more units for this order.
    OrderClosed {
        /// Which order.
        order: OrderId,
        /// Who closed it.
        by: String,
    },
    /// A one-time token was given out for a station.
    StationInvited {
        /// The name the station will carry.
        station: StationName,
        /// SHA-256 of the token (128 random bits, so not searchable).
        token_sha256: Digest,
        /// When the token stops working.
        expires: Timestamp,
        /// Who asked for it.
        by: String,
    },
    /// A station used its token and got a certificate for a key it made.
    StationEnrolled {
        /// Which station.
        station: StationName,
        /// The token it used up.
        token_sha256: Digest,
        /// SHA-256 of its certificate (DER).
        certificate_sha256: Digest,
    },
    /// A station may do nothing any more.
    StationRevoked {
        /// Which station.
        station: StationName,
        /// Who revoked it.
        by: String,
    },
    /// The generator was found unfit: nothing is issued, for any order, until it is resumed.
    LineStopped {
        /// The order it was seen in.
        order: OrderId,
        /// The unit that was to be issued; nothing was minted for it.
        serial: Serial,
        /// The station that asked.
        station: StationName,
        /// The limb of Schedule 1 paragraph 1(3) that its passwords would break.
        clause: String,
        /// What saw it.
        detector: String,
        /// What was seen, without a symbol of any password.
        evidence: String,
    },
    /// The generator was repaired or replaced, and the line may issue again.
    LineResumed {
        /// The entry that stopped it.
        stopped_seq: u64,
        /// What was done about it, in the words of who resumed it.
        reason: String,
        /// Who resumed it.
        by: String,
    },
    /// Another key signs the log from the next entry on.
    LogKeyRotated {
        /// Verifier key of the log from then on (C2SP signed-note).
        vkey: String,
        /// The note in which the old key hands over and the new one takes over.
        rotation: String,
        /// Why, in the words of who rotated it.
        reason: String,
        /// Who rotated it.
        by: String,
    },
    /// Another key certifies units from the next entry on.
    IssuingKeyRotated {
        /// Its SubjectPublicKeyInfo (DER) as hexadecimal digits.
        public_key: String,
        /// SHA-256 of its certificate (DER), which is below the same root.
        certificate_sha256: Digest,
        /// The old key's signature of [`crate::IssuingRotation`], in hexadecimal digits.
        authorisation: String,
        /// Why, in the words of who rotated it.
        reason: String,
        /// Who rotated it.
        by: String,
    },
    /// A credential was minted for a unit. It left the server only after this was durable.
    Issued(Box<Issued>),
    /// A credential was minted for a serial whose unit a station will meet without a network.
    Leased(Box<Leased>),
    /// A leased credential met its unit: an attempt like any other from here on.
    Spent(Box<Spent>),
    /// A lease ended without a unit; its password is burnt, its place in the order is free again.
    LeaseVoided {
        /// Which lease.
        #[serde(flatten)]
        lease: LeaseStep,
        /// Why.
        cause: VoidCause,
    },
    /// The unit was shown, after a reset, to hold what was issued.
    Loaded {
        /// Which attempt.
        #[serde(flatten)]
        step: Step,
        /// The digest from the unit's receipt: that of the issue.
        bundle_sha256: Digest,
        /// Whether the unit signed the receipt with the key in its certificate.
        receipt_signed: bool,
        /// Present when the unit cannot prove what it holds and the station read it back: SHA-256
        /// of the device profile by which it did. Absent: proven by the unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile_sha256: Option<Digest>,
    },
    /// The label of a unit that is not sealed yet is printed again; the ones before it are void.
    Reprinted {
        /// Which attempt; the badge is that of who asked for it.
        #[serde(flatten)]
        step: Step,
        /// The number that stands on the label, from 1: `R1`.
        reprint: u32,
        /// Why, in the words of who asked for it.
        reason: String,
    },
    /// The attempt is closed well; its secret is never given again.
    Sealed {
        /// Which attempt.
        #[serde(flatten)]
        step: Step,
        /// How the label was shown to be this unit's.
        label: LabelProof,
        /// The number on the label that was scanned: `R1` is 1. Absent: the first print, or none.
        #[serde(default, skip_serializing_if = "first_print")]
        reprint: u32,
    },
    /// The attempt is withdrawn; its password is burnt.
    Voided {
        /// Which attempt.
        #[serde(flatten)]
        step: Step,
        /// Why.
        cause: VoidCause,
    },
    /// A sealed unit came back for another attempt.
    Rework {
        /// The attempt that was sealed.
        #[serde(flatten)]
        step: Step,
        /// Why it came back, in the words of who sent it.
        reason: String,
        /// The two people who agreed.
        by: Vec<String>,
    },
    /// The unit will not ship.
    Scrapped {
        /// Its last attempt.
        #[serde(flatten)]
        step: Step,
        /// Why.
        reason: String,
        /// The two people who agreed, of a unit that was sealed; nobody else is asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by: Vec<String>,
    },
    /// The log was put back from a copy, and what came after the copy is lost in part. For ever.
    LogRecovered(Box<LogRecovered>),
    /// A lost entry about a unit, written again by its proof.
    Recovered(Box<Recovered>),
    /// A serial, and the silicon it was, that nothing is issued for any more.
    SerialBlocked(Box<Blocked>),
}

/// Nothing is written of a first print, so that entries from before there were others stay as they
/// are.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn first_print(reprint: &u32) -> bool {
    *reprint == 0
}

/// What identifies one step of one attempt.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Step {
    /// The unit.
    pub serial: Serial,
    /// The silicon it was at that attempt.
    pub device_id: DeviceId,
    /// The order that permits it.
    pub order: OrderId,
    /// The station that did it.
    pub station: StationName,
    /// The try, from 1.
    pub attempt: Attempt,
    /// Who stood there, when a badge was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorId>,
}

impl Event {
    /// The attempt this event is a step of, and the state it leads to, or leaves it in.
    ///
    /// `None` for events about orders, products and stations.
    #[must_use]
    pub fn step(&self) -> Option<(&Step, State)> {
        match self {
            Event::Issued(issued) => Some((&issued.step, State::Issued)),
            Event::Spent(spent) => Some((&spent.step, State::Issued)),
            Event::Loaded { step, .. } => Some((step, State::Loaded)),
            Event::Reprinted { step, .. } => Some((step, State::Loaded)),
            Event::Sealed { step, .. } => Some((step, State::Sealed)),
            Event::Voided { step, .. } => Some((step, State::Voided)),
            Event::Rework { step, .. } => Some((step, State::Rework)),
            Event::Scrapped { step, .. } => Some((step, State::Scrapped)),
            Event::Recovered(recovered) => recovered.entry.event.step(),
            Event::LogOpened { .. }
            | Event::ProductApplied { .. }
            | Event::OrderCreated { .. }
            | Event::OrderClosed { .. }
            | Event::StationInvited { .. }
            | Event::StationEnrolled { .. }
            | Event::StationRevoked { .. }
            | Event::LineStopped { .. }
            | Event::LineResumed { .. }
            | Event::LogKeyRotated { .. }
            | Event::IssuingKeyRotated { .. }
            | Event::Leased(_)
            | Event::LeaseVoided { .. }
            | Event::LogRecovered(_)
            | Event::SerialBlocked(_) => None,
        }
    }

    /// The lease that this event opens or ends without a unit. One that is spent is a step.
    #[must_use]
    pub fn lease(&self) -> Option<&LeaseStep> {
        match self {
            Event::Leased(leased) => Some(&leased.lease),
            Event::LeaseVoided { lease, .. } => Some(lease),
            Event::Recovered(recovered) => recovered.entry.event.lease(),
            _ => None,
        }
    }

    /// The serial that this event is about: of a step, or of a lease.
    #[must_use]
    pub fn serial(&self) -> Option<&Serial> {
        let step = self.step().map(|(step, _)| &step.serial);
        step.or_else(|| self.lease().map(|lease| &lease.serial))
    }

    /// What happened to the line: of a recovered entry, what was lost.
    #[must_use]
    pub fn happened(&self) -> &Event {
        match self {
            Event::Recovered(recovered) => recovered.entry.event.happened(),
            event => event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fingerprint, GateRecord, Mac, Slot};

    fn step() -> Step {
        Step {
            serial: Serial::parse("BM-000001").unwrap(),
            device_id: DeviceId::parse("00112233aabbccdd").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            station: StationName::parse("bench-1").unwrap(),
            attempt: Attempt::FIRST,
            operator: None,
        }
    }

    fn check(event: Event, expected: &str) {
        let time = Timestamp::from_unix_ms(1_700_000_000_000);
        let entry = Entry {
            seq: 7,
            time,
            simulated_hsm: true,
            event,
        };
        let bytes = entry.to_bytes();
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
    }

    /// People script against these bytes: if this fails, change the code, not the text.
    #[test]
    fn the_bytes_of_an_issue() {
        let issued = Issued {
            step: step(),
            slot: Some(Slot::parse("slot-2").unwrap()),
            macs: vec![Mac::parse("02:00:00:00:00:01").unwrap()],
            product: Sku::parse("CAM-2").unwrap(),
            product_sha256: Digest([1; 32]),
            policy_sha256: Digest([2; 32]),
            fingerprint: Fingerprint([3; 16]),
            fingerprint_key: KeyId([4; 8]),
            certificate_sha256: Digest([5; 32]),
            public_key_sha256: Digest([6; 32]),
            bundle_sha256: Digest([7; 32]),
            key_made_on_unit: true,
            gate: GateRecord {
                detectors: "1".into(),
                redraws: 0,
                collisions: 0,
            },
        };
        let (d1, d2, d5, d6, d7) = (
            "01".repeat(32),
            "02".repeat(32),
            "05".repeat(32),
            "06".repeat(32),
            "07".repeat(32),
        );
        let (f, k) = ("03".repeat(16), "04".repeat(8));
        check(
            Event::Issued(Box::new(issued)),
            &format!(
                "{{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
                 \"kind\":\"issued\",\"serial\":\"BM-000001\",\"device_id\":\"00112233aabbccdd\",\
                 \"order\":\"WO-1\",\"station\":\"bench-1\",\"attempt\":1,\"slot\":\"slot-2\",\
                 \"macs\":[\"02:00:00:00:00:01\"],\"product\":\"CAM-2\",\"product_sha256\":\"{d1}\",\
                 \"policy_sha256\":\"{d2}\",\"fingerprint\":\"{f}\",\"fingerprint_key\":\"{k}\",\
                 \"certificate_sha256\":\"{d5}\",\"public_key_sha256\":\"{d6}\",\
                 \"bundle_sha256\":\"{d7}\",\"key_made_on_unit\":true,\
                 \"gate\":{{\"detectors\":\"1\",\"redraws\":0,\"collisions\":0}}}}"
            ),
        );
    }

    /// Logs begun before ceremonies were recorded read as they did, byte for byte.
    #[test]
    fn the_bytes_of_the_first_entry_with_and_without_a_ceremony() {
        let opened = |ceremony| Event::LogOpened {
            origin: "birthmark/x".into(),
            vkey: "birthmark/x+00000000+AQ==".into(),
            hsm: "token 1".into(),
            fingerprint_key: KeyId([4; 8]),
            device_root_sha256: Digest([1; 32]),
            site_root_sha256: Digest([2; 32]),
            ceremony,
        };
        let (d1, d2, k) = ("01".repeat(32), "02".repeat(32), "04".repeat(8));
        let before = format!(
            "{{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
             \"kind\":\"log_opened\",\"origin\":\"birthmark/x\",\
             \"vkey\":\"birthmark/x+00000000+AQ==\",\"hsm\":\"token 1\",\
             \"fingerprint_key\":\"{k}\",\"device_root_sha256\":\"{d1}\",\
             \"site_root_sha256\":\"{d2}\""
        );
        check(opened(None), &format!("{before}}}"));
        let key = crate::CeremonyKey {
            key: "log".into(),
            algorithm: "Ed25519".into(),
            id: Some(KeyId([4; 8])),
            public_key: Some("302a".into()),
            made: true,
            sensitive: true,
            extractable: false,
            always_sensitive: true,
            never_extractable: true,
            made_inside: true,
        };
        let ceremony = Ceremony {
            model: "token".into(),
            serial: "1".into(),
            firmware: "2.6".into(),
            operators: vec!["officer 1".into()],
            keys: vec![key],
        };
        let after = format!(
            ",\"ceremony\":{{\"model\":\"token\",\"serial\":\"1\",\"firmware\":\"2.6\",\
             \"operators\":[\"officer 1\"],\"keys\":[{{\"key\":\"log\",\
             \"algorithm\":\"Ed25519\",\"id\":\"{k}\",\"public_key\":\"302a\",\"made\":true,\
             \"sensitive\":true,\"extractable\":false,\"always_sensitive\":true,\
             \"never_extractable\":true,\"made_inside\":true}}]}}}}"
        );
        check(
            opened(Some(Box::new(ceremony))),
            &format!("{before}{after}"),
        );
    }

    #[test]
    fn the_bytes_of_a_void() {
        check(
            Event::Voided {
                step: step(),
                cause: VoidCause::ReplyLost,
            },
            "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
             \"kind\":\"voided\",\"serial\":\"BM-000001\",\"device_id\":\"00112233aabbccdd\",\
             \"order\":\"WO-1\",\"station\":\"bench-1\",\"attempt\":1,\"cause\":\"reply_lost\"}",
        );
    }

    #[test]
    fn the_bytes_of_a_reprint() {
        let operator = Some(OperatorId::parse("OP-7").unwrap());
        check(
            Event::Reprinted {
                step: Step { operator, ..step() },
                reprint: 1,
                reason: "torn \"here\"".into(),
            },
            "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
             \"kind\":\"reprinted\",\"serial\":\"BM-000001\",\"device_id\":\"00112233aabbccdd\",\
             \"order\":\"WO-1\",\"station\":\"bench-1\",\"attempt\":1,\"operator\":\"OP-7\",\
             \"reprint\":1,\"reason\":\"torn \\\"here\\\"\"}",
        );
    }

    #[test]
    fn the_bytes_of_a_stop_and_of_its_end() {
        check(
            Event::LineStopped {
                order: step().order,
                serial: step().serial,
                station: step().station,
                clause: "1(3)(a)".into(),
                detector: "counter".into(),
                evidence: "9 of 9 draws count on".into(),
            },
            "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
             \"kind\":\"line_stopped\",\"order\":\"WO-1\",\"serial\":\"BM-000001\",\
             \"station\":\"bench-1\",\"clause\":\"1(3)(a)\",\"detector\":\"counter\",\
             \"evidence\":\"9 of 9 draws count on\"}",
        );
        check(
            Event::LineResumed {
                stopped_seq: 5,
                reason: "token replaced".into(),
                by: "admin".into(),
            },
            "{\"seq\":7,\"time\":\"2023-11-14T22:13:20.000Z\",\"simulated_hsm\":true,\
             \"kind\":\"line_resumed\",\"stopped_seq\":5,\"reason\":\"token replaced\",\
             \"by\":\"admin\"}",
        );
    }

    #[test]
    fn causes_round_trip() {
        for cause in VoidCause::ALL {
            assert_eq!(VoidCause::parse(cause.as_str()), Some(cause));
            assert_eq!(
                serde_json::to_string(&cause).unwrap(),
                format!("\"{}\"", cause.as_str())
            );
        }
    }
}
