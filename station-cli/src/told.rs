//! One step of an attempt, told to the server and taken only when its log proves it; and all that
//! the outbox holds of one, in order.

use std::collections::BTreeMap;

use api::{Reason, v1};
use traveler::{Event, OrderId, Serial, State, Step};

use crate::calls::{CallError, Provisioning};
use crate::failure::Failure;
use crate::log::Proven;
use crate::offline::{is_away, is_revoked};
use crate::outbox::{About, Confirm, Hold, Spend, Told, Upload};
use crate::remembered::When;
use crate::settle::{Desk, device_id_bytes};

/// What came of telling the server of one attempt.
pub(crate) enum Drained {
    /// It has heard everything; what its log proves of the last step, when there was any.
    All(Option<Box<Proven>>),
    /// A person has to look.
    Held(Hold),
}

impl<S: Provisioning> Desk<'_, S> {
    /// Tells the server one step, and takes no answer without proof, which is on disk when `when` says.
    /// A repeat answers the same.
    pub(crate) async fn tell(
        &self,
        about: &About,
        told: &Told,
        when: When,
    ) -> Result<Proven, Failure> {
        let seen = self.home.seen();
        let before = seen.size()?;
        let step = self.step(about);
        let proof = self.ask(about, told).await?;
        let proven = seen.verify(before, &proof, when, (&step, told.leads_to()))?;
        if let Some(what) = told.differs(proven.event.happened()) {
            return Err(Failure::BadReply(what.to_owned()));
        }
        self.home.leases().saw(proven.time)?;
        Ok(proven)
    }

    /// Tells the server what the outbox holds of a serial.
    ///
    /// # Errors
    /// When the server is away, or has nothing against this unit: then all is kept as it is.
    pub(crate) async fn drain(&self, serial: &Serial) -> Result<Drained, Failure> {
        if let Some(upload) = self.home.outbox().of(serial)?
            && upload.spends()
        {
            self.free_first(&upload).await?;
        }
        self.drain_one(serial).await
    }

    /// The silicon may have been another serial's before, and given back by a withdrawal that the
    /// server has yet to hear: told the other way round it would find the silicon in use.
    async fn free_first(&self, upload: &Upload) -> Result<(), Failure> {
        let mut before = self.home.outbox().all()?;
        before.retain(|other| {
            let same = other.device_id == upload.device_id && other.serial != upload.serial;
            same && other.frees() && other.hold.is_none()
        });
        // At most one of them the server knows for the silicon's by now: that one is the oldest.
        before.sort_by_key(Upload::spends);
        for other in before {
            self.drain_one(&other.serial).await?;
        }
        Ok(())
    }

    async fn drain_one(&self, serial: &Serial) -> Result<Drained, Failure> {
        let outbox = self.home.outbox();
        let mut last = None;
        // One more each time: another process of this station may put steps in meanwhile.
        while let Some(upload) = outbox.of(serial)? {
            if let Some(hold) = upload.hold {
                return Ok(Drained::Held(hold));
            }
            let (about, Some(told)) = (upload.about(), upload.steps.first()) else {
                break;
            };
            match self.tell(&about, told, When::Now).await {
                // Crash before the next line: it is told again, and answered the same.
                Ok(proven) => {
                    outbox.heard(serial, told)?;
                    last = Some(Box::new(proven));
                }
                Err(Failure::Call(CallError::Refused {
                    reason,
                    message,
                    in_use,
                })) => {
                    if reason == Reason::StationRevoked {
                        self.revoked(&message)?;
                    }
                    if is_of_the_station(reason) {
                        let again = CallError::Refused {
                            reason,
                            message,
                            in_use,
                        };
                        return Err(again.into());
                    }
                    let reason = reason.as_str().to_owned();
                    let hold = Hold { reason, message };
                    outbox.refuse(serial, told, &hold)?;
                    return Ok(Drained::Held(hold));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(Drained::All(last))
    }

    /// Tells the server all that the outbox holds, but for what is on hold; gives what is left.
    ///
    /// # Errors
    /// At once when the server is away, has nothing to do with this station any more, or the disk
    /// fails; at the end the first of the others, so that one record keeps no other.
    pub(crate) async fn drain_all(&self) -> Result<Vec<Upload>, Failure> {
        let outbox = self.home.outbox();
        let mut looked: BTreeMap<OrderId, bool> = BTreeMap::new();
        let mut first = Ok(());
        for upload in outbox.all()? {
            if upload.hold.is_some() {
                continue;
            }
            let told = match looked.get(&upload.order) {
                Some(false) => continue,
                Some(true) => self.drain(&upload.serial).await.map(drop),
                None => {
                    let heard = self.may_hear(&upload.order).await;
                    looked.insert(upload.order, heard.is_ok());
                    match heard {
                        Ok(()) => self.drain(&upload.serial).await.map(drop),
                        Err(failure) => Err(failure),
                    }
                }
            };
            match told {
                Err(Failure::Journal(disk)) => return Err(disk.into()),
                Err(failure) if is_away(&failure) || is_revoked(&failure) => return Err(failure),
                told => first = first.and(told),
            }
        }
        first?;
        Ok(outbox.all()?)
    }

    /// Nothing is told to a log that does not go on from the one that was seen: it would be recorded
    /// in what is to be put right. A revoked station has nothing to tell any more.
    pub(crate) async fn may_hear(&self, order: &OrderId) -> Result<(), Failure> {
        let failure = match self.open_order(order).await {
            Ok(_) => return Ok(()),
            Err(failure) => failure,
        };
        match &failure {
            // The order is done with; each unit's own answer says what that means for it.
            Failure::Call(CallError::Refused {
                reason: Reason::WorkOrderClosed | Reason::QuotaSpent,
                ..
            }) => Ok(()),
            Failure::Call(CallError::Refused {
                reason: Reason::StationRevoked,
                message,
                ..
            }) => {
                self.revoked(message)?;
                Err(failure)
            }
            _ => Err(failure),
        }
    }

    /// Erases what is leased, and puts all that was not told on hold.
    pub(crate) fn revoked(&self, message: &str) -> Result<(), Failure> {
        self.home.leases().erase_all()?;
        let outbox = self.home.outbox();
        for upload in outbox.all()? {
            let hold = upload.hold.unwrap_or_else(|| Hold {
                reason: Reason::StationRevoked.as_str().to_owned(),
                message: message.to_owned(),
            });
            outbox.hold(&upload.serial, Some(hold))?;
        }
        Ok(())
    }

    /// The step of an attempt, as the log must have it.
    pub(crate) fn step(&self, about: &About) -> Step {
        Step {
            serial: about.serial.clone(),
            device_id: about.device_id.clone(),
            order: about.order.clone(),
            station: self.home.station().clone(),
            attempt: about.attempt,
            operator: None,
        }
    }

    async fn ask(&self, about: &About, told: &Told) -> Result<v1::ProofResponse, CallError> {
        let (serial, attempt) = (about.serial.to_string(), about.attempt.0);
        let device_id = device_id_bytes(&about.device_id);
        match told.clone() {
            Told::Spend(spend) => self.calls.spend(spend_request(about, spend)).await,
            Told::Confirm(confirm) => self.calls.confirm(confirm_request(about, confirm)).await,
            Told::Reprint {
                reprint,
                reason,
                operator,
            } => {
                let request = v1::ReprintRequest {
                    serial,
                    attempt,
                    device_id,
                    reprint,
                    reason,
                    operator,
                };
                self.calls.reprint(request).await
            }
            Told::Seal {
                label_scanned,
                reprint,
                operator,
            } => {
                let request = v1::SealRequest {
                    serial,
                    attempt,
                    device_id,
                    label_scanned,
                    operator,
                    reprint,
                };
                self.calls.seal(request).await
            }
            Told::Void {
                cause,
                scrap,
                operator,
            } => {
                let request = v1::VoidRequest {
                    serial,
                    attempt,
                    device_id,
                    cause: cause.as_str().to_owned(),
                    scrap,
                    operator,
                };
                self.calls.void(request).await
            }
            Told::BreakSeal { by, scrap } => self.ask_break(about, by, scrap).await,
        }
    }
}

impl Told {
    /// The states that the log may have the attempt in afterwards.
    fn leads_to(&self) -> &'static [State] {
        match self {
            Told::Spend(_) => &[State::Issued],
            Told::Confirm(_) | Told::Reprint { .. } => &[State::Loaded],
            Told::Seal { .. } => &[State::Sealed],
            Told::Void { .. } => &[State::Voided, State::Scrapped],
            Told::BreakSeal { scrap: true, .. } => &[State::Scrapped],
            Told::BreakSeal { scrap: false, .. } => &[State::Rework],
        }
    }

    /// Why an entry of the right attempt and state is not of this step, when it is not.
    fn differs(&self, event: &Event) -> Option<&'static str> {
        let same = match (self, event) {
            (
                Told::Confirm(told),
                Event::Loaded {
                    bundle_sha256,
                    profile_sha256,
                    ..
                },
            ) => (*bundle_sha256, profile_sha256) == (told.bundle_sha256, &told.profile_sha256),
            (Told::Confirm(_), _) => false,
            (Told::Reprint { reprint: told, .. }, Event::Reprinted { reprint, .. }) => {
                return (told != reprint).then_some("it recorded something else than the reprint");
            }
            (Told::Reprint { .. }, _) => {
                return Some("it recorded something else than the reprint");
            }
            (
                Told::Spend(_) | Told::Seal { .. } | Told::Void { .. } | Told::BreakSeal { .. },
                _,
            ) => true,
        };
        (!same).then_some("it recorded another bundle than it gave")
    }
}

fn spend_request(about: &About, spend: Spend) -> v1::SpendRequest {
    v1::SpendRequest {
        serial: about.serial.to_string(),
        attempt: about.attempt.0,
        device_id: device_id_bytes(&about.device_id),
        macs: spend.macs.iter().map(|mac| mac.0.to_vec()).collect(),
        model: spend.model,
        revision: spend.revision,
        slot: spend.slot,
        operator: spend.operator,
        released_unix_ms: spend.released.unix_ms(),
    }
}

fn confirm_request(about: &About, confirm: Confirm) -> v1::ConfirmRequest {
    let profile = confirm.profile_sha256;
    v1::ConfirmRequest {
        serial: about.serial.to_string(),
        attempt: about.attempt.0,
        device_id: device_id_bytes(&about.device_id),
        bundle_sha256: confirm.bundle_sha256.0.to_vec(),
        signature: confirm.signature,
        public_key: confirm.public_key,
        operator: confirm.operator,
        profile_sha256: profile.map_or_else(Vec::new, |digest| digest.0.to_vec()),
    }
}

/// Whether a refusal says nothing of the unit: it is told again once that is in order.
pub(crate) fn is_of_the_station(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnknownStation | Reason::NotPermitted | Reason::GeneratorUnfit
    )
}
