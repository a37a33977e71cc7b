//! Resume tickets: how a unit gets the same bundle after a pulled cable or a power cut.
//!
//! The server keeps no secrets, so the station keeps the bundle, wrapped under a key of the HSM
//! and bound to the attempt: whoever steals a ticket needs this server, that station's
//! certificate and an attempt that is still open.

use api::ResumeCall;
use credential::BundleBytes;
use hsm::{HsmError, Key};
use ledger::{AppendError, Refused, UnitRow};
use traveler::{Attempt, Serial, State, Step};

use crate::auth::Caller;
use crate::issue::{IssueError, Minted};
use crate::line::Line;

impl Line {
    /// Gives the bundle of an open attempt again, to the station it was issued to.
    ///
    /// # Errors
    /// [`IssueError`] unless ticket, unit and attempt belong together and the attempt is open.
    pub(crate) fn resume(&self, caller: &Caller, call: &ResumeCall) -> Result<Minted, IssueError> {
        let station = self.bench(caller)?;
        let target = &call.target;
        let row = self
            .read(|ledger| ledger.unit(&target.serial))?
            .ok_or_else(|| IssueError::Ticket(target.serial.clone()))?;
        if row.station != station {
            let UnitRow {
                serial,
                state,
                station,
                since,
                ..
            } = row;
            let refused = Refused::OtherStation {
                serial,
                state,
                station,
                since,
            };
            return Err(AppendError::Refused(refused).into());
        }
        if row.attempt != target.attempt || !row.state.is_open() {
            let (serial, attempt) = (target.serial.clone(), target.attempt);
            let state = if row.attempt == attempt {
                row.state
            } else {
                State::Voided
            };
            return Err(IssueError::Over {
                serial,
                attempt,
                state,
            });
        }
        // The ticket binds serial, attempt and device id, so a wrong unit cannot open it.
        let bound = ticket_binding(&target.serial, target.attempt, target.device_id.as_str());
        let clear = self
            .hsm
            .unwrap(Key::Ticket, &bound, &call.ticket)
            .map_err(|e| match e {
                HsmError::Unavailable { .. } => IssueError::Hsm(e),
                _ => IssueError::Ticket(target.serial.clone()),
            })?;
        let bundle = BundleBytes::from_bytes(&clear)?;
        if bundle.digest() != row.bundle_sha256 {
            return Err(IssueError::Ticket(target.serial.clone()));
        }
        let (attempt, ticket) = (target.attempt, call.ticket.clone());
        Ok(Minted {
            attempt,
            bundle,
            ticket,
            index: row.issued_seq,
            proof: None,
        })
    }

    /// Wraps a bundle for the station that will load it.
    pub(crate) fn wrap(&self, step: &Step, bundle: &BundleBytes) -> Result<Vec<u8>, HsmError> {
        let bound = ticket_binding(&step.serial, step.attempt, step.device_id.as_str());
        bundle.expose(|clear| self.hsm.wrap(Key::Ticket, &bound, clear))
    }
}

/// What a ticket is bound to: it opens for this serial, this attempt and this silicon alone.
fn ticket_binding(serial: &Serial, attempt: Attempt, device_id: &str) -> Vec<u8> {
    format!("birthmark ticket v1\n{serial}\n{attempt}\n{device_id}\n").into_bytes()
}
