//! How two people break a seal at the bench: the unit goes to rework, or will not ship.

use api::v1;
use traveler::{DeviceId, OperatorId, Serial, State};

use crate::calls::{Patience, Patient, Provisioning};
use crate::failure::Failure;
use crate::home::Home;
use crate::outbox::About;
use crate::settle::{Desk, Standing, device_id_bytes};
use crate::told::Drained;

/// What the log says of why: who stands at a bench scans, and types no reason.
const REASON: &str = "decided at the bench";

/// Breaks the seal of a unit; `scrap` ends the unit with it. A repeat, after a reply that was lost,
/// finds it done.
///
/// # Errors
/// [`Failure::NothingOpen`] for a unit that is not sealed, [`Failure::Journal`] while it is in work
/// here, [`Failure::Call`] and [`Failure::Log`].
pub async fn break_seal<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    (serial, unit): (&Serial, &DeviceId),
    by: [&OperatorId; 2],
    scrap: bool,
) -> Result<(), Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator: Some(by[0]),
    };
    let _claim = home.journal().claim(serial)?; // nobody works on it here meanwhile
    // The seal itself may be what the server has yet to hear.
    if let Some(upload) = home.outbox().of(serial)? {
        desk.may_hear(&upload.order).await?;
        if let Drained::Held(hold) = desk.drain(serial).await? {
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
    } = desk.standing(serial).await?
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
    let step = desk.step(&About {
        serial: serial.clone(),
        order,
        device_id: device_id.clone(),
        attempt,
    });
    let (serial, device_id) = (serial.to_string(), device_id_bytes(&device_id));
    let (reason, operators) = (REASON.to_owned(), by.map(ToString::to_string).to_vec());
    let attempt = attempt.0;
    let seen = home.seen();
    let before = seen.size()?;
    let proof = if scrap {
        let request = v1::ScrapRequest {
            serial,
            attempt,
            device_id,
            reason,
            operators,
        };
        desk.calls.scrap(request).await?
    } else {
        let request = v1::ReworkRequest {
            serial,
            attempt,
            device_id,
            reason,
            operators,
        };
        desk.calls.rework(request).await?
    };
    seen.verify(before, &proof, &step, &[reached])?;
    Ok(())
}
