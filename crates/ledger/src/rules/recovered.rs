//! The rules of a log that was put back from a copy: what may be written of what was lost.
//!
//! Whoever holds the server could say of any unit that it was lost and write it anew. So a lost
//! entry is written with the proof that this log's own key signed over it, and the proof is judged
//! here, in the writing transaction and again by every verifier. What nobody can prove is blocked,
//! which gives nobody anything.

use tlog::{EntryProof, VerifierKey, leaf_hash};
use traveler::{Blocked, DeviceId, Entry, Event, LogRecovered, Recovered, Serial, VoidCause};

use super::{At, Stop, Verdict, View, lease, refuse, reprint, unit};
use crate::Refused;
use crate::rows::{BlockRow, IssueRow, KeyRow, RecoveryRow, Row};

/// Longest statement or reason, in bytes.
const WORDS_MAX: usize = 500;
/// Checkpoints and journals that one recovery names.
const NAMED_MAX: usize = 256;

/// The gap itself.
pub(super) fn log<E>(seq: u64, said: &LogRecovered) -> Verdict<E> {
    let no = |why| refuse(Refused::Recovery(why));
    if said.kept > seq || said.restored > seq {
        return no("it keeps more entries than there are");
    }
    if said.remembered.checked_sub(said.kept) != Some(said.lost) || said.lost == 0 {
        return no("its numbers do not add up");
    }
    if said.token_mark.is_some_and(|mark| mark > said.remembered) {
        return no("the token remembers more than it says");
    }
    let lost = |size: u64| size > 0 && size <= said.remembered;
    if !said.checkpoints.iter().all(|seen| lost(seen.size)) {
        return no("a checkpoint is none that was lost");
    }
    if said.checkpoints.len() > NAMED_MAX || said.journals.len() > NAMED_MAX {
        return no("it names too many");
    }
    words(&said.statement)?;
    two_people(&said.by)?;
    Ok(vec![Row::Recovery(RecoveryRow {
        seq,
        kept: said.kept,
        remembered: said.remembered,
    })])
}

/// A lost entry about a unit.
pub(super) fn entry<V: View>(view: &V, seq: u64, recovered: &Recovered) -> Verdict<V::Error> {
    proven(view, recovered)?;
    // In its new place, with its own time and its own word about the token.
    let again = Entry {
        seq,
        ..(*recovered.entry).clone()
    };
    match &again.event {
        Event::Issued(issued) => unit::issue(view, &again, issued, At::Before),
        Event::Leased(leased) => lease::lease(view, &again, leased, At::Before),
        Event::Spent(spent) => lease::spend(view, &again, spent, At::Before),
        Event::LeaseVoided { lease, cause } => lease::void(view, &again, lease, *cause, At::Before),
        Event::Reprinted { .. } => reprint::label(view, &again, At::Before),
        Event::LogRecovered(_) | Event::Recovered(_) | Event::SerialBlocked(_) => refuse(
            Refused::Recovery("only what happened to a unit is written again"),
        ),
        // Who withdraws for want of a record says so today, not in the lost log.
        Event::Voided {
            cause: VoidCause::RecordLost,
            ..
        } => refuse(Refused::Recovery("a lost record is no lost entry")),
        event => match event.step() {
            Some((step, state)) => unit::follow(view, &again, step, state, At::Before),
            None => refuse(Refused::Recovery(
                "only what happened to a unit is written again",
            )),
        },
    }
}

/// A serial that may be in the field.
pub(super) fn block<V: View>(view: &V, seq: u64, blocked: &Blocked) -> Verdict<V::Error> {
    if view.recovery()?.is_none() {
        return refuse(Refused::Recovery("nothing was lost"));
    }
    words(&blocked.reason)?;
    two_people(&blocked.by)?;
    let mut rows = vec![Row::Block(BlockRow {
        seq,
        serial: blocked.serial.clone(),
        device_id: blocked.device_id.clone(),
    })];
    let Some(evidence) = &blocked.evidence else {
        return Ok(rows);
    };
    proven(view, evidence)?;
    let issued = match &evidence.entry.event {
        Event::Issued(issued) => issued,
        Event::Leased(leased) if leased.lease.serial == blocked.serial => {
            if !view.fingerprint(&leased.fingerprint)? {
                rows.push(lease::burnt(seq, &leased.lease, leased.fingerprint));
            }
            return Ok(rows);
        }
        Event::Leased(_) => return refuse(Refused::Recovery("the evidence is of another unit")),
        _ => return refuse(Refused::Recovery("the evidence of a block is a lost issue")),
    };
    let step = &issued.step;
    if step.serial != blocked.serial || Some(&step.device_id) != blocked.device_id.as_ref() {
        return refuse(Refused::Recovery("the evidence is of another unit"));
    }
    // The password is burnt, and the key is that silicon's, whatever else is known of the unit.
    if !view.fingerprint(&issued.fingerprint)? {
        rows.push(Row::Issue(IssueRow {
            fingerprint: issued.fingerprint,
            serial: step.serial.clone(),
            attempt: step.attempt,
            seq,
        }));
    }
    if view.key(&issued.public_key_sha256)?.is_none() {
        rows.push(Row::Key(KeyRow {
            public_key_sha256: issued.public_key_sha256,
            device_id: step.device_id.clone(),
            seq,
        }));
    }
    Ok(rows)
}

/// Whether the step withdraws what a lost entry withdrew: nobody has to come to a station for it.
pub(super) fn record_lost<V: View>(view: &V, entry: &Entry) -> Result<bool, Stop<V::Error>> {
    let cause = match &entry.event {
        Event::Voided { cause, .. } => *cause,
        _ => return Ok(false),
    };
    if cause != VoidCause::RecordLost {
        return Ok(false);
    }
    match view.recovery()? {
        Some(_) => Ok(true),
        None => refuse(Refused::Recovery("nothing was lost")),
    }
}

/// Neither the serial nor the silicon may be in the field without a record.
pub(super) fn not_blocked<V: View>(
    view: &V,
    serial: &Serial,
    device_id: Option<&DeviceId>,
) -> Result<(), Stop<V::Error>> {
    match view.blocked(serial, device_id)? {
        Some(BlockRow { serial, seq, .. }) => refuse(Refused::Blocked { serial, seq }),
        None => Ok(()),
    }
}

/// The log's own key signed over the entry, at a place that was lost. It may have been rotated since
/// or before: any key counts that the log has had.
fn proven<V: View>(view: &V, recovered: &Recovered) -> Result<(), Stop<V::Error>> {
    let was = recovered.entry.seq;
    let no = |why: &dyn std::fmt::Display| {
        let why = why.to_string();
        refuse(Refused::Unproven { was, why })
    };
    match view.recovery()? {
        Some(row) if was >= row.kept => {}
        Some(_) => return no(&"the log has kept an entry at its place"),
        None => return no(&"nothing was lost"),
    }
    let keys = view.vkeys()?;
    let keys: Vec<VerifierKey> = keys
        .iter()
        .filter_map(|key| VerifierKey::parse(key).ok())
        .collect();
    let leaf = leaf_hash(&recovered.entry.to_bytes());
    match EntryProof::parse(&recovered.proof)
        .map(|proof| (proof.index, proof.verify_by(&leaf, &keys)))
    {
        Ok((index, Ok(_))) if index == was => Ok(()),
        Ok((_, Ok(_))) => no(&"its proof is of another place"),
        Ok((_, Err(error))) | Err(error) => no(&error),
    }
}

fn words<E>(words: &str) -> Result<(), Stop<E>> {
    if words.trim().is_empty() || words.len() > WORDS_MAX || words.contains(char::is_control) {
        return refuse(Refused::Recovery("a reason has 1 to 500 bytes on one line"));
    }
    Ok(())
}

fn two_people<E>(by: &[String]) -> Result<(), Stop<E>> {
    match by.iter().any(|person| Some(person) != by.first()) {
        true => Ok(()),
        false => refuse(Refused::Recovery("it takes two people")),
    }
}
