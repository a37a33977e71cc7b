//! The exit code of a shift: the worst of what became of its units, of what is left open, and of what
//! broke off. What a later turn made good of a unit is good.

use std::collections::BTreeMap;

use traveler::Serial;

use crate::failure::Outcome;

/// What became of the units so far.
#[derive(Default)]
pub(super) struct Codes {
    /// The newest of each serial.
    newest: BTreeMap<Serial, u8>,
    /// What a withdrawal that is under way will make of its slot's unit.
    withdrawing: BTreeMap<usize, (Serial, u8)>,
    /// Whether a slot broke off.
    died: bool,
}

impl Codes {
    /// A turn has ended.
    pub(super) fn turned(&mut self, serial: Serial, code: u8) {
        self.newest.insert(serial, code);
    }

    /// A unit is being withdrawn.
    pub(super) fn withdraws(&mut self, slot: usize, serial: Serial, scrap: bool) {
        let outcome = match scrap {
            true => Outcome::Scrap,
            false => Outcome::Rework,
        };
        self.withdrawing.insert(slot, (serial, outcome.exit_code()));
    }

    /// The server has heard of it, or not.
    pub(super) fn withdrawn(&mut self, slot: usize, done: Result<(), &'static str>) {
        let Some((serial, code)) = self.withdrawing.remove(&slot) else {
            return;
        };
        match done {
            Ok(()) => drop(self.newest.insert(serial, code)),
            // Whatever was said of it while the server was away: it is a good unit.
            Err("SEALED_ALREADY") => {
                self.newest.insert(serial, Outcome::Sealed.exit_code());
            }
            Err(_) => {}
        }
    }

    /// A slot broke off: nobody says what became of its unit.
    pub(super) fn died(&mut self) {
        self.died = true;
    }

    /// With so many attempts in the journal, and so many that the server refused afterwards.
    pub(super) fn exit(&self, open: usize, on_hold: usize) -> u8 {
        let worst = self.newest.values().copied().max().unwrap_or(0);
        if on_hold > 0 {
            return worst.max(Outcome::Stop.exit_code()); // as `sync` does
        }
        match open > 0 || self.died {
            true => worst.max(Outcome::Rework.exit_code()),
            false => worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(text: &str) -> Serial {
        Serial::parse(text).unwrap()
    }

    fn after(turns: &[(&str, Outcome)], open: usize) -> u8 {
        let mut codes = Codes::default();
        for (unit, outcome) in turns {
            codes.turned(serial(unit), outcome.exit_code());
        }
        codes.exit(open, 0)
    }

    /// A unit that passed without the server, and that the server will not have.
    #[test]
    fn what_the_server_refused_afterwards_stops_the_line() {
        let mut codes = Codes::default();
        codes.turned(serial("A47"), 0);
        assert_eq!((codes.exit(0, 0), codes.exit(0, 1)), (0, 30));
    }

    #[test]
    fn a_shift_without_units_or_with_good_ones_alone_is_good() {
        assert_eq!(after(&[], 0), 0);
        assert_eq!(
            after(&[("A47", Outcome::Sealed), ("A48", Outcome::Sealed)], 0),
            0
        );
    }

    #[test]
    fn the_worst_unit_counts() {
        use Outcome::{Loaded, Refused, Rework, Scrap, Sealed, Stop};
        let worst = [Sealed, Refused, Loaded, Rework, Scrap, Stop];
        for (nth, code) in [0, 2, 10, 10, 20, 30].into_iter().enumerate() {
            let turns: Vec<(&str, Outcome)> = ["A41", "A42", "A43", "A44", "A45", "A46"]
                .into_iter()
                .zip(worst[..=nth].iter().rev().copied())
                .collect();
            assert_eq!(after(&turns, 0), code, "{:?}", worst[nth]);
        }
    }

    #[test]
    fn a_unit_that_was_made_good_is_good() {
        assert_eq!(
            after(&[("A47", Outcome::Rework), ("A47", Outcome::Sealed)], 0),
            0
        );
        assert_eq!(
            after(&[("A47", Outcome::Sealed), ("A47", Outcome::Refused)], 0),
            2
        );
    }

    #[test]
    fn what_is_left_open_is_to_be_gone_on_with() {
        assert_eq!(after(&[("A47", Outcome::Sealed)], 1), 10);
        assert_eq!(after(&[("A47", Outcome::Scrap)], 1), 20);
    }

    #[test]
    fn a_slot_that_broke_off_is_no_good_end() {
        let mut codes = Codes::default();
        codes.turned(serial("A47"), Outcome::Sealed.exit_code());
        codes.died();
        assert_eq!(codes.exit(0, 0), 10);
    }

    #[test]
    fn a_withdrawal_counts_once_the_server_has_heard_of_it() {
        for (scrap, code) in [(false, 10), (true, 20)] {
            let mut codes = Codes::default();
            codes.turned(serial("A47"), Outcome::Sealed.exit_code());
            codes.withdraws(0, serial("A48"), scrap);
            assert_eq!(codes.exit(0, 0), 0, "not yet");
            codes.withdrawn(0, Ok(()));
            assert_eq!(codes.exit(0, 0), code);
            codes.withdraws(0, serial("A49"), true);
            codes.withdrawn(0, Err("NO_SERVER"));
            assert_eq!(codes.exit(0, 0), code, "it was not heard");
        }
    }

    #[test]
    fn what_was_sealed_before_it_was_given_up_is_a_good_unit() {
        let mut codes = Codes::default();
        codes.turned(serial("A47"), Outcome::Loaded.exit_code());
        codes.withdraws(0, serial("A47"), true);
        assert_eq!(codes.exit(0, 0), 10);
        codes.withdrawn(0, Err("SEALED_ALREADY"));
        assert_eq!(codes.exit(0, 0), 0);
    }
}
