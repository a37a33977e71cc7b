//! How two people break a seal at the bench: the unit goes to rework, or will not ship.
//!
//! With a server it is told at once, and says no at once. Without one the decision is put behind the
//! seal in the outbox, before anybody is told that it counts: it survives a power cut, and the server
//! hears it when it has heard the seal. What it refuses then is a record on hold.

use api::v1;
use traveler::{Attempt, DeviceId, OperatorId, Serial, State};

use crate::calls::{CallError, Patience, Patient, Provisioning};
use crate::failure::Failure;
use crate::home::Home;
use crate::offline::is_away;
use crate::outbox::{About, Told};
use crate::remembered::When;
use crate::settle::{Desk, Standing, device_id_bytes};
use crate::told::Drained;

/// What the log says of why: who stands at a bench scans, and types no reason.
const REASON: &str = "decided at the bench";

/// Where a decision is on record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Broken {
    /// In the server's log.
    Now,
    /// In the outbox: the server was away, and is told when it is back.
    Later,
}

/// Breaks the seal of a unit; `scrap` ends the unit with it. A repeat, after a reply that was lost,
/// finds it done.
///
/// # Errors
/// [`Failure::NothingOpen`] for a unit that is not sealed, [`Failure::Journal`] while it is in work
/// here, [`Failure::Hold`] for one whose record waits for a person, [`Failure::Call`] and
/// [`Failure::Log`]. Without a server it takes a unit that this station sealed.
pub async fn break_seal<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    (serial, unit): (&Serial, &DeviceId),
    by: [&OperatorId; 2],
    scrap: bool,
) -> Result<Broken, Failure> {
    let mut desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator: Some(by[0]),
    };
    let _claim = home.journal().claim(serial)?; // nobody works on it here meanwhile
    let known = desk.sealed_at_this_station(serial, unit)?;
    if known.is_some() {
        desk.calls.patience = Patience::NONE; // it is on disk at once
    }
    let told = Told::BreakSeal {
        by: by.map(ToString::to_string),
        scrap,
    };
    match (desk.broken(serial, unit, &told, scrap).await, known) {
        (Err(failure), Some(about)) if is_away(&failure) => {
            home.outbox().put(&about, &told)?;
            // Crash here: it is on record, and told when the server is back. The server may have
            // heard it just now; then it answers as it did.
            Ok(Broken::Later)
        }
        (done, _) => done.map(|()| Broken::Now),
    }
}

impl<S: Provisioning> Desk<'_, S> {
    async fn broken(
        &self,
        serial: &Serial,
        unit: &DeviceId,
        told: &Told,
        scrap: bool,
    ) -> Result<(), Failure> {
        // The seal itself may be what the server has yet to hear.
        if let Some(upload) = self.home.outbox().of(serial)? {
            self.may_hear(&upload.order).await?;
            if let Drained::Held(hold) = self.drain(serial).await? {
                return Err(hold.failure(serial));
            }
        }
        let nothing = || Failure::NothingOpen {
            serial: serial.clone(),
        };
        let Standing::Known {
            state,
            attempt,
            device_id,
            order,
            ..
        } = self.standing(serial).await?
        else {
            return Err(nothing());
        };
        let reached = match scrap {
            true => State::Scrapped,
            false => State::Rework,
        };
        // The serial may have been scanned for another unit than the one that has it.
        let possible = state == reached || reached.may_follow(Some(state));
        if device_id != *unit || !possible {
            return Err(nothing());
        }
        let about = About {
            serial: serial.clone(),
            order,
            device_id,
            attempt,
        };
        self.tell(&about, told, When::Now).await.map(drop)
    }

    /// The attempt that was sealed at this station last, by what it has yet to upload, or else by what
    /// the log has proven to it; none when the unit was scrapped since, or is another.
    fn sealed_at_this_station(
        &self,
        serial: &Serial,
        unit: &DeviceId,
    ) -> Result<Option<About>, Failure> {
        if let Some(upload) = self.home.outbox().of(serial)? {
            if let Some(hold) = upload.hold {
                return Err(hold.failure(serial));
            }
            let sealed = upload.seals() && upload.broken() != Some(true);
            let ours = sealed && upload.device_id == *unit;
            return Ok(ours.then(|| upload.about()));
        }
        let newest = self.home.seen().newest_of(serial, unit, Attempt::FIRST)?;
        let sealed = newest.filter(|(step, state)| {
            (*state, &step.station) == (State::Sealed, self.home.station())
        });
        Ok(sealed.map(|(step, _)| About {
            serial: step.serial,
            order: step.order,
            device_id: step.device_id,
            attempt: step.attempt,
        }))
    }

    /// The call that says so.
    pub(crate) async fn ask_break(
        &self,
        about: &About,
        by: [String; 2],
        scrap: bool,
    ) -> Result<v1::ProofResponse, CallError> {
        let (serial, attempt) = (about.serial.to_string(), about.attempt.0);
        let device_id = device_id_bytes(&about.device_id);
        let (reason, operators) = (REASON.to_owned(), by.to_vec());
        if scrap {
            let request = v1::ScrapRequest {
                serial,
                attempt,
                device_id,
                reason,
                operators,
            };
            return self.calls.scrap(request).await;
        }
        let request = v1::ReworkRequest {
            serial,
            attempt,
            device_id,
            reason,
            operators,
        };
        self.calls.rework(request).await
    }
}
