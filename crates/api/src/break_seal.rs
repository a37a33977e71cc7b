//! How two people say that they break a seal.

use traveler::OperatorId;

use crate::parse::{BadRequest, Target, reason_in};
use crate::v1;

/// Two people break a seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BreakSealCall {
    /// Which attempt.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// Who agrees: two people.
    pub by: [OperatorId; 2],
}

impl TryFrom<v1::ReworkRequest> for BreakSealCall {
    type Error = BadRequest;

    fn try_from(request: v1::ReworkRequest) -> Result<BreakSealCall, BadRequest> {
        Ok(BreakSealCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            reason: reason_in(request.reason)?,
            by: two(&request.operators)?,
        })
    }
}

impl TryFrom<v1::ScrapRequest> for BreakSealCall {
    type Error = BadRequest;

    fn try_from(request: v1::ScrapRequest) -> Result<BreakSealCall, BadRequest> {
        Ok(BreakSealCall {
            target: Target::parse(&request.serial, request.attempt, &request.device_id)?,
            reason: reason_in(request.reason)?,
            by: two(&request.operators)?,
        })
    }
}

/// Two people, and not one of them twice.
fn two(badges: &[String]) -> Result<[OperatorId; 2], BadRequest> {
    let [one, other] = badges else {
        return Err(BadRequest::NotTwo);
    };
    match (OperatorId::parse(one)?, OperatorId::parse(other)?) {
        (one, other) if one == other => Err(BadRequest::NotTwo),
        (one, other) => Ok([one, other]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_broken_by_two_people() {
        let good = v1::ScrapRequest {
            serial: "A47".into(),
            attempt: 1,
            device_id: vec![0; 8],
            reason: "cracked".into(),
            operators: vec!["L-1".into(), "Q-1".into()],
        };
        let call = BreakSealCall::try_from(good.clone()).unwrap();
        assert_eq!(call.by.map(|badge| badge.to_string()), ["L-1", "Q-1"]);
        for badges in [&[][..], &["L-1"], &["L-1", "L-1"], &["L-1", "Q-1", "Q-2"]] {
            let rework = v1::ReworkRequest {
                serial: good.serial.clone(),
                attempt: 1,
                device_id: good.device_id.clone(),
                reason: good.reason.clone(),
                operators: badges.iter().map(|&badge| badge.to_owned()).collect(),
            };
            let refused = BreakSealCall::try_from(rework);
            assert_eq!(refused, Err(BadRequest::NotTwo), "{badges:?}");
        }
        let unsaid = v1::ScrapRequest {
            reason: " ".into(),
            ..good
        };
        assert!(BreakSealCall::try_from(unsaid).is_err());
    }
}
