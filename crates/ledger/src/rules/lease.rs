//! The rules of leases: credentials that a station holds for units it will meet without a network.
//!
//! A lease takes its place in the order when it is minted and gives it back when it ends without a
//! unit, so that stations that cannot ask cannot build too many between them. Who holds one may
//! give it to a unit that the ledger hears of much later; so a serial that is leased is issued to
//! nobody, and a lease that nobody returned is voided only once its time is over, or its station is
//! revoked. Whoever lies about the time gains nothing: the number of leases is bounded as well.

mod bounds;

use traveler::{
    Attempt, Digest, Entry, Fingerprint, LEASE_LASTS_S, LeaseStep, Leased, OrderId, Spent, State,
    Step, VoidCause,
};

use bounds::{few_held, few_lapsed, not_overtaken};

use super::place::{less, take_free_place, within_allowance};
use super::recovered::not_blocked;
use super::unit::{
    counts_on, enrolled, free_device, free_fingerprint, may_start, same_product, step_row,
};
use super::{At, Stop, Verdict, View, open_order, refuse, running};
use crate::Refused;
use crate::rows::{
    DeviceRow, IssueRow, KeyRow, LeaseCountRow, LeaseRow, Row, StationState, UnitRow,
};

/// Mints ahead.
pub(super) fn lease<V: View>(
    view: &V,
    entry: &Entry,
    leased: &Leased,
    at: At,
) -> Verdict<V::Error> {
    let lease = &leased.lease;
    if at == At::Now {
        enrolled(view, &lease.station)?;
        running(view)?;
    }
    not_blocked(view, &lease.serial, None)?;
    let lasts = leased.expires.unix_ms() - entry.time.unix_ms();
    let ms = |seconds: &u32| i64::from(*seconds) * 1_000;
    if !(ms(LEASE_LASTS_S.start())..=ms(LEASE_LASTS_S.end())).contains(&lasts) {
        let (serial, expires) = (lease.serial.clone(), leased.expires);
        return refuse(Refused::LeaseBounds { serial, expires });
    }
    let mut order = open_order(view, &lease.order)?;
    same_product(&order, &leased.product, &leased.product_sha256)?;
    let before = view.unit(&lease.serial)?;
    let earlier = view.lease(&lease.serial)?;
    not_held(earlier.as_ref())?;
    no_unit_of(earlier.as_ref())?;
    may_start(before.as_ref())?;
    let expected = next_attempt(earlier.as_ref(), before.as_ref());
    counts_on(&lease.serial, lease.attempt, expected, at)?;
    within_allowance(&order)?;
    let count = count(view, &lease.order)?;
    // What bounds how much is minted held when this was minted: the entries that ended other leases
    // since are lost, and nobody can prove them.
    if at == At::Now {
        not_overtaken(leased, earlier.as_ref(), before.as_ref())?;
        few_held(view, &lease.station)?;
        few_lapsed(view, &lease.station, &count, &order)?;
    }
    take_free_place(&mut order)?;
    order.open += 1;
    order.seq = entry.seq;
    free_key(view, &leased.public_key_sha256)?;
    free_fingerprint(view, leased.fingerprint_key, &leased.fingerprint)?;
    Ok(vec![
        burnt(entry.seq, lease, leased.fingerprint),
        Row::Lease(LeaseRow {
            seq: entry.seq,
            serial: lease.serial.clone(),
            attempt: lease.attempt,
            order: lease.order.clone(),
            station: lease.station.clone(),
            expires: leased.expires,
            bundle_sha256: leased.bundle_sha256,
            certificate_sha256: leased.certificate_sha256,
            public_key_sha256: leased.public_key_sha256,
            voided: None,
            voided_seq: None,
            spent_seq: None,
        }),
        Row::LeaseCount(LeaseCountRow {
            leased: count.leased + 1,
            seq: entry.seq,
            ..count
        }),
        Row::Order(order),
    ])
}

/// Says which unit a leased credential met.
///
/// Taken late as well: a unit that was built in time is a unit, whenever its station finds a
/// network. It then takes a place of its order again, when there is one.
pub(super) fn spend<V: View>(view: &V, entry: &Entry, spent: &Spent, at: At) -> Verdict<V::Error> {
    let step = &spent.step;
    if at == At::Now {
        enrolled(view, &step.station)?;
    }
    not_blocked(view, &step.serial, Some(&step.device_id))?;
    let row = own(view, &spent.lease())?;
    let before = view.unit(&step.serial)?;
    may_start(before.as_ref())?;
    if let Some(unit) = before.as_ref().filter(|unit| unit.attempt >= row.attempt) {
        return refuse(Refused::WrongAttempt {
            serial: unit.serial.clone(),
            expected: unit.attempt.next(),
            given: row.attempt,
        });
    }
    let late = match (row.spent_seq, row.voided) {
        (Some(_), _) => return refuse(over(&row)),
        (None, None) => false,
        (None, Some(VoidCause::LeaseExpired)) => true,
        (None, Some(_)) => return refuse(over(&row)),
    };
    let silicon = free_device(view, step)?;
    let mut order = open_order(view, &step.order)?;
    let mut count = count(view, &step.order)?;
    if late {
        take_free_place(&mut order)?;
        order.open += 1;
        order.seq = entry.seq;
        less(&mut count.returned);
    } else {
        less(&mut count.leased);
    }
    count.seq = entry.seq;
    let mut rows = unit_rows(entry, step, &row, before.as_ref());
    rows.push(Row::Device(DeviceRow {
        device_id: step.device_id.clone(),
        first_seq: silicon.map_or(entry.seq, |row| row.first_seq),
        serial: step.serial.clone(),
        released: false,
        seq: entry.seq,
    }));
    rows.push(Row::LeaseCount(count));
    if late {
        rows.push(Row::Order(order));
    }
    rows.push(Row::Lease(LeaseRow {
        spent_seq: Some(entry.seq),
        ..row
    }));
    Ok(rows)
}

/// What makes the lease an attempt at a unit.
fn unit_rows(entry: &Entry, step: &Step, lease: &LeaseRow, before: Option<&UnitRow>) -> Vec<Row> {
    vec![
        Row::Unit(UnitRow {
            serial: step.serial.clone(),
            device_id: step.device_id.clone(),
            order: step.order.clone(),
            station: step.station.clone(),
            attempt: step.attempt,
            state: State::Issued,
            first_seq: before.map_or(entry.seq, |unit| unit.first_seq),
            issued_seq: entry.seq,
            last_seq: entry.seq,
            bundle_sha256: lease.bundle_sha256,
            certificate_sha256: lease.certificate_sha256,
            public_key_sha256: lease.public_key_sha256,
            since: entry.time,
        }),
        Row::Key(KeyRow {
            public_key_sha256: lease.public_key_sha256,
            device_id: step.device_id.clone(),
            seq: entry.seq,
        }),
        step_row(entry, step, State::Issued, before),
    ]
}

/// Ends a lease without a unit. Its password stays burnt.
pub(super) fn void<V: View>(
    view: &V,
    entry: &Entry,
    lease: &LeaseStep,
    cause: VoidCause,
    at: At,
) -> Verdict<V::Error> {
    let row = own(view, lease)?;
    let held = row.is_held();
    let late = cause == VoidCause::UnitLost && may_come_to_light(view, &row)?;
    if !held && !late {
        return refuse(over(&row));
    }
    if at == At::Now {
        may_void(view, entry, &row, cause)?;
    } else if !cause.ends_a_lease() {
        return refuse(Refused::WrongCause(cause));
    }
    let ended = LeaseRow {
        voided: Some(cause),
        voided_seq: Some(entry.seq),
        ..row.clone()
    };
    if !held {
        return Ok(vec![Row::Lease(ended)]); // its place is free since it ended
    }
    let Some(mut order) = view.order(&row.order)? else {
        return refuse(Refused::UnknownOrder(row.order));
    };
    less(&mut order.open);
    order.not_started += 1;
    order.seq = entry.seq;
    let mut count = count(view, &row.order)?;
    less(&mut count.leased);
    count.returned = count.returned.saturating_add(1);
    count.seq = entry.seq;
    Ok(vec![
        Row::LeaseCount(count),
        Row::Order(order),
        Row::Lease(ended),
    ])
}

/// Whether its holder may say, now that its time is over, that a unit got it. One that it gave back, it
/// said no unit has; and behind a later attempt the serial is somebody else's by now, whose unit
/// nobody may keep from being built, or from its rework.
fn may_come_to_light<V: View>(view: &V, row: &LeaseRow) -> Result<bool, Stop<V::Error>> {
    let unit = view.unit(&row.serial)?;
    Ok(row.has_expired() && unit.is_none_or(|unit| unit.attempt < row.attempt))
}

/// Who holds a lease ends it; when its time is over or its station is revoked, anybody does.
fn may_void<V: View>(
    view: &V,
    entry: &Entry,
    row: &LeaseRow,
    cause: VoidCause,
) -> Result<(), Stop<V::Error>> {
    match cause {
        VoidCause::LeaseReturned | VoidCause::ReplyLost | VoidCause::UnitLost => {
            enrolled(view, &row.station)
        }
        VoidCause::LeaseExpired if entry.time >= row.expires => Ok(()),
        VoidCause::LeaseExpired => {
            let (serial, expires) = (row.serial.clone(), row.expires);
            refuse(Refused::LeaseRuns { serial, expires })
        }
        VoidCause::StationRevoked => match view.station(&row.station)? {
            Some(station) if station.state == StationState::Revoked => Ok(()),
            _ => refuse(Refused::NotRevoked(row.station.clone())),
        },
        // Nobody has to come to a station for what was ended in the lost log.
        VoidCause::RecordLost => match view.recovery()? {
            Some(_) => Ok(()),
            None => refuse(Refused::Recovery("nothing was lost")),
        },
        other => refuse(Refused::WrongCause(other)),
    }
}

/// A lease that is proven to have been in the lost log burns its password, whatever else is known.
pub(super) fn burnt(seq: u64, lease: &LeaseStep, fingerprint: Fingerprint) -> Row {
    Row::Issue(IssueRow {
        fingerprint,
        serial: lease.serial.clone(),
        attempt: lease.attempt,
        seq,
    })
}

/// Nobody holds a credential for the serial whose newest lease this is.
pub(super) fn not_held<E>(lease: Option<&LeaseRow>) -> Result<(), Stop<E>> {
    match lease.filter(|row| row.is_held()) {
        None => Ok(()),
        Some(row) => refuse(held_by(row)),
    }
}

/// No unit may exist with what was leased for the serial last: there would be two of the name.
pub(super) fn no_unit_of<E>(lease: Option<&LeaseRow>) -> Result<(), Stop<E>> {
    let lost = |row: &&LeaseRow| row.spent_seq.is_none() && row.voided == Some(VoidCause::UnitLost);
    match lease.filter(lost) {
        None => Ok(()),
        Some(row) => refuse(Refused::UnitMayExist(row.serial.clone())),
    }
}

/// The key was minted for no lease.
pub(super) fn no_leased_key<V: View>(view: &V, key: &Digest) -> Result<(), Stop<V::Error>> {
    match view.leased_key(key)? {
        None => Ok(()),
        Some(serial) => refuse(Refused::LeasedKey(serial)),
    }
}

/// The number of the next try: leases count as tries, whatever became of them.
pub(super) fn next_attempt(lease: Option<&LeaseRow>, unit: Option<&UnitRow>) -> Attempt {
    let leased = lease.map(|row| row.attempt);
    let newest = leased.max(unit.map(|unit| unit.attempt));
    newest.map_or(Attempt::FIRST, Attempt::next)
}

/// The newest lease of the serial, which is the one that is spoken of.
fn own<V: View>(view: &V, lease: &LeaseStep) -> Result<LeaseRow, Stop<V::Error>> {
    let Some(row) = view.lease(&lease.serial)? else {
        return refuse(Refused::UnknownLease(lease.serial.clone()));
    };
    if row.station != lease.station {
        return refuse(held_by(&row));
    }
    if row.order != lease.order {
        let (serial, order) = (row.serial, row.order);
        return refuse(Refused::OtherOrder { serial, order });
    }
    if row.attempt != lease.attempt {
        return refuse(Refused::WrongAttempt {
            serial: row.serial,
            expected: row.attempt,
            given: lease.attempt,
        });
    }
    Ok(row)
}

fn held_by(row: &LeaseRow) -> Refused {
    Refused::Leased {
        serial: row.serial.clone(),
        station: row.station.clone(),
        expires: row.expires,
    }
}

fn over(row: &LeaseRow) -> Refused {
    Refused::LeaseOver {
        serial: row.serial.clone(),
        attempt: row.attempt,
        how: match (row.spent_seq, row.voided) {
            (None, Some(cause)) => cause.as_str(),
            _ => "spent",
        },
    }
}

fn free_key<V: View>(view: &V, key: &Digest) -> Result<(), Stop<V::Error>> {
    if let Some(device_id) = view.key(key)? {
        return refuse(Refused::KeyInUse { device_id });
    }
    no_leased_key(view, key)
}

fn count<V: View>(view: &V, order: &OrderId) -> Result<LeaseCountRow, Stop<V::Error>> {
    let row = view.lease_count(order)?;
    Ok(row.unwrap_or_else(|| LeaseCountRow::none(order.clone())))
}
