//! The gate's memory: what was drawn lately, order by order, and what the generator gave at all.
//!
//! In memory alone, bounded, wiped when dropped. A restart or a resumed line begins it anew;
//! whether the line is stopped is the ledger's to say.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use credential::{Monitor, Output, Policy, Unfit};
use traveler::OrderId;
use zeroize::Zeroizing;

/// How many of an order's newest passwords the gate compares a fresh one with.
const RECENT: usize = 8;

/// Orders that are remembered; the one that was quiet for longest is forgotten first.
const ORDERS: usize = 64;

/// What the gate remembers.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    orders: HashMap<OrderId, OfOrder>,
    output: Output,
    /// Counts the uses, to tell which order was used last.
    uses: u64,
}

struct OfOrder {
    monitor: Monitor,
    /// Folded, oldest first.
    recent: VecDeque<Zeroizing<Vec<u8>>>,
    /// Bounds the chance that the gate refuses a fair draw; measured at the order's first issue.
    chance: Option<f64>,
    used: u64,
}

impl Watch {
    /// Takes what the generator gave to one request.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn heard(&self, answer: &[u8]) -> Result<(), Unfit> {
        self.memory().output.heard(answer)
    }

    /// Takes one draw of an order, before any rule refuses it.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn drawn(
        &self,
        order: &OrderId,
        policy: &Policy,
        indices: &[u16],
    ) -> Result<(), Unfit> {
        self.memory().order(order, policy).monitor.drawn(indices)
    }

    /// Takes the gate's word on one draw of an order.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn judged(
        &self,
        order: &OrderId,
        policy: &Policy,
        refused: bool,
        chance: f64,
    ) -> Result<(), Unfit> {
        let mut memory = self.memory();
        let of_order = memory.order(order, policy);
        of_order.chance = Some(chance);
        of_order.monitor.judged(refused, chance)
    }

    /// How often at most the gate refuses a fair draw of this order, once that was measured.
    pub(crate) fn chance(&self, order: &OrderId) -> Option<f64> {
        self.memory().orders.get(order)?.chance
    }

    /// Lends the newest folded passwords of an order to `look`, oldest first.
    pub(crate) fn with_recent<T>(&self, order: &OrderId, look: impl FnOnce(&[&[u8]]) -> T) -> T {
        let memory = self.memory();
        let of_order = memory.orders.get(order).into_iter();
        let recent = of_order.flat_map(|of_order| &of_order.recent);
        let lent: Vec<&[u8]> = recent.map(|password| password.as_slice()).collect();
        look(&lent)
    }

    /// Remembers an issued password, folded.
    pub(crate) fn remember(&self, order: &OrderId, policy: &Policy, folded: Zeroizing<Vec<u8>>) {
        let mut memory = self.memory();
        let recent = &mut memory.order(order, policy).recent;
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(folded);
    }

    /// Begins anew: what another generator gave says nothing of this one.
    pub(crate) fn forget(&self) {
        *self.memory() = Memory::default();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn order(&mut self, order: &OrderId, policy: &Policy) -> &mut OfOrder {
        self.uses += 1;
        if !self.orders.contains_key(order) && self.orders.len() == ORDERS {
            let quiet = self.orders.iter().min_by_key(|(_, of_order)| of_order.used);
            if let Some(quiet) = quiet.map(|(order, _)| order.clone()) {
                self.orders.remove(&quiet);
            }
        }
        let of_order = self.orders.entry(order.clone()).or_insert_with(|| OfOrder {
            monitor: Monitor::new(policy),
            recent: VecDeque::with_capacity(RECENT),
            chance: None,
            used: 0,
        });
        of_order.used = self.uses;
        of_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: usize) -> OrderId {
        OrderId::parse(&format!("WO-{number}")).unwrap()
    }

    fn recent(watch: &Watch, number: usize) -> Vec<Vec<u8>> {
        watch.with_recent(&order(number), |recent| {
            recent.iter().map(|password| password.to_vec()).collect()
        })
    }

    #[test]
    fn the_quiet_order_is_forgotten_and_the_busy_one_is_not() {
        let policy = Policy::named(Policy::DEFAULT, None).unwrap();
        let watch = Watch::default();
        let remember = |number: usize, password: &[u8]| {
            watch.remember(&order(number), &policy, Zeroizing::new(password.to_vec()));
        };
        for number in 0..ORDERS {
            remember(number, b"A");
        }
        remember(0, b"B");
        remember(ORDERS, b"C");
        assert_eq!(recent(&watch, 0), [b"A", b"B"]);
        assert!(recent(&watch, 1).is_empty());
        assert_eq!(recent(&watch, ORDERS), [b"C"]);
        for number in 0..20 {
            remember(0, &[number]);
        }
        assert_eq!(recent(&watch, 0).len(), RECENT);
        watch.forget();
        assert!(recent(&watch, 0).is_empty());
    }
}
