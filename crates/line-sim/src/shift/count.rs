//! What came of a shift, by the server's log and by what the units and the labels hold.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use provisioner::site::Site;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::bench::Bench;
use super::operator::serial;
use super::stuck::{self, Held};
use crate::load::program;
use crate::search;

/// The count of a shift.
pub(super) struct Came {
    order: Value,
    /// Units that are not sealed, or hold something else than the log says.
    lost: Vec<String>,
    /// Pairs of units with one password.
    duplicates: Vec<String>,
    /// Units whose label, the one that sticks on them, says another password than they hold.
    wrong_labels: Vec<String>,
    findings: bool,
    /// Files that hold a password and must not.
    leaks: Vec<PathBuf>,
    searched: u64,
}

/// Counts, after the station has ended and while the server runs.
pub(super) fn count(
    data: &Path,
    site: &Site,
    order: &str,
    units: u32,
    bench: &Bench,
) -> Result<Came> {
    let provisioner = program("provisioner", None)?;
    let ask = |arguments: &[&str]| -> Result<(bool, Value)> {
        let output = Command::new(&provisioner)
            .arg("audit")
            .args(arguments)
            .args(["--format", "json", "--data"])
            .arg(site.data())
            .output()?;
        let fact = serde_json::from_slice(&output.stdout);
        let fact = fact.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok((output.status.success(), fact))
    };
    let mut came = Came {
        order: ask(&["order", order])?.1,
        lost: Vec::new(),
        duplicates: Vec::new(),
        wrong_labels: stuck::wrong_labels(bench, units),
        findings: !ask(&["verify"])?.0,
        leaks: Vec::new(),
        searched: 0,
    };
    let mut owners: Vec<(Zeroizing<String>, String)> = Vec::new();
    for number in 1..=units {
        let serial = serial(number);
        let log = ask(&["unit", &serial]).map_or(Value::Null, |(_, log)| log);
        let Some(held) = Held::read(&bench.flash(number, "")) else {
            came.lost.push(serial);
            continue;
        };
        if log["state"] != "sealed" || log["attempt"] != held.attempt || held.serial != serial {
            came.lost.push(serial.clone());
        }
        let password = held.password;
        if let Some((_, other)) = owners
            .iter()
            .find(|(one, _)| one.as_str() == password.as_str())
        {
            came.duplicates.push(format!("{serial} and {other}"));
        }
        owners.push((password, serial));
    }
    // What stood in another's place must hold nobody's.
    for number in 1..=units {
        let Some(other) = Held::read(&bench.flash(number, "-other")) else {
            continue;
        };
        let same =
            |(one, _): &&(Zeroizing<String>, String)| one.as_str() == other.password.as_str();
        if let Some((_, owner)) = owners.iter().find(same) {
            came.duplicates
                .push(format!("{} (other) and {owner}", serial(number)));
        }
    }
    let secrets: Vec<Zeroizing<String>> = owners.into_iter().map(|(secret, _)| secret).collect();
    ensure!(!secrets.is_empty(), "no unit holds a password");
    (came.leaks, came.searched) = leaks(data, &secrets)?;
    Ok(came)
}

/// Files that hold a password and must not, and how many were looked into. Left out are the units and
/// what the printer put out; not the station's own folder of labels, where those of sealed units end.
fn leaks(data: &Path, secrets: &[Zeroizing<String>]) -> Result<(Vec<PathBuf>, u64)> {
    let homes = [data.join("units"), data.join("labels")];
    Ok(search::holders(data, &homes, secrets)?)
}

impl Came {
    /// Whether every promise was kept.
    pub(super) fn good(&self, units: u32) -> bool {
        let none = [&self.lost, &self.duplicates, &self.wrong_labels];
        let number = |name: &str| self.order[name].as_u64().unwrap_or_default();
        let sum = ["sealed", "scrapped", "open", "not_started"]
            .map(number)
            .iter()
            .sum::<u64>();
        none.iter().all(|list| list.is_empty())
            && self.leaks.is_empty()
            && !self.findings
            && sum == number("quantity")
            && number("sealed") == u64::from(units)
    }

    /// For machines.
    pub(super) fn json(&self, met: &BTreeMap<&'static str, u32>) -> Value {
        json!({
            "order": {
                "quantity": self.order["quantity"], "sealed": self.order["sealed"],
                "scrapped": self.order["scrapped"], "open": self.order["open"],
                "not_started": self.order["not_started"], "voided": self.order["voided"],
            },
            "lost": self.lost,
            "duplicates": self.duplicates,
            "wrong_labels": self.wrong_labels,
            "log_is_clean": !self.findings,
            "leaks": self.leaks,
            "files_searched": self.searched,
            "troubles": met,
        })
    }

    /// For people.
    pub(super) fn text(&self, met: &BTreeMap<&'static str, u32>, took: Duration) -> String {
        let number = |name: &str| self.order[name].as_u64().unwrap_or_default();
        let troubles: Vec<String> = met
            .iter()
            .map(|(what, times)| format!("{what} {times}"))
            .collect();
        let mark = |good: bool| if good { '\u{2713}' } else { '\u{2717}' };
        let clean =
            self.lost.is_empty() && self.duplicates.is_empty() && self.wrong_labels.is_empty();
        format!(
            "{} s: {}\n\
             {} ordered {} = sealed {} + scrapped {} + open {} + not started {}; voided {}\n\
             {} lost {}, duplicate {}, wrong labels {}\n\
             {} the log verifies\n\
             {} {} files searched for the passwords: {} hold one outside units/ and labels/\n",
            took.as_secs(),
            troubles.join(", "),
            mark(number("open") + number("not_started") == 0),
            number("quantity"),
            number("sealed"),
            number("scrapped"),
            number("open"),
            number("not_started"),
            number("voided"),
            mark(clean),
            listed(&self.lost),
            listed(&self.duplicates),
            listed(&self.wrong_labels),
            mark(!self.findings),
            mark(self.leaks.is_empty()),
            self.searched,
            listed(&self.leaks),
        )
    }
}

/// How many, and which.
fn listed(some: &[impl Debug]) -> String {
    match some {
        [] => "0".to_owned(),
        some => format!("{} {some:?}", some.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_stays_in_the_stations_own_folder_is_a_leak() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let secrets = [Zeroizing::new("K7QDM2X9TR4W".to_owned())];
        for name in ["units/1.json", "labels/CAM2-00001.zpl", "bench-1/journal/x"] {
            let path = data.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(
                path,
                if name.ends_with("/x") {
                    ""
                } else {
                    "K7QDM2X9TR4W"
                },
            )
            .unwrap();
        }
        assert_eq!(leaks(data, &secrets).unwrap(), (vec![], 1));
        let own = data.join("bench-1/labels/CAM2-00001.zpl");
        std::fs::create_dir(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "^FDBM1:CAM2-00001:K7QDM2X9TR4W^FS").unwrap();
        assert_eq!(leaks(data, &secrets).unwrap(), (vec![own], 2));
    }

    #[test]
    fn people_read_how_many() {
        let mut came = Came {
            order: json!({}),
            lost: Vec::new(),
            duplicates: Vec::new(),
            wrong_labels: Vec::new(),
            findings: false,
            leaks: Vec::new(),
            searched: 41,
        };
        let text = came.text(&BTreeMap::new(), Duration::ZERO);
        assert!(
            text.contains("\u{2713} lost 0, duplicate 0, wrong labels 0\n"),
            "{text}"
        );
        assert!(
            text.contains("41 files searched for the passwords: 0 hold one"),
            "{text}"
        );
        came.lost.push("CAM2-00001".to_owned());
        let text = came.text(&BTreeMap::new(), Duration::ZERO);
        assert!(
            text.contains("\u{2717} lost 1 [\"CAM2-00001\"], duplicate 0"),
            "{text}"
        );
    }
}
