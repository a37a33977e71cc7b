//! What the entries of an exported folder add up to.

use std::path::Path;

use tlog::VerifierKey;
use traveler::OrderId;

use super::walk;
use crate::findings::Report;
use crate::memory::Memory;
use crate::rows::{LeaseCountRow, OrderRow, UnitRow};
use crate::{Audit, Error};

/// What the entries of an exported folder add up to, by name, when the whole of it is good.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Every order.
    pub orders: Vec<OrderRow>,
    /// Every unit at its newest attempt.
    pub units: Vec<UnitRow>,
    /// What the leases of each order that had some add up to.
    pub lease_counts: Vec<LeaseCountRow>,
}

impl Holdings {
    /// What an order's leases add up to.
    #[must_use]
    pub fn lease_count(&self, order: &OrderId) -> LeaseCountRow {
        let mut rows = self.lease_counts.iter();
        let row = rows.find(|row| row.order == *order);
        row.map_or_else(|| LeaseCountRow::none(order.clone()), Clone::clone)
    }
}

/// Verifies an exported folder whole and says what its entries add up to.
///
/// # Errors
/// Those of [`crate::verify_bundle`].
pub fn holdings(
    dir: &Path,
    vkey: &VerifierKey,
    audit: &Audit<'_>,
) -> Result<(Report, Holdings), Error> {
    let mut replay = walk(dir, vkey, audit)?;
    let Memory {
        orders,
        units,
        lease_counts,
        ..
    } = std::mem::take(&mut replay.memory);
    let mut orders: Vec<OrderRow> = orders.into_all();
    let mut units: Vec<UnitRow> = units.into_all();
    orders.sort_by(|a, b| a.order.cmp(&b.order));
    units.sort_by(|a, b| a.serial.cmp(&b.serial));
    let holdings = Holdings {
        orders,
        units,
        lease_counts: lease_counts.into_all(),
    };
    Ok((replay.report(), holdings))
}
