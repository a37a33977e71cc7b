//! A record on hold: the server refuses what was done while it was away, and a person looks.
//!
//! Two things can be done. What stood in the way was put right, and the server is told again. Or the
//! unit is put aside for good: the record is kept in `lost/`, the attempt is withdrawn where the
//! server has it, and what was leased for it is erased. Where the server never took it for spent, its
//! log says from then on that a unit may exist, and gives the serial out no more. Neither happens by
//! itself. A revoked station is heard by nobody any more: it puts the unit aside all the same.

use api::v1;
use traveler::{Attempt, Entry, Event, OperatorId, OrderId, Serial, State, VoidCause};

use crate::calls::{Patience, Patient, Provisioning};
use crate::damaged::{Damaged, damaged};
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::{Claim, io_error};
use crate::offline::is_revoked;
use crate::outbox::{About, Told};
use crate::remembered::When;
use crate::settle::{Desk, Standing};
use crate::told::Drained;

/// What a person has decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decided {
    /// The server is told again.
    Again,
    /// The unit is put aside.
    Settle,
}

/// Does what a person has decided about a record on hold.
///
/// # Errors
/// [`Failure::NothingOpen`] when it is not on hold; [`Failure::Hold`] when it is again; whatever else
/// failed, it is on hold still.
pub async fn settle<S: Provisioning>(
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
    let mut files = damaged(home)?;
    files.retain(|file| file.serial == *serial);
    if let Some(file) = files.first() {
        return match decided {
            Decided::Again => Err(file.hold().failure(serial)),
            Decided::Settle => desk.settle_damaged(&mut claim, serial, &files).await,
        };
    }
    let outbox = home.outbox();
    let upload = outbox.of(serial)?.filter(|upload| upload.hold.is_some());
    let Some(upload) = upload else {
        return Err(Failure::NothingOpen {
            serial: serial.clone(),
        });
    };
    let heard = match desk.may_hear(&upload.order).await {
        Err(failure) if decided == Decided::Settle && is_revoked(&failure) => false,
        heard => heard.map(|()| true)?,
    };
    if decided == Decided::Again {
        outbox.hold(serial, None)?;
        return match desk.drain(serial).await? {
            Drained::All(_) => Ok(()),
            Drained::Held(hold) => Err(hold.failure(serial)),
        };
    }
    if heard {
        let spends = upload.spends();
        desk.put_aside(serial, upload.attempt, spends).await?;
    }
    // The journal first: its record, with nothing on hold beside it, would seem lost by the server.
    claim.settle()?;
    home.leases().erase(serial)?;
    // Crash up to here: it is on hold still, and settled again; the server answers the same.
    Ok(outbox.lay_aside(serial, &home.dir().join("lost"))?)
}

impl<S: Provisioning> Desk<'_, S> {
    /// Tells the server that nothing more comes of an attempt of this station. A repeat changes nothing.
    async fn put_aside(
        &self,
        serial: &Serial,
        attempt: Attempt,
        spends: bool,
    ) -> Result<(), Failure> {
        if spends {
            let lost = v1::ReturnLeaseRequest {
                leases: vec![v1::LeaseTarget {
                    serial: serial.to_string(),
                    attempt: attempt.0,
                }],
                operator: self.badge(),
                unit_lost: true,
            };
            self.calls.return_lease(lost).await?;
        }
        if let Standing::Known {
            state: State::Issued | State::Loaded,
            attempt: newest,
            device_id,
            order,
            station,
        } = self.standing(serial).await?
            && (newest, &station) == (attempt, self.home.station())
        {
            let about = About {
                serial: serial.clone(),
                order,
                device_id,
                attempt,
            };
            let void = Told::Void {
                cause: VoidCause::UnitLost,
                scrap: true,
                operator: self.badge(),
            };
            self.tell(&about, &void, When::Now).await?;
        }
        Ok(())
    }

    /// The same for a unit whose files cannot be read: what was leased for it last is in what the log
    /// has proven to this station.
    async fn settle_damaged(
        &self,
        claim: &mut Claim,
        serial: &Serial,
        files: &[Damaged],
    ) -> Result<(), Failure> {
        let (home, outbox) = (self.home, self.home.outbox());
        let readable = outbox.of(serial).unwrap_or_default();
        if let Some((order, attempt)) = self.leased_last(serial)? {
            let heard = match self.may_hear(&order).await {
                Err(failure) if is_revoked(&failure) => false,
                heard => heard.map(|()| true)?,
            };
            if heard {
                // What the outbox still says of it is told as ever.
                if readable.is_some() {
                    self.drain(serial).await?;
                }
                self.put_aside(serial, attempt, true).await?;
            }
        }
        // The journal first: its record, with nothing on hold beside it, would seem lost by the server.
        claim.settle()?;
        let lost = home.dir().join("lost");
        if home.leases().of(serial).is_ok() {
            home.leases().erase(serial)?; // one that cannot be read is evidence
        }
        if readable.is_some() {
            outbox.lay_aside(serial, &lost)?;
        }
        // Crash before the last of them: it is on hold still, and settled again; the server answers the
        // same.
        for file in files {
            file.lay_aside(&lost)?;
        }
        // Nobody could say before whether its key is idle.
        Ok(home.leases().erase(serial)?)
    }

    fn leased_last(&self, serial: &Serial) -> Result<Option<(OrderId, Attempt)>, Failure> {
        let mut last = None;
        let read = self.home.seen().proven().each(|kept| {
            // What cannot be read was proven by other software, and says nothing here.
            if let Ok(entry) = Entry::from_bytes(kept.entry.as_bytes())
                && let Event::Leased(leased) = entry.event.happened()
                && leased.lease.serial == *serial
            {
                last = Some((leased.lease.order.clone(), leased.lease.attempt));
            }
            Ok(())
        });
        read.map_err(io_error(self.home.dir()))?;
        Ok(last)
    }
}
