//! How an attempt ends: confirm, seal, void. Each is one entry, and a repeat answers the same.
//!
//! A reply can be lost after its entry is durable, so every call first tries to record, and when
//! the ledger refuses, looks whether this very step is on record already: then it hands out that
//! proof. It never looks first, so two callers at once cannot both believe they were the first.

use api::{ConfirmCall, ReprintCall, SealCall, SignedReceipt, Target, VoidCall};
use ledger::{AppendError, Proof, Refused, UnitRow};
use thiserror::Error;
use traveler::{Digest, Entry, Event, LabelProof, OperatorId, OrderId, Serial, Sku, State, Step};

use crate::auth::{Caller, sha256};
use crate::line::{BenchError, Line};

/// Why a step was not recorded.
#[derive(Debug, Error)]
pub(crate) enum CloseError {
    /// The station may not call.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The serial was never issued.
    #[error("{0} was never issued here: check the serial")]
    UnknownUnit(Serial),
    /// The receipt is signed, but not by the unit the certificate is for.
    #[error("the receipt of {0} is not signed by the key in its certificate")]
    Signature(Serial),
    /// The unit has a key of its own and did not sign with it.
    #[error("the receipt of {0} is not signed, and the unit has a key of its own")]
    Unsigned(Serial),
    /// Nothing says how the unit is read back.
    #[error(
        "the definition of product {0} cannot be read: update this server, then ask again; the \
         unit stays as it is"
    )]
    Product(Sku),
    /// The receipt was not made as the product's definition says.
    #[error("the receipt of {0} was not made under the device profile of its product")]
    OtherProfile(Serial),
    /// The product carries a label, and nobody has scanned it.
    #[error("{0} carries a label: scan it before the seal")]
    LabelNotScanned(Serial),
    /// The product carries no label.
    #[error("the product of {0} carries no label: there is none to print again")]
    NoLabel(Serial),
    /// The unit that a lease met is not what its order builds.
    #[error("order {order}, which permits the lease of {serial}, builds no such unit")]
    WrongProduct {
        /// The serial.
        serial: Serial,
        /// The order.
        order: OrderId,
    },
    /// The entry is on record, its proof cannot be had yet.
    #[error("the step is on record, its checkpoint is not signed yet: ask again")]
    NoProofYet,
    /// No entry says that what the station remembers was lost.
    #[error("no entry of this log names that checkpoint as lost")]
    NoRecovery,
    /// The ledger's rules refuse, or it cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl Line {
    /// Records that the unit holds, after a reset, what was issued.
    ///
    /// # Errors
    /// [`CloseError`]; the attempt stays as it was.
    pub(crate) fn confirm(&self, caller: &Caller, call: &ConfirmCall) -> Result<Proof, CloseError> {
        let (step, row) = self.step(caller, &call.target, call.operator.as_ref())?;
        // The receipt is held against what was issued last, and this one is for another attempt.
        if row.attempt != step.attempt {
            let (serial, expected, given) = (step.serial, row.attempt, step.attempt);
            let refused = Refused::WrongAttempt {
                serial,
                expected,
                given,
            };
            return Err(AppendError::Refused(refused).into());
        }
        if call.profile_sha256 != self.profile_of(&row)? {
            return Err(CloseError::OtherProfile(step.serial));
        }
        match &call.signed {
            Some(signed) => check_receipt(&step, call, signed, &row)?,
            // Silicon that cannot sign is certified for a key minted for it; the rest must.
            None if self.key_made_on_unit(&row)? => return Err(CloseError::Unsigned(step.serial)),
            None => {}
        }
        let event = Event::Loaded {
            step,
            bundle_sha256: call.bundle_sha256,
            receipt_signed: call.signed.is_some(),
            profile_sha256: call.profile_sha256,
        };
        self.record(vec![event], &call.target, State::Loaded)
    }

    /// Records that a label is printed again, before the station does it.
    ///
    /// # Errors
    /// [`CloseError`]; the label that counted goes on counting.
    pub(crate) fn reprint(&self, caller: &Caller, call: &ReprintCall) -> Result<Proof, CloseError> {
        let (step, row) = self.step(caller, &call.target, Some(&call.operator))?;
        if !self.carries_label(&row)? {
            return Err(CloseError::NoLabel(step.serial));
        }
        let event = Event::Reprinted {
            step: step.clone(),
            reprint: call.reprint,
            reason: call.reason.clone(),
        };
        match self.append(vec![event]) {
            Ok(appended) => self.proof(appended.last),
            Err(AppendError::Refused(refused @ Refused::ReprintNumber { .. })) => {
                // The reply to the same call was lost: this very number is on record. Whoever asks
                // with other words, or under another badge, asks for another label.
                let done = self.read(|ledger| ledger.reprint(&step.serial))?;
                let same =
                    done.filter(|row| (row.attempt, row.reprint) == (step.attempt, call.reprint));
                match same {
                    Some(row)
                        if self.is_same_step(row.seq, &step)?
                            && self.is_asked_alike(row.seq, call)? =>
                    {
                        self.proof(row.seq)
                    }
                    _ => Err(AppendError::Refused(refused).into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes an attempt well: its secret is never given again. Which label counts is the ledger's
    /// to say, where the entry is written: a reprint may be on its way at this very moment.
    ///
    /// # Errors
    /// [`CloseError`]; the attempt stays as it was.
    pub(crate) fn seal(&self, caller: &Caller, call: &SealCall) -> Result<Proof, CloseError> {
        let (step, row) = self.step(caller, &call.target, call.operator.as_ref())?;
        let labelled = self.carries_label(&row)?;
        if labelled && !call.label_scanned {
            return Err(CloseError::LabelNotScanned(step.serial));
        }
        let (label, reprint) = match labelled {
            true => (LabelProof::Scanned, call.reprint),
            false => (LabelProof::NoLabel, 0),
        };
        let event = Event::Sealed {
            step,
            label,
            reprint,
        };
        self.record(vec![event], &call.target, State::Sealed)
    }

    /// Withdraws an attempt, and scraps the unit with it when asked to.
    ///
    /// # Errors
    /// [`CloseError`]; the attempt stays as it was.
    pub(crate) fn void(&self, caller: &Caller, call: &VoidCall) -> Result<Proof, CloseError> {
        let (step, _) = self.step(caller, &call.target, call.operator.as_ref())?;
        let mut events = vec![Event::Voided {
            step: step.clone(),
            cause: call.cause,
        }];
        if call.scrap {
            events.push(Event::Scrapped {
                step,
                reason: call.cause.as_str().to_owned(),
                by: Vec::new(),
            });
        }
        let last = if call.scrap {
            State::Scrapped
        } else {
            State::Voided
        };
        self.record(events, &call.target, last)
    }

    /// The step a call is about, by the ledger's account of the unit.
    pub(crate) fn step(
        &self,
        caller: &Caller,
        target: &Target,
        operator: Option<&OperatorId>,
    ) -> Result<(Step, UnitRow), CloseError> {
        let station = self.bench(caller)?;
        let row = self
            .read(|ledger| ledger.unit(&target.serial))?
            .ok_or_else(|| CloseError::UnknownUnit(target.serial.clone()))?;
        // Serial, attempt and device id are what the caller claims: the ledger compares them.
        let step = Step {
            serial: target.serial.clone(),
            device_id: target.device_id.clone(),
            order: row.order.clone(),
            station,
            attempt: target.attempt,
            operator: operator.cloned(),
        };
        Ok((step, row))
    }

    /// Appends, or finds that the very same step was appended before.
    pub(crate) fn record(
        &self,
        events: Vec<Event>,
        target: &Target,
        last: State,
    ) -> Result<Proof, CloseError> {
        let first = events
            .first()
            .and_then(Event::step)
            .map(|(step, _)| step.clone());
        match self.append(events) {
            Ok(appended) => self.proof(appended.last),
            Err(AppendError::Refused(refused)) => {
                let done = self.read(|ledger| ledger.last_step_seq(&target.serial, last))?;
                let done = match (done, first) {
                    (Some(seq), Some(step))
                        if self.is_same_step(seq, &step)? && self.stands(&step, last)? =>
                    {
                        Some(seq)
                    }
                    _ => None,
                };
                match done {
                    Some(seq) => self.proof(seq),
                    None => Err(AppendError::Refused(refused).into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the entry at `seq` is of the same station, silicon and attempt as `step`.
    fn is_same_step(&self, seq: u64, step: &Step) -> Result<bool, CloseError> {
        let entry = self.read(|ledger| ledger.entry(seq))?;
        let entry = entry.and_then(|bytes| Entry::from_bytes(&bytes).ok());
        Ok(entry
            .as_ref()
            .and_then(|entry| entry.event.step())
            .is_some_and(|(recorded, _)| {
                recorded.serial == step.serial
                    && recorded.attempt == step.attempt
                    && recorded.device_id == step.device_id
                    && recorded.station == step.station
            }))
    }

    /// Whether the reprint at `seq` was asked for by the same badge in the same words.
    fn is_asked_alike(&self, seq: u64, call: &ReprintCall) -> Result<bool, CloseError> {
        let entry = self.read(|ledger| ledger.entry(seq))?;
        let entry = entry.and_then(|bytes| Entry::from_bytes(&bytes).ok());
        Ok(entry.is_some_and(|entry| match entry.event.happened() {
            Event::Reprinted { step, reason, .. } => {
                (step.operator.as_ref(), reason) == (Some(&call.operator), &call.reason)
            }
            _ => false,
        }))
    }

    /// Whether a step may be proven again. A unit is locked on the proof of its load, so there is
    /// none for an attempt that was withdrawn since.
    fn stands(&self, step: &Step, last: State) -> Result<bool, CloseError> {
        let row = self.read(|ledger| ledger.unit(&step.serial))?;
        Ok(last != State::Loaded
            || row.is_some_and(|row| {
                row.attempt == step.attempt && matches!(row.state, State::Loaded | State::Sealed)
            }))
    }

    pub(crate) fn proof(&self, seq: u64) -> Result<Proof, CloseError> {
        if let Some(proof) = self.read(|ledger| ledger.proof(seq))? {
            return Ok(proof);
        }
        // The HSM was away when the batch was written: the entry is durable, its checkpoint due.
        self.sign_pending().map_err(|_| CloseError::NoProofYet)?;
        self.read(|ledger| ledger.proof(seq))?
            .ok_or(CloseError::NoProofYet)
    }

    /// Whether the newest attempt certified a key that the unit made itself. An entry that cannot
    /// be read counts as yes: less is accepted, never more.
    fn key_made_on_unit(&self, row: &UnitRow) -> Result<bool, CloseError> {
        let bytes = self.read(|ledger| ledger.entry(row.issued_seq))?;
        let entry = bytes.and_then(|bytes| Entry::from_bytes(&bytes).ok());
        Ok(match entry.as_ref().map(|entry| entry.event.happened()) {
            Some(Event::Issued(issued)) => issued.key_made_on_unit,
            Some(Event::Spent(_)) => false, // a leased key is always minted
            _ => true,
        })
    }

    fn carries_label(&self, row: &UnitRow) -> Result<bool, CloseError> {
        Ok(self.product_of(&row.serial, &row.order)?.label)
    }

    /// The device profile by which the station reads such a unit back; `None`: the unit proves
    /// itself what it holds, and a station's word is not enough.
    fn profile_of(&self, row: &UnitRow) -> Result<Option<Digest>, CloseError> {
        let (product, definition) = self.definition_of(&row.serial, &row.order)?;
        read_back_by(product, definition.as_deref())
    }

    /// What a unit's order builds. A definition that cannot be read says nothing, so that nothing is
    /// let pass by it.
    pub(crate) fn product_of(
        &self,
        serial: &Serial,
        order: &OrderId,
    ) -> Result<compliance::Product, CloseError> {
        let (product, definition) = self.definition_of(serial, order)?;
        let read = definition.and_then(|text| compliance::Product::parse(&text).ok());
        read.ok_or(CloseError::Product(product))
    }

    fn definition_of(
        &self,
        serial: &Serial,
        order: &OrderId,
    ) -> Result<(Sku, Option<String>), CloseError> {
        let order = self.read(|ledger| ledger.order(order))?;
        let order = order.ok_or_else(|| CloseError::UnknownUnit(serial.clone()))?;
        let row = self.read(|ledger| ledger.definition(&order.product_sha256))?;
        Ok((order.product, row.map(|row| row.definition)))
    }
}

/// What a definition says of the profile. One that is not there or cannot be read says nothing, and
/// least of all that its units prove themselves.
fn read_back_by(product: Sku, definition: Option<&str>) -> Result<Option<Digest>, CloseError> {
    let said = definition.map(compliance::profile_sha256);
    said.and_then(Result::ok)
        .ok_or(CloseError::Product(product))
}

/// The receipt must be signed by the key the unit's certificate is for.
fn check_receipt(
    step: &Step,
    call: &ConfirmCall,
    signed: &SignedReceipt,
    row: &UnitRow,
) -> Result<(), CloseError> {
    let wrong = || CloseError::Signature(step.serial.clone());
    if sha256(&signed.public_key) != row.public_key_sha256 {
        return Err(wrong());
    }
    let receipt = credential::receipt(
        &step.serial,
        step.attempt,
        &step.device_id,
        &call.bundle_sha256,
    );
    identity::verify(&signed.public_key, &receipt, &signed.signature).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_cannot_be_read_says_nothing_of_who_reads_back() {
        let product = || Sku::parse("CAM-2").unwrap();
        for definition in [None, Some("}"), Some("profile = \"at-modem\"")] {
            let said = read_back_by(product(), definition);
            assert!(
                matches!(said, Err(CloseError::Product(_))),
                "{definition:?}"
            );
        }
        let native = read_back_by(product(), Some("sku = \"CAM-2\""));
        assert!(matches!(native, Ok(None)));
    }
}
