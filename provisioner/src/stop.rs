//! Stopping the line when its generator is unfit, and letting it run again.
//!
//! The stop is an entry, so it holds for every order of this server and across restarts, and only
//! another entry ends it. What is under way is finished as ever: confirm, seal, void and resume
//! mint nothing.

use std::sync::{Mutex, PoisonError};

use credential::Unfit;
use ledger::{AppendError, Refused, StopRow};
use traveler::{Event, OrderId, Serial, StationName};

use crate::auth::Caller;
use crate::issue::IssueError;
use crate::line::Line;
use crate::orders::OrderError;

/// Longest reason for a resumption, in bytes: it stands in an entry.
pub(crate) const REASON_MAX: usize = 500;

/// A stop that could not be written yet: it holds in this process until it is.
#[derive(Default)]
pub(crate) struct Unwritten(Mutex<Option<Event>>);

impl Line {
    /// Refuses while the line is stopped. The transaction that writes refuses again: this only
    /// spares the draw.
    ///
    /// # Errors
    /// The refusal of the ledger's own rule.
    pub(crate) fn running(&self) -> Result<(), IssueError> {
        let mut unwritten = self
            .unwritten
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = unwritten.as_ref() {
            match self.append(vec![event.clone()]) {
                Ok(_) | Err(AppendError::Refused(_)) => *unwritten = None,
                Err(error) => return Err(error.into()),
            }
        }
        drop(unwritten);
        match self.read(|ledger| ledger.stop())? {
            None => Ok(()),
            Some(row) => Err(AppendError::Refused(refusal(row)).into()),
        }
    }

    /// Stops the line by an entry; gives the error that the station hears.
    pub(crate) fn stop(
        &self,
        station: StationName,
        order: &OrderId,
        serial: &Serial,
        unfit: Unfit,
    ) -> IssueError {
        let event = Event::LineStopped {
            order: order.clone(),
            serial: serial.clone(),
            station,
            clause: unfit.clause.to_owned(),
            detector: unfit.detector.to_owned(),
            evidence: unfit.evidence.clone(),
        };
        match self.append(vec![event.clone()]) {
            Ok(appended) => {
                tracing::error!(%order, entry = appended.last, %unfit, "line stopped");
            }
            // Another call saw it first: one entry says it for both.
            Err(AppendError::Refused(Refused::LineStopped { .. })) => {}
            Err(error) => {
                tracing::error!(%order, %unfit, %error, "line stopped, not on record yet");
                let unwritten = self.unwritten.0.lock();
                *unwritten.unwrap_or_else(PoisonError::into_inner) = Some(event);
            }
        }
        unfit.into()
    }

    /// Lets the line run again; what was drawn before is forgotten, and the gate begins anew.
    ///
    /// # Errors
    /// [`OrderError`] when it is not stopped by that entry, or the reason says nothing.
    pub(crate) fn resume_line(
        &self,
        caller: &Caller,
        stopped_seq: u64,
        reason: &str,
    ) -> Result<(), OrderError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > REASON_MAX || reason.contains(char::is_control) {
            return Err(OrderError::Reason { most: REASON_MAX });
        }
        self.append(vec![Event::LineResumed {
            stopped_seq,
            reason: reason.to_owned(),
            by: caller.name(),
        }])?;
        self.watch.forget();
        Ok(())
    }
}

fn refusal(row: StopRow) -> Refused {
    Refused::LineStopped {
        seq: row.seq,
        order: row.order,
        clause: row.clause,
        detector: row.detector,
        since: row.since,
    }
}
