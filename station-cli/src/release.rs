//! A leased credential meets its unit: which unit, whether it is still time, and what the order is
//! while nobody can be asked. One silicon, once, on record before anything is decrypted.

use api::{Reason, v1};
use traveler::{Attempt, Serial};
use wire::Facts;

use crate::begin::Credential;
use crate::calls::{CallError, Patience, Provisioning};
use crate::failure::Failure;
use crate::journal::{Claim, Issued, JournalError, Open, Reached, Ticket};
use crate::offline::{Heard, is_away};
use crate::outbox::{About, Spend, Told};
use crate::port::Port;
use crate::provision::Run;
use crate::seams::{Labels, Progress, Scanner, Stage};

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
        let ours = all.iter().any(|leased| leased.serial == *serial)
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
        let leases = self.desk.home.leases();
        let Some(leased) = leases.of(serial)? else {
            return match self.desk.calls.is_away() {
                true => Err(Failure::NotInLease {
                    serial: serial.clone(),
                    why: "it was done here".to_owned(),
                }),
                false => Ok(None),
            };
        };
        if leased.order != self.job.order {
            return Err(Failure::OtherOrder {
                serial: leased.serial,
                order: leased.order,
            });
        }
        if leased.released.is_none() && leased.expires <= leases.now()? {
            if self.desk.calls.is_away() {
                return Err(self.spent()?);
            }
            self.desk.give_back(&[leased]).await?;
            leases.erase(serial)?;
            return Ok(None);
        }
        let issued = Issued {
            attempt: leased.attempt,
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
        let credential = self.open_leased(claim, open, &issued, facts).await?;
        Ok(Some(credential))
    }

    /// One silicon gets one credential, and a credential one silicon, whoever scans what.
    fn not_another(&self, facts: &Facts) -> Result<(), Failure> {
        let (serial, device_id) = (&self.job.serial, &facts.device_id);
        for leased in self.desk.home.leases().all()? {
            let here = leased.released.as_ref() == Some(device_id);
            match leased.released {
                Some(expected) if leased.serial == *serial && !here => {
                    return Err(Failure::OtherUnit {
                        serial: leased.serial,
                        expected,
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
            if here && upload.serial != *serial && !upload.voids() {
                return Err(Failure::OtherSerial {
                    serial: upload.serial,
                });
            }
        }
        Ok(())
    }

    /// Decrypts what is leased for the unit in hand. On record first, in the outbox and with the
    /// credential: from then on it is this silicon's.
    pub(crate) async fn open_leased(
        &mut self,
        claim: &mut Claim,
        open: Open,
        issued: &Issued,
        facts: &Facts,
    ) -> Result<Credential, Failure> {
        let leases = self.desk.home.leases();
        if let Some(mut leased) = leases.of(&open.serial)?
            && leased.released.is_none()
        {
            let spend = Told::Spend(Spend {
                macs: facts.macs.clone(),
                model: facts.model.clone(),
                revision: facts.revision.clone().unwrap_or_default(),
                slot: self.slot(),
                operator: self.desk.badge(),
                released: leases.now()?,
            });
            let about = About::of(&open, issued.attempt);
            match self.tell(true, &about, &spend).await {
                Err(Failure::Hold {
                    reason, message, ..
                }) => return Err(self.not_spent(claim, &spend, &reason, message)?),
                told => told?,
            }
            // Crash here: it is spent on this silicon, and not decrypted.
            leases.release(&mut leased, &open.device_id)?;
        }
        self.stage(Stage::Issue);
        self.desk.leased_again(open, issued)
    }

    /// The server will not have it spent on this unit, and nothing was decrypted: nothing is lost.
    fn not_spent(
        &self,
        claim: &mut Claim,
        spend: &Told,
        reason: &str,
        message: String,
    ) -> Result<Failure, Failure> {
        self.desk.home.outbox().take_back(&self.job.serial, spend)?;
        let reason = Reason::parse(reason).unwrap_or(Reason::WrongState);
        // Another unit may still get it, unless it is the lease that is void.
        match reason {
            Reason::UnitInUse | Reason::WrongProduct | Reason::BadRequest => claim.settle()?,
            _ => self.desk.close(claim)?,
        }
        Ok(CallError::refused(reason, message).into())
    }

    /// Whether this unit was sealed here, and the server has yet to hear of it.
    pub(crate) fn sealed_here(
        &self,
        serial: &Serial,
        attempt: Attempt,
        facts: &Facts,
    ) -> Result<bool, JournalError> {
        let upload = self.desk.home.outbox().of(serial)?;
        Ok(upload.is_some_and(|upload| {
            upload.seals() && (upload.attempt, &upload.device_id) == (attempt, &facts.device_id)
        }))
    }
}
