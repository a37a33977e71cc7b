//! Rows that the rules ask for at nearly every change, kept near: which key fingerprints, whether the
//! line is stopped, the orders and stations that are at work, and the units under way.
//!
//! The one process that may write keeps them, and only as long as nobody else does: what it holds is
//! what the running transaction would read. **A crash** loses nothing, because nothing is only here:
//! an order's counts are written once for each batch, in its transaction, before it is signed. After
//! a batch that failed, or when somebody else wrote to the file, all of it is forgotten.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use rusqlite::Connection;
use traveler::{KeyId, OrderId, Serial, State, StationName};

use crate::Error;
use crate::rows::{OrderRow, Row, StationRow, StopRow, UnitRow};
use crate::table::Table;

/// Rows of one table that are kept: 4,096 units are under way on no line there is, and take 2 MB.
const MOST: usize = 4_096;

/// The rows that are near.
#[derive(Default)]
pub(crate) struct Near {
    pub(crate) fingerprint_key: Cell<Option<KeyId>>,
    /// Whether the line is stopped, once that was asked.
    pub(crate) stop: RefCell<Option<Option<StopRow>>>,
    /// Whether there is any lease, once that was asked: every issue asks for one by serial and key.
    pub(crate) leases: Cell<Option<bool>>,
    orders: Shelf<OrderId, OrderRow>,
    pub(crate) stations: Shelf<StationName, StationRow>,
    pub(crate) units: Shelf<Serial, UnitRow>,
    /// Orders that the running transaction has changed and not written.
    unwritten: RefCell<BTreeMap<OrderId, OrderRow>>,
}

/// Rows of one table by their keys.
pub(crate) struct Shelf<K, T>(RefCell<HashMap<K, T>>);

impl<K, T> Default for Shelf<K, T> {
    fn default() -> Shelf<K, T> {
        Shelf(RefCell::default())
    }
}

impl<K: Eq + Hash + Clone, T: Clone> Shelf<K, T> {
    /// The row that is near, or the one that `find` finds, which is near from then on.
    pub(crate) fn get(
        &self,
        key: &K,
        find: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(row) = self.0.borrow().get(key) {
            return Ok(Some(row.clone()));
        }
        let found = find()?;
        if let Some(row) = &found {
            self.put(key, row);
        }
        Ok(found)
    }

    fn put(&self, key: &K, row: &T) {
        let mut rows = self.0.borrow_mut();
        if rows.len() >= MOST {
            rows.clear();
        }
        rows.insert(key.clone(), row.clone());
    }

    fn forget(&self, key: &K) {
        self.0.borrow_mut().remove(key);
    }

    fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Near {
    /// An order as the running transaction leaves it, or the one that `find` finds.
    pub(crate) fn order(
        &self,
        order: &OrderId,
        find: impl FnOnce() -> Result<Option<OrderRow>, Error>,
    ) -> Result<Option<OrderRow>, Error> {
        if let Some(row) = self.unwritten.borrow().get(order) {
            return Ok(Some(row.clone()));
        }
        self.orders.get(order, find)
    }

    /// Takes up a row that the running transaction makes or replaces. True when it is written by
    /// [`Near::write`], false when the caller writes it.
    pub(crate) fn take(&self, row: &Row) -> bool {
        match row {
            Row::Log(row) => self.fingerprint_key.set(Some(row.fingerprint_key)),
            Row::Order(row) => {
                let order = row.order.clone();
                self.unwritten.borrow_mut().insert(order, row.clone());
                return true;
            }
            Row::Lease(_) => self.leases.set(Some(true)),
            Row::Station(row) => self.stations.put(&row.station, row),
            // A unit that is done is asked for again days later, if ever.
            Row::Unit(row) if matches!(row.state, State::Sealed | State::Scrapped) => {
                self.units.forget(&row.serial);
            }
            Row::Unit(row) => self.units.put(&row.serial, row),
            Row::Stop(row) => {
                let open = row.resumed_seq.is_none().then(|| row.clone());
                *self.stop.borrow_mut() = Some(open);
            }
            _ => {}
        }
        false
    }

    /// Writes what waits to be written: before the batch is signed, and before there is a place to
    /// go back to.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Error> {
        let unwritten = std::mem::take(&mut *self.unwritten.borrow_mut());
        for (order, row) in &unwritten {
            row.put(connection)?;
            self.orders.put(order, row);
        }
        Ok(())
    }

    /// Forgets everything: the next question is put to the tables.
    pub(crate) fn clear(&self) {
        self.fingerprint_key.set(None);
        *self.stop.borrow_mut() = None;
        self.leases.set(None);
        self.orders.clear();
        self.stations.clear();
        self.units.clear();
        self.unwritten.borrow_mut().clear();
    }
}
