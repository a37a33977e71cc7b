//! The state of the line in memory: what `verify` replays the entries into.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher, RandomState};

use traveler::{DeviceId, Digest, Fingerprint, KeyId, OrderId, Serial, Sku, StationName};

use crate::rows::{
    BlockRow, DeviceRow, IssueRow, KeyRow, LeaseCountRow, LeaseRow, LogRow, OrderRow, ProductRow,
    RecoveryRow, ReprintRow, Row, SignerName, SigningKeyRow, StationRow, StopRow, TokenRow,
    UnitRow,
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
    pub(crate) signing_keys: Rows<SigningKeyRow>,
    pub(crate) recoveries: Rows<RecoveryRow>,
    pub(crate) blocks: Rows<BlockRow>,
    pub(crate) reprints: Rows<ReprintRow>,
    newest_reprint: HashMap<Serial, u64>,
    pub(crate) leases: Rows<LeaseRow>,
    pub(crate) lease_counts: Rows<LeaseCountRow>,
    newest_lease: HashMap<Serial, u64>,
    leased_keys: HashMap<Digest, Serial>,
    held: HashMap<StationName, u32>,
    lapsed: HashMap<(OrderId, StationName), u32>,
}

/// The rows of one table, in the order in which they came to be.
pub(crate) struct Rows<T: Table> {
    places: HashMap<T::Key, u32, Seeded>,
    /// All of [`CHUNK`] rows but the last: a table that grows is not copied.
    chunks: Vec<Vec<T>>,
    length: usize,
}

/// Rows of a table that lie side by side.
const CHUNK: usize = 4_096;

impl<T: Table> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows {
            places: HashMap::default(),
            chunks: Vec::new(),
            length: 0,
        }
    }
}

impl<T: Table> Rows<T> {
    fn put(&mut self, row: T) {
        match self.places.entry(row.key()) {
            Entry::Occupied(place) => {
                let place = *place.get() as usize;
                self.chunks[place / CHUNK][place % CHUNK] = row;
            }
            Entry::Vacant(place) => {
                let next = u32::try_from(self.length);
                place.insert(next.expect("so many rows fit into no memory"));
                if self.length.is_multiple_of(CHUNK) {
                    let first = if self.length == 0 { 0 } else { CHUNK };
                    self.chunks.push(Vec::with_capacity(first)); // most tables stay small
                }
                self.chunks[self.length / CHUNK].push(row);
                self.length += 1;
            }
        }
    }

    /// Where the row with this key is among all of them.
    pub(crate) fn place(&self, key: &T::Key) -> Option<usize> {
        self.places.get(key).map(|&place| place as usize)
    }

    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        self.place(key).map(|place| self.at(place))
    }

    /// The row at a place.
    pub(crate) fn at(&self, place: usize) -> &T {
        &self.chunks[place / CHUNK][place % CHUNK]
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    pub(crate) fn into_all(self) -> Vec<T> {
        self.chunks.into_iter().flatten().collect()
    }
}

/// Makes the hashers of the tables, with a seed that nobody who writes a log knows: keys that all
/// fall on one place cannot be chosen.
#[derive(Clone)]
pub(crate) struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Seeded {
        Seeded(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

/// Folds eight bytes at a time into one number by a wide multiplication. The standard library's way
/// costs as much as all the rules: an audit looks up ten keys for every unit.
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u64(&mut self, word: u64) {
        // The fraction of the golden ratio, made odd: no word but one in 2^64 is folded to nothing.
        let wide = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = wide as u64 ^ (wide >> 64) as u64;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
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
            Row::SigningKey(row) => self.signing_keys.put(row),
            Row::Recovery(row) => self.recoveries.put(row),
            Row::Block(row) => self.blocks.put(row),
            Row::Reprint(row) => {
                self.newest_reprint.insert(row.serial.clone(), row.seq);
                self.reprints.put(row);
            }
            Row::Lease(row) => self.put_lease(row),
            Row::LeaseCount(row) => self.lease_counts.put(row),
            Row::Step(_) => {}
        }
    }

    fn put_lease(&mut self, row: LeaseRow) {
        let was = self.leases.get(&row.seq).is_some_and(LeaseRow::is_held);
        let held = self.held.entry(row.station.clone()).or_default();
        match (was, row.is_held()) {
            (false, true) => *held += 1,
            (true, false) => *held = held.saturating_sub(1),
            _ => {}
        }
        let had = self.leases.get(&row.seq).is_some_and(LeaseRow::lapsed);
        let whose = (row.order.clone(), row.station.clone());
        let lapsed = self.lapsed.entry(whose).or_default();
        match (had, row.lapsed()) {
            (false, true) => *lapsed += 1,
            (true, false) => *lapsed = lapsed.saturating_sub(1),
            _ => {}
        }
        self.newest_lease.insert(row.serial.clone(), row.seq);
        self.leased_keys
            .insert(row.public_key_sha256, row.serial.clone());
        self.leases.put(row);
    }
}

impl View for Memory {
    type Error = Infallible;

    fn fingerprint_key(&self) -> Result<Option<KeyId>, Infallible> {
        Ok(self.log.get(&0).map(|row| row.fingerprint_key))
    }

    fn product(&self, product: &Sku) -> Result<Option<Digest>, Infallible> {
        Ok(self.newest.get(product).copied())
    }

    fn order(&self, order: &OrderId) -> Result<Option<OrderRow>, Infallible> {
        Ok(self.orders.get(order).cloned())
    }

    fn station(&self, station: &StationName) -> Result<Option<StationRow>, Infallible> {
        Ok(self.stations.get(station).cloned())
    }

    fn token(&self, token_sha256: &Digest) -> Result<Option<TokenRow>, Infallible> {
        Ok(self.tokens.get(token_sha256).cloned())
    }

    fn unit(&self, serial: &Serial) -> Result<Option<UnitRow>, Infallible> {
        Ok(self.units.get(serial).cloned())
    }

    fn device(&self, device_id: &DeviceId) -> Result<Option<DeviceRow>, Infallible> {
        Ok(self.device_ids.get(device_id).cloned())
    }

    fn key(&self, public_key_sha256: &Digest) -> Result<Option<DeviceId>, Infallible> {
        Ok(self
            .keys
            .get(public_key_sha256)
            .map(|row| row.device_id.clone()))
    }

    fn fingerprint(&self, fingerprint: &Fingerprint) -> Result<bool, Infallible> {
        Ok(self.issues.place(fingerprint).is_some())
    }

    fn stop(&self) -> Result<Option<StopRow>, Infallible> {
        // Only the newest can be open: there is no second one before it has ended.
        let newest = self.stops.all().next_back();
        Ok(newest.filter(|row| row.resumed_seq.is_none()).cloned())
    }

    fn signing_key(&self, key: SignerName) -> Result<Option<SigningKeyRow>, Infallible> {
        let all = self.signing_keys.all();
        let newest = all.filter(|row| row.key == key).max_by_key(|row| row.seq);
        Ok(newest.cloned())
    }
    fn vkeys(&self) -> Result<Vec<String>, Infallible> {
        let rows = self.signing_keys.all();
        let log = rows.filter(|row| row.key == SignerName::Log);
        Ok(log.map(|row| row.public.clone()).collect())
    }

    fn recovery(&self) -> Result<Option<RecoveryRow>, Infallible> {
        let newest = self.recoveries.all().max_by_key(|row| row.seq);
        Ok(newest.cloned())
    }

    fn blocked(
        &self,
        serial: &Serial,
        device_id: Option<&DeviceId>,
    ) -> Result<Option<BlockRow>, Infallible> {
        let silicon = |row: &BlockRow| device_id.is_some() && row.device_id.as_ref() == device_id;
        let named = |row: &&BlockRow| row.serial == *serial || silicon(row);
        let rows = self.blocks.all().filter(named);
        Ok(rows.min_by_key(|row| row.seq).cloned())
    }

    fn reprint(&self, serial: &Serial) -> Result<Option<ReprintRow>, Infallible> {
        let newest = self.newest_reprint.get(serial);
        Ok(newest.and_then(|seq| self.reprints.get(seq)).cloned())
    }

    fn lease(&self, serial: &Serial) -> Result<Option<LeaseRow>, Infallible> {
        let newest = self.newest_lease.get(serial);
        Ok(newest.and_then(|seq| self.leases.get(seq)).cloned())
    }

    fn leased_key(&self, public_key_sha256: &Digest) -> Result<Option<Serial>, Infallible> {
        Ok(self.leased_keys.get(public_key_sha256).cloned())
    }

    fn held(&self, station: &StationName) -> Result<u32, Infallible> {
        Ok(self.held.get(station).copied().unwrap_or(0))
    }

    fn lapsed(&self, order: &OrderId, station: &StationName) -> Result<u32, Infallible> {
        let whose = (order.clone(), station.clone());
        Ok(self.lapsed.get(&whose).copied().unwrap_or(0))
    }

    fn lease_count(&self, order: &OrderId) -> Result<Option<LeaseCountRow>, Infallible> {
        Ok(self.lease_counts.get(order).cloned())
    }
}
