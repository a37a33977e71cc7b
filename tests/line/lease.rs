//! The network is gone: a bench goes on from its lease, and the server hears of it afterwards.

use std::process::{Command, Stdio};
use std::time::Duration;

use line_sim::holders;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::binaries::{Done, binaries};
use crate::oracle::good;
use crate::recover::{Plant, state};
use crate::site::{LABELLED, text};
use crate::units::{Held, port, scan};

/// So often a unit is run again that is in the middle of something.
const RUNS: usize = 3;

/// A bench whose order is leased for, and its units.
struct Bench {
    plant: Plant,
    order: String,
    units: Vec<usize>,
}

impl Bench {
    /// With a lease of so many, from L-00001 on.
    fn leased(units: u32, lease: u32) -> Bench {
        let bench = Bench::new(units);
        let told = bench.lease(lease, &["--from", "L-00001"]).ok().json();
        assert_eq!(told["left"], lease, "{told}");
        bench
    }

    fn new(units: u32) -> Bench {
        let mut plant = Plant::start(LABELLED);
        let order = plant.site.order("CAM-2", units, 20);
        let units = (0..units).map(|_| plant.unit("CAM2")).collect();
        Bench {
            plant,
            order,
            units,
        }
    }

    fn lease(&self, units: u32, more: &[&str]) -> Done {
        let units = units.to_string();
        let lease = ["lease", "--order", &self.order, "--units", &units];
        let format = ["--format", "json", "--wait", "2"];
        self.plant.station(0, &[&lease, more, &format].concat())
    }

    /// One run without a label in hand.
    fn run(&self, number: usize) -> Value {
        let serial = serial(number);
        let unit = self.units[number - 1];
        self.plant.run(0, &self.order, &serial, unit).json()
    }

    /// From the label on; how it ended.
    fn scan(&self, number: usize) -> Value {
        let serial = serial(number);
        let label = scan(&self.plant.site.path("labels"), &serial).unwrap();
        let unit = self.units[number - 1];
        let done = self.plant.run_with(0, &self.order, &serial, unit, &label);
        done.json()
    }

    /// Blank to PASS, with no server.
    #[track_caller]
    fn pass_offline(&self, number: usize) {
        assert_eq!(self.run(number)["reason"], "NO_SCAN");
        let pass = self.scan(number);
        let seen = ["outcome", "offline", "index"].map(|name| pass[name].clone());
        assert_eq!(seen, [json!("sealed"), json!(true), Value::Null], "{pass}");
    }

    /// `sync`: exit code, and what became of each serial.
    fn sync(&self) -> (Option<i32>, Vec<(String, String)>) {
        let sync = ["sync", "--wait", "2", "--format", "json"];
        let done = self.plant.station(0, &sync);
        let line = |line: &str| -> (String, String) {
            let fact: Value = serde_json::from_str(line).unwrap();
            let name = |name: &str| fact[name].as_str().unwrap().to_owned();
            (name("serial"), name("state"))
        };
        (done.code, done.out.lines().map(line).collect())
    }

    /// Whether a record was put aside under this name.
    fn lost(&self, name: &str) -> bool {
        self.plant.benches[0].join("lost").join(name).exists()
    }

    fn held(&self) -> Value {
        let lease = ["lease", "--format", "json"];
        self.plant.station(0, &lease).ok().json()
    }

    /// The log against units and tools: nobody was forgotten, nobody counted twice.
    fn comes_out(&self, sealed: &[usize]) {
        let site = &self.plant.site;
        for number in sealed {
            let serial = serial(*number);
            assert_eq!(state(site, &serial), "sealed", "{serial}");
            let flash = self.plant.flash(self.units[number - 1]);
            let held = Held::in_flash(&flash).unwrap();
            assert_eq!(held.serial, serial);
            let log = site.provisioner(&["audit", "unit", &serial]).ok().out;
            assert!(log.contains(&held.sha256), "the log has another bundle");
        }
        assert_eq!(self.plant.passwords(), sealed.len());
        let count = site.count(&self.order);
        let expected = (sealed.len() as u64, 0);
        assert_eq!((count.sealed, count.open), expected, "{count:?}");
        self.plant.verify();
        let out = text(&site.path("export"));
        site.provisioner(&["audit", "export", "--out", &out]).ok();
        good(&["log", &text(&site.data().join("vkey")), &out]);
        self.no_password_anywhere();
    }

    /// Encrypted bundles lie in `lease`, and in no file a password.
    fn no_password_anywhere(&self) {
        let site = &self.plant.site;
        let held = self.units.iter();
        let held = held.filter_map(|unit| Held::in_flash(&self.plant.flash(*unit)));
        let secrets: Vec<Zeroizing<String>> = held.map(|held| held.password).collect();
        let homes = [site.path("units"), site.path("labels")];
        let (found, _) = holders(&site.path(""), &homes, &secrets).unwrap();
        assert!(found.is_empty(), "a password is in {found:?}");
        let (known, _) = holders(&homes[0], &[], &secrets).unwrap();
        assert!(!known.is_empty() || secrets.is_empty(), "the search works");
    }

    /// Runs the station, and kills it so long after its start.
    fn kill_after(&self, number: usize, after: Duration) {
        let site = &self.plant.site;
        let mut child = Command::new(&binaries().station_cli)
            .args(["provision", "--order", &self.order])
            .args(["--serial", &serial(number), "--wait", "2"])
            .args(["--port", &port(&self.plant.units[self.units[number - 1]])])
            .arg("--data")
            .arg(&self.plant.benches[0])
            .arg("--labels")
            .arg(site.path("labels"))
            .stdin(Stdio::piped()) // nobody scans: it waits for its end
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::park_timeout(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn serial(number: usize) -> String {
    format!("L-{number:05}")
}

fn states(serials: std::ops::RangeInclusive<usize>, state: &str) -> Vec<(String, String)> {
    serials
        .map(|number| (serial(number), state.to_owned()))
        .collect()
}

#[test]
fn a_bench_goes_on_without_its_server_and_the_log_catches_up() {
    let mut bench = Bench::leased(8, 5);
    let open = bench.plant.site.count(&bench.order);
    assert_eq!((open.open, open.not_started), (5, 3), "the quota is taken");
    bench.plant.site.kill();
    for number in 1..=3 {
        bench.pass_offline(number);
    }
    // Its power fails wherever it is.
    for after in [20, 60, 90, 120, 150, 200, 260, 330, 500] {
        bench.kill_after(4, Duration::from_millis(after));
        bench.no_password_anywhere();
    }
    // A unit that is still in the middle of something is run again, as anybody would.
    let mut ended = bench.run(4)["reason"].clone();
    for _ in 0..RUNS {
        if ended == "NO_SCAN" || ended == "LABEL_UNKNOWN" {
            break;
        }
        ended = bench.run(4)["reason"].clone();
    }
    match ended.as_str() {
        Some("NO_SCAN") => {}
        // Cut between the record and the paper: a label is asked for.
        Some("LABEL_UNKNOWN") => {
            let again = [
                "reprint",
                "--serial",
                "L-00004",
                "--reason",
                "none",
                "--operator",
                "B-7",
            ];
            let labels = text(&bench.plant.site.path("labels"));
            let more = ["--labels", &labels, "--wait", "2"];
            bench.plant.station(0, &[&again[..], &more].concat()).ok();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.scan(4)["outcome"], "sealed");
    let not_leased = bench.plant.run(0, &bench.order, "L-00009", bench.units[5]);
    not_leased.refused(2, "NOT IN LEASE");
    let held = bench.held();
    assert_eq!((&held["left"], &held["to_upload"]), (&json!(1), &json!(4)));
    assert_eq!(bench.sync(), (Some(10), states(1..=4, "to_upload")));

    bench.plant.site.serve();
    assert_eq!(bench.sync(), (Some(0), states(1..=4, "uploaded")));
    assert_eq!(bench.sync(), (Some(0), vec![]));
    let back = ["lease", "--return", "--format", "json"];
    let told = bench.plant.station(0, &back).ok().json();
    assert_eq!(told, json!({"returned": 1, "left": 0, "to_upload": 0}));
    bench.comes_out(&[1, 2, 3, 4]);
    assert_eq!(bench.in_lease_folder(), [""; 0], "nothing is held");

    // What was given back can be leased and built again, under another attempt.
    let next = bench.lease(2, &[]).ok().json();
    assert_eq!(next["leased"], json!(["L-00006", "L-00007"]), "counted up");
    let again = bench.lease(1, &["--from", "L-00005"]);
    again.ok();
    bench.plant.site.kill();
    bench.pass_offline(5);
    bench.plant.site.serve();
    bench.sync();
    bench.plant.station(0, &back).ok();
    bench.comes_out(&[1, 2, 3, 4, 5]);
}

#[test]
fn a_server_put_back_from_before_the_lease_is_told_nothing_until_it_is_recovered() {
    let mut bench = Bench::new(4);
    let plant = &mut bench.plant;
    plant.seal(0, &bench.order, "L-00004", bench.units[3]);
    let copy = plant.back_up();
    let data = plant.site.data();
    // The token is as old as the copy: it remembers nothing more.
    let [token, older] = ["hsm/soft.store", "hsm/older.store"].map(|name| data.join(name));
    plant.site.stop();
    std::fs::copy(&token, &older).unwrap();
    plant.site.serve();
    bench.lease(2, &["--from", "L-00001"]).ok();
    bench.plant.site.stop();
    bench.plant.put_back(&copy);
    std::fs::copy(&older, &token).unwrap();
    bench.plant.site.serve();

    // The line is on its lease; what is not leased stands.
    let stands = bench.plant.run(0, &bench.order, "L-00003", bench.units[2]);
    stands.refused(2, "went backwards");
    bench.pass_offline(1);
    assert_eq!(bench.sync(), (Some(30), vec![]), "people hear of it");
    assert_eq!(bench.held()["to_upload"], 1);

    let file = bench.plant.hand_over(0);
    bench.plant.site.stop();
    let told = bench.plant.recover(&["--journal", &file]).ok().json();
    assert_eq!(told["lost"], 0, "{told}");
    bench.plant.site.serve();
    assert_eq!(bench.sync(), (Some(0), states(1..=1, "uploaded")));
    bench.pass_online(2);
    bench.comes_out(&[1, 2, 4]);
}

impl Bench {
    /// Keys and credentials that are left.
    fn in_lease_folder(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.plant.benches[0].join("lease"));
        let names = files.unwrap().flatten();
        let names = names.map(|file| file.file_name().into_string().unwrap());
        let secret = |name: &String| name.starts_with("key") || name.starts_with("L-");
        names.filter(secret).collect()
    }

    /// Blank to PASS from the lease, while the server hears it.
    fn pass_online(&self, number: usize) {
        assert_eq!(self.run(number)["reason"], "NO_SCAN");
        let pass = self.scan(number);
        assert_eq!(pass["outcome"], "sealed", "{pass}");
        // A server that is slow for a moment is gone on without.
        match pass["offline"].is_null() {
            true => assert!(pass["index"].is_u64(), "{pass}"),
            false => assert_eq!(self.sync().0, Some(0), "{pass}"),
        }
    }
}

#[test]
fn a_bench_that_was_revoked_while_it_was_away_holds_nothing_any_more() {
    let mut bench = Bench::leased(4, 3);
    bench.plant.site.kill();
    bench.pass_offline(1);
    bench.plant.site.serve();
    let revoke = ["station", "revoke", "bench-1"];
    bench.plant.site.provisioner(&revoke).ok();
    let sync = bench.plant.station(0, &["sync", "--wait", "2"]);
    sync.refused(30, "revoked");
    let held = bench.held();
    assert_eq!((&held["left"], &held["held"]), (&json!(0), &json!([])));
    assert_eq!(held["on_hold"], json!(["L-00001"]), "a person has to look");
    assert_eq!(bench.in_lease_folder(), [""; 0]);
    let count = bench.plant.site.count(&bench.order);
    assert_eq!((count.sealed, count.open), (0, 0), "{count:?}");
    bench.plant.verify();
    // Nobody hears it any more: the unit is put aside all the same.
    let settle = ["sync", "--settle", "L-00001", "--wait", "2"];
    bench.plant.station(0, &settle).ok();
    assert_eq!(bench.held()["on_hold"], json!([]));
    assert!(bench.lost("L-00001.outbox.json"), "its record is kept");
    // With the network gone again it cannot go on either.
    bench.plant.site.kill();
    let blank = bench.plant.run(0, &bench.order, "L-00002", bench.units[1]);
    assert_ne!(blank.code, Some(0), "{blank:#?}");
    assert!(Held::in_flash(&bench.plant.flash(bench.units[1])).is_none());
}

#[test]
fn a_lease_that_cannot_be_says_why() {
    let bench = Bench::new(4);
    bench.lease(2, &[]).refused(2, "--from SERIAL");
    bench
        .lease(5, &["--from", "L-00001"])
        .refused(2, "take the next order");
    bench.lease(1, &["--from", "ABC"]).ok();
    bench.lease(2, &["--from", "ABC"]).refused(2, "no digits");
    bench
        .lease(1, &["--from", "L-00001", "--valid", "13h"])
        .refused(2, "12h");
    let nobody = [
        "lease", "--order", "WO-9999", "--units", "1", "--from", "L-1",
    ];
    bench
        .plant
        .station(0, &nobody)
        .refused(2, "check the order number");
}

/// Flash wears out: the record of one unit that passed cannot be read. It alone is set aside, and what it
/// was sold as is known to everybody who looks.
#[test]
fn a_damaged_record_sets_its_unit_aside_and_no_other() {
    let mut bench = Bench::leased(4, 3);
    bench.plant.site.kill();
    bench.pass_offline(1);
    let damaged = bench.plant.benches[0].join("outbox/L-00001.json");
    std::fs::write(&damaged, b"\0\0\0").unwrap();
    bench.pass_offline(2);
    let doctor = bench.plant.station(0, &["doctor", "--format", "json"]);
    assert!(
        doctor.out.contains("L-00001.json is damaged"),
        "{doctor:#?}"
    );
    bench.plant.site.serve();
    let hold = |of: &str, state: &str| (of.to_owned(), state.to_owned());
    let listed = vec![hold("L-00002", "uploaded"), hold("L-00001", "hold")];
    assert_eq!(bench.sync(), (Some(30), listed));
    assert_eq!(bench.held()["on_hold"], json!(["L-00001"]));

    let settle = ["sync", "--settle", "L-00001", "--operator", "L-1"];
    bench.plant.station(0, &settle).ok();
    assert!(bench.lost("L-00001.outbox.damaged"), "evidence");
    assert_eq!(
        (bench.held()["on_hold"].clone(), bench.sync()),
        (json!([]), (Some(0), vec![]))
    );
    // The log does not call it an expiry, and there is never a second unit of the name.
    let site = &bench.plant.site;
    let unit = site.provisioner(&["audit", "unit", "L-00001"]).ok().out;
    assert!(unit.contains("\"cause\":\"unit_lost\""), "{unit}");
    bench
        .lease(1, &["--from", "L-00001"])
        .refused(2, "take the next serial");
    let other = bench.plant.run(0, &bench.order, "L-00001", bench.units[3]);
    other.refused(2, "SERIAL USED");
    let back = ["lease", "--return", "--format", "json"];
    bench.plant.station(0, &back).ok();
    assert_eq!(bench.in_lease_folder(), [""; 0], "nothing is held");
    bench.plant.verify();
}
