//! The rules of one unit: from its first issue to its end, and the places it takes in an order.

use traveler::{
    Attempt, Digest, Entry, Event, Fingerprint, Issued, KeyId, Serial, Sku, State, StationName,
    Step, VoidCause,
};

use super::place::{move_place, take_place};
use super::recovered::{not_blocked, record_lost};
use super::{At, Stop, Verdict, View, alone, lease, open_order, refuse, reprint, running, usable};
use crate::Refused;
use crate::rows::{DeviceRow, IssueRow, KeyRow, OrderRow, Row, StationState, StepRow, UnitRow};

/// Opens an attempt: the one moment at which a secret may come to be.
pub(super) fn issue<V: View>(
    view: &V,
    entry: &Entry,
    issued: &Issued,
    at: At,
) -> Verdict<V::Error> {
    let step = &issued.step;
    if at == At::Now {
        enrolled(view, &step.station)?;
        running(view)?;
    }
    not_blocked(view, &step.serial, Some(&step.device_id))?;
    let mut order = open_order(view, &step.order)?;
    same_product(&order, &issued.product, &issued.product_sha256)?;
    let before = view.unit(&step.serial)?;
    let leased = view.lease(&step.serial)?;
    lease::not_held(leased.as_ref())?;
    lease::no_unit_of(leased.as_ref())?;
    may_issue(before.as_ref(), step)?;
    let expected = lease::next_attempt(leased.as_ref(), before.as_ref());
    counts_on(&step.serial, step.attempt, expected, at)?;
    let silicon = free_device(view, step)?;
    let new_key = free_key(view, issued)?;
    take_place(&mut order, before.as_ref())?;
    free_fingerprint(view, issued.fingerprint_key, &issued.fingerprint)?;

    order.seq = entry.seq;
    let mut rows = vec![
        Row::Issue(IssueRow {
            fingerprint: issued.fingerprint,
            serial: step.serial.clone(),
            attempt: step.attempt,
            seq: entry.seq,
        }),
        Row::Unit(UnitRow {
            serial: step.serial.clone(),
            device_id: step.device_id.clone(),
            order: step.order.clone(),
            station: step.station.clone(),
            attempt: step.attempt,
            state: State::Issued,
            first_seq: before.as_ref().map_or(entry.seq, |unit| unit.first_seq),
            issued_seq: entry.seq,
            last_seq: entry.seq,
            bundle_sha256: issued.bundle_sha256,
            certificate_sha256: issued.certificate_sha256,
            public_key_sha256: issued.public_key_sha256,
            since: entry.time,
        }),
        Row::Device(DeviceRow {
            device_id: step.device_id.clone(),
            first_seq: silicon.map_or(entry.seq, |row| row.first_seq),
            serial: step.serial.clone(),
            released: false,
            seq: entry.seq,
        }),
        Row::Order(order),
        step_row(entry, step, State::Issued, before.as_ref()),
    ];
    if new_key {
        rows.push(Row::Key(KeyRow {
            public_key_sha256: issued.public_key_sha256,
            device_id: step.device_id.clone(),
            seq: entry.seq,
        }));
    }
    Ok(rows)
}

/// Whether a change that withdraws an attempt and opens the next in one go may do so: nothing is
/// known of the attempt but its issue.
///
/// Whoever issues says that the reply before was lost. A unit that has shown that it holds the
/// attempt says otherwise: a call that was overtaken must not withdraw what is being locked. Not
/// part of [`super::admit`]: entries do not say which of them were one change, and a withdrawal
/// that names a loaded attempt by itself is right.
pub(super) fn may_remint<V: View>(view: &V, events: &[Event]) -> Result<(), Stop<V::Error>> {
    let [Event::Voided { step, .. }, .., Event::Issued(fresh)] = events else {
        return Ok(());
    };
    match view.unit(&step.serial)? {
        Some(unit) if step.serial == fresh.step.serial && unit.state == State::Loaded => {
            refuse(wrong_state(unit, State::Issued))
        }
        _ => Ok(()),
    }
}

/// Any step after the issue.
pub(super) fn follow<V: View>(
    view: &V,
    entry: &Entry,
    step: &Step,
    state: State,
    at: At,
) -> Verdict<V::Error> {
    let Some(unit) = view.unit(&step.serial)? else {
        return refuse(Refused::UnknownUnit(step.serial.clone()));
    };
    same_attempt(&unit, step)?;
    if !state.may_follow(Some(unit.state)) {
        return refuse(wrong_state(unit, state));
    }
    if at == At::Now && !record_lost(view, entry)? {
        right_station(view, entry, &unit, step)?;
    }
    match &entry.event {
        Event::Loaded { bundle_sha256, .. } if *bundle_sha256 != unit.bundle_sha256 => {
            let (serial, attempt) = (unit.serial, unit.attempt);
            return refuse(Refused::BundleMismatch { serial, attempt });
        }
        Event::Rework { by, .. } | Event::Scrapped { by, .. } if alone(unit.state, by) => {
            return refuse(Refused::OnePerson(unit.serial));
        }
        Event::Voided { cause, .. } if !cause.ends_an_attempt() => {
            return refuse(Refused::WrongCause(*cause));
        }
        Event::Sealed { .. } => reprint::counts(view, &entry.event, at)?,
        _ => {}
    }

    let mut rows = vec![step_row(entry, step, state, Some(&unit))];
    if state != State::Loaded {
        let Some(mut order) = view.order(&unit.order)? else {
            return refuse(Refused::UnknownOrder(unit.order));
        };
        if state == State::Rework && order.closed {
            return refuse(Refused::OrderClosed(order.order));
        }
        move_place(&mut order, unit.state, state)?;
        order.seq = entry.seq;
        rows.push(Row::Order(order));
    }
    if matches!(state, State::Voided | State::Scrapped) {
        // A voided unit's silicon may have become another serial since; then it is not ours.
        let owner = view.device(&unit.device_id)?;
        if let Some(row) = owner.filter(|row| row.serial == unit.serial) {
            rows.push(Row::Device(DeviceRow {
                released: state == State::Voided,
                seq: entry.seq,
                ..row
            }));
        }
    }
    rows.push(Row::Unit(UnitRow {
        state,
        last_seq: entry.seq,
        since: entry.time,
        ..unit
    }));
    Ok(rows)
}

/// The unit is what the order builds, under the definition that it builds by.
pub(super) fn same_product<E>(
    order: &OrderRow,
    product: &Sku,
    product_sha256: &Digest,
) -> Result<(), Stop<E>> {
    if (product, product_sha256) == (&order.product, &order.product_sha256) {
        return Ok(());
    }
    refuse(Refused::WrongProduct {
        order: order.order.clone(),
        builds: order.product.clone(),
    })
}

/// The serial is new, voided or in rework.
fn may_issue<E>(before: Option<&UnitRow>, step: &Step) -> Result<(), Stop<E>> {
    match before {
        // A unit in rework was sealed: it keeps its order's place, and it is that silicon.
        Some(unit) if unit.state == State::Rework => {
            same_order(unit, step)?;
            same_device(unit, step)
        }
        before => may_start(before),
    }
}

/// The serial is new or voided.
pub(super) fn may_start<E>(before: Option<&UnitRow>) -> Result<(), Stop<E>> {
    match before {
        None => Ok(()),
        Some(unit) if unit.state == State::Voided => Ok(()),
        Some(unit) => refuse(Refused::SerialInUse {
            serial: unit.serial.clone(),
            state: unit.state,
            station: unit.station.clone(),
            order: unit.order.clone(),
            since: unit.since,
        }),
    }
}

/// The attempt is the next one. Those between may have been lost whole, issue and withdrawal.
pub(super) fn counts_on<E>(
    serial: &Serial,
    given: Attempt,
    expected: Attempt,
    at: At,
) -> Result<(), Stop<E>> {
    let counts_on = match at {
        At::Now => given == expected,
        At::Before => given >= expected,
    };
    if counts_on {
        return Ok(());
    }
    refuse(Refused::WrongAttempt {
        serial: serial.clone(),
        expected,
        given,
    })
}

/// The silicon is new, is this serial's, or its newest attempt was voided: what is known of it.
pub(super) fn free_device<V: View>(
    view: &V,
    step: &Step,
) -> Result<Option<DeviceRow>, Stop<V::Error>> {
    match view.device(&step.device_id)? {
        Some(row) if !row.released && row.serial != step.serial => {
            let device_id = step.device_id.clone();
            refuse(Refused::DeviceInUse {
                device_id,
                serial: row.serial,
            })
        }
        row => Ok(row),
    }
}

/// Whether the public key is new; otherwise it was seen on this silicon and no other.
fn free_key<V: View>(view: &V, issued: &Issued) -> Result<bool, Stop<V::Error>> {
    match view.key(&issued.public_key_sha256)? {
        None => lease::no_leased_key(view, &issued.public_key_sha256).map(|()| true),
        Some(device_id) if device_id == issued.step.device_id => Ok(false),
        Some(device_id) => refuse(Refused::KeyInUse { device_id }),
    }
}

/// The password was never issued before, judged by the one key this log fingerprints with.
pub(super) fn free_fingerprint<V: View>(
    view: &V,
    given: KeyId,
    fingerprint: &Fingerprint,
) -> Result<(), Stop<V::Error>> {
    match view.fingerprint_key()? {
        Some(expected) if expected != given => {
            return refuse(Refused::OtherFingerprintKey { expected, given });
        }
        _ => {}
    }
    if view.fingerprint(fingerprint)? {
        return refuse(Refused::FingerprintUsed);
    }
    Ok(())
}

pub(super) fn same_attempt<E>(unit: &UnitRow, step: &Step) -> Result<(), Stop<E>> {
    if step.attempt != unit.attempt {
        return refuse(Refused::WrongAttempt {
            serial: unit.serial.clone(),
            expected: unit.attempt,
            given: step.attempt,
        });
    }
    same_device(unit, step)?;
    same_order(unit, step)
}

fn same_device<E>(unit: &UnitRow, step: &Step) -> Result<(), Stop<E>> {
    if step.device_id == unit.device_id {
        return Ok(());
    }
    refuse(Refused::OtherDevice {
        serial: unit.serial.clone(),
        expected: unit.device_id.clone(),
        given: step.device_id.clone(),
    })
}

fn same_order<E>(unit: &UnitRow, step: &Step) -> Result<(), Stop<E>> {
    if step.order == unit.order {
        return Ok(());
    }
    refuse(Refused::OtherOrder {
        serial: unit.serial.clone(),
        order: unit.order.clone(),
    })
}

/// An open attempt is moved by the station it was issued to, and only while that may work.
///
/// Two exceptions: what a revoked station left open is voided in its name, with that cause;
/// and a closed attempt (rework, scrap) may be taken up at any station that is enrolled, or in
/// the name of the one that issued it.
pub(super) fn right_station<V: View>(
    view: &V,
    entry: &Entry,
    unit: &UnitRow,
    step: &Step,
) -> Result<(), Stop<V::Error>> {
    if unit.state.is_open() && step.station != unit.station {
        return refuse(Refused::OtherStation {
            serial: unit.serial.clone(),
            state: unit.state,
            station: unit.station.clone(),
            since: unit.since,
        });
    }
    if matches!(
        entry.event,
        Event::Voided {
            cause: VoidCause::StationRevoked,
            ..
        }
    ) {
        return match view.station(&step.station)? {
            Some(row) if row.state == StationState::Revoked => Ok(()),
            _ => refuse(Refused::NotRevoked(step.station.clone())),
        };
    }
    if !unit.state.is_open() && step.station == unit.station {
        return Ok(());
    }
    enrolled(view, &step.station)
}

pub(super) fn enrolled<V: View>(view: &V, station: &StationName) -> Result<(), Stop<V::Error>> {
    match usable(view, station)?.state {
        StationState::Enrolled => Ok(()),
        StationState::Invited | StationState::Revoked => {
            refuse(Refused::NotEnrolled(station.clone()))
        }
    }
}

fn wrong_state(unit: UnitRow, wanted: State) -> Refused {
    let UnitRow {
        serial,
        state,
        attempt,
        ..
    } = unit;
    Refused::WrongState {
        serial,
        state,
        attempt,
        wanted,
    }
}

pub(super) fn step_row(entry: &Entry, step: &Step, state: State, before: Option<&UnitRow>) -> Row {
    Row::Step(StepRow {
        serial: step.serial.clone(),
        seq: entry.seq,
        state,
        before: before.map(|unit| unit.last_seq),
    })
}
