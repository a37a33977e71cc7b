//! A record on hold: the server refuses what was done while it was away, and a person looks.
//!
//! Two things can be done. What stood in the way was put right, and the server is told again. Or the
//! unit is put aside for good: the record is kept in `lost/`, the attempt is withdrawn where the
//! server has it, and what was leased for it is erased. Neither happens by itself.

use traveler::{OperatorId, Serial, State, VoidCause};

use crate::calls::{Patience, Patient, Provisioning};
use crate::failure::Failure;
use crate::home::Home;
use crate::outbox::Told;
use crate::remembered::When;
use crate::settle::{Desk, Standing};
use crate::told::Drained;

/// What a person has decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decided {
    /// The server is told again.
    Again,
    /// The unit is put aside.
    Settle,
}

/// Does what a person has decided about a record on hold.
///
/// # Errors
/// [`Failure::NothingOpen`] when it is not on hold; [`Failure::Hold`] when it is again.
pub(crate) async fn settle<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    (serial, operator): (&Serial, Option<&OperatorId>),
    decided: Decided,
) -> Result<(), Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator,
    };
    let mut claim = home.journal().claim(serial)?;
    let outbox = home.outbox();
    let upload = outbox.of(serial)?.filter(|upload| upload.hold.is_some());
    let Some(upload) = upload else {
        return Err(Failure::NothingOpen {
            serial: serial.clone(),
        });
    };
    desk.may_hear(&upload.order).await?;
    if decided == Decided::Again {
        outbox.hold(serial, None)?;
        return match desk.drain(serial).await? {
            Drained::All(_) => Ok(()),
            Drained::Held(hold) => Err(hold.failure(serial)),
        };
    }
    let about = upload.about();
    if let Standing::Known {
        state: State::Issued | State::Loaded,
        attempt,
        device_id,
        station,
        ..
    } = desk.standing(serial).await?
        && (attempt, &device_id, &station) == (about.attempt, &about.device_id, home.station())
    {
        let void = Told::Void {
            cause: VoidCause::UnitLost,
            scrap: true,
            operator: desk.badge(),
        };
        desk.tell(&about, &void, When::Now).await?;
    }
    // Crash here: it is on hold still, and settled again; the server answers the same.
    outbox.lay_aside(serial, &home.dir().join("lost"))?;
    home.leases().erase(serial)?;
    Ok(claim.settle()?)
}
