//! The state of the line in memory: what `verify` replays the entries into.

use std::collections::HashMap;
use std::convert::Infallible;

use traveler::{DeviceId, Digest, Fingerprint, KeyId, OrderId, Serial, Sku, StationName};

use crate::rows::{
    BlockRow, DeviceRow, IssueRow, KeyRow, LogRow, OrderRow, ProductRow, RecoveryRow, Row,
    StationRow, StopRow, TokenRow, UnitRow,
};
use crate::rules::View;
use crate::table::Table;

/// Rows by their keys. Steps are left out: they are one per entry and checked as they pass.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) log: Rows<LogRow>,
    pub(crate) products: Rows<ProductRow>,
    newest: HashMap<Sku, Digest>,
    pub(crate) orders: Rows<OrderRow>,
    pub(crate) stations: Rows<StationRow>,
    pub(crate) tokens: Rows<TokenRow>,
    pub(crate) units: Rows<UnitRow>,
    pub(crate) device_ids: Rows<DeviceRow>,
    pub(crate) keys: Rows<KeyRow>,
    pub(crate) issues: Rows<IssueRow>,
    pub(crate) stops: Rows<StopRow>,
    pub(crate) recoveries: Rows<RecoveryRow>,
    pub(crate) blocks: Rows<BlockRow>,
}

/// The rows of one table.
pub(crate) struct Rows<T: Table>(pub(crate) HashMap<T::Key, T>);

impl<T: Table> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows(HashMap::new())
    }
}

impl<T: Table> Rows<T> {
    fn put(&mut self, row: T) {
        self.0.insert(row.key(), row);
    }
}

impl Memory {
    /// Makes or replaces a row.
    pub(crate) fn put(&mut self, row: Row) {
        match row {
            Row::Log(row) => self.log.put(row),
            Row::Product(row) => {
                self.newest.insert(row.product.clone(), row.product_sha256);
                self.products.put(row);
            }
            Row::Order(row) => self.orders.put(row),
            Row::Station(row) => self.stations.put(row),
            Row::Token(row) => self.tokens.put(row),
            Row::Unit(row) => self.units.put(row),
            Row::Device(row) => self.device_ids.put(row),
            Row::Key(row) => self.keys.put(row),
            Row::Issue(row) => self.issues.put(row),
            Row::Stop(row) => self.stops.put(row),
            Row::Recovery(row) => self.recoveries.put(row),
            Row::Block(row) => self.blocks.put(row),
            Row::Step(_) => {}
        }
    }
}

impl View for Memory {
    type Error = Infallible;

    fn fingerprint_key(&self) -> Result<Option<KeyId>, Infallible> {
        Ok(self.log.0.get(&0).map(|row| row.fingerprint_key))
    }

    fn product(&self, product: &Sku) -> Result<Option<Digest>, Infallible> {
        Ok(self.newest.get(product).copied())
    }

    fn order(&self, order: &OrderId) -> Result<Option<OrderRow>, Infallible> {
        Ok(self.orders.0.get(order).cloned())
    }

    fn station(&self, station: &StationName) -> Result<Option<StationRow>, Infallible> {
        Ok(self.stations.0.get(station).cloned())
    }

    fn token(&self, token_sha256: &Digest) -> Result<Option<TokenRow>, Infallible> {
        Ok(self.tokens.0.get(token_sha256).cloned())
    }

    fn unit(&self, serial: &Serial) -> Result<Option<UnitRow>, Infallible> {
        Ok(self.units.0.get(serial).cloned())
    }

    fn device(&self, device_id: &DeviceId) -> Result<Option<DeviceRow>, Infallible> {
        Ok(self.device_ids.0.get(device_id).cloned())
    }

    fn key(&self, public_key_sha256: &Digest) -> Result<Option<DeviceId>, Infallible> {
        Ok(self
            .keys
            .0
            .get(public_key_sha256)
            .map(|row| row.device_id.clone()))
    }

    fn fingerprint(&self, fingerprint: &Fingerprint) -> Result<bool, Infallible> {
        Ok(self.issues.0.contains_key(fingerprint))
    }

    fn stop(&self) -> Result<Option<StopRow>, Infallible> {
        let mut stops = self.stops.0.values();
        Ok(stops.find(|row| row.resumed_seq.is_none()).cloned())
    }
    fn vkey(&self) -> Result<Option<String>, Infallible> {
        Ok(self.log.0.get(&0).map(|row| row.vkey.clone()))
    }

    fn recovery(&self) -> Result<Option<RecoveryRow>, Infallible> {
        let newest = self.recoveries.0.values().max_by_key(|row| row.seq);
        Ok(newest.cloned())
    }

    fn blocked(
        &self,
        serial: &Serial,
        device_id: &DeviceId,
    ) -> Result<Option<BlockRow>, Infallible> {
        let named =
            |row: &&BlockRow| row.serial == *serial || row.device_id.as_ref() == Some(device_id);
        let rows = self.blocks.0.values().filter(named);
        Ok(rows.min_by_key(|row| row.seq).cloned())
    }
}
