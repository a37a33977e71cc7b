//! A unit that is locked, and of which nothing is in hand here: whether it is done, somebody else's, or
//! nobody's. The server says it; while that is away, what was proven to this station.

use traveler::{Attempt, DeviceId, Serial, State};
use wire::Facts;

use crate::calls::Provisioning;
use crate::failure::Failure;
use crate::journal::Open;
use crate::offline::is_away;
use crate::port::Port;
use crate::provision::Run;
use crate::seams::{Labels, Progress, Scanner};
use crate::settle::{Desk, Standing};

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// Why a unit is locked that this station has no ticket for. It is called done only when the
    /// server says that this silicon was sealed at this attempt.
    pub(crate) async fn locked_before(&mut self, facts: &Facts) -> Result<Failure, Failure> {
        let Some(held) = &facts.held else {
            return Ok(Failure::NotKnownHere { held: None });
        };
        let serial = held.serial.clone();
        if let Some(done) = self.sealed_here(&serial, held.attempt, facts)? {
            return Ok(done);
        }
        let in_hand = self.desk.home.journal().open()?;
        let this = |open: &Open| (&open.serial, &open.device_id) == (&serial, &facts.device_id);
        if serial != self.job.serial && in_hand.iter().any(this) {
            return Ok(Failure::OtherSerial { serial });
        }
        let standing = match self.desk.standing(&serial).await {
            Err(failure) if is_away(&failure) => {
                let (unit, attempt) = (&facts.device_id, held.attempt);
                return self.desk.locked_meanwhile(&serial, unit, attempt, failure);
            }
            asked => asked?,
        };
        Ok(match standing {
            Standing::Known {
                state,
                attempt,
                device_id,
                station,
                ..
            } if device_id == facts.device_id && attempt >= held.attempt => match state {
                State::Sealed if attempt == held.attempt => {
                    Failure::SameUnit { held: Some(serial) }
                }
                State::Issued | State::Loaded if attempt == held.attempt => {
                    match station == *self.desk.home.station() {
                        true => Failure::NotInJournal { serial, attempt },
                        false => Failure::AtOtherStation { serial, station },
                    }
                }
                _ => Failure::LockedWithdrawn { serial },
            },
            _ => Failure::NotKnownHere { held: Some(serial) },
        })
    }
}

impl<S: Provisioning> Desk<'_, S> {
    /// Why nothing more is done with a locked unit that this station has no record of in hand, when the
    /// server could not be asked. What was proven to this station says it at once; of another bench's
    /// nobody knows, and whoever waited for the server with it would wait for hours.
    fn locked_meanwhile(
        &self,
        serial: &Serial,
        device_id: &DeviceId,
        held: Attempt,
        away: Failure,
    ) -> Result<Failure, Failure> {
        let serial = serial.clone();
        match self.home.seen().newest_of(&serial, device_id, held)? {
            Some((step, State::Sealed)) if step.attempt == held => {
                Ok(Failure::SameUnit { held: Some(serial) })
            }
            Some((step, state)) if step.attempt > held || !state.is_open() => {
                Ok(Failure::LockedWithdrawn { serial })
            }
            _ if self.calls.is_away() => Ok(Failure::NotKnownNow { serial }),
            _ => Err(away), // lost this moment: the next try goes by the lease, if there is one
        }
    }
}
