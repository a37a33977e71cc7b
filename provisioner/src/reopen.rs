//! Breaking a seal: a sealed unit goes to rework, or will not ship. Two people agree to it.
//!
//! The ledger asks for two as well, and the audit once more: nobody who reaches this server alone can
//! open what was sealed. Whatever comes of the unit, its old password stays burnt.

use api::BreakSealCall;
use ledger::Proof;
use traveler::{Event, State};

use crate::auth::Caller;
use crate::close::CloseError;
use crate::line::Line;

impl Line {
    /// Opens a sealed unit for another attempt; it keeps its place in the order.
    ///
    /// # Errors
    /// [`CloseError`]; the unit stays sealed.
    pub(crate) fn rework(
        &self,
        caller: &Caller,
        call: &BreakSealCall,
    ) -> Result<Proof, CloseError> {
        let (step, _) = self.step(caller, &call.target, Some(&call.by[0]))?;
        let event = Event::Rework {
            step,
            reason: call.reason.clone(),
            by: people(call),
        };
        self.record(vec![event], &call.target, State::Rework)
    }

    /// Ends a unit that is sealed, or in rework.
    ///
    /// # Errors
    /// [`CloseError`]; the unit stays as it is.
    pub(crate) fn scrap(&self, caller: &Caller, call: &BreakSealCall) -> Result<Proof, CloseError> {
        let (step, _) = self.step(caller, &call.target, Some(&call.by[0]))?;
        let event = Event::Scrapped {
            step,
            reason: call.reason.clone(),
            by: people(call),
        };
        self.record(vec![event], &call.target, State::Scrapped)
    }
}

fn people(call: &BreakSealCall) -> Vec<String> {
    call.by.iter().map(ToString::to_string).collect()
}
