//! How much may be leased, and by which calls: what keeps a station from minting without end.

use traveler::{LEASES_HELD_MAX, Leased, StationName};

use super::super::{Stop, View, refuse};
use crate::Refused;
use crate::rows::{LeaseCountRow, LeaseRow, OrderRow, UnitRow};

/// How often an order may be leased whole and returned: every shift for a year.
const RETURNS: u32 = 1_000;

/// The station knew of every try at the serial when it asked.
///
/// A call can be read long after its station gave it up and asked again. Without this it would void
/// what the second call brought, while the station gives that to units. What a lost reply brought is
/// seen by the second call: its station looks at the log before it asks again.
pub(super) fn not_overtaken<E>(
    leased: &Leased,
    earlier: Option<&LeaseRow>,
    before: Option<&UnitRow>,
) -> Result<(), Stop<E>> {
    let Some(seen) = leased.seen else {
        return Ok(()); // of before this was asked for
    };
    let newest = earlier.map(|row| row.seq);
    let newest = newest.max(before.map(|unit| unit.issued_seq));
    match newest.filter(|seq| *seq >= seen) {
        None => Ok(()),
        Some(_) => refuse(Refused::Overtaken(leased.lease.serial.clone())),
    }
}

/// Who steals a station has no more than this.
pub(super) fn few_held<V: View>(view: &V, station: &StationName) -> Result<(), Stop<V::Error>> {
    let held = view.held(station)?;
    if held >= LEASES_HELD_MAX {
        let station = station.clone();
        return refuse(Refused::LeasesHeld { station, held });
    }
    Ok(())
}

/// A station whose leases keep ending without a unit, and without a word of it, would mint without end
/// what nobody can account for.
///
/// Each station has its own bound: what one lets lapse keeps no other from leasing.
///
/// What its holder gave back in time is accounted for: that no unit has it is the holder's word, on
/// record. So a bench that leases for each night and returns each morning never gets there. A rogue one
/// that leases and returns as fast as it can does, at [`RETURNS`].
pub(super) fn few_lapsed<V: View>(
    view: &V,
    station: &StationName,
    count: &LeaseCountRow,
    order: &OrderRow,
) -> Result<(), Stop<V::Error>> {
    let most = order.quantity.saturating_add(order.allowance);
    if count.returned <= most {
        return Ok(()); // whatever ended them
    }
    let no = |returned, most| {
        let order = count.order.clone();
        refuse(Refused::LeasesReturned {
            order,
            returned,
            most,
        })
    };
    let all = most.saturating_mul(RETURNS);
    if count.returned > all {
        return no(count.returned, all);
    }
    match view.lapsed(&count.order, station)? {
        lapsed if lapsed > most => no(lapsed, most),
        _ => Ok(()),
    }
}
