//! What is lost for good: the log held against all that is remembered and all that is proven.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ledger::Reader;
use tlog::Checkpoint;
use traveler::{
    Blocked, DeviceId, Digest, Entry, Event, LostCheckpoint, OrderId, Recovered, Serial,
};

use super::journal::Journal;
use crate::site::Site;

/// A checkpoint, and who remembers it.
pub(super) struct Remembered {
    pub(super) by: String,
    pub(super) note: String,
    pub(super) seen: Checkpoint,
}

/// What is to be put on record.
pub(super) struct Loss {
    pub(super) kept: u64,
    pub(super) remembered: u64,
    pub(super) token_mark: Option<u64>,
    /// Checkpoints that no entry names as lost yet.
    pub(super) unnamed: Vec<LostCheckpoint>,
    /// The note of the longest of them.
    pub(super) note: Option<String>,
    /// Whether the gap, or somebody who remembers it, is not on record yet.
    pub(super) unsaid: bool,
    /// Lost entries about units, in their order.
    pub(super) units: Vec<Recovered>,
    /// Attempts that a station had under way and cannot prove.
    pub(super) unproven: BTreeMap<Serial, Blocked>,
    /// Orders of such units that the log does not know, with what they built.
    pub(super) orders: BTreeMap<OrderId, String>,
}

impl Loss {
    /// Holds the log against all that is remembered and proven.
    pub(super) fn of(
        site: &Site,
        remembered: &[Remembered],
        (mark, marked): (u64, bool),
        journals: &[Journal],
    ) -> Result<Loss> {
        let reader = Reader::open(&site.ledger())?;
        let size = reader.size()?;
        let mut kept = size;
        let mut most = if marked { size } else { mark };
        let mut unnamed: Vec<LostCheckpoint> = Vec::new();
        let mut longest: Option<&Remembered> = None;
        for one in remembered {
            let root = reader.root_at(one.seen.size)?;
            if root == Some(one.seen.root) {
                continue;
            }
            if root.is_some() {
                // Of a history that parted before: at the recovery before it, if there was one.
                let parted = reader.recoveries()?.into_iter().map(|row| row.kept);
                let parted = parted.filter(|kept| *kept < one.seen.size).max();
                kept = kept.min(parted.unwrap_or(one.seen.size - 1));
            }
            most = most.max(one.seen.size);
            if reader.recovery_of(&one.seen)?.is_some() {
                continue;
            }
            let lost = LostCheckpoint {
                size: one.seen.size,
                root: Digest(one.seen.root),
                by: one.by.clone(),
            };
            if unnamed
                .iter()
                .all(|other| (other.size, other.root) != (lost.size, lost.root))
            {
                unnamed.push(lost);
            }
            if longest.is_none_or(|longest| longest.seen.size < one.seen.size) {
                longest = Some(one);
            }
        }
        let units = lost_units(&reader, journals, &mut kept, &mut most)?;
        let orders = unknown_orders(&reader, &units)?;
        let unproven = unproven(&reader, journals)?;
        Ok(Loss {
            kept,
            remembered: most,
            token_mark: (mark > 0).then_some(mark),
            unsaid: !unnamed.is_empty() || !marked,
            unnamed,
            note: longest.map(|one| one.note.clone()),
            units,
            unproven,
            orders,
        })
    }

    /// Whether the log is whole for everybody.
    pub(super) fn is_none(&self) -> bool {
        !self.unsaid && self.units.is_empty() && self.unproven.is_empty()
    }

    /// Entries that are lost.
    pub(super) fn lost(&self) -> u64 {
        self.remembered.saturating_sub(self.kept)
    }

    /// What somebody has to type.
    pub(super) fn statement(&self) -> String {
        format!("{} of {} entries are lost", self.lost(), self.remembered)
    }

    /// The serials among them that were leased and met no unit, as far as anybody proves.
    pub(super) fn leases(&self) -> BTreeSet<Serial> {
        let mut leased = BTreeSet::new();
        for event in self.units.iter().map(|one| &one.entry.event) {
            match event {
                Event::Leased(of) => drop(leased.insert(of.lease.serial.clone())),
                event => drop(event.serial().map(|serial| leased.remove(serial))),
            }
        }
        leased
    }

    /// Serials that stations prove.
    pub(super) fn serials(&self) -> BTreeSet<Serial> {
        let serials = self.units.iter().filter_map(|one| one.entry.event.serial());
        serials.cloned().collect()
    }
}

/// Proven entries about units that the log has not, in their order.
fn lost_units(
    reader: &Reader,
    journals: &[Journal],
    kept: &mut u64,
    most: &mut u64,
) -> Result<Vec<Recovered>> {
    let mut units: BTreeMap<u64, Vec<Recovered>> = BTreeMap::new();
    for journal in journals {
        for (seq, one) in &journal.proven {
            // One that was written again before is proven by what it repeats, not by itself.
            let again = matches!(one.entry.event, Event::Recovered(_));
            let event = &one.entry.event;
            let Some(serial) = event.serial().filter(|_| !again) else {
                continue;
            };
            let device_id = event.step().map(|(step, _)| &step.device_id);
            let own = reader.entry(*seq)?;
            if own.as_ref() == Some(&one.entry.to_bytes()) {
                continue;
            }
            *most = (*most).max(seq + 1);
            if own.is_some() && reader.recoveries()?.is_empty() {
                *kept = (*kept).min(*seq);
            }
            if has(reader, serial, event.happened())? || is_held(reader, serial, device_id)? {
                continue;
            }
            let same = units.entry(*seq).or_default();
            if same.iter().all(|other| *other.entry != one.entry) {
                same.push(Recovered {
                    entry: Box::new(one.entry.clone()),
                    proof: one.proof.clone(),
                    from: journal.station.clone(),
                });
            }
        }
    }
    Ok(units.into_values().flatten().collect())
}

/// Whether the log has this step of the unit or lease, in its old place or written again.
fn has(reader: &Reader, serial: &Serial, event: &Event) -> Result<bool> {
    let traveler = reader.traveler(serial)?;
    let mut own = traveler
        .iter()
        .filter_map(|bytes| Entry::from_bytes(bytes).ok());
    Ok(own.any(|entry| entry.event.happened() == event))
}

/// Whether the rules refused this unit before, and it is blocked with its silicon; a lease has none.
fn is_held(reader: &Reader, serial: &Serial, device_id: Option<&DeviceId>) -> Result<bool> {
    let blocks = reader.blocks(serial)?;
    Ok(blocks
        .iter()
        .any(|block| block.device_id.as_ref() == device_id))
}

fn unknown_orders(reader: &Reader, units: &[Recovered]) -> Result<BTreeMap<OrderId, String>> {
    let mut orders = BTreeMap::new();
    for one in units {
        let (order, product, product_sha256) = match &one.entry.event {
            Event::Issued(it) => (&it.step.order, &it.product, &it.product_sha256),
            Event::Leased(it) => (&it.lease.order, &it.product, &it.product_sha256),
            _ => continue,
        };
        if reader.order(order)?.is_none() {
            let built = format!("{product} of sha256 {product_sha256}");
            orders.insert(order.clone(), built);
        }
    }
    Ok(orders)
}

/// Attempts under way that neither the log nor any proof knows: the unit may hold a secret.
fn unproven(reader: &Reader, journals: &[Journal]) -> Result<BTreeMap<Serial, Blocked>> {
    let mut blocked = BTreeMap::new();
    for journal in journals {
        for open in &journal.open {
            // An intent alone: no reply came, so no unit holds anything of it.
            let Some(issued) = &open.issued else { continue };
            let attempt = issued.attempt;
            let unit = reader.unit(&open.serial)?.map(|row| row.attempt);
            // A lease of the log that met a unit since: its station reports it when it is back.
            let lease = reader.lease(&open.serial)?.map(|row| row.attempt);
            let known = unit.max(lease) >= Some(attempt);
            let proven = journal.proves_issue(&open.serial, attempt);
            if known || proven || !reader.blocks(&open.serial)?.is_empty() {
                continue;
            }
            let why = format!(
                "attempt {attempt} was under way at station {} and is in no record",
                journal.station
            );
            let block = Blocked {
                serial: open.serial.clone(),
                device_id: Some(open.device_id.clone()),
                reason: why,
                by: Vec::new(),
                evidence: None,
            };
            blocked.insert(open.serial.clone(), block);
        }
    }
    Ok(blocked)
}
