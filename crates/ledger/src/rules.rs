//! The rules of the line: may this event follow all that came before, and what does it change?
//!
//! Pure. The same function stands in the transaction that writes, over SQL, and in `audit
//! verify`, over memory: an entry that the rules refuse cannot be written, and one that was
//! forced into the file cannot be verified. Deliberately absent: I/O, clocks, and any knowledge
//! of which of the two views it is asked over.

mod lease;
mod place;
mod recovered;
mod reprint;
mod rotation;
mod unit;

use traveler::{
    DeviceId, Digest, Entry, Event, Fingerprint, KeyId, OrderId, Serial, Sku, State, StationName,
};

use crate::Refused;
use crate::rows::{
    BlockRow, DeviceRow, LeaseCountRow, LeaseRow, LogRow, OrderRow, ProductRow, RecoveryRow,
    ReprintRow, Row, SignerName, SigningKeyRow, StationRow, StationState, StopRow, TokenRow,
    UnitRow,
};

/// All that the rules may know about the past.
pub(crate) trait View {
    /// How looking fails.
    type Error;

    fn fingerprint_key(&self) -> Result<Option<KeyId>, Self::Error>;
    /// Digest of the newest definition.
    fn product(&self, product: &Sku) -> Result<Option<Digest>, Self::Error>;
    fn order(&self, order: &OrderId) -> Result<Option<OrderRow>, Self::Error>;
    fn station(&self, station: &StationName) -> Result<Option<StationRow>, Self::Error>;
    fn token(&self, token_sha256: &Digest) -> Result<Option<TokenRow>, Self::Error>;
    fn unit(&self, serial: &Serial) -> Result<Option<UnitRow>, Self::Error>;
    fn device(&self, device_id: &DeviceId) -> Result<Option<DeviceRow>, Self::Error>;
    /// The silicon a public key was first seen on.
    fn key(&self, public_key_sha256: &Digest) -> Result<Option<DeviceId>, Self::Error>;
    /// Whether the fingerprint was ever recorded.
    fn fingerprint(&self, fingerprint: &Fingerprint) -> Result<bool, Self::Error>;
    /// The stop that nobody has ended.
    fn stop(&self) -> Result<Option<StopRow>, Self::Error>;
    /// The key in force.
    fn signing_key(&self, key: SignerName) -> Result<Option<SigningKeyRow>, Self::Error>;
    /// Every verifier key that the log has had, the oldest first.
    fn vkeys(&self) -> Result<Vec<String>, Self::Error>;
    /// The newest recovery.
    fn recovery(&self) -> Result<Option<RecoveryRow>, Self::Error>;
    /// The first block of the serial or of the silicon.
    fn blocked(
        &self,
        serial: &Serial,
        device_id: Option<&DeviceId>,
    ) -> Result<Option<BlockRow>, Self::Error>;
    /// The newest reprint of a serial's label, whichever attempt's.
    fn reprint(&self, serial: &Serial) -> Result<Option<ReprintRow>, Self::Error>;
    /// The newest lease of a serial, whatever became of it.
    fn lease(&self, serial: &Serial) -> Result<Option<LeaseRow>, Self::Error>;
    /// The serial that a public key was leased for, whatever became of the lease.
    fn leased_key(&self, public_key_sha256: &Digest) -> Result<Option<Serial>, Self::Error>;
    /// How many leases a station holds.
    fn held(&self, station: &StationName) -> Result<u32, Self::Error>;
    /// How many leases that a station had of an order ended without a unit and without being given
    /// back.
    fn lapsed(&self, order: &OrderId, station: &StationName) -> Result<u32, Self::Error>;
    /// What an order's leases add up to; none when it never had one.
    fn lease_count(&self, order: &OrderId) -> Result<Option<LeaseCountRow>, Self::Error>;
}

/// When a step was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum At {
    /// Just now, by whoever may.
    Now,
    /// In the log that was lost: it was judged then, and its proof was judged now. Who may work
    /// today, and whether the line runs, is no question; what is unique and what adds up is.
    Before,
}

/// Why there are no rows.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// A rule says no.
    Refused(Refused),
    /// The view could not be read.
    View(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Stop<E> {
        Stop::View(error)
    }
}

/// The rows an event makes, or why it may not happen.
pub(crate) type Verdict<E> = Result<Vec<Row>, Stop<E>>;

/// Decides about one entry at its place in the log.
pub(crate) fn admit<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let opens = matches!(entry.event, Event::LogOpened { .. });
    if opens != (entry.seq == 0) {
        return refuse(Refused::LogOpening);
    }
    match &entry.event {
        Event::LogOpened {
            origin,
            vkey,
            fingerprint_key,
            device_root_sha256,
            site_root_sha256,
            ..
        } => {
            let log = Row::Log(LogRow {
                origin: origin.clone(),
                vkey: vkey.clone(),
                fingerprint_key: *fingerprint_key,
                device_root_sha256: *device_root_sha256,
                site_root_sha256: *site_root_sha256,
            });
            Ok([vec![log], rotation::first(&entry.event)].concat())
        }
        Event::ProductApplied { .. } => apply_product(entry),
        Event::OrderCreated { .. } => create_order(view, entry),
        Event::OrderClosed { order, .. } => close_order(view, entry.seq, order),
        Event::StationInvited { .. } => invite(view, entry),
        Event::StationEnrolled { .. } => enrol(view, entry),
        Event::StationRevoked { station, .. } => {
            let row = usable(view, station)?;
            Ok(vec![Row::Station(StationRow {
                state: StationState::Revoked,
                seq: entry.seq,
                ..row
            })])
        }
        Event::LineStopped { .. } => stop_line(view, entry),
        Event::LineResumed { stopped_seq, .. } => match view.stop()? {
            Some(row) if row.seq == *stopped_seq => Ok(vec![Row::Stop(StopRow {
                resumed_seq: Some(entry.seq),
                ..row
            })]),
            _ => refuse(Refused::NotStopped(*stopped_seq)),
        },
        Event::LogKeyRotated { .. } => rotation::log_key(view, entry),
        Event::IssuingKeyRotated { .. } => rotation::issuing_key(view, entry),
        Event::LogRecovered(recovered) => recovered::log(entry.seq, recovered),
        Event::Recovered(recovered) => recovered::entry(view, entry.seq, recovered),
        Event::SerialBlocked(blocked) => recovered::block(view, entry.seq, blocked),
        Event::Issued(issued) => unit::issue(view, entry, issued, At::Now),
        Event::Reprinted { .. } => reprint::label(view, entry, At::Now),
        Event::Leased(leased) => lease::lease(view, entry, leased, At::Now),
        Event::Spent(spent) => lease::spend(view, entry, spent, At::Now),
        Event::LeaseVoided { lease, cause } => lease::void(view, entry, lease, *cause, At::Now),
        event => match event.step() {
            Some((step, state)) => unit::follow(view, entry, step, state, At::Now),
            None => refuse(Refused::Empty),
        },
    }
}

/// Decides about a change as a whole, before its entries are decided about one by one.
pub(crate) fn admit_change<V: View>(view: &V, events: &[Event]) -> Result<(), Stop<V::Error>> {
    match events {
        [] => refuse(Refused::Empty),
        events => unit::may_remint(view, events),
    }
}

fn apply_product<E>(entry: &Entry) -> Verdict<E> {
    let Event::ProductApplied {
        product,
        product_sha256,
        definition,
        ..
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    if sha256(definition.as_bytes()) != *product_sha256 {
        return refuse(Refused::DefinitionDigest(product.clone()));
    }
    Ok(vec![Row::Product(ProductRow {
        product: product.clone(),
        product_sha256: *product_sha256,
        definition: definition.clone(),
        seq: entry.seq,
    })])
}

fn create_order<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::OrderCreated {
        order,
        product,
        product_sha256,
        quantity,
        allowance,
        ..
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    if view.order(order)?.is_some() {
        return refuse(Refused::OrderExists(order.clone()));
    }
    match view.product(product)? {
        None => return refuse(Refused::UnknownProduct(product.clone())),
        Some(newest) if newest != *product_sha256 => {
            return refuse(Refused::ProductChanged(product.clone()));
        }
        Some(_) => {}
    }
    if *quantity == 0 {
        return refuse(Refused::NoQuantity(order.clone()));
    }
    Ok(vec![Row::Order(OrderRow {
        order: order.clone(),
        product: product.clone(),
        product_sha256: *product_sha256,
        quantity: *quantity,
        allowance: *allowance,
        closed: false,
        sealed: 0,
        scrapped: 0,
        open: 0,
        not_started: *quantity,
        voided: 0,
        reworked: 0,
        seq: entry.seq,
    })])
}

fn close_order<V: View>(view: &V, seq: u64, order: &OrderId) -> Verdict<V::Error> {
    let row = open_order(view, order)?;
    if row.open > 0 {
        return refuse(Refused::UnitsOpen {
            order: order.clone(),
            open: row.open,
        });
    }
    Ok(vec![Row::Order(OrderRow {
        closed: true,
        seq,
        ..row
    })])
}

/// A token for a station that is new, or for one that lost its key. The newest token counts:
/// one that was forgotten in a drawer cannot replace a station's certificate later.
fn invite<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::StationInvited {
        station,
        token_sha256,
        expires,
        ..
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    if view.token(token_sha256)?.is_some() {
        return refuse(Refused::TokenRepeated(station.clone()));
    }
    let (state, certificate_sha256) = match view.station(station)? {
        None => (StationState::Invited, None),
        Some(row) if row.state == StationState::Revoked => {
            return refuse(Refused::StationRevoked(station.clone()));
        }
        Some(row) => (row.state, row.certificate_sha256),
    };
    let token = TokenRow {
        token_sha256: *token_sha256,
        station: station.clone(),
        expires: *expires,
        used: false,
        seq: entry.seq,
    };
    let row = StationRow {
        station: station.clone(),
        state,
        certificate_sha256,
        token_sha256: *token_sha256,
        seq: entry.seq,
    };
    Ok(vec![Row::Token(token), Row::Station(row)])
}

fn enrol<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::StationEnrolled {
        station,
        token_sha256,
        certificate_sha256,
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    let row = usable(view, station)?;
    let token = match view.token(token_sha256)? {
        Some(token) if token.station == *station => token,
        _ => return refuse(Refused::TokenUnknown(station.clone())),
    };
    if token.used || row.token_sha256 != *token_sha256 {
        return refuse(Refused::TokenSpent(station.clone()));
    }
    if entry.time >= token.expires {
        return refuse(Refused::TokenExpired {
            station: station.clone(),
            expires: token.expires,
        });
    }
    let row = StationRow {
        state: StationState::Enrolled,
        certificate_sha256: Some(*certificate_sha256),
        seq: entry.seq,
        ..row
    };
    Ok(vec![
        Row::Token(TokenRow {
            used: true,
            seq: entry.seq,
            ..token
        }),
        Row::Station(row),
    ])
}

/// The generator is the server's, so one stop holds for every order until it is ended.
fn stop_line<V: View>(view: &V, entry: &Entry) -> Verdict<V::Error> {
    let Event::LineStopped {
        order,
        clause,
        detector,
        evidence,
        ..
    } = &entry.event
    else {
        return refuse(Refused::Empty);
    };
    running(view)?;
    if view.order(order)?.is_none() {
        return refuse(Refused::UnknownOrder(order.clone()));
    }
    Ok(vec![Row::Stop(StopRow {
        seq: entry.seq,
        order: order.clone(),
        clause: clause.clone(),
        detector: detector.clone(),
        evidence: evidence.clone(),
        since: entry.time,
        resumed_seq: None,
    })])
}

/// The line is not stopped.
fn running<V: View>(view: &V) -> Result<(), Stop<V::Error>> {
    match view.stop()? {
        None => Ok(()),
        Some(row) => refuse(Refused::LineStopped {
            seq: row.seq,
            order: row.order,
            clause: row.clause,
            detector: row.detector,
            since: row.since,
        }),
    }
}

/// The order, which exists and takes units.
fn open_order<V: View>(view: &V, order: &OrderId) -> Result<OrderRow, Stop<V::Error>> {
    match view.order(order)? {
        None => refuse(Refused::UnknownOrder(order.clone())),
        Some(row) if row.closed => refuse(Refused::OrderClosed(order.clone())),
        Some(row) => Ok(row),
    }
}

/// The station, which exists and is not revoked.
fn usable<V: View>(view: &V, station: &StationName) -> Result<StationRow, Stop<V::Error>> {
    match view.station(station)? {
        None => refuse(Refused::UnknownStation(station.clone())),
        Some(row) if row.state == StationState::Revoked => {
            refuse(Refused::StationRevoked(station.clone()))
        }
        Some(row) => Ok(row),
    }
}

/// Whether one person, or nobody, would break a seal: it takes two, whichever way.
fn alone(state: State, by: &[String]) -> bool {
    state == State::Sealed && by.iter().all(|person| Some(person) == by.first())
}

fn refuse<T, E>(refused: Refused) -> Result<T, Stop<E>> {
    Err(Stop::Refused(refused))
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Digest(digest)
}
