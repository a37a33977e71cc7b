//! What there is to do for a unit that was greeted: asked of journal, unit and server, in that order.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::{Reason, v1};
use credential::{Bundle, BundleBytes};
use ring::digest::{SHA256, digest};
use traveler::{Attempt, Digest, Event, Slot, State, Timestamp};
use wire::{Facts, UnitState};
use zeroize::Zeroizing;

use crate::calls::{CallError, Provisioning};
use crate::failure::Failure;
use crate::journal::{Claim, Issued, Open, Reached, Ticket};
use crate::log::Seen;
use crate::outbox::About;
use crate::port::Port;
use crate::provision::Run;
use crate::remembered::When;
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::settle::{Fate, device_id_bytes};
use crate::way::same_definition;

/// What there is to do for a unit that was greeted.
pub(crate) enum Begin {
    /// Ask for a credential.
    Issue,
    /// Go on with the one it was issued.
    GoOn(Credential),
    /// The server has closed the attempt; the unit may still have to be locked.
    Sealed(Open, Issued),
}

/// What one attempt gives to one unit, and what the log must say of it.
pub(crate) struct Credential {
    pub(crate) open: Open,
    pub(crate) attempt: Attempt,
    pub(crate) bytes: BundleBytes,
    pub(crate) bundle: Bundle,
    pub(crate) bundle_sha256: Digest,
    /// Whether it comes from this station's lease.
    pub(crate) leased: bool,
}

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// No new work at a port whose last unit is not settled.
    pub(crate) async fn slot_is_free(&mut self) -> Result<(), Failure> {
        let journal = self.desk.home.journal();
        for open in journal.open()? {
            if open.port != self.port.path() || open.serial == self.job.serial {
                continue;
            }
            // A server that is away leaves it unsettled; so does another process that has it.
            let settled = match journal.claim(&open.serial) {
                Ok(mut claim) => match self.desk.settle_if_ended(&mut claim).await {
                    // It was put aside: its silicon is known, and gets nothing more.
                    Err(Failure::Hold { .. }) => true,
                    asked => asked.is_ok() && claim.open().is_none(),
                },
                Err(_) => false,
            };
            if !settled {
                return Err(Failure::PutBack {
                    serial: open.serial,
                    port: open.port,
                });
            }
        }
        Ok(())
    }

    /// A withdrawal that was decided before a crash comes before anything else.
    pub(crate) async fn finish_withdrawal(&mut self, claim: &mut Claim) -> Result<(), Failure> {
        let decided = claim.open().and_then(|open| open.withdraw);
        match self.desk.withdraw(claim).await {
            // The reply to its seal was lost before that: what is left is to see that it is locked.
            Err(Failure::SealedAlready { .. }) => return Ok(()),
            ended => ended?,
        }
        match decided {
            Some(withdraw) if withdraw.scrap => Err(Failure::ReadBack),
            _ => Ok(()),
        }
    }

    /// Decides, from journal, unit and server, what there is to do.
    pub(crate) async fn begin(
        &mut self,
        claim: &mut Claim,
        facts: &Facts,
    ) -> Result<Begin, Failure> {
        let locked = facts.state == UnitState::Locked;
        let Some(open) = claim.open().cloned() else {
            return match locked {
                true => Err(self.locked_before(facts).await?),
                false => Ok(Begin::Issue),
            };
        };
        if open.order != self.job.order {
            return Err(Failure::OtherOrder {
                serial: open.serial,
                order: open.order,
            });
        }
        if open.device_id != facts.device_id {
            return Err(Failure::OtherUnit {
                serial: open.serial,
                expected: open.device_id,
                found: facts.device_id.clone(),
            });
        }
        let Some(issued) = open.issued.clone() else {
            return match locked {
                true => Err(self.locked_before(facts).await?),
                false => Ok(Begin::Issue),
            };
        };
        match self.desk.fate(claim).await? {
            // The same silicon cannot be unlocked again: its secret is not shown to another.
            // Where a unit can be locked at all: see its device profile.
            Fate::Live if issued.reached >= Reached::Locked && !locked && self.locks() => {
                Err(Failure::Unlocked {
                    serial: open.serial,
                })
            }
            Fate::Live if issued.leased => {
                let credential = self.open_leased(claim, open, &issued, facts).await?;
                Ok(credential.map_or(Begin::Issue, Begin::GoOn))
            }
            Fate::Live => self.resume(claim, open, issued, locked).await,
            Fate::Sealed => Ok(Begin::Sealed(open, issued)),
            Fate::Forgotten => Err(Failure::Forgotten {
                serial: open.serial,
                attempt: issued.attempt,
            }),
            Fate::Gone => {
                self.desk.close(claim)?;
                match locked {
                    true => Err(Failure::LockedWithdrawn {
                        serial: open.serial,
                    }),
                    false => Ok(Begin::Issue),
                }
            }
        }
    }

    /// Whether the units of this order can be locked.
    fn locks(&self) -> bool {
        let profile = self.way.as_ref();
        profile.is_none_or(|profile| profile.unlocked().is_none())
    }

    /// Gets the same bundle again.
    pub(crate) async fn resume(
        &mut self,
        claim: &mut Claim,
        open: Open,
        issued: Issued,
        locked: bool,
    ) -> Result<Begin, Failure> {
        match issued.product_sha256 {
            Some(made_under) => same_definition(made_under, &self.product_sha256)?,
            // On record since before that was kept: nobody knows which profile was meant.
            None if self.way.is_some() && !locked => {
                claim.write(Open {
                    issued: None,
                    ..open
                })?;
                return Ok(Begin::Issue);
            }
            None => {}
        }
        self.stage(Stage::Issue);
        let request = v1::ResumeRequest {
            serial: open.serial.to_string(),
            attempt: issued.attempt.0,
            device_id: device_id_bytes(&open.device_id),
            ticket: issued.ticket.0.clone(),
        };
        match self.desk.calls.resume(request).await {
            Ok(reply) => {
                let credential = Credential::read(open, reply)?;
                if credential.bundle_sha256 != issued.bundle_sha256 {
                    let what = "the ticket brought another bundle than it was given for";
                    return Err(Failure::BadReply(what.to_owned()));
                }
                Ok(Begin::GoOn(credential))
            }
            // The attempt is open and nobody can get at its secret: the next issue withdraws it.
            Err(CallError::Refused {
                reason: Reason::TicketRefused,
                ..
            }) if !locked => {
                claim.write(Open {
                    issued: None,
                    ..open
                })?;
                Ok(Begin::Issue)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for a credential. What is on disk goes ahead of what it announces, twice.
    pub(crate) async fn issue(
        &mut self,
        claim: &mut Claim,
        facts: &Facts,
    ) -> Result<Credential, Failure> {
        self.stage(Stage::Issue);
        if let Some(credential) = self.release(claim, facts).await? {
            return Ok(credential);
        }
        let open = self.intent(facts);
        claim.write(open.clone())?;
        let before = self.desk.home.seen().size()?;
        // Crash here, or in the call: an intent without a ticket. Nobody can say whether there is a
        // reply that was lost; the next issue voids it if there is.
        let mut answer = self.desk.calls.issue(self.issue_request(facts)).await;
        if let Err(CallError::Refused { reason, .. }) = &answer
            && *reason == Reason::WrongState
            && self.desk.withdraw_loaded(claim).await?
        {
            claim.write(open.clone())?;
            answer = self.desk.calls.issue(self.issue_request(facts)).await;
        }
        let mut reply = match answer {
            Ok(reply) => reply,
            Err(error) => return Err(self.not_issued(claim, error).await),
        };
        // A server that was restored from a backup numbers again what it has numbered before.
        Seen::check_new(before, reply.index)?;
        let ticket = Ticket(reply.ticket.clone());
        let proof = reply.proof.take();
        let credential = Credential::read(open.clone(), reply)?;
        let mut product_sha256 = None;
        // Older servers give none, nor does one whose checkpoint is still due. A unit that is spoken to
        // as a profile says waits for it: the profile has to be the one that the log names. Without a
        // ticket the next issue withdraws this attempt.
        if proof.is_none() && self.way.is_some() {
            let message =
                "it has not proven yet what it recorded: nothing is written before".to_owned();
            let reason = None;
            return Err(CallError::Unavailable { reason, message }.into());
        }
        if let Some(proof) = proof {
            let step = self.desk.step(&About::of(&open, credential.attempt));
            let seen = self.desk.home.seen();
            let proven = seen.verify(before, &proof, When::Entry, (&step, &[State::Issued]))?;
            self.report.clock_off = Some(off_by(proven.time));
            match proven.event.happened() {
                Event::Issued(said) if said.bundle_sha256 == credential.bundle_sha256 => {
                    same_definition(said.product_sha256, &self.product_sha256)?;
                    product_sha256 = Some(said.product_sha256);
                }
                _ => {
                    let what = "it recorded another bundle than it gave";
                    return Err(Failure::BadReply(what.to_owned()));
                }
            }
        }
        let issued = Issued {
            attempt: credential.attempt,
            product_sha256,
            ticket,
            leased: false,
            bundle_sha256: credential.bundle_sha256,
            certificate_sha256: credential.certificate_sha256(),
            reached: Reached::Issued,
            reprint: 0,
        };
        claim.write(Open {
            issued: Some(issued),
            ..open
        })?;
        Ok(credential)
    }

    /// What is on record of a unit that nothing was given to yet.
    pub(crate) fn intent(&self, facts: &Facts) -> Open {
        Open {
            serial: self.job.serial.clone(),
            order: self.job.order.clone(),
            port: self.port.path().to_owned(),
            device_id: facts.device_id.clone(),
            issued: None,
            withdraw: None,
        }
    }

    /// The slot as the server hears it; a path too long for one goes unsaid.
    pub(crate) fn slot(&self) -> String {
        let slot = Slot::parse(self.port.slot()).ok();
        slot.map(|slot| slot.to_string()).unwrap_or_default()
    }

    fn issue_request(&self, facts: &Facts) -> v1::IssueRequest {
        v1::IssueRequest {
            order: self.job.order.to_string(),
            serial: self.job.serial.to_string(),
            device_id: device_id_bytes(&facts.device_id),
            macs: facts.macs.iter().map(|mac| mac.0.to_vec()).collect(),
            model: facts.model.clone(),
            revision: facts.revision.clone().unwrap_or_default(),
            csr: facts.csr.clone().unwrap_or_default(),
            slot: self.slot(),
            operator: self.desk.badge(),
        }
    }

    /// A refusal usually means that nothing was issued. Not always: a try before it may have been
    /// done and its reply lost, so the record is closed only when the server has nothing open.
    pub(crate) async fn not_issued(&mut self, claim: &mut Claim, error: CallError) -> Failure {
        if matches!(error, CallError::Refused { .. }) {
            // When the server cannot say, the record stays, which is always safe.
            if let Ok(Fate::Gone) = self.desk.fate(claim).await
                && let Err(disk) = claim.settle()
            {
                return disk.into();
            }
        }
        error.into()
    }
}

/// How far this machine's clock is from a time that the server told just now.
fn off_by(told: Timestamp) -> Duration {
    let here = SystemTime::now().duration_since(UNIX_EPOCH);
    let here = here.unwrap_or_default().as_millis();
    let told = u128::try_from(told.unix_ms()).unwrap_or_default();
    Duration::from_millis(u64::try_from(here.abs_diff(told)).unwrap_or(u64::MAX))
}

impl Credential {
    /// Takes the server's reply apart; the copy in the message is wiped.
    pub(crate) fn read(open: Open, mut reply: v1::IssueResponse) -> Result<Credential, Failure> {
        let clear = Zeroizing::new(std::mem::take(&mut reply.bundle));
        let bytes = BundleBytes::from_bytes(&clear);
        let bytes = bytes.map_err(|error| Failure::BadReply(error.to_string()))?;
        Credential::of(open, Attempt(reply.attempt), bytes)
    }

    /// Takes a bundle apart, which must be for this unit and attempt.
    pub(crate) fn of(
        open: Open,
        attempt: Attempt,
        bytes: BundleBytes,
    ) -> Result<Credential, Failure> {
        let unusable = |what: &dyn std::fmt::Display| Failure::BadReply(what.to_string());
        let bundle = bytes.expose(Bundle::decode).map_err(|e| unusable(&e))?;
        if (&bundle.serial, bundle.attempt) != (&open.serial, attempt) {
            return Err(unusable(&"its bundle is for another unit or attempt"));
        }
        Ok(Credential {
            leased: open.is_leased(),
            attempt: bundle.attempt,
            bundle_sha256: bytes.digest(),
            open,
            bytes,
            bundle,
        })
    }

    /// SHA-256 of the unit's own certificate, the first of the chain.
    pub(crate) fn certificate_sha256(&self) -> Digest {
        let leaf = self.bundle.chain.first().map_or(&[][..], Vec::as_slice);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, leaf).as_ref());
        Digest(bytes)
    }
}
