//! The unit's part: written, reset, read back; and the port that may go away under it.

use tokio::time::{Duration, Instant, sleep};
use traveler::VoidCause;
use wire::{Facts, Install, Nonce, Receipt, Refusal, WireError};

use crate::begin::Credential;
use crate::calls::Provisioning;
use crate::drive::{Line, UnitError};
use crate::failure::Failure;
use crate::journal::{Claim, Open, Withdraw};
use crate::port::Port;
use crate::provision::Run;
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::unit::Unit;

/// How often a bundle is written before the unit's memory counts as bad.
const WRITES: u32 = 2;
/// How often a job writes in all, pulled cables included: flash wears, and a port that goes away at
/// the same step each time would have it written for as long as cables are waited for.
pub(crate) const WRITES_MAX: u32 = 10;
/// A unit on its own USB port leaves the bus with its reset and comes back within this.
const BACK_AFTER_RESET: Duration = Duration::from_secs(10);
/// Longer than that takes by itself: from here on the operator is asked to look at the cable.
const QUIET: Duration = Duration::from_secs(3);
/// How often a port that went away is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    /// Writes, resets and reads back; once more when what comes back is not what was written.
    pub(crate) async fn write(
        &mut self,
        unit: &mut Unit<P::Stream>,
        credential: &Credential,
    ) -> Result<Receipt, Failure> {
        let mut last = Failure::ReadBack;
        for _ in 0..WRITES {
            match self.write_once(unit, credential).await {
                Err(failure) if is_bad_memory(&failure) => last = failure,
                ended => return ended,
            }
        }
        Err(last)
    }

    pub(crate) async fn write_once(
        &mut self,
        unit: &mut Unit<P::Stream>,
        credential: &Credential,
    ) -> Result<Receipt, Failure> {
        self.writes_left = self.writes_left.saturating_sub(1);
        self.stage(Stage::Load);
        if let Some(line) = unit.installs() {
            let (nonce, ending) = line.begun_install();
            let device_id = credential.open.device_id.clone();
            let install = Install::new(nonce, device_id, &credential.bytes);
            let install = install.with_ending_first(&ending);
            return match line.drive(install).await {
                Err(error @ UnitError::Cable(_)) => {
                    line.hang_up();
                    self.after_install(unit, error, nonce, credential).await
                }
                ended => Ok(ended?),
            };
        }
        unit.load(credential).await?;
        self.stage(Stage::Reset);
        // Greeted anew, so that a boot in the middle of the load does not pass for this reset.
        let before = unit.greet().await?;
        same_unit(credential, &before)?;
        if let Err(error) = unit.reset(&before).await {
            let reset = unit.has_reset();
            if matches!(error, UnitError::Cable(_)) {
                unit.hang_up();
            }
            *unit = self.after_reset(error, &before, reset, credential).await?;
        }
        self.prove(unit, credential).await
    }

    /// A unit on its own USB port takes the port with it when it resets.
    pub(crate) async fn after_reset(
        &mut self,
        error: UnitError,
        before: &Facts,
        reset: bool,
        credential: &Credential,
    ) -> Result<Unit<P::Stream>, Failure> {
        if !matches!(error, UnitError::Cable(_)) {
            return Err(error.into());
        }
        let end = Instant::now() + BACK_AFTER_RESET;
        let left = || end.saturating_duration_since(Instant::now());
        while let Some(stream) = self.reopen(left()).await {
            let mut unit = Unit::on(stream, &self.way);
            let after = match unit.greet().await {
                // It left before the kernel had taken it off its list: this was still the old one.
                Err(UnitError::Cable(_)) => continue,
                greeted => greeted?,
            };
            same_unit(credential, &after)?;
            // A pulled cable looks the same from here, and leaves everything in its memory.
            let booted = match before.boots {
                Some(boots) => after.boots.is_some_and(|after| after > boots),
                None if !reset => false,
                None => match unit.finish_reset().await {
                    Err(UnitError::Cable(_)) => continue,
                    finished => finished?,
                },
            };
            if booted {
                return Ok(unit);
            }
            break; // it was the cable after all
        }
        Err(error.into())
    }

    /// The port went away under an install: with the reset, or because the cable was pulled. The unit
    /// itself knows, and is asked; nothing is sent again.
    async fn after_install(
        &mut self,
        unit: &mut Unit<P::Stream>,
        error: UnitError,
        nonce: Nonce,
        credential: &Credential,
    ) -> Result<Receipt, Failure> {
        let begun = Instant::now();
        for (within, is_long) in [(QUIET, false), (BACK_AFTER_RESET, true)] {
            if is_long && !self.reconnect_left.is_zero() {
                self.stage(Stage::Reconnect);
            }
            while let Some(stream) = self.reopen(within.saturating_sub(begun.elapsed())).await {
                let mut line = Line::new(stream);
                let device_id = credential.open.device_id.clone();
                let install = Install::resumed(nonce, device_id, &credential.bytes);
                match line.drive(install).await {
                    // It left before the kernel had taken it off its list: this was still the old one.
                    Err(UnitError::Cable(_)) => {}
                    // It was the cable after all: whoever comes to it next is greeted first.
                    Err(UnitError::Wire(
                        WireError::NotReset { .. }
                        | WireError::Swapped { .. }
                        | WireError::Refused(Refusal::NotInstalled),
                    )) => return Err(error.into()),
                    ended => {
                        *unit = Unit::Native(Box::new(line));
                        return Ok(ended?);
                    }
                }
            }
        }
        Err(error.into())
    }

    pub(crate) async fn prove(
        &mut self,
        unit: &mut Unit<P::Stream>,
        credential: &Credential,
    ) -> Result<Receipt, Failure> {
        self.stage(Stage::Prove);
        Ok(unit.prove(credential).await?)
    }

    /// Withdraws the attempt when the unit will never hold it; every other failure can be resumed.
    pub(crate) async fn give_up(
        &mut self,
        claim: &mut Claim,
        failure: Failure,
    ) -> Result<(), Failure> {
        let (cause, ended) = match failure {
            failure if is_bad_memory(&failure) => (VoidCause::ReadBack, Failure::ReadBack),
            Failure::Unit(UnitError::Wire(swapped @ WireError::Swapped { .. })) => {
                (VoidCause::Swapped, Failure::Swapped(swapped))
            }
            resumable => return Err(resumable),
        };
        if let Some(open) = claim.open().cloned() {
            let scrap = cause == VoidCause::ReadBack;
            claim.write(Open {
                withdraw: Some(Withdraw { cause, scrap }),
                ..open
            })?;
        }
        // Crash here: the rerun withdraws first, whatever stands in the slot then.
        self.desk.withdraw(claim).await?;
        Err(ended)
    }

    /// Waits for the port to come back, as long as the job allows in all.
    pub(crate) async fn wait_for_cable(&mut self, error: UnitError) -> Result<(), Failure> {
        if !self.reconnect_left.is_zero() {
            self.stage(Stage::Reconnect);
        }
        let started = Instant::now();
        let back = self.reopen(self.reconnect_left).await;
        self.reconnect_left = self.reconnect_left.saturating_sub(started.elapsed());
        match back {
            Some(_) => Ok(()), // closed again: the next pass opens it and asks who is there
            None => Err(error.into()),
        }
    }

    pub(crate) async fn reopen(&mut self, within: Duration) -> Option<P::Stream> {
        let end = Instant::now() + within;
        while Instant::now() < end {
            sleep(LOOK_EVERY).await;
            if let Ok(stream) = self.port.open().await {
                return Some(stream);
            }
        }
        None
    }
}

fn same_unit(credential: &Credential, found: &Facts) -> Result<(), Failure> {
    if found.device_id == credential.open.device_id {
        return Ok(());
    }
    let swapped = WireError::Swapped {
        expected: credential.open.device_id.clone(),
        found: Some(found.device_id.clone()),
    };
    Err(UnitError::Wire(swapped).into())
}

/// Whether the unit's flash does not hold what was written into it, or takes nothing any more.
fn is_bad_memory(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ReadBack
            | Failure::Unit(UnitError::Wire(
                WireError::Mismatch
                    | WireError::Refused(Refusal::Flash | Refusal::Damaged | Refusal::Locked)
            ))
    )
}
