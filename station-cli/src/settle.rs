//! What became of an attempt, asked of the server, and how one is withdrawn.
//!
//! The journal says what this station began; only the server says how it ended. Everything here
//! can be done again after a crash: a record is closed last.

use api::{Reason, v1};
use traveler::{Attempt, DeviceId, OperatorId, OrderId, Serial, State, StationName, VoidCause};

use crate::calls::{CallError, Patient, Provisioning};
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::{Claim, Open, Reached, Withdraw};
use crate::outbox::{About, Told};
use crate::remembered::When;

/// Where the server has a unit.
pub(crate) enum Standing {
    /// It never heard of it.
    Unknown,
    /// Another station has it.
    Elsewhere,
    /// Its newest attempt.
    Known {
        state: State,
        attempt: Attempt,
        device_id: DeviceId,
        order: OrderId,
        station: StationName,
    },
}

/// What became of an attempt in the journal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is under way.
    Live,
    /// It ended well.
    Sealed,
    /// It was withdrawn, or a newer one took its place; or nothing was ever issued.
    Gone,
    /// The server gave out a ticket for it and no longer knows.
    Forgotten,
}

impl Standing {
    fn parse(reply: &v1::UnitStateResponse) -> Result<Standing, Failure> {
        if reply.state.is_empty() {
            return Ok(Standing::Unknown);
        }
        let unusable = |what: &dyn std::fmt::Display| Failure::BadReply(what.to_string());
        Ok(Standing::Known {
            state: State::parse(&reply.state)
                .ok_or_else(|| unusable(&"it names a state this program does not know"))?,
            attempt: Attempt(reply.attempt),
            device_id: DeviceId::parse(&reply.device_id).map_err(|e| unusable(&e))?,
            order: OrderId::parse(&reply.order).map_err(|e| unusable(&e))?,
            station: StationName::parse(&reply.station).map_err(|e| unusable(&e))?,
        })
    }

    /// What became of the attempt that was journaled.
    pub(crate) fn fate(&self, open: &Open, here: &StationName) -> Fate {
        let issued = open.issued.as_ref().map(|issued| issued.attempt);
        match (self, issued) {
            (Standing::Unknown, Some(_)) => Fate::Forgotten,
            (Standing::Known { attempt, .. }, Some(issued)) if *attempt < issued => Fate::Forgotten,
            (Standing::Unknown | Standing::Elsewhere, _) => Fate::Gone,
            (
                Standing::Known {
                    state,
                    attempt,
                    device_id,
                    station,
                    ..
                },
                issued,
            ) => {
                // An intent has no number yet: whatever is open for this unit here is its reply.
                let same = (device_id, station) == (&open.device_id, here)
                    && issued.is_none_or(|issued| issued == *attempt);
                match state {
                    State::Issued | State::Loaded if same => Fate::Live,
                    State::Sealed if same && issued.is_some() => Fate::Sealed,
                    _ => Fate::Gone,
                }
            }
        }
    }
}

/// Calls about attempts under way, for one station.
pub(crate) struct Desk<'a, S> {
    pub(crate) home: &'a Home,
    pub(crate) calls: Patient<'a, S>,
    pub(crate) operator: Option<&'a OperatorId>,
}

impl<S: Provisioning> Desk<'_, S> {
    /// What the order builds, from a server whose log begins with the one seen before.
    pub(crate) async fn open_order(
        &self,
        order: &OrderId,
    ) -> Result<v1::OpenOrderResponse, Failure> {
        let seen = self.home.seen();
        let before = seen.newest()?;
        let request = v1::OpenOrderRequest {
            order: order.to_string(),
            seen_size: before.as_ref().map_or(0, |checkpoint| checkpoint.size),
            seen_checkpoint: seen.note()?,
        };
        let order = self.calls.open_order(request).await?;
        let (checkpoint, consistency) = (&order.checkpoint, &order.consistency);
        seen.grown(before.as_ref(), checkpoint, consistency, &order.rotations)?;
        Ok(order)
    }

    /// Asks where a unit stands.
    pub(crate) async fn standing(&self, serial: &Serial) -> Result<Standing, Failure> {
        let request = v1::UnitStateRequest {
            serial: serial.to_string(),
        };
        match self.calls.unit_state(request).await {
            Ok(reply) => Standing::parse(&reply),
            Err(CallError::Refused {
                reason: Reason::UnknownUnit,
                ..
            }) => Ok(Standing::Unknown),
            Err(CallError::Refused {
                reason: Reason::OtherStation,
                ..
            }) => Ok(Standing::Elsewhere),
            Err(error) => Err(error.into()),
        }
    }

    /// What became of the attempt in hand; `Gone` when there is none.
    pub(crate) async fn fate(&self, claim: &Claim) -> Result<Fate, Failure> {
        match claim.open() {
            None => Ok(Fate::Gone),
            Some(open) if open.is_leased() => self.leased_fate(open).await,
            Some(open) => {
                let standing = self.standing(&open.serial).await?;
                Ok(standing.fate(open, self.home.station()))
            }
        }
    }

    /// Closes the record of an attempt that has ended, and says what became of it.
    ///
    /// A sealed unit that is not known to be locked stays on record: it has to come back.
    pub(crate) async fn settle_if_ended(&self, claim: &mut Claim) -> Result<Fate, Failure> {
        if claim.open().is_some_and(|open| open.withdraw.is_some()) {
            return match self.withdraw(claim).await {
                Ok(()) => Ok(Fate::Gone),
                Err(Failure::Forgotten { .. }) => Ok(Fate::Forgotten),
                Err(Failure::SealedAlready { .. }) => self.close_ended(claim).await,
                Err(failure) => Err(failure),
            };
        }
        self.close_ended(claim).await
    }

    async fn close_ended(&self, claim: &mut Claim) -> Result<Fate, Failure> {
        let fate = self.fate(claim).await?;
        let locked = claim
            .open()
            .and_then(|open| open.issued.as_ref())
            .is_some_and(|issued| issued.reached >= Reached::Locked);
        match fate {
            Fate::Gone => self.close(claim)?,
            Fate::Sealed if locked => {
                self.prove_sealed(claim).await?;
                self.close(claim)?;
            }
            Fate::Live | Fate::Sealed | Fate::Forgotten => {}
        }
        Ok(fate)
    }

    /// The reply to the seal was lost, and its proof with it: the repeat brings it. What was leased is
    /// proven by its outbox.
    async fn prove_sealed(&self, claim: &Claim) -> Result<(), Failure> {
        let Some((open, issued)) = claim
            .open()
            .filter(|open| !open.is_leased())
            .and_then(|open| Some((open, open.issued.as_ref()?)))
        else {
            return Ok(());
        };
        let seal = Told::Seal {
            label_scanned: issued.reached >= Reached::Matched,
            reprint: issued.reprint,
            operator: self.badge(),
        };
        let about = About::of(open, issued.attempt);
        match self.tell(&about, &seal, When::Now).await {
            // It is sealed all the same: the server has said so.
            Ok(_) | Err(Failure::Call(CallError::Refused { .. })) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Withdraws what the server has as loaded at this station, under its number: its ticket is lost,
    /// and the unit in hand, which is not locked, does not hold it for good. An issue does not do
    /// this by itself, because it may come late. False when there is nothing of the kind.
    pub(crate) async fn withdraw_loaded(&self, claim: &mut Claim) -> Result<bool, Failure> {
        let Some(open) = claim.open().cloned() else {
            return Ok(false);
        };
        let order = match self.standing(&open.serial).await? {
            Standing::Known {
                state: State::Loaded,
                device_id,
                station,
                order,
                ..
            } if (&device_id, &station) == (&open.device_id, self.home.station()) => order,
            _ => return Ok(false),
        };
        let withdraw = Withdraw {
            cause: VoidCause::ReplyLost,
            scrap: false,
        };
        claim.write(Open {
            order,
            withdraw: Some(withdraw),
            ..open
        })?;
        // Crash here: the rerun withdraws first.
        self.withdraw(claim).await?;
        Ok(true)
    }

    /// Does what the journal has decided: tells the server, then closes the record.
    ///
    /// What was sealed meanwhile stays so, whatever was decided here while the reply to the seal was
    /// lost: the decision is taken back, and [`Failure::SealedAlready`] says so.
    pub(crate) async fn withdraw(&self, claim: &mut Claim) -> Result<(), Failure> {
        let Some((open, withdraw)) = claim
            .open()
            .and_then(|open| Some((open.clone(), open.withdraw?)))
        else {
            return Ok(());
        };
        if open.is_leased() {
            return self.withdraw_leased(claim, &open, withdraw).await;
        }
        // An intent is withdrawn under the number the server gave to the reply that was lost.
        let attempt = match (&open.issued, self.standing(&open.serial).await?) {
            (Some(issued), _) => issued.attempt,
            (None, Standing::Known { attempt, .. }) => attempt,
            (None, _) => return Ok(claim.settle()?),
        };
        let void = Told::Void {
            cause: withdraw.cause,
            scrap: withdraw.scrap,
            operator: self.badge(),
        };
        let about = About::of(&open, attempt);
        match self.tell(&about, &void, When::Now).await {
            Ok(_) => {}
            // Withdrawn by somebody else meanwhile, with all that a revoked station had open.
            Err(Failure::Call(error @ CallError::Refused { .. })) => {
                match self.fate(claim).await? {
                    Fate::Live => return Err(error.into()),
                    // The record is the only evidence of what the server has lost.
                    Fate::Forgotten => {
                        let serial = open.serial.clone();
                        return Err(Failure::Forgotten { serial, attempt });
                    }
                    Fate::Sealed => {
                        let serial = open.serial.clone();
                        claim.write(Open {
                            withdraw: None,
                            ..open
                        })?;
                        return Err(Failure::SealedAlready { serial });
                    }
                    Fate::Gone => {}
                }
            }
            Err(failure) => return Err(failure),
        }
        Ok(claim.settle()?)
    }

    /// Who stands here, as the interface wants it.
    pub(crate) fn badge(&self) -> String {
        self.operator.map(ToString::to_string).unwrap_or_default()
    }
}

/// The silicon's bytes behind an id.
pub(crate) fn device_id_bytes(id: &DeviceId) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    let pairs = id.as_str().as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use traveler::Digest;

    use super::*;
    use crate::journal::{Issued, Ticket};

    fn check(standing: &Standing, issued: Option<u32>, expected: Fate) {
        let open = Open {
            serial: Serial::parse("A47").unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            port: "p".into(),
            device_id: DeviceId::parse("00112233").unwrap(),
            issued: issued.map(|attempt| Issued {
                attempt: Attempt(attempt),
                ticket: Ticket(vec![]),
                leased: false,
                product_sha256: None,
                bundle_sha256: Digest([0; 32]),
                certificate_sha256: Digest([0; 32]),
                reached: Reached::Issued,
                reprint: 0,
            }),
            withdraw: None,
        };
        let here = StationName::parse("bench-1").unwrap();
        assert_eq!(standing.fate(&open, &here), expected);
    }

    fn known(state: State, attempt: u32, device_id: &str, station: &str) -> Standing {
        Standing::Known {
            state,
            attempt: Attempt(attempt),
            device_id: DeviceId::parse(device_id).unwrap(),
            order: OrderId::parse("WO-1").unwrap(),
            station: StationName::parse(station).unwrap(),
        }
    }

    #[test]
    fn only_the_server_says_how_an_attempt_ended() {
        use State::{Issued, Loaded, Rework, Scrapped, Sealed, Voided};
        let ours = |state, attempt| known(state, attempt, "00112233", "bench-1");
        for state in [Issued, Loaded] {
            check(&ours(state, 2), Some(2), Fate::Live);
            check(&ours(state, 2), None, Fate::Live);
            check(&ours(state, 3), Some(2), Fate::Gone);
            check(&ours(state, 1), Some(2), Fate::Forgotten);
            check(&known(state, 2, "ffffffff", "bench-1"), Some(2), Fate::Gone);
            check(&known(state, 2, "00112233", "bench-2"), None, Fate::Gone);
        }
        check(&ours(Sealed, 2), Some(2), Fate::Sealed);
        check(&ours(Sealed, 2), None, Fate::Gone);
        for state in [Voided, Rework, Scrapped] {
            check(&ours(state, 2), Some(2), Fate::Gone);
        }
        check(&Standing::Unknown, Some(1), Fate::Forgotten);
        check(&Standing::Unknown, None, Fate::Gone);
        check(&Standing::Elsewhere, Some(1), Fate::Gone);
    }

    #[test]
    fn ids_are_bytes_again() {
        let id = DeviceId::from_bytes(&[0, 0x1f, 0xa0, 0xff]).unwrap();
        assert_eq!(device_id_bytes(&id), [0, 0x1f, 0xa0, 0xff]);
    }
}
