//! A unit whose credential was leased: it goes on while there is no server.
//!
//! Its path is the same one, and what differs is here. Where others ask the server for a credential,
//! it is released from the lease: on record with its silicon, here and in the outbox, before it is
//! decrypted. Where others tell the server, the outbox is told first, and the server when it is
//! there. Who asks what became of an attempt is answered by the outbox first: it is ahead of the
//! server.
//!
//! A server whose log went backwards counts as away too: the line goes on from the lease, and
//! nothing is told to that log until it has been put right.

use api::{Reason, v1};
use traveler::{Attempt, OrderId};

use crate::begin::Credential;
use crate::calls::{CallError, Provisioning};
use crate::failure::Failure;
use crate::journal::{Claim, Issued, Open, Withdraw};
use crate::lease::Leased;
use crate::log::{LogError, Proven};
use crate::outbox::{About, Told};
use crate::remembered::When;
use crate::settle::{Desk, Fate};
use crate::told::Drained;

/// Whether the server has heard a step.
pub(crate) enum Heard {
    /// Its log proves it; `None` when another process of this station took the proof.
    Yes(Option<Box<Proven>>),
    /// It is on record here, and told when there is a server.
    NotYet,
}

impl<S: Provisioning> Desk<'_, S> {
    /// What an order builds: by the server, or, for what `goes_on` without it, by what it said when it
    /// gave the lease.
    pub(crate) async fn order(
        &self,
        id: &OrderId,
        goes_on: bool,
    ) -> Result<v1::OpenOrderResponse, Failure> {
        let failure = match self.open_order(id).await {
            Ok(order) => return Ok(order),
            Err(failure) => failure,
        };
        if is_revoked(&failure) {
            self.revoked(&failure.to_string())?;
        }
        let kept = match goes_on && is_away(&failure) {
            true => self.home.leases().order(id)?,
            false => None,
        };
        let kept = kept.ok_or(failure)?;
        self.calls.go_without();
        Ok(kept.said())
    }

    /// Tells the server a step. Of a leased attempt the outbox has it first; then a server that is away
    /// stops nothing.
    pub(crate) async fn say(
        &self,
        leased: bool,
        about: &About,
        told: &Told,
    ) -> Result<Heard, Failure> {
        if !leased {
            let when = match told {
                // The unit works meanwhile, and the seal is not told before it is there.
                Told::Confirm(_) => When::Soon,
                _ => When::Now,
            };
            let proven = self.tell(about, told, when).await?;
            return Ok(Heard::Yes(Some(Box::new(proven))));
        }
        let outbox = self.home.outbox();
        outbox.put(about, told)?;
        // Crash from here on: it is on record, and told again.
        match self.drain(&about.serial).await {
            Ok(Drained::All(proven)) => Ok(Heard::Yes(proven)),
            Err(failure) if is_away(&failure) => {
                self.calls.go_without();
                Ok(Heard::NotYet)
            }
            Err(failure) => Err(failure),
            // A label's number is asked for again; no person has to look.
            Ok(Drained::Held(hold)) if hold.reason == Reason::VoidLabel.as_str() => {
                outbox.take_back(&about.serial, told)?;
                Err(CallError::refused(Reason::VoidLabel, hold.message).into())
            }
            Ok(Drained::Held(hold)) => Err(hold.failure(&about.serial)),
        }
    }

    /// What became of a leased attempt.
    pub(crate) async fn leased_fate(&self, open: &Open) -> Result<Fate, Failure> {
        let serial = open.serial.clone();
        let leased = self.home.leases().of(&serial)?;
        match self.drain(&serial).await {
            Ok(Drained::Held(hold)) => return Err(hold.failure(&serial)),
            Ok(Drained::All(_)) => {}
            Err(failure) if is_away(&failure) => {}
            Err(failure) => return Err(failure),
        }
        if let Some(upload) = self.home.outbox().of(&serial)? {
            return Ok(match () {
                () if upload.seals() => Fate::Sealed,
                () if upload.voids() => Fate::Gone,
                () => Fate::Live,
            });
        }
        // Nothing was decrypted: whether the server knows that it is spent is of no matter.
        if leased.is_some_and(|leased| !leased.may_be_open()) {
            return Ok(Fate::Live);
        }
        match self.standing(&serial).await {
            Ok(standing) => Ok(standing.fate(open, self.home.station())),
            Err(failure) if is_away(&failure) => Ok(Fate::Live),
            Err(failure) => Err(failure),
        }
    }

    /// Withdraws a leased attempt: on record, the credential erased, the server told when it is there.
    pub(crate) async fn withdraw_leased(
        &self,
        claim: &mut Claim,
        open: &Open,
        withdraw: Withdraw,
    ) -> Result<(), Failure> {
        let attempt = open.issued.as_ref().map_or(Attempt::FIRST, |it| it.attempt);
        let (leases, outbox) = (self.home.leases(), self.home.outbox());
        let about = About::of(open, attempt);
        match leases.of(&open.serial)?.map(|leased| leased.released) {
            // It was meant for this unit, and nobody was told: it is still there for another.
            Some(None) => return Ok(claim.settle()?),
            // Whether the outbox had it: a repeat answers the same.
            Some(Some(released)) if !released.told => {
                outbox.put(&about, &Told::Spend(released.spend))?;
            }
            _ => {}
        }
        let void = Told::Void {
            cause: withdraw.cause,
            scrap: withdraw.scrap,
            operator: self.badge(),
        };
        match self.say(true, &about, &void).await {
            Ok(_) => self.close(claim),
            Err(Failure::Hold { .. }) => self.not_withdrawn(claim, open, &void).await,
            Err(failure) => Err(failure),
        }
    }

    /// The server refuses the withdrawal: because it is sealed, because somebody else withdrew it, or
    /// because of what came before, which a person has to look at.
    async fn not_withdrawn(
        &self,
        claim: &mut Claim,
        open: &Open,
        void: &Told,
    ) -> Result<(), Failure> {
        let (serial, outbox) = (&open.serial, self.home.outbox());
        let alone = outbox.of(serial)?;
        if alone.is_some_and(|upload| upload.steps == [void.clone()]) {
            match self.standing(serial).await?.fate(open, self.home.station()) {
                Fate::Sealed => {
                    outbox.take_back(serial, void)?;
                    claim.write(Open {
                        withdraw: None,
                        ..open.clone()
                    })?;
                    return Err(Failure::SealedAlready {
                        serial: serial.clone(),
                    });
                }
                Fate::Gone => outbox.take_back(serial, void)?,
                Fate::Live | Fate::Forgotten => {}
            }
        }
        self.close(claim)
    }

    /// Closes a record, and erases what was leased for it.
    pub(crate) fn close(&self, claim: &mut Claim) -> Result<(), Failure> {
        if let Some(open) = claim.open().filter(|open| open.is_leased()) {
            self.home.leases().erase(&open.serial)?;
        }
        Ok(claim.settle()?)
    }

    /// The bundle of a leased attempt once more, of a unit that has it already.
    pub(crate) fn leased_again(&self, open: Open, issued: &Issued) -> Result<Credential, Failure> {
        let leased = self.home.leases().of(&open.serial)?;
        let ours = |leased: &Leased| {
            leased.attempt == issued.attempt && leased.owner() == Some(&open.device_id)
        };
        let leased = leased.filter(ours).ok_or_else(|| Failure::LeaseGone {
            serial: open.serial.clone(),
        })?;
        let bytes = self.home.leases().open(&leased, self.home.station())?;
        Credential::of(open, leased.attempt, bytes)
    }
}

/// Whether a failure is that there is no server to go by.
pub(crate) fn is_away(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Call(CallError::Unavailable { .. } | CallError::Trust(_))
            | Failure::Log(LogError::WentBack { .. } | LogError::Forked { .. })
    )
}

/// Whether the server will have nothing to do with this station any more.
pub(crate) fn is_revoked(failure: &Failure) -> bool {
    matches!(failure, Failure::Call(CallError::Refused { reason, .. })
        if *reason == Reason::StationRevoked)
}
