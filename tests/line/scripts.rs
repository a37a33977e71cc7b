//! A site from nothing to a closed order, by hand, with the commands of the README; and the JSON of
//! every verb that prints facts, which other people script against.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::binaries::{
    Done, WITHIN, binaries, children_of, end_of, ends, run, run_with, text_of, until,
};
use crate::site::{Count, LABELLED, Site, text};
use crate::units::{flash, scan};

/// A program that runs beside the script, as with `&` in a shell; never longer than its test.
pub(crate) struct Beside {
    child: Child,
    out: PathBuf,
}

impl Beside {
    /// Starts it, and waits until it has said its first line on stdout.
    pub(crate) fn start(program: &Path, arguments: &[&str], out: PathBuf) -> Beside {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let beside = Beside { child, out };
        until(WITHIN, || {
            text_of(&beside.out).ends_with('\n').then_some(())
        })
        .expect("a first line");
        beside
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&text_of(&self.out)).unwrap()
    }

    /// As Control-C would; gives the exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        end_of(&mut self.child)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_line_is_set_up_and_run_by_hand() {
    let mut site = Site::start();
    site.apply(LABELLED).ok();
    let made = [
        "order",
        "create",
        "--product",
        "CAM-2",
        "--quantity",
        "2",
        "--order",
        "WO-7",
    ];
    assert_eq!(site.provisioner(&made).ok().json()["order"], "WO-7");

    // provisioner station token bench-1 | station-cli enroll --token-file -
    let data = text(&site.data());
    let token = run(
        &binaries().provisioner,
        &["station", "token", "bench-1", "--data", &data],
    );
    let token = token.ok();
    assert!(
        token.err.contains("station-cli enroll --server"),
        "{}",
        token.err
    );
    assert!(
        !token.err.contains(token.out.trim()),
        "a token belongs on stdout alone"
    );
    let station = site.path("stations/bench-1");
    let home = text(&station);
    let url = site.url();
    let enroll = [
        "enroll",
        "--server",
        &url,
        "--token-file",
        "-",
        "--data",
        &home,
    ];
    let enrolled = run_with(&binaries().station_cli, &enroll, &token.out).ok();
    assert_eq!(
        enrolled.err,
        format!("enrolled as bench-1; keys and journal are in {home}\n")
    );

    let files = ["units/1.json", "units/2.json"].map(|name| site.path(name));
    for (number, file) in files.iter().enumerate() {
        let unit = start_unit(&site, number + 1, file);
        let port = unit.json()["port"].as_str().unwrap().to_owned();
        let greeted = station_cli(&["greet", "--port", &port]).ok().json();
        assert_eq!(
            (&greeted["model"], &greeted["state"]),
            (&"CAM2".into(), &"blank".into())
        );
        let serial = format!("H-{:03}", number + 1);
        by_hand(&site, &serial, &port, &home);
        let greeted = station_cli(&["greet", "--port", &port]).ok().json();
        assert_eq!(
            (&greeted["serial"], &greeted["state"]),
            (&serial.into(), &"locked".into())
        );
        assert_eq!(unit.interrupt(), Some(0));
        assert_eq!(flash(file)["own_key"], number == 0);
    }

    site.provisioner(&["order", "close", "WO-7"]).ok();
    let order = site.provisioner(&["order", "show", "WO-7"]).ok().json();
    assert_eq!(order["state"], "closed");
    assert_eq!(Count::of(&order).sealed, 2);
    site.stop();
    site.provisioner(&["audit", "verify"]).ok();
}

/// One unit, from the first scan to its seal, with all that can go wrong at the scanner.
fn by_hand(site: &Site, serial: &str, port: &str, home: &str) {
    let turn = |scanner: &str| {
        let arguments = [
            ["--order", "WO-7"],
            ["--serial", serial],
            ["--port", port],
            ["--data", home],
            ["--operator", "B-7"],
            ["--format", "json"],
        ];
        let arguments = [&["provision"], arguments.as_flattened()].concat();
        run_with(&binaries().station_cli, &arguments, scanner)
    };
    let reason = |done: &Done| done.json()["reason"].clone();
    let unscanned = turn("");
    assert_eq!(reason(&unscanned), "NO_SCAN");
    unscanned.refused(10, "scan the label");
    let wrong = turn(&format!("BM1:{serial}:AAAA-AAAA-AAAA\n"));
    assert_eq!(reason(&wrong), "WRONG_LABEL");
    wrong.refused(10, "find this unit's label");
    let sync = ["sync", "--data", home, "--format", "json"];
    let open = run(&binaries().station_cli, &sync);
    assert_eq!(
        (open.code, &open.json()["serial"]),
        (Some(10), &serial.into())
    );
    let close = site.provisioner(&["order", "close", "WO-7"]);
    close.refused(2, "units under way");

    let label = scan(&site.path("stations/bench-1/labels"), serial).unwrap();
    let sealed = turn(&label).ok();
    let report = sealed.json();
    assert_eq!(report["outcome"], "sealed");
    for field in [
        "order",
        "device_id",
        "attempt",
        "index",
        "certificate_sha256",
        "cycle_ms",
    ] {
        assert!(!report[field].is_null(), "no {field} in {report}");
    }
    let unit = site.provisioner(&["audit", "unit", serial]).ok().json();
    assert_eq!(unit["certificate_sha256"], report["certificate_sha256"]);
    let entries = unit["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["issued", "loaded", "sealed"]);
    assert_eq!(entries[2]["seq"], report["index"]);
    assert!(
        entries.iter().all(|entry| entry["operator"] == "B-7"),
        "{unit}"
    );
}

/// `line-sim unit &`: the first has a key of its own, the second is given one.
fn start_unit(site: &Site, number: usize, file: &Path) -> Beside {
    let (file, id) = (text(file), format!("52{number:014x}"));
    let arguments = [
        "unit",
        "--format",
        "json",
        "--flash",
        &file,
        "--device-id",
        &id,
    ];
    let key: &[&str] = if number == 1 { &[] } else { &["--no-key"] };
    let out = site.path(&format!("logs/unit-{number}.txt"));
    Beside::start(&binaries().line_sim, &[&arguments[..], key].concat(), out)
}

fn station_cli(arguments: &[&str]) -> Done {
    let arguments = [arguments, &["--format", "json"]].concat();
    run(&binaries().station_cli, &arguments)
}

#[test]
fn every_verb_that_prints_facts_prints_json() {
    let site = Site::start();
    let fields = |done: Done, names: &str| {
        let fact = done.ok().json();
        let first = fact.get(0).unwrap_or(&fact).clone();
        for name in names.split(' ') {
            assert!(!first[name].is_null(), "no {name} in {fact}");
        }
        fact
    };
    let order = "order product state quantity sealed scrapped open not_started voided reworked \
                 allowance leased returned";
    let station = "station state certificate_sha256 open leased";
    let facts = |arguments: &[&str], names: &str| fields(site.provisioner(arguments), names);

    let new = site.path("other");
    let made = crate::site::provisioner_on(&new, &["init"]);
    let init = "data origin vkey hsm simulated_hsm device_root_sha256 site_root_sha256";
    fields(made, init);
    fields(site.apply(LABELLED), "product product_sha256 definition");
    facts(&["product", "list"], "product product_sha256 definition");
    let create = ["order", "create", "--product", "CAM-2", "--quantity", "3"];
    facts(&create, order);
    facts(&["order", "list"], order);
    facts(&["order", "show", "WO-0001"], order);
    facts(&["audit", "order", "WO-0001"], order);
    facts(&["station", "token", "bench-2"], "station token");
    let home = text(&site.station("bench-1"));
    facts(&["station", "list"], station);
    let revoked = format!("{station} voided_attempts voided_leases");
    facts(&["station", "revoke", "bench-1"], &revoked);
    facts(&["order", "close", "WO-0001"], order);
    facts(
        &["audit", "verify"],
        "verdict entries checkpoint_size root findings",
    );
    let out = text(&site.path("export"));
    facts(&["audit", "export", "--out", &out], "out size root");

    assert_eq!(station_cli(&["sync", "--data", &home]).code, Some(0));
    let unit = start_unit(&site, 1, &site.path("units/1.json"));
    let port = unit.json()["port"].as_str().unwrap().to_owned();
    let greeted = station_cli(&["greet", "--port", &port]);
    fields(
        greeted,
        "device_id macs model revision firmware state boots own_key",
    );
    for line in station_cli(&["ports"]).ok().out.lines() {
        let port: Value = serde_json::from_str(line).unwrap();
        assert!(
            port["path"].is_string() && port["kind"].is_string(),
            "{port}"
        );
    }

    // A token in a process of its own says how it is.
    let sockets = tempfile::tempdir().unwrap(); // a socket's path has to be short
    let [socket, store] = ["s", "store"].map(|name| text(&sockets.path().join(name)));
    let mut token = Command::new(&binaries().hsm_sim)
        .args(["serve", "--socket", &socket, "--store", &store])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let token_up = until(WITHIN, || Path::new(&socket).exists().then_some(()));
    let status = ["status", "--socket", &socket, "--format", "json"];
    let status = token_up.map(|()| run(&binaries().hsm_sim, &status));
    kill_process(Pid::from_child(&token), Signal::TERM).unwrap();
    assert_eq!(end_of(&mut token), Some(0));
    assert!(status.unwrap().ok().json().is_object());
}

/// A small load, so that its figures are there and its units are sealed; how fast is for people.
#[test]
fn a_load_seals_every_unit_and_says_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&folder.path().join("load"));
    let load = |more: &[&str]| {
        let load = [
            "load",
            "--units",
            "40",
            "--clients",
            "4",
            "--format",
            "json",
        ];
        run(&binaries().line_sim, &[&load[..], more].concat())
    };
    let told = load(&["--data", &data]).ok().json();
    assert_eq!((&told["ok"], &told["sealed"]), (&true.into(), &40.into()));
    assert_eq!(told["log_findings"], 0);
    let number = |fact: &Value| fact.as_f64().unwrap_or_else(|| panic!("{told}"));
    for name in [
        "units_per_s",
        "server_cpu_ms_per_unit",
        "resident_mb",
        "batches_per_unit",
    ] {
        assert!(number(&told[name]) > 0.0, "{name}: {told}");
    }
    // Three entries a unit; a batch may hold several, and none is without a sync.
    let entries = number(&told["batches_per_unit"]) * number(&told["entries_per_batch"]);
    assert!((2.9..3.1).contains(&entries), "{told}");
    for spread in ["unit_ms", "issue_ms"] {
        let of = &told[spread];
        let [p50, p99, most] = ["p50", "p99", "max"].map(|name| number(&of[name]));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= most, "{told}");
    }
    load(&["--data", &data]).refused(2, "name a new folder with --data");
    load(&["--provisioner", &text(&folder.path().join("none"))]).refused(2, "build it or name it");
    load(&["--rate", "0"]).refused(2, "0.01 to 100000");
    // With a rate, 40 units take what the clock says and not less.
    let paced = load(&["--rate", "40"]).ok().json();
    assert!(paced["seconds"].as_f64().unwrap() >= 39.0 / 40.0, "{paced}");
}

#[test]
fn a_load_that_is_killed_leaves_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("load");
    let mut load = Command::new(&binaries().line_sim)
        .args(["load", "--units", "1000000", "--data"])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let listens = || data.join("provisioner/listening").exists().then_some(());
    assert!(until(WITHIN, listens).is_some(), "no server");
    let others = children_of(&load);
    assert!(others.len() > 1, "a server and its guard");
    load.kill().unwrap();
    assert_eq!(end_of(&mut load), None);
    for process in others {
        assert!(ends(process), "{process:?} runs");
    }
}
