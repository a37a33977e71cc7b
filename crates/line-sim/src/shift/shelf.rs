//! From the shelf into a slot: what the person at the bench begins, and when not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::operator::{ANSWER, LOOK, Later, Operator, TICK, serial};
use super::trouble::Trouble;
use crate::demo;

/// From a unit's power to its first word, as long as a small one takes.
const BOOT: Duration = Duration::from_millis(200);

impl Operator<'_> {
    /// The unit that is begun now. None while another one stands at the bench that the station has
    /// no serial for, as after a power cut: that one first, since its slot may look empty.
    fn begins(&self) -> Option<u32> {
        let ready = Instant::now() >= self.not_before && self.bench.all_known();
        self.shelf.front().copied().filter(|_| ready)
    }

    /// Takes the next unit from the shelf, when there is room for it.
    pub(super) fn next_unit(&mut self) -> Result<()> {
        if let Some(at) = self.left_in {
            return self.remember(at);
        }
        let free = |one: &super::bench::Position| {
            one.unit.is_none()
                && matches!(one.tile.tone.as_str(), "empty" | "pass" | "fail" | "action")
        };
        let room = self.bench.positions.iter().any(free);
        let Some(number) = self.begins().filter(|_| room) else {
            return Ok(());
        };
        if self.ahead.lease(self.shelf.make_contiguous())? > 0 {
            self.meet("leases taken");
        }
        if !self.trouble_before(number)? {
            return Ok(());
        }
        let heard = self.scan(&serial(number))?;
        let Some(at) = heard.slot.filter(|_| heard.accepted) else {
            self.not_before = Instant::now() + LOOK; // no slot has noticed yet that it is empty
            return Ok(());
        };
        if let Some(there) = self.bench.positions[at].unit.as_ref() {
            // Its cable was pulled when it had passed: to the station it is out.
            let (before, out) = (there.number, there.pulled);
            if !out || !self.bench.sealed.contains(&serial(before)) {
                bail!("{} is to go where a unit is", serial(number));
            }
            self.bench.take_out(at)?;
            self.done.insert(before);
        }
        self.shelf.pop_front();
        self.insert(at, number)
    }

    pub(super) fn insert(&mut self, at: usize, number: u32) -> Result<()> {
        let mut config = self.bench.silicon(number, "", demo::MODEL)?;
        config.boot = BOOT;
        match self.troubles.get(&number) {
            Some(Trouble::Pull(after)) => {
                let after = Duration::from_millis(*after);
                self.troubles.remove(&number);
                self.after(after, Later::Pull(at, number));
            }
            Some(Trouble::WrongProduct) => {
                config = self.bench.silicon(number, "-other", "KETTLE")?;
                self.troubles.remove(&number);
                self.meet("wrong products");
            }
            Some(Trouble::Swapped) => {
                let other = self.bench.silicon(number, "-other", demo::MODEL)?;
                config.faults = vec![crate::unit::Fault::SwapOnReset(Box::new(other))];
                self.troubles.remove(&number);
                self.meet("units swapped");
            }
            _ => {}
        }
        self.bench.put(at, number, config)
    }

    /// Scans the next serial for the slot where a unit was left in; then takes that one out.
    pub(super) fn remember(&mut self, at: usize) -> Result<()> {
        let Some(left) = self.bench.positions[at]
            .unit
            .as_ref()
            .map(|unit| unit.number)
        else {
            self.left_in = None;
            return Ok(());
        };
        if self.shelf.is_empty() {
            self.left_in = None;
            self.bench.positions[at].answered = false;
            return Ok(());
        }
        let Some(number) = self.begins() else {
            return Ok(());
        };
        if !self.trouble_before(number)? {
            return Ok(());
        }
        let given = self.scan(&serial(number))?;
        if !given.accepted {
            self.not_before = Instant::now() + LOOK; // no other slot is free
            return Ok(());
        }
        let heard = self.scan_slot(at)?;
        // A unit that was out for a moment goes on where it was begun; the next one is scanned for
        // this slot then.
        if let (true, "SLOT", Some(begun)) = (heard.accepted, heard.says.as_str(), given.slot)
            && self.bench.positions[begun].unit.is_none()
        {
            self.shelf.pop_front();
            return self.insert(begun, number);
        }
        if heard.accepted || heard.says != "TAKE_OUT" {
            bail!("a unit was left in, and the station says {}", heard.says);
        }
        self.picture("same-unit")?;
        self.meet("units left in");
        self.bench.take_out(at)?;
        self.done.insert(left);
        self.left_in = None;
        let give_up = Instant::now() + ANSWER;
        while !self.scan_slot(at)?.accepted {
            if Instant::now() > give_up {
                bail!("a slot does not notice that it is empty");
            }
            self.halt.pause(4 * TICK)?;
        }
        self.shelf.pop_front();
        self.insert(at, number)
    }
}
