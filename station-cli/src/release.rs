//! A leased credential meets its unit: which unit, whether it is still time, and what the order is
//! while nobody can be asked. One silicon, once, on record before anything is decrypted.

use api::{Reason, v1};
use traveler::{Attempt, Serial};
use wire::Facts;

use crate::begin::Credential;
use crate::calls::{CallError, Patience, Provisioning};
use crate::damaged::DAMAGED;
use crate::failure::Failure;
use crate::journal::{Claim, Issued, JournalError, Open, Reached, Ticket};
use crate::lease::{Leased, Released, is_refused_for_itself};
use crate::offline::{Heard, is_away};
use crate::outbox::{About, Spend, Told, Upload};
use crate::port::Port;
use crate::provision::Run;
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::told::Drained;
use crate::way::same_definition;

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// What the order builds. With a lease for it one look decides whether the server is there.
    pub(crate) async fn order(&mut self, claim: &Claim) -> Result<v1::OpenOrderResponse, Failure> {
        let (order, serial) = (&self.job.order, &self.job.serial);
        let leases = self.desk.home.leases();
        let all = leases.all()?;
        let ours = leases.of(serial)?.is_some()
            || claim.open().is_some_and(Open::is_leased)
            || self.desk.home.outbox().of(serial)?.is_some();
        if all.iter().any(|leased| leased.order == *order) || ours {
            self.desk.calls.patience = Patience::NONE;
        }
        let asked = self.desk.order(order, ours).await;
        self.report.offline = self.desk.calls.is_away();
        let failure = match asked {
            Ok(said) => {
                if !ours {
                    self.desk.calls.patience = self.job.patience;
                }
                return Ok(said);
            }
            Err(failure) if is_away(&failure) && leases.order(order)?.is_some() => failure,
            Err(failure) => return Err(failure),
        };
        let unspent = leases.unspent()?;
        let mut unspent = unspent.iter().filter(|(leased, _)| leased.order == *order);
        if unspent.any(|(_, valid)| *valid) {
            let (serial, why) = (serial.clone(), failure.to_string());
            return Err(Failure::NotInLease { serial, why });
        }
        match failure {
            // What is wrong with the log is said, where no lease goes on.
            Failure::Log(_) => Err(failure),
            _ => Err(self.spent()?),
        }
    }

    /// Why there is nothing left to go on with.
    fn spent(&self) -> Result<Failure, Failure> {
        let order = self.job.order.clone();
        let unspent = self.desk.home.leases().unspent()?;
        let over = unspent.iter().any(|(leased, _)| leased.order == order);
        let why = if over { "over" } else { "spent" };
        Ok(Failure::LeaseSpent { order, why })
    }

    /// Tells the server a step, or the outbox that it is to be told.
    pub(crate) async fn tell(
        &mut self,
        leased: bool,
        about: &About,
        told: &Told,
    ) -> Result<(), Failure> {
        let heard = self.desk.say(leased, about, told).await?;
        self.report.offline = matches!(heard, Heard::NotYet);
        self.report.index = match heard {
            Heard::Yes(Some(proven)) => Some(proven.index),
            Heard::Yes(None) => self.report.index,
            Heard::NotYet => None,
        };
        Ok(())
    }

    /// Gives the unit the credential that is leased for its serial; `None` when there is none and a
    /// server to ask.
    pub(crate) async fn release(
        &mut self,
        claim: &mut Claim,
        facts: &Facts,
    ) -> Result<Option<Credential>, Failure> {
        let serial = &self.job.serial;
        self.not_another(facts)?;
        self.nothing_under_way(facts).await?;
        let leases = self.desk.home.leases();
        let Some(leased) = leases.of(serial)? else {
            if self.desk.calls.is_away() {
                return Err(Failure::NotInLease {
                    serial: serial.clone(),
                    why: "it was done here".to_owned(),
                });
            }
            // What happened to it without the server comes first.
            return match self.desk.drain(serial).await? {
                Drained::All(_) => Ok(None),
                Drained::Held(hold) => Err(hold.failure(serial)),
            };
        };
        if leased.order != self.job.order {
            return Err(Failure::OtherOrder {
                serial: leased.serial,
                order: leased.order,
            });
        }
        if leased.released.is_none() && leased.expires <= leases.now()? {
            return self.too_old(&leased).await.map(|()| None);
        }
        let issued = Issued {
            attempt: leased.attempt,
            product_sha256: Some(leased.product_sha256),
            ticket: Ticket(Vec::new()),
            leased: true,
            bundle_sha256: leased.bundle_sha256,
            certificate_sha256: leased.certificate_sha256,
            reached: Reached::Issued,
            reprint: 0,
        };
        let open = Open {
            issued: Some(issued.clone()),
            ..self.intent(facts)
        };
        claim.write(open.clone())?;
        // Crash here: the credential is meant for this silicon, and not decrypted.
        self.open_leased(claim, open, &issued, facts).await
    }

    /// One that is too old for a unit goes back, if there is anybody to give it to; then the unit gets
    /// another.
    async fn too_old(&self, leased: &Leased) -> Result<(), Failure> {
        if self.desk.calls.is_away() {
            return Err(self.spent()?);
        }
        match self.desk.give_back(std::slice::from_ref(leased)).await {
            Err(failure) if !is_refused_for_itself(&failure) => return Err(failure),
            _ => {}
        }
        Ok(self.desk.home.leases().erase(&leased.serial)?)
    }

    /// One silicon gets one credential, and a credential one silicon, whoever scans what.
    fn not_another(&self, facts: &Facts) -> Result<(), Failure> {
        let (serial, device_id) = (&self.job.serial, &facts.device_id);
        for leased in self.desk.home.leases().all()? {
            let here = leased.owner() == Some(device_id);
            match leased.released {
                Some(released) if leased.serial == *serial && !here => {
                    return Err(Failure::OtherUnit {
                        serial: leased.serial,
                        expected: released.device_id,
                        found: device_id.clone(),
                    });
                }
                Some(_) if here && leased.serial != *serial => {
                    return Err(Failure::OtherSerial {
                        serial: leased.serial,
                    });
                }
                _ => {}
            }
        }
        for upload in self.desk.home.outbox().all()? {
            let here = upload.device_id == *device_id;
            if upload.serial == *serial && !here {
                return Err(Failure::OtherUnit {
                    serial: upload.serial,
                    expected: upload.device_id,
                    found: device_id.clone(),
                });
            }
            // Whatever was shown when it was taken out: it is no good unit until a person has looked.
            if here && let Some(hold) = upload.hold {
                return Err(hold.failure(&upload.serial));
            }
            // Two people took it off: it comes back under its serial once the server has heard so.
            match upload.broken().filter(|_| here) {
                Some(false) if upload.serial == *serial => continue,
                Some(_) => {
                    let serial = upload.serial;
                    return Err(Failure::LockedWithdrawn { serial });
                }
                None => {}
            }
            // Done, and the server has yet to hear of it: no second secret, and no other attempt.
            if here && upload.seals() {
                let held = Some(upload.serial);
                return Err(Failure::SameUnit { held });
            }
            if here && upload.voids() && !upload.frees() {
                return Err(Failure::ReadBack); // to the scrap bin, whatever is scanned
            }
            if here && upload.serial != *serial && !upload.frees() {
                return Err(Failure::OtherSerial {
                    serial: upload.serial,
                });
            }
        }
        Ok(())
    }

    /// The same by the journal, which names the silicon of what is under way: whatever became of the
    /// lease's own record, and in whichever slot it began. What has ended is closed first; of one that
    /// is on hold, or that nobody can be asked about, it is not known.
    async fn nothing_under_way(&self, facts: &Facts) -> Result<(), Failure> {
        let journal = self.desk.home.journal();
        for open in journal.open()? {
            if open.device_id != facts.device_id || open.serial == self.job.serial {
                continue;
            }
            let ended = match journal.claim(&open.serial) {
                Ok(mut claim) => {
                    self.desk.settle_if_ended(&mut claim).await.is_ok() && claim.open().is_none()
                }
                Err(_) => false, // another process of this station has it
            };
            if !ended {
                return Err(Failure::OtherSerial {
                    serial: open.serial,
                });
            }
        }
        Ok(())
    }

    /// Decrypts what is leased for the unit in hand; `None` when it is too old, and a server there.
    ///
    /// On record first, with the credential: from then on it is this silicon's. Then in the outbox:
    /// before that nothing is decrypted.
    pub(crate) async fn open_leased(
        &mut self,
        claim: &mut Claim,
        open: Open,
        issued: &Issued,
        facts: &Facts,
    ) -> Result<Option<Credential>, Failure> {
        let leases = self.desk.home.leases();
        let Some(mut leased) = leases.of(&open.serial)? else {
            let serial = open.serial;
            return Err(Failure::LeaseGone { serial });
        };
        same_definition(leased.product_sha256, &self.product_sha256)?;
        if leased.released.is_none() {
            // The intent may be of yesterday.
            if leased.expires <= leases.now()? {
                claim.settle()?;
                return self.too_old(&leased).await.map(|()| None);
            }
            let spend = Spend {
                macs: facts.macs.clone(),
                model: facts.model.clone(),
                revision: facts.revision.clone().unwrap_or_default(),
                slot: self.slot(),
                operator: self.desk.badge(),
                released: leases.now()?,
            };
            let to = Released {
                device_id: open.device_id.clone(),
                spend,
                told: false,
            };
            leases.release(&mut leased, to)?;
            // Crash here: it is this silicon's, and nobody was told.
        }
        if let Some(released) = leased.released.clone()
            && !released.told
        {
            let spend = Told::Spend(released.spend.clone());
            let about = About::of(&open, issued.attempt);
            match self.tell(true, &about, &spend).await {
                Err(Failure::Hold {
                    reason, message, ..
                }) if reason != DAMAGED => {
                    return Err(self.not_spent(claim, leased, &spend, (&reason, message))?);
                }
                told => told?,
            }
            // Crash here: it is told again, and answered the same.
            let told = true;
            leases.release(&mut leased, Released { told, ..released })?;
        }
        self.stage(Stage::Issue);
        self.desk.leased_again(open, issued).map(Some)
    }

    /// The server will not have it spent on this unit, and nothing was decrypted: nothing is lost.
    fn not_spent(
        &self,
        claim: &mut Claim,
        leased: Leased,
        spend: &Told,
        (reason, message): (&str, String),
    ) -> Result<Failure, Failure> {
        self.desk.home.outbox().take_back(&self.job.serial, spend)?;
        let reason = Reason::parse(reason).unwrap_or(Reason::WrongState);
        match reason {
            // Another unit may still get it.
            Reason::UnitInUse | Reason::WrongProduct | Reason::BadRequest => {
                let released = None;
                self.desk
                    .home
                    .leases()
                    .keep(&Leased { released, ..leased })?;
                claim.settle()?;
            }
            _ => self.desk.close(claim)?,
        }
        Ok(CallError::refused(reason, message).into())
    }

    /// Why nothing more is done with a unit that was sealed here, and that the server has yet to hear
    /// of.
    pub(crate) fn sealed_here(
        &self,
        serial: &Serial,
        attempt: Attempt,
        facts: &Facts,
    ) -> Result<Option<Failure>, JournalError> {
        let upload = self.desk.home.outbox().of(serial)?;
        let this = |upload: &Upload| {
            upload.seals() && (upload.attempt, &upload.device_id) == (attempt, &facts.device_id)
        };
        Ok(upload.filter(this).map(|upload| match upload.hold.clone() {
            Some(hold) => hold.failure(&upload.serial),
            None if upload.broken().is_some() => Failure::LockedWithdrawn {
                serial: upload.serial,
            },
            None => Failure::SameUnit {
                held: Some(upload.serial),
            },
        }))
    }
}
