//! `kill -9` of `recover` at moments spread over all it does: what is left is a log that no server
//! opens, and running it again with the same words comes to the same end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Disaster, SERVE, TWO_BADGES, state};
use crate::binaries::binaries;
use crate::site::provisioner_on;

const KILLS: u32 = 8;

#[test]
fn a_recovery_that_is_killed_is_gone_on_from() {
    let disaster = Disaster::strikes();
    let statement = disaster.is_told();
    let again = format!("{}:CAM-2:5:20", disaster.late);
    let order = ["--order", &again, "--block", "R-099"];
    let accept = ["--accept-loss", &statement];
    let words = [&order[..], &accept[..], &TWO_BADGES[..]].concat();
    let words = disaster.with_journals(&words);
    let data = disaster.plant.site.data();
    let aside = disaster.plant.site.path("before");
    copy(&data, &aside);

    let timed = || {
        let started = Instant::now();
        disaster.plant.recover(&words).ok();
        started.elapsed()
    };
    let mut took = timed();
    let whole = ends_as_it_should(&disaster);
    let mut struck = 0;
    for kill in 1..=KILLS {
        fs::remove_dir_all(&data).unwrap();
        copy(&aside, &data);
        struck += u32::from(killed(&data, &words, took * kill / KILLS));
        let left = provisioner_on(&data, &["audit", "verify"]).json();
        if left["entries"] != whole["entries"] {
            provisioner_on(&data, &SERVE).refused(2, "recover");
        }
        took = took.min(timed()); // the first may have been slow
        assert_eq!(ends_as_it_should(&disaster)["entries"], whole["entries"]);
    }
    assert!(struck > 0, "{KILLS} kills, and none hit it");
}

/// One gap, told once; what stations prove is there and the rest is blocked.
fn ends_as_it_should(disaster: &Disaster) -> Value {
    let told = disaster.plant.verify();
    assert_eq!(told["recoveries"].as_array().unwrap().len(), 1, "{told}");
    let site = &disaster.plant.site;
    let stand = ["R-002", "R-003", "R-004", "R-005"].map(|serial| state(site, serial));
    assert_eq!(stand, ["sealed", "sealed", "loaded", "sealed"]);
    for serial in ["R-006", "R-099"] {
        let unit = site.provisioner(&["audit", "unit", serial]);
        unit.refused(2, "blocked since entry");
    }
    told
}

/// Starts `recover` and kills it after so long; whether it was still at work.
fn killed(data: &Path, words: &[&str], after: Duration) -> bool {
    let mut child = Command::new(&binaries().provisioner)
        .args([
            "recover",
            "--allow-simulated-hsm",
            "--format",
            "json",
            "--data",
        ])
        .arg(data)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::park_timeout(after);
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &to),
            kind if kind.is_file() => drop(fs::copy(entry.path(), to).unwrap()),
            _ => {} // a socket of a process that is gone
        }
    }
}
