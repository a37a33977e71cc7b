//! Which label is on which unit: what a person who walks along the finished units reads from each.
//!
//! A printed file says what came out of the printer and not where it went, so a station that seals
//! swapped labels would pass by it. Noted is what the hands did, whatever unit the station thinks of.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use zeroize::Zeroizing;

use super::bench::{Bench, Heard};
use super::operator::{Operator, serial};

/// The label on each unit, by the unit's number: the last that the station took for it.
#[derive(Default)]
pub(super) struct Stuck(BTreeMap<u32, Zeroizing<String>>);

impl Stuck {
    /// A label is on a unit from the moment at which the station takes it.
    fn note(&mut self, number: u32, label: &str, heard: &Heard) {
        if heard.accepted {
            self.0.insert(number, Zeroizing::new(label.to_owned()));
        }
    }

    /// Whether the label on a unit says this serial and this password; none does not.
    fn says(&self, number: u32, serial: &str, password: &str) -> bool {
        let wanted = Zeroizing::new(format!("BM1:{serial}:{password}"));
        // Behind it the number of a reprint.
        let own = |label: &str| label.trim_end().split(" R").next() == Some(wanted.as_str());
        self.0.get(&number).is_some_and(|label| own(label))
    }
}

impl Operator<'_> {
    /// Scans the label that sticks on a unit now.
    pub(super) fn scan_label(&mut self, number: u32, label: &str) -> Result<Heard> {
        let heard = self.scan(label)?;
        self.bench.stuck.note(number, label, &heard);
        Ok(heard)
    }
}

/// Serial, attempt and password that a unit's flash file says.
pub(super) struct Held {
    pub(super) serial: String,
    pub(super) attempt: u64,
    pub(super) password: Zeroizing<String>,
}

impl Held {
    /// None where there is no unit, or it holds no credential.
    pub(super) fn read(flash: &Path) -> Option<Held> {
        let text = Zeroizing::new(std::fs::read(flash).ok()?);
        let file: Value = serde_json::from_slice(&text).ok()?;
        Some(Held {
            serial: file["serial"].as_str()?.to_owned(),
            attempt: file["attempt"].as_u64()?,
            password: Zeroizing::new(file["password"].as_str()?.to_owned()),
        })
    }
}

/// The serials of units whose label says something else than they hold, or is missing; a unit that
/// holds nothing is lost, not mislabelled.
pub(super) fn wrong_labels(bench: &Bench, units: u32) -> Vec<String> {
    let own = |number: u32| {
        let held = Held::read(&bench.flash(number, ""))?;
        let right = bench
            .stuck
            .says(number, &serial(number), held.password.as_str());
        (!right).then(|| serial(number))
    };
    (1..=units).filter_map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bench whose units of these numbers are done.
    fn bench(folder: &Path, units: &[(u32, &str)]) -> Bench {
        let bench = Bench::new(folder, 2);
        std::fs::create_dir(folder.join("units")).unwrap();
        for (number, password) in units {
            let flash = serde_json::json!({
                "serial": serial(*number), "attempt": 1, "password": password
            });
            std::fs::write(bench.flash(*number, ""), flash.to_string()).unwrap();
        }
        bench
    }

    fn heard(accepted: bool) -> Heard {
        Heard {
            accepted,
            says: String::new(),
            slot: None,
        }
    }

    #[test]
    fn labels_that_were_taken_for_each_others_unit_are_wrong_on_both() {
        let folder = tempfile::tempdir().unwrap();
        let units = [
            (1, "K7QDM2X9TR4W"),
            (2, "M2X9TR4WK7QD"),
            (3, "TR4WK7QDM2X9"),
        ];
        let mut bench = bench(folder.path(), &units);
        let label = |(number, password): (u32, &str)| format!("BM1:{}:{password}", serial(number));
        let [one, two, three] = units.map(label);
        for (number, text) in [(1, &two), (2, &one), (3, &three)] {
            bench.stuck.note(number, text, &heard(true));
        }
        assert_eq!(wrong_labels(&bench, 3), ["CAM2-00001", "CAM2-00002"]);
        for (number, text) in [(1, &one), (2, &two)] {
            bench.stuck.note(number, text, &heard(false));
        }
        assert_eq!(wrong_labels(&bench, 3).len(), 2, "refused ones are not on");
        for (number, text) in [(1, &one), (2, &format!("{two} R1"))] {
            bench.stuck.note(number, text, &heard(true));
        }
        assert_eq!(wrong_labels(&bench, 3), [""; 0]);
    }

    #[test]
    fn a_unit_without_a_label_or_with_one_of_another_attempt_has_a_wrong_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = bench(folder.path(), &[(1, "K7QDM2X9TR4W"), (2, "M2X9TR4WK7QD")]);
        let old = "BM1:CAM2-00002:TR4WK7QDM2X9";
        bench.stuck.note(2, old, &heard(true));
        // The third was never built.
        assert_eq!(wrong_labels(&bench, 3), ["CAM2-00001", "CAM2-00002"]);
    }
}
