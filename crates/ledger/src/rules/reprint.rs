//! The rules of a label that is printed again.
//!
//! Only between load and seal: before it there is no label, and behind it the secret is never given
//! again, so that another label means another attempt. One person's badge is enough here, since no
//! seal is broken; the number rises with each, so that of two labels the older is told to be void. The
//! seal says which one was scanned, so that a reprint which overtook it cannot void the label it is by.

use traveler::{Entry, Event, LabelProof, State, Step};

use super::unit::{right_station, same_attempt, step_row};
use super::{At, Stop, Verdict, View, refuse};
use crate::Refused;
use crate::rows::{ReprintRow, Row, UnitRow};

/// Longest reason, in bytes.
const REASON_MAX: usize = 500;

/// A reprint, which leaves the unit where it stands.
pub(super) fn label<V: View>(view: &V, entry: &Entry, at: At) -> Verdict<V::Error> {
    let Event::Reprinted {
        step,
        reprint,
        reason,
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    let Some(unit) = view.unit(&step.serial)? else {
        return refuse(Refused::UnknownUnit(step.serial.clone()));
    };
    same_attempt(&unit, step)?;
    if unit.state != State::Loaded {
        return refuse(Refused::NoReprint {
            serial: unit.serial,
            state: unit.state,
            attempt: unit.attempt,
        });
    }
    if at == At::Now {
        right_station(view, entry, &unit, step)?;
    }
    if step.operator.is_none() {
        return refuse(Refused::NoBadge(unit.serial));
    }
    if reason.trim().is_empty() || reason.len() > REASON_MAX || reason.contains(char::is_control) {
        return refuse(Refused::NoReason(unit.serial));
    }
    let newest = newest(view, step)?;
    // A number between may have been lost with its entry.
    if *reprint <= newest {
        return refuse(Refused::ReprintNumber {
            serial: unit.serial,
            newest,
            given: *reprint,
        });
    }
    Ok(vec![
        step_row(entry, step, State::Loaded, Some(&unit)),
        Row::Reprint(ReprintRow {
            seq: entry.seq,
            serial: step.serial.clone(),
            attempt: step.attempt,
            reprint: *reprint,
        }),
        Row::Unit(UnitRow {
            last_seq: entry.seq,
            since: entry.time,
            ..unit
        }),
    ])
}

/// The number of the label that counts; 0 is the first print.
fn newest<V: View>(view: &V, step: &Step) -> Result<u32, V::Error> {
    let newest = view.reprint(&step.serial)?;
    let newest = newest.filter(|row| row.attempt == step.attempt);
    Ok(newest.map_or(0, |row| row.reprint))
}

/// An attempt is sealed by the label that counts, and by no number where there is no label.
pub(super) fn counts<V: View>(view: &V, sealed: &Event, at: At) -> Result<(), Stop<V::Error>> {
    let Event::Sealed {
        step,
        label,
        reprint: scanned,
    } = sealed
    else {
        return refuse(Refused::Empty);
    };
    let scanned = *scanned;
    let newest = match label {
        LabelProof::Scanned => newest(view, step)?,
        LabelProof::NoLabel => 0,
    };
    let good = match (label, at) {
        // The entry of the reprint may be lost, and nobody has its proof.
        (LabelProof::Scanned, At::Before) => scanned >= newest,
        _ => scanned == newest,
    };
    match good {
        true => Ok(()),
        false => refuse(Refused::VoidLabel {
            serial: step.serial.clone(),
            scanned,
            newest,
        }),
    }
}
