//! Leases: credentials minted ahead, for a station that will be without a network for hours.
//!
//! As an issue, but for many serials in one transaction and for units that nobody has met: the gate
//! judges each password by its serial and the public facts, and what leaves is encrypted to the
//! station's own key. A station that asks again for what it holds has lost the reply: those
//! credentials are burnt in the transaction that records the fresh ones.
//!
//! The server keeps no secrets here either, and no list beside the ledger: what a station holds,
//! until when, and what became of it are entries.

use api::{LeaseCall, ReturnLeaseCall, SpendCall};
use credential::{LeaseFor, LeasedBundle, Policy, Recipient, wrap_to};
use ledger::{AppendError, LeaseRow, OrderRow, Proof, Refused};
use ring::rand::SystemRandom;
use traveler::{
    Attempt, Digest, Event, Fingerprint, GateRecord, LeaseStep, Leased, OperatorId, Serial, Spent,
    State, StationName, Step, Timestamp, VoidCause,
};

use crate::auth::Caller;
use crate::close::CloseError;
use crate::draw::{Drawn, Wanted, policy_of};
use crate::issue::{IssueError, fits_label};
use crate::line::Line;

/// How long after its expiry a lease is voided, in milliseconds: what was built in its last minute
/// has time to be reported without giving its place up in between.
const GRACE_MS: i64 = 600_000;

/// Most leases that one chore voids: what one station may hold. The next chore does the rest.
const VOIDED_AT_ONCE: u32 = traveler::LEASES_HELD_MAX;

/// How often a return looks again when leases end under its hands.
const LOOKS: u32 = 4;

/// Credentials that are on record and may leave.
pub(crate) struct Granted {
    /// In the order asked.
    pub(crate) leased: Vec<(Serial, Attempt, LeasedBundle, Proof)>,
    /// When the station stops giving them to units.
    pub(crate) expires: Timestamp,
}

/// One credential that is drawn and not on record.
struct Ahead {
    lease: LeaseStep,
    bundle: LeasedBundle,
    bundle_sha256: Digest,
    fingerprint: Fingerprint,
    certificate_sha256: Digest,
    public_key_sha256: Digest,
    redraws: u32,
}

impl Line {
    /// Mints for units that the station will meet later, all of them or none.
    ///
    /// For one serial, one call at a time: see [`crate::turns`].
    ///
    /// # Errors
    /// [`IssueError`]; whatever it is, no secret was released. After [`IssueError::Unfit`] nothing
    /// is issued any more until an administrator resumes the line.
    pub(crate) fn lease(&self, caller: &Caller, call: &LeaseCall) -> Result<Granted, IssueError> {
        let station = self.bench(caller)?;
        self.running()?;
        match self.lease_at(&station, call) {
            Err(IssueError::Unfit(unfit)) => {
                let serial = &call.serials[0];
                Err(self.stop(station, &call.order, serial, unfit))
            }
            answer => answer,
        }
    }

    fn lease_at(&self, station: &StationName, call: &LeaseCall) -> Result<Granted, IssueError> {
        let (order, product) = self.order_to_build(&call.order)?;
        let policy = policy_of(&product)?;
        for serial in &call.serials {
            fits_label(&product, serial)?;
        }
        let (steps, lost) = self.steps_ahead(station, call)?;
        let mut collisions = 0;
        loop {
            let mut ahead = Vec::with_capacity(steps.len());
            for step in &steps {
                let wanted = Wanted {
                    order: &step.order,
                    serial: &step.serial,
                    attempt: step.attempt,
                    device_id: "",
                    macs: &[],
                    model: &product.model,
                    csr: None,
                };
                let drawn = self.draw(&wanted, &product, &policy)?;
                ahead.push(self.wrapped(step, call, &policy, drawn)?);
            }
            // After the draws, which take their time: a lease lasts as long as was asked for.
            let time = self.now();
            let valid = i64::try_from(call.valid.as_millis()).unwrap_or(i64::MAX);
            let expires = Timestamp::from_unix_ms(time.unix_ms().saturating_add(valid));
            let ends = (expires, call.seen);
            let record = |one: &Ahead| self.record_of(one, ends, &order, &policy, collisions);
            let events = lost.iter().cloned().chain(ahead.iter().map(record));

            // Crash before this line: nothing happened, the station asks again.
            match self.append_at(time, events.collect()) {
                // Crash after it: entries without a delivery. The station asks again for the same
                // serials; these are voided and fresh ones minted.
                Ok(appended) => {
                    let first = appended.first + lost.len() as u64;
                    return self.granted(ahead, first, expires);
                }
                Err(AppendError::Refused(Refused::FingerprintUsed)) => {
                    collisions += 1;
                    self.tolerate(&policy, collisions)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The tries that a lease opens, and the voids of lost ones that must come first. What another
    /// station holds is left alone, and the ledger refuses all of it.
    fn steps_ahead(
        &self,
        station: &StationName,
        call: &LeaseCall,
    ) -> Result<(Vec<LeaseStep>, Vec<Event>), IssueError> {
        let (mut steps, mut lost) = (Vec::new(), Vec::new());
        for serial in &call.serials {
            let before = self.read(|ledger| ledger.lease(serial))?;
            let before = before.filter(LeaseRow::is_held);
            if let Some(row) = before.as_ref().filter(|row| row.seq >= call.seen) {
                // This only spares the draws.
                let overtaken = Refused::Overtaken(row.serial.clone());
                return Err(AppendError::Refused(overtaken).into());
            }
            match before {
                Some(row) if row.station == *station => lost.push(Event::LeaseVoided {
                    lease: lease_step(&row, call.operator.clone()),
                    cause: VoidCause::ReplyLost,
                }),
                Some(row) => return Err(AppendError::Refused(held(row)).into()),
                None => {}
            }
            steps.push(LeaseStep {
                serial: serial.clone(),
                order: call.order.clone(),
                station: station.clone(),
                attempt: self.read(|ledger| ledger.next_attempt(serial))?,
                operator: call.operator.clone(),
            });
        }
        Ok((steps, lost))
    }

    /// Encrypts before anything is on record: a key that is none costs the order nothing.
    fn wrapped(
        &self,
        step: &LeaseStep,
        call: &LeaseCall,
        policy: &Policy,
        drawn: Drawn,
    ) -> Result<Ahead, IssueError> {
        let lease = LeaseFor {
            station: &step.station,
            order: &step.order,
            serial: &step.serial,
            attempt: step.attempt,
        };
        let recipient = Recipient::from(call.recipient);
        let ahead = Ahead {
            lease: step.clone(),
            bundle: wrap_to(&recipient, &lease, &drawn.bundle, &SystemRandom::new())?,
            bundle_sha256: drawn.bundle.digest(),
            fingerprint: drawn.fingerprint,
            certificate_sha256: drawn.certificate_sha256,
            public_key_sha256: drawn.public_key_sha256,
            redraws: drawn.redraws,
        };
        // Before it is on record, so that the gate holds the next of this call against it.
        self.watch.remember(&call.order, policy, drawn.folded);
        Ok(ahead)
    }

    fn record_of(
        &self,
        one: &Ahead,
        (expires, seen): (Timestamp, u64),
        order: &OrderRow,
        policy: &Policy,
        collisions: u32,
    ) -> Event {
        Event::Leased(Box::new(Leased {
            lease: one.lease.clone(),
            expires,
            seen: Some(seen),
            product: order.product.clone(),
            product_sha256: order.product_sha256,
            policy_sha256: policy.hash(),
            fingerprint: one.fingerprint,
            fingerprint_key: self.fingerprint_key,
            certificate_sha256: one.certificate_sha256,
            public_key_sha256: one.public_key_sha256,
            bundle_sha256: one.bundle_sha256,
            gate: GateRecord {
                detectors: guess::DETECTORS.to_owned(),
                redraws: one.redraws,
                collisions,
            },
        }))
    }

    /// Each with the proof of its entry: a station holds nothing that it cannot prove.
    fn granted(
        &self,
        ahead: Vec<Ahead>,
        first: u64,
        expires: Timestamp,
    ) -> Result<Granted, IssueError> {
        let leased = (first..).zip(ahead).map(|(seq, one)| {
            let proof = self.proof(seq).map_err(|_| IssueError::NoProofYet)?;
            let LeaseStep {
                serial, attempt, ..
            } = one.lease;
            Ok((serial, attempt, one.bundle, proof))
        });
        let leased = leased.collect::<Result<_, IssueError>>()?;
        Ok(Granted { leased, expires })
    }

    /// Records which unit a leased credential met.
    ///
    /// # Errors
    /// [`CloseError`]; the lease stays as it was.
    pub(crate) fn spend(&self, caller: &Caller, call: &SpendCall) -> Result<Proof, CloseError> {
        let station = self.bench(caller)?;
        let target = &call.target;
        let lease = self.read(|ledger| ledger.lease(&target.serial))?;
        let lease = lease.ok_or_else(|| CloseError::UnknownUnit(target.serial.clone()))?;
        let product = self.product_of(&lease.serial, &lease.order)?;
        if !product.builds(&call.model, &call.revision) {
            return Err(CloseError::WrongProduct {
                serial: lease.serial,
                order: lease.order,
            });
        }
        // Serial, attempt and station are what the caller claims: the ledger compares them.
        let step = Step {
            serial: target.serial.clone(),
            device_id: target.device_id.clone(),
            order: lease.order,
            station,
            attempt: target.attempt,
            operator: call.operator.clone(),
        };
        let event = Event::Spent(Box::new(Spent {
            step,
            slot: call.slot.clone(),
            macs: call.macs.clone(),
            released: call.released,
        }));
        self.record(vec![event], target, State::Issued)
    }

    /// Voids what the station holds of the leases named, all of it or none; gives how many.
    ///
    /// Whatever it answers, the station holds none of them afterwards. So one that it does not hold
    /// is no error: returned before, expired, spent, leased anew since, held by another station, or
    /// in no record because the log was put back from a copy. It must not keep the others from
    /// being returned, each time anew.
    ///
    /// # Errors
    /// [`CloseError`]; what was held is still held.
    pub(crate) fn return_lease(
        &self,
        caller: &Caller,
        call: &ReturnLeaseCall,
    ) -> Result<u32, CloseError> {
        let station = self.bench(caller)?;
        let mut looks = 0;
        loop {
            let events = self.to_return(&station, call)?;
            let voided = u32::try_from(events.len()).unwrap_or(u32::MAX);
            if events.is_empty() {
                return Ok(0);
            }
            looks += 1;
            match self.append(events) {
                Ok(_) => return Ok(voided),
                // One ended in between: look again.
                Err(AppendError::Refused(
                    Refused::LeaseOver { .. }
                    | Refused::WrongAttempt { .. }
                    | Refused::Leased { .. },
                )) if looks < LOOKS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn to_return(
        &self,
        station: &StationName,
        call: &ReturnLeaseCall,
    ) -> Result<Vec<Event>, CloseError> {
        let mut events = Vec::new();
        for (serial, attempt) in &call.leases {
            let row = self.read(|ledger| ledger.lease(serial))?;
            let own = row.filter(|row| (&row.station, row.attempt) == (station, *attempt));
            let cause = match call.unit_lost {
                true => VoidCause::UnitLost,
                false => VoidCause::LeaseReturned,
            };
            // Behind a later attempt the serial is somebody else's, and the ledger's rule says no.
            let late = call.unit_lost
                && self
                    .read(|ledger| ledger.unit(serial))?
                    .is_none_or(|unit| unit.attempt < *attempt);
            let may = |row: &LeaseRow| row.is_held() || (late && row.has_expired());
            if let Some(row) = own.filter(may) {
                let lease = lease_step(&row, call.operator.clone());
                events.push(Event::LeaseVoided { lease, cause });
            }
        }
        Ok(events)
    }

    /// Voids what nobody spent in its time. From the ledger alone, so whichever server looks first
    /// does it; a crash on the way leaves the rest to the next look.
    ///
    /// # Errors
    /// [`CloseError`].
    pub(crate) fn void_expired(&self) -> Result<u32, CloseError> {
        let until = Timestamp::from_unix_ms(self.now().unix_ms() - GRACE_MS);
        let rows = self.read(|ledger| ledger.leases_expired(until, VOIDED_AT_ONCE))?;
        self.void_leases(&rows, VoidCause::LeaseExpired)
    }

    /// One by one: one that was spent in the meantime costs the others nothing.
    pub(crate) fn void_leases(
        &self,
        rows: &[LeaseRow],
        cause: VoidCause,
    ) -> Result<u32, CloseError> {
        let mut voided = 0;
        for row in rows {
            let lease = lease_step(row, None);
            match self.append(vec![Event::LeaseVoided { lease, cause }]) {
                Ok(_) => voided += 1,
                Err(AppendError::Refused(_)) => {} // it ended in the meantime
                Err(error) => return Err(error.into()),
            }
        }
        Ok(voided)
    }
}

/// The refusal of the ledger's own rule, before anything is drawn.
pub(crate) fn held(row: LeaseRow) -> Refused {
    Refused::Leased {
        serial: row.serial,
        station: row.station,
        expires: row.expires,
    }
}

fn lease_step(row: &LeaseRow, operator: Option<OperatorId>) -> LeaseStep {
    LeaseStep {
        serial: row.serial.clone(),
        order: row.order.clone(),
        station: row.station.clone(),
        attempt: row.attempt,
        operator,
    }
}
