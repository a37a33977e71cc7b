//! What a later try proves: that the one before it was withdrawn, although the entry is lost.
//!
//! A unit has one open attempt and a serial one lease at most, so whoever got the next number got it
//! behind a withdrawal. That is written for want of the record, by the later try, which says so.

use std::collections::BTreeMap;

use anyhow::Result;
use ledger::{LeaseRow, Reader};
use traveler::{Attempt, Event, LeaseStep, Recovered, Serial, Step, VoidCause};

/// What has to be withdrawn before a try can be written again.
pub(super) type Withdrawn = BTreeMap<(Serial, Attempt), Vec<Event>>;

/// What a serial has open as the lost entries are gone through.
#[derive(Default)]
struct Open {
    attempt: Option<Step>,
    lease: Option<LeaseStep>,
}

/// Of every try that is proven, what it shows to have been withdrawn.
pub(super) fn by_later_ones(reader: &Reader, units: &[Recovered]) -> Result<Withdrawn> {
    let mut open: BTreeMap<Serial, Open> = BTreeMap::new();
    let mut voids = Withdrawn::new();
    for one in units {
        let event = &one.entry.event;
        let Some(serial) = event.serial() else {
            continue;
        };
        if !open.contains_key(serial) {
            open.insert(serial.clone(), on_record(reader, serial)?);
        }
        let open = open.entry(serial.clone()).or_default();
        if let Some(attempt) = begun(event) {
            let lost = withdraw(open, attempt);
            if !lost.is_empty() {
                voids.insert((serial.clone(), attempt), lost);
            }
        }
        match event {
            Event::Leased(leased) => open.lease = Some(leased.lease.clone()),
            Event::LeaseVoided { .. } => open.lease = None,
            _ => {
                if matches!(event, Event::Spent(_)) {
                    open.lease = None;
                }
                let step = event.step().filter(|(_, state)| state.is_open());
                open.attempt = step.map(|(step, _)| step.clone());
            }
        }
    }
    Ok(voids)
}

/// What comes before this entry when it is written again.
pub(super) fn before(voids: &Withdrawn, event: &Event) -> impl Iterator<Item = Event> {
    let key = event.serial().cloned().zip(begun(event));
    let lost = key.and_then(|key| voids.get(&key));
    lost.cloned().unwrap_or_default().into_iter()
}

/// The try that an entry begins, when it needs the one before it withdrawn.
fn begun(event: &Event) -> Option<Attempt> {
    match event {
        Event::Issued(issued) => Some(issued.step.attempt),
        Event::Leased(leased) => Some(leased.lease.attempt),
        _ => None,
    }
}

fn withdraw(open: &mut Open, by: Attempt) -> Vec<Event> {
    let cause = VoidCause::RecordLost;
    let attempt = open.attempt.take().filter(|step| step.attempt < by);
    let lease = open.lease.take().filter(|lease| lease.attempt < by);
    let attempt = attempt.map(|step| Event::Voided { step, cause });
    let lease = lease.map(|lease| Event::LeaseVoided { lease, cause });
    attempt.into_iter().chain(lease).collect()
}

fn on_record(reader: &Reader, serial: &Serial) -> Result<Open> {
    let unit = reader.unit(serial)?.filter(|row| row.state.is_open());
    let lease = reader.lease(serial)?.filter(LeaseRow::is_held);
    Ok(Open {
        attempt: unit.map(|row| Step {
            serial: row.serial,
            device_id: row.device_id,
            order: row.order,
            station: row.station,
            attempt: row.attempt,
            operator: None,
        }),
        lease: lease.map(|row| LeaseStep {
            serial: row.serial,
            order: row.order,
            station: row.station,
            attempt: row.attempt,
            operator: None,
        }),
    })
}
