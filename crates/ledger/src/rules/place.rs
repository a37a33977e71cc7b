//! The places of an order: who takes one, moves it on and gives it back. Ordered is what is sealed,
//! scrapped, open and not started, always.

use traveler::State;

use super::{Stop, refuse};
use crate::Refused;
use crate::rows::{OrderRow, UnitRow};

/// Counts the attempt as open. A unit in rework holds its place already.
pub(super) fn take_place<E>(order: &mut OrderRow, before: Option<&UnitRow>) -> Result<(), Stop<E>> {
    within_allowance(order)?;
    if before.is_some_and(|unit| unit.state == State::Rework) {
        return Ok(());
    }
    take_free_place(order)?;
    order.open += 1;
    Ok(())
}

/// Few enough attempts were withdrawn or redone.
pub(super) fn within_allowance<E>(order: &OrderRow) -> Result<(), Stop<E>> {
    if u64::from(order.voided) + u64::from(order.reworked) > u64::from(order.allowance) {
        return refuse(Refused::AllowanceSpent {
            order: order.order.clone(),
            allowance: order.allowance,
            voided: order.voided,
            reworked: order.reworked,
        });
    }
    Ok(())
}

/// Moves the unit's place from where it stood to where the step leads.
pub(super) fn move_place<E>(order: &mut OrderRow, from: State, to: State) -> Result<(), Stop<E>> {
    match from {
        State::Issued | State::Loaded | State::Rework => less(&mut order.open),
        State::Sealed => less(&mut order.sealed),
        State::Voided => take_free_place(order)?,
        State::Scrapped => less(&mut order.scrapped),
    }
    match to {
        State::Issued | State::Loaded => order.open += 1,
        State::Sealed => order.sealed += 1,
        State::Scrapped => order.scrapped += 1,
        State::Voided => {
            order.not_started += 1;
            order.voided += 1;
        }
        State::Rework => {
            order.open += 1;
            order.reworked += 1;
        }
    }
    Ok(())
}

/// A count of an altered row may be 0 here; the sum is then wrong and the database refuses it.
pub(super) fn less(count: &mut u32) {
    *count = count.saturating_sub(1);
}

pub(super) fn take_free_place<E>(order: &mut OrderRow) -> Result<(), Stop<E>> {
    match order.not_started.checked_sub(1) {
        Some(left) => {
            order.not_started = left;
            Ok(())
        }
        None => {
            let quantity = order.quantity;
            refuse(Refused::QuotaSpent {
                order: order.order.clone(),
                quantity,
            })
        }
    }
}
