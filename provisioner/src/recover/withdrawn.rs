//! What has ended although the entry that says so is lost, written for want of it.
//!
//! A unit has one open attempt and a serial one lease at most, so whoever got the next number got it
//! behind a withdrawal: the later try proves it. Of a lease that came back nobody has a proof at all.
//! Were it held again it would take the place of a unit that is proven, which would then be blocked
//! for ever. So a lease whose time is over is voided in the change that writes it; one that may still
//! meet its unit is written behind everything else, when the places that are left are known.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ledger::{LeaseRow, Reader};
use traveler::{Attempt, Event, LeaseStep, Recovered, Serial, Step, Timestamp, VoidCause};

type Try = (Serial, Attempt);

/// What is withdrawn as the tries are written again.
pub(super) struct Withdrawn {
    /// By the try that proves it.
    before: BTreeMap<Try, Vec<Event>>,
    /// Leases that are over, by themselves.
    over: BTreeMap<Try, Event>,
    /// Leases that may meet a unit yet.
    held: BTreeSet<Try>,
}

/// What a serial has open as the lost entries are gone through.
#[derive(Default)]
struct Open {
    attempt: Option<Step>,
    lease: Option<LeaseStep>,
}

impl Withdrawn {
    /// What the lost entries, in their order, show of each other by now.
    pub(super) fn by(reader: &Reader, units: &[Recovered], now: Timestamp) -> Result<Withdrawn> {
        let (over, held) = leases(units, now);
        let before = by_later_ones(reader, units, &over)?;
        Ok(Withdrawn { before, over, held })
    }

    /// The entries in the order in which they are written again.
    pub(super) fn in_order<'a>(&self, units: &'a [Recovered]) -> Vec<&'a Recovered> {
        let may_wait = |one: &&Recovered| match &one.entry.event {
            Event::Leased(leased) => self.held.contains(&try_of(&leased.lease)),
            _ => false,
        };
        let (last, mut first): (Vec<_>, Vec<_>) = units.iter().partition(may_wait);
        first.extend(last);
        first
    }

    /// One entry with what is withdrawn before and behind it.
    pub(super) fn around(&self, event: &Event, again: Event) -> Vec<Event> {
        let key = event.serial().cloned().zip(begun(event));
        let before = key.as_ref().and_then(|key| self.before.get(key)).cloned();
        let over = key.as_ref().and_then(|key| self.over.get(key)).cloned();
        let before = before.unwrap_or_default().into_iter();
        before.chain([again]).chain(over).collect()
    }
}

/// Leases that met no unit that is proven: those that are over, and those that may be held.
fn leases(units: &[Recovered], now: Timestamp) -> (BTreeMap<Try, Event>, BTreeSet<Try>) {
    let mut open: BTreeMap<&Serial, (LeaseStep, Timestamp)> = BTreeMap::new();
    let (mut over, mut held) = (BTreeMap::new(), BTreeSet::new());
    let void = |lease: LeaseStep, cause| {
        let operator = None;
        let lease = LeaseStep { operator, ..lease };
        (try_of(&lease), Event::LeaseVoided { lease, cause })
    };
    for one in units {
        let event = &one.entry.event;
        let Some(serial) = event.serial() else {
            continue;
        };
        match event {
            Event::Issued(_) | Event::Leased(_) => {
                let lost = open.remove(serial);
                over.extend(lost.map(|(lease, _)| void(lease, VoidCause::RecordLost)));
            }
            Event::Spent(_) | Event::LeaseVoided { .. } => drop(open.remove(serial)),
            _ => {}
        }
        if let Event::Leased(leased) = event {
            open.insert(serial, (leased.lease.clone(), leased.expires));
        }
    }
    for (lease, expires) in open.into_values() {
        if expires <= now {
            // A unit that it met in time may still be told of, and takes its place then.
            over.extend([void(lease, VoidCause::LeaseExpired)]);
        } else {
            held.insert(try_of(&lease));
        }
    }
    (over, held)
}

fn try_of(lease: &LeaseStep) -> Try {
    (lease.serial.clone(), lease.attempt)
}

/// Of every try that is proven, what it shows to have been withdrawn.
fn by_later_ones(
    reader: &Reader,
    units: &[Recovered],
    over: &BTreeMap<Try, Event>,
) -> Result<BTreeMap<Try, Vec<Event>>> {
    let mut open: BTreeMap<Serial, Open> = BTreeMap::new();
    let mut voids = BTreeMap::new();
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
            Event::Leased(leased) => {
                let lease = Some(&leased.lease);
                let lease = lease.filter(|lease| !over.contains_key(&try_of(lease)));
                open.lease = lease.cloned();
            }
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
