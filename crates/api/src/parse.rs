//! Requests as the server works with them: every field parsed, nothing optional that is required.
//!
//! The first field that cannot be used is named. Lengths are bounded here, so that nothing longer
//! reaches a parser of certificates or a table.

use thiserror::Error;
use traveler::{
    Attempt, DeviceId, Digest, Mac, OperatorId, OrderId, ParseIdError, Serial, Slot, VoidCause,
};

mod lease;

pub use lease::{LEASES_PER_CALL, LeaseCall, RETURNS_PER_CALL, ReturnLeaseCall, SpendCall};

use crate::v1;

/// Longest PKCS#10 request, in bytes: a P-256 one is under 400.
const CSR_MAX: usize = 4_096;

/// Longest resume ticket, in bytes: a wrapped bundle of at most 3,584 and its frame.
const TICKET_MAX: usize = 8_192;

/// Most network addresses a unit may report.
const MACS_MAX: usize = 8;

/// Numbers that the label of one attempt may carry: 99 reprints, the most that a scan reads.
const REPRINTS: std::ops::RangeInclusive<u32> = 1..=99;

/// Longest reason, in bytes.
const REASON_MAX: usize = 500;

/// Longest model or revision text, in bytes.
const TEXT_MAX: usize = 64;

/// A request with a field that cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadRequest {
    /// A name, id or address does not have its form.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// A field is absent, too long or not of its fixed length.
    #[error("{field} has {got} bytes, expected {expected}")]
    Length {
        /// The field's name in the interface.
        field: &'static str,
        /// How many bytes, or items, it had.
        got: usize,
        /// What it may have.
        expected: &'static str,
    },
    /// A list of too few or too many.
    #[error("{field} has {got}, expected {expected}")]
    Count {
        /// The field's name in the interface.
        field: &'static str,
        /// How many it had.
        got: usize,
        /// How many it may have.
        expected: &'static str,
    },
    /// A list in which a serial stands twice.
    #[error("{field} names {serial} twice")]
    Twice {
        /// The field's name in the interface.
        field: &'static str,
        /// The serial.
        serial: Serial,
    },
    /// A number that is out of its bounds.
    #[error("{field} is {got}, expected {expected}")]
    Number {
        /// The field's name in the interface.
        field: &'static str,
        /// What it was.
        got: u32,
        /// What it may be.
        expected: &'static str,
    },
    /// A text with a control character, or nothing to read in it.
    #[error("{field} is not text on one line")]
    Text {
        /// The field's name in the interface.
        field: &'static str,
    },
    /// Fewer people than must agree, or more.
    #[error("operators must be two badges, of two people")]
    NotTwo,
    /// A word that is none of its list.
    #[error("{field} is none of the words it may be")]
    Word {
        /// The field's name in the interface.
        field: &'static str,
    },
}

/// What a station says when it asks for a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssueCall {
    /// The order that permits it.
    pub order: OrderId,
    /// The serial that was scanned.
    pub serial: Serial,
    /// The silicon's id.
    pub device_id: DeviceId,
    /// The unit's network addresses.
    pub macs: Vec<Mac>,
    /// What the unit says it is.
    pub model: String,
    /// Its revision, empty when it says none.
    pub revision: String,
    /// PKCS#10 made on the unit, or `None`: the server mints a key.
    pub csr: Option<Vec<u8>>,
    /// Where in the station.
    pub slot: Option<Slot>,
    /// Who stands there.
    pub operator: Option<OperatorId>,
}

impl TryFrom<v1::IssueRequest> for IssueCall {
    type Error = BadRequest;

    fn try_from(request: v1::IssueRequest) -> Result<IssueCall, BadRequest> {
        at_most("csr", request.csr.len(), CSR_MAX, "at most 4096")?;
        at_most("model", request.model.len(), TEXT_MAX, "at most 64")?;
        at_most("revision", request.revision.len(), TEXT_MAX, "at most 64")?;
        Ok(IssueCall {
            order: OrderId::parse(&request.order)?,
            serial: Serial::parse(&request.serial)?,
            device_id: DeviceId::from_bytes(&request.device_id)?,
            macs: macs(&request.macs)?,
            model: request.model,
            revision: request.revision,
            csr: (!request.csr.is_empty()).then_some(request.csr),
            slot: optional(&request.slot, Slot::parse)?,
            operator: optional(&request.operator, OperatorId::parse)?,
        })
    }
}

/// Which attempt a call is about: the server checks all three against the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The unit.
    pub serial: Serial,
    /// The try.
    pub attempt: Attempt,
    /// The silicon that stands there now.
    pub device_id: DeviceId,
}

impl Target {
    pub(crate) fn parse(
        serial: &str,
        attempt: u32,
        device_id: &[u8],
    ) -> Result<Target, BadRequest> {
        Ok(Target {
            serial: Serial::parse(serial)?,
            attempt: Attempt(attempt),
            device_id: DeviceId::from_bytes(device_id)?,
        })
    }
}

/// A station shows a ticket to get the same bundle again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResumeCall {
    /// Which attempt.
    pub target: Target,
    /// The ticket, as it was given.
    pub ticket: Vec<u8>,
}

impl TryFrom<v1::ResumeRequest> for ResumeCall {
    type Error = BadRequest;

    fn try_from(request: v1::ResumeRequest) -> Result<ResumeCall, BadRequest> {
        at_most("ticket", request.ticket.len(), TICKET_MAX, "at most 8192")?;
        let target = Target::parse(&request.serial, request.attempt, &request.device_id)?;
        Ok(ResumeCall {
            target,
            ticket: request.ticket,
        })
    }
}

/// A unit's receipt, handed over by its station.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfirmCall {
    /// Which attempt.
    pub target: Target,
    /// The digest the unit computed after its reset.
    pub bundle_sha256: Digest,
    /// The unit's signature over the receipt and the key that made it, when it has one.
    pub signed: Option<SignedReceipt>,
    /// Who stands there.
    pub operator: Option<OperatorId>,
    /// The device profile by which the station, not the unit, says what the unit holds.
    pub profile_sha256: Option<Digest>,
}

/// A unit's signature over its receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedReceipt {
    /// ECDSA P-256 with SHA-256, DER.
    pub signature: Vec<u8>,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
}

impl TryFrom<v1::ConfirmRequest> for ConfirmCall {
    type Error = BadRequest;

    fn try_from(request: v1::ConfirmRequest) -> Result<ConfirmCall, BadRequest> {
        at_most(
            "signature",
            request.signature.len(),
            CSR_MAX,
            "at most 4096",
        )?;
        at_most(
            "public_key",
            request.public_key.len(),
            CSR_MAX,
            "at most 4096",
        )?;
        let signed = (!request.signature.is_empty()).then_some(SignedReceipt {
            signature: request.signature,
            public_key: request.public_key,
        });
        Ok(ConfirmCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            bundle_sha256: Digest(exact("bundle_sha256", &request.bundle_sha256, "32")?),
            signed,
            operator: optional(&request.operator, OperatorId::parse)?,
            profile_sha256: match request.profile_sha256.as_slice() {
                [] => None,
                digest => Some(Digest(exact("profile_sha256", digest, "32")?)),
            },
        })
    }
}

/// A station prints a label again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReprintCall {
    /// Which attempt.
    pub target: Target,
    /// The number that the label will carry.
    pub reprint: u32,
    /// Why.
    pub reason: String,
    /// Who asks for it.
    pub operator: OperatorId,
}

impl TryFrom<v1::ReprintRequest> for ReprintCall {
    type Error = BadRequest;

    fn try_from(request: v1::ReprintRequest) -> Result<ReprintCall, BadRequest> {
        let (reprint, reason) = (request.reprint, reason_in(request.reason)?);
        if !REPRINTS.contains(&reprint) {
            return Err(BadRequest::Number {
                field: "reprint",
                got: reprint,
                expected: "1 to 99",
            });
        }
        Ok(ReprintCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            reprint,
            reason,
            operator: OperatorId::parse(&request.operator)?,
        })
    }
}

/// A station closes an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealCall {
    /// Which attempt.
    pub target: Target,
    /// Whether the label was scanned and the unit said yes to it.
    pub label_scanned: bool,
    /// Which reprint it was: 0 is the first print.
    pub reprint: u32,
    /// Who stands there.
    pub operator: Option<OperatorId>,
}

impl TryFrom<v1::SealRequest> for SealCall {
    type Error = BadRequest;

    fn try_from(request: v1::SealRequest) -> Result<SealCall, BadRequest> {
        Ok(SealCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            label_scanned: request.label_scanned,
            reprint: request.reprint,
            operator: optional(&request.operator, OperatorId::parse)?,
        })
    }
}

/// A station withdraws an attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VoidCall {
    /// Which attempt.
    pub target: Target,
    /// Why.
    pub cause: VoidCause,
    /// Whether the unit is scrapped with it.
    pub scrap: bool,
    /// Who stands there.
    pub operator: Option<OperatorId>,
}

impl TryFrom<v1::VoidRequest> for VoidCall {
    type Error = BadRequest;

    fn try_from(request: v1::VoidRequest) -> Result<VoidCall, BadRequest> {
        Ok(VoidCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            cause: VoidCause::parse(&request.cause).ok_or(BadRequest::Word { field: "cause" })?,
            scrap: request.scrap,
            operator: optional(&request.operator, OperatorId::parse)?,
        })
    }
}

fn macs(told: &[Vec<u8>]) -> Result<Vec<Mac>, BadRequest> {
    at_most("macs", told.len(), MACS_MAX, "at most 8")?;
    let each = told.iter();
    each.map(|mac| Ok(Mac(exact("macs", mac, "6 each")?)))
        .collect()
}

fn at_most(
    field: &'static str,
    got: usize,
    most: usize,
    expected: &'static str,
) -> Result<(), BadRequest> {
    if got > most {
        Err(BadRequest::Length {
            field,
            got,
            expected,
        })
    } else {
        Ok(())
    }
}

fn exact<const N: usize>(
    field: &'static str,
    bytes: &[u8],
    expected: &'static str,
) -> Result<[u8; N], BadRequest> {
    bytes.try_into().map_err(|_| BadRequest::Length {
        field,
        got: bytes.len(),
        expected,
    })
}

pub(crate) fn reason_in(reason: String) -> Result<String, BadRequest> {
    at_most("reason", reason.len(), REASON_MAX, "1 to 500")?;
    if reason.trim().is_empty() || reason.contains(char::is_control) {
        return Err(BadRequest::Text { field: "reason" });
    }
    Ok(reason)
}

fn optional<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, ParseIdError>,
) -> Result<Option<T>, BadRequest> {
    if text.is_empty() {
        Ok(None)
    } else {
        Ok(Some(parse(text)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::IssueRequest {
        v1::IssueRequest {
            order: "WO-1".into(),
            serial: "BM-000001".into(),
            device_id: vec![1, 2, 3, 4],
            macs: vec![vec![2, 0, 0, 0, 0, 1]],
            model: "CAM2".into(),
            ..v1::IssueRequest::default()
        }
    }

    fn check(change: impl FnOnce(&mut v1::IssueRequest), expected: &str) {
        let mut request = request();
        change(&mut request);
        let error = IssueCall::try_from(request).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_whole_request_is_taken() {
        let call = IssueCall::try_from(request()).unwrap();
        assert_eq!(call.device_id.as_str(), "01020304");
        assert_eq!((call.csr, call.slot, call.operator), (None, None, None));
    }

    #[test]
    fn the_first_unusable_field_is_named() {
        check(|r| r.order.clear(), "order");
        check(|r| r.serial = "bm 1".into(), "serial `bm 1`");
        check(|r| r.device_id.truncate(3), "device id");
        check(
            |r| r.macs = vec![vec![1; 7]],
            "macs has 7 bytes, expected 6 each",
        );
        check(
            |r| r.macs = vec![vec![1; 6]; 9],
            "macs has 9 bytes, expected at most 8",
        );
        check(|r| r.csr = vec![0; 5000], "csr has 5000 bytes");
        check(|r| r.operator = "?".into(), "badge");
    }

    #[test]
    fn a_reprint_says_who_and_why() {
        let good = v1::ReprintRequest {
            serial: "BM-1".into(),
            attempt: 1,
            device_id: vec![0; 4],
            reprint: 1,
            reason: "torn".into(),
            operator: "OP-7".into(),
        };
        assert_eq!(ReprintCall::try_from(good.clone()).unwrap().reprint, 1);
        let check = |change: fn(&mut v1::ReprintRequest), expected: &str| {
            let mut request = good.clone();
            change(&mut request);
            let error = ReprintCall::try_from(request).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|r| r.reason = "a\u{1b}[2K".into(), "reason is not text");
        check(|r| r.reason = "a\nb".into(), "reason is not text");
        check(|r| r.reason = "  ".into(), "reason is not text");
        check(|r| r.reason = "x".repeat(501), "reason has 501 bytes");
        check(|r| r.reprint = 0, "reprint is 0, expected 1 to 99");
        check(|r| r.reprint = 100, "reprint is 100");
        check(|r| r.operator.clear(), "badge");
    }

    #[test]
    fn a_cause_must_be_a_known_one() {
        let request = v1::VoidRequest {
            serial: "BM-1".into(),
            device_id: vec![0; 4],
            cause: "mood".into(),
            ..v1::VoidRequest::default()
        };
        assert_eq!(
            VoidCall::try_from(request),
            Err(BadRequest::Word { field: "cause" })
        );
    }
}
