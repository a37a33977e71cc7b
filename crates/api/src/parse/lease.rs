//! What a station says of credentials it holds for a time without a network.

use std::collections::HashSet;
use std::time::Duration;

use traveler::{
    Attempt, LEASE_LASTS_S, LEASES_HELD_MAX, Mac, OperatorId, OrderId, Serial, Slot, Timestamp,
};

use super::{BadRequest, TEXT_MAX, Target, at_most, exact, macs, optional};
use crate::v1;

/// Most credentials that one call leases: the reply stays under 200 kB, and the line waits for it
/// no longer than for as many units.
pub const LEASES_PER_CALL: usize = 32;

/// Most leases that one call returns: all that a station may hold.
pub const RETURNS_PER_CALL: usize = LEASES_HELD_MAX as usize;

/// How long a lease lasts when nobody says, in seconds: two hours.
const VALID_S_DEFAULT: u32 = 7_200;

/// A station asks for credentials ahead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseCall {
    /// The order that permits them.
    pub order: OrderId,
    /// The serials, no two the same; 1 to 32.
    pub serials: Vec<Serial>,
    /// The public half of the station's key (X25519).
    pub recipient: [u8; 32],
    /// How long they may be given to units.
    pub valid: Duration,
    /// Who stands there.
    pub operator: Option<OperatorId>,
    /// Entries of the log that the station had seen when it asked; never 0.
    pub seen: u64,
}

impl TryFrom<v1::LeaseRequest> for LeaseCall {
    type Error = BadRequest;

    fn try_from(request: v1::LeaseRequest) -> Result<LeaseCall, BadRequest> {
        let valid_s = match request.valid_s {
            0 => VALID_S_DEFAULT,
            asked if LEASE_LASTS_S.contains(&asked) => asked,
            got => {
                return Err(BadRequest::Number {
                    field: "valid_s",
                    got,
                    expected: "60 to 43200, or 0 for 7200",
                });
            }
        };
        if request.seen_size == 0 {
            return Err(BadRequest::Number {
                field: "seen_size",
                got: 0,
                expected: "1 or more: the log as the station remembers it",
            });
        }
        counted("serials", request.serials.len(), LEASES_PER_CALL, "1 to 32")?;
        let serials = request.serials.iter().map(|text| Serial::parse(text));
        let serials: Vec<Serial> = serials.collect::<Result<_, _>>()?;
        no_two_the_same("serials", serials.iter())?;
        Ok(LeaseCall {
            order: OrderId::parse(&request.order)?,
            serials,
            recipient: exact("recipient", &request.recipient, "32")?,
            valid: Duration::from_secs(valid_s.into()),
            operator: optional(&request.operator, OperatorId::parse)?,
            seen: request.seen_size,
        })
    }
}

/// A station says which unit a leased credential met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpendCall {
    /// Which attempt, and the silicon it is now at.
    pub target: Target,
    /// The unit's network addresses.
    pub macs: Vec<Mac>,
    /// What the unit says it is.
    pub model: String,
    /// Its revision, empty when it says none.
    pub revision: String,
    /// Where in the station.
    pub slot: Option<Slot>,
    /// Who stood there.
    pub operator: Option<OperatorId>,
    /// The station's clock when it gave the secret to the unit.
    pub released: Timestamp,
}

impl TryFrom<v1::SpendRequest> for SpendCall {
    type Error = BadRequest;

    fn try_from(request: v1::SpendRequest) -> Result<SpendCall, BadRequest> {
        at_most("model", request.model.len(), TEXT_MAX, "at most 64")?;
        at_most("revision", request.revision.len(), TEXT_MAX, "at most 64")?;
        Ok(SpendCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            macs: macs(&request.macs)?,
            model: request.model,
            revision: request.revision,
            slot: optional(&request.slot, Slot::parse)?,
            operator: optional(&request.operator, OperatorId::parse)?,
            released: Timestamp::from_unix_ms(request.released_unix_ms),
        })
    }
}

/// A station gives leases back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReturnLeaseCall {
    /// Which, no two of one serial; 1 to 256.
    pub leases: Vec<(Serial, Attempt)>,
    /// Who stands there.
    pub operator: Option<OperatorId>,
    /// Units may exist that have them.
    pub unit_lost: bool,
}

impl TryFrom<v1::ReturnLeaseRequest> for ReturnLeaseCall {
    type Error = BadRequest;

    fn try_from(request: v1::ReturnLeaseRequest) -> Result<ReturnLeaseCall, BadRequest> {
        counted("leases", request.leases.len(), RETURNS_PER_CALL, "1 to 256")?;
        let leases = request
            .leases
            .iter()
            .map(|lease| Ok((Serial::parse(&lease.serial)?, Attempt(lease.attempt))));
        let leases: Vec<(Serial, Attempt)> = leases.collect::<Result<_, BadRequest>>()?;
        no_two_the_same("leases", leases.iter().map(|(serial, _)| serial))?;
        Ok(ReturnLeaseCall {
            leases,
            operator: optional(&request.operator, OperatorId::parse)?,
            unit_lost: request.unit_lost,
        })
    }
}

fn counted(
    field: &'static str,
    got: usize,
    most: usize,
    expected: &'static str,
) -> Result<(), BadRequest> {
    if (1..=most).contains(&got) {
        Ok(())
    } else {
        Err(BadRequest::Count {
            field,
            got,
            expected,
        })
    }
}

fn no_two_the_same<'a>(
    field: &'static str,
    serials: impl Iterator<Item = &'a Serial>,
) -> Result<(), BadRequest> {
    let mut seen = HashSet::new();
    for serial in serials {
        if !seen.insert(serial) {
            return Err(BadRequest::Twice {
                field,
                serial: serial.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> v1::LeaseRequest {
        v1::LeaseRequest {
            order: "WO-1".into(),
            serials: vec!["BM-000001".into(), "BM-000002".into()],
            recipient: vec![9; 32],
            valid_s: 0,
            operator: String::new(),
            seen_size: 7,
        }
    }

    fn check(change: impl FnOnce(&mut v1::LeaseRequest), expected: &str) {
        let mut request = lease();
        change(&mut request);
        let error = LeaseCall::try_from(request).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_lease_is_taken_within_its_bounds() {
        let call = LeaseCall::try_from(lease()).unwrap();
        assert_eq!(call.valid, Duration::from_secs(7_200));
        assert_eq!(call.serials.len(), 2);
        for valid_s in [60, 43_200] {
            let call = LeaseCall::try_from(v1::LeaseRequest { valid_s, ..lease() }).unwrap();
            assert_eq!(call.valid.as_secs(), u64::from(valid_s));
        }
        let most = (0..32).map(|n| format!("BM-{n:06}")).collect();
        let call = LeaseCall::try_from(v1::LeaseRequest {
            serials: most,
            ..lease()
        });
        assert_eq!(call.unwrap().serials.len(), 32);
    }

    #[test]
    fn a_lease_out_of_its_bounds_is_refused_by_the_field() {
        check(|r| r.order.clear(), "order");
        check(|r| r.seen_size = 0, "seen_size is 0");
        check(|r| r.serials.clear(), "serials has 0, expected 1 to 32");
        check(
            |r| r.serials = (0..33).map(|n| format!("BM-{n:06}")).collect(),
            "serials has 33",
        );
        check(|r| r.serials[1] = "bm".into(), "serial `bm`");
        check(
            |r| r.serials[1] = r.serials[0].clone(),
            "serials names BM-000001 twice",
        );
        check(
            |r| r.recipient.truncate(31),
            "recipient has 31 bytes, expected 32",
        );
        check(|r| r.valid_s = 59, "valid_s is 59, expected 60 to 43200");
        check(|r| r.valid_s = 43_201, "valid_s is 43201");
        check(|r| r.operator = "?".into(), "badge");
    }

    #[test]
    fn what_was_spent_is_parsed_like_an_issue() {
        let spent = v1::SpendRequest {
            serial: "BM-000001".into(),
            attempt: 1,
            device_id: vec![1, 2, 3, 4],
            macs: vec![vec![2, 0, 0, 0, 0, 1]],
            model: "CAM2".into(),
            released_unix_ms: 1_700_000_000_000,
            ..v1::SpendRequest::default()
        };
        let call = SpendCall::try_from(spent.clone()).unwrap();
        assert_eq!(call.target.device_id.as_str(), "01020304");
        assert_eq!(call.released.unix_ms(), 1_700_000_000_000);
        let check = |change: fn(&mut v1::SpendRequest), expected: &str| {
            let mut request = spent.clone();
            change(&mut request);
            let error = SpendCall::try_from(request).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|r| r.device_id.truncate(3), "device id");
        check(|r| r.macs = vec![vec![1; 6]; 9], "macs has 9 bytes");
        check(|r| r.model = "x".repeat(65), "model has 65");
        check(|r| r.revision = "x".repeat(65), "revision has 65");
        check(|r| r.slot = "a b".into(), "slot");
    }

    #[test]
    fn a_return_names_each_serial_once() {
        let target = |n: u32| v1::LeaseTarget {
            serial: format!("BM-{n:06}"),
            attempt: 1,
        };
        let request = |leases| v1::ReturnLeaseRequest {
            leases,
            operator: String::new(),
            unit_lost: false,
        };
        let most = (0..256).map(target).collect();
        let call = ReturnLeaseCall::try_from(request(most)).unwrap();
        assert_eq!(call.leases.len(), 256);
        for (leases, expected) in [
            (vec![], "leases has 0"),
            ((0..257).map(target).collect(), "leases has 257"),
            (vec![target(1), target(1)], "leases names BM-000001 twice"),
        ] {
            let error = ReturnLeaseCall::try_from(request(leases)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
