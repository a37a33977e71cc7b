//! The server's disk dies and an older copy is put back: what is noticed, by whom, what comes back
//! from the stations, and what is said for ever of what does not.

mod killed;

use std::collections::BTreeSet;
use std::path::PathBuf;

use line_sim::unit::SimUnit;
use serde_json::Value;

use crate::binaries::{Done, binaries, run, run_with};
use crate::site::{LABELLED, PLAIN, Site, provisioner_on, text};
use crate::units::{Held, port, scan, silicon};

const SERVE: [&str; 4] = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];

/// The two people who accept a loss.
const TWO_BADGES: [&str; 4] = ["--by", "B-7", "--by", "B-8"];

/// A site with two benches, whose server's disk can die.
pub(crate) struct Plant {
    pub(crate) site: Site,
    pub(crate) benches: [PathBuf; 2],
    pub(crate) units: Vec<SimUnit>,
}

impl Plant {
    pub(crate) fn start(definition: &str) -> Plant {
        let site = Site::start();
        site.apply(definition).ok();
        let benches = ["bench-1", "bench-2"].map(|name| site.station(name));
        Plant {
            site,
            benches,
            units: Vec::new(),
        }
    }

    pub(crate) fn flash(&self, number: usize) -> PathBuf {
        self.site.path(&format!("units/{number}.json"))
    }

    /// A blank unit; gives its number.
    pub(crate) fn unit(&mut self, model: &str) -> usize {
        let number = self.units.len();
        let config = silicon(u32::try_from(number).unwrap(), model, &self.flash(number));
        self.units.push(SimUnit::spawn(config).unwrap());
        number
    }

    /// Runs a unit at a bench; nobody scans its label.
    pub(crate) fn run(&self, bench: usize, order: &str, serial: &str, unit: usize) -> Done {
        self.run_with(bench, order, serial, unit, "")
    }

    pub(crate) fn run_with(
        &self,
        bench: usize,
        order: &str,
        serial: &str,
        unit: usize,
        scan: &str,
    ) -> Done {
        let [home, labels] =
            [&self.benches[bench], &self.site.path("labels")].map(|path| text(path));
        let at = port(&self.units[unit]);
        let arguments = [
            ["--order", order],
            ["--serial", serial],
            ["--port", &at],
            ["--data", &home],
            ["--labels", &labels],
            ["--wait", "2"],
            ["--format", "json"],
        ];
        let provision = [&["provision"], arguments.as_flattened()].concat();
        run_with(&binaries().station_cli, &provision, scan)
    }

    /// Runs a unit until its label is scanned and the attempt is closed.
    pub(crate) fn seal(&self, bench: usize, order: &str, serial: &str, unit: usize) {
        let waits = self.run(bench, order, serial, unit);
        assert_eq!(waits.code, Some(10), "{waits:#?}");
        let label = scan(&self.site.path("labels"), serial).unwrap();
        self.run_with(bench, order, serial, unit, &label).ok();
    }

    pub(crate) fn station(&self, bench: usize, arguments: &[&str]) -> Done {
        let home = text(&self.benches[bench]);
        let data = [arguments, &["--data", &home]].concat();
        run(&binaries().station_cli, &data)
    }

    /// What a bench hands over; no server is asked.
    pub(crate) fn hand_over(&self, bench: usize) -> String {
        let out = text(&self.site.path(&format!("handed-over-{bench}")));
        let told = self.station(bench, &["sync", "--export", &out, "--format", "json"]);
        assert!(told.ok().json()["proven"].as_u64().unwrap() > 0);
        out
    }

    pub(crate) fn back_up(&self) -> String {
        let copy = text(&self.site.path("copy.db"));
        self.site.provisioner(&["backup", "--out", &copy]).ok();
        copy
    }

    /// A new disk, with what the copy has.
    pub(crate) fn put_back(&self, copy: &str) {
        let data = self.site.data();
        for kind in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(data.join(kind));
        }
        std::fs::copy(copy, data.join("ledger.db")).unwrap();
        std::fs::copy(format!("{copy}.checkpoint"), data.join("checkpoint")).unwrap();
    }

    pub(crate) fn recover(&self, arguments: &[&str]) -> Done {
        let recover = ["recover", "--allow-simulated-hsm"];
        provisioner_on(&self.site.data(), &[&recover[..], arguments].concat())
    }

    pub(crate) fn verify(&self) -> Value {
        self.site.provisioner(&["audit", "verify"]).ok().json()
    }

    /// Every unit that holds a bundle holds another password; how many there are.
    pub(crate) fn passwords(&self) -> usize {
        let held = (0..self.units.len()).filter_map(|unit| Held::in_flash(&self.flash(unit)));
        let held: Vec<Held> = held.collect();
        let passwords: BTreeSet<&str> = held.iter().map(|held| held.password.as_str()).collect();
        assert_eq!(passwords.len(), held.len(), "two units share one");
        let serials: BTreeSet<&str> = held.iter().map(|held| held.serial.as_str()).collect();
        assert_eq!(serials.len(), held.len(), "two units are one");
        held.len()
    }
}

pub(crate) fn state(site: &Site, serial: &str) -> String {
    let told = site.provisioner(&["audit", "unit", serial]).ok().json();
    told["state"].as_str().unwrap().to_owned()
}

/// The file of a bench without what proves one serial.
fn without_proof_of(file: &str, serial: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let own = format!("\\\"serial\\\":\\\"{serial}\\\"");
    let left: Vec<&str> = text.lines().filter(|line| !line.contains(&own)).collect();
    assert!(left.len() < text.lines().count());
    std::fs::write(file, left.join("\n") + "\n").unwrap();
}

/// A disk that died, and what there is of the log it held.
struct Disaster {
    plant: Plant,
    /// An order that the copy knows, and one that was created after it.
    order: String,
    late: String,
    units: Vec<usize>,
    copy: String,
    /// The witness's folder.
    home: String,
    /// Entries that the lost log had.
    had: u64,
    journals: [String; 2],
    /// What the unit in flight that a station can prove holds.
    in_flight: Held,
}

impl Disaster {
    /// After the copy: a unit that joins on to it; an order, which no station can prove; units of both
    /// orders; one in flight at each bench, of which one is proven by nobody.
    fn strikes() -> Disaster {
        let mut plant = Plant::start(LABELLED);
        let order = plant.site.order("CAM-2", 10, 20);
        let units: Vec<usize> = (0..8).map(|_| plant.unit("CAM2")).collect();
        plant.seal(0, &order, "R-001", units[0]);
        let well = plant.station(0, &["recovery", "--format", "json"]);
        assert_eq!(well.ok().json()["lost"], 0);
        let copy = plant.back_up();
        plant.seal(0, &order, "R-002", units[1]);
        let late = plant.site.order("CAM-2", 5, 20);
        plant.seal(0, &order, "R-003", units[2]);
        assert_eq!(plant.run(0, &order, "R-004", units[3]).code, Some(10));
        plant.seal(1, &late, "R-005", units[4]);
        let exported = text(&plant.site.path("export"));
        let export = ["audit", "export", "--out", &exported];
        plant.site.provisioner(&export).ok();
        let home = text(&plant.site.path("witness"));
        witness(&plant, &home, &exported, &[]).ok();
        assert_eq!(plant.run(1, &late, "R-006", units[5]).code, Some(10));
        let in_flight = Held::in_flash(&plant.flash(units[3])).unwrap();
        let had = plant.verify()["entries"].as_u64().unwrap();
        plant.site.stop();
        plant.put_back(&copy);
        let journals = [0, 1].map(|bench| plant.hand_over(bench));
        without_proof_of(&journals[1], "R-006");
        Disaster {
            plant,
            order,
            late,
            units,
            copy,
            home,
            had,
            journals,
            in_flight,
        }
    }

    fn with_journals<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let journals = self.journals.iter().flat_map(|file| ["--journal", file]);
        journals.chain(more.iter().copied()).collect()
    }

    fn recover(&self, more: &[&str]) -> Done {
        self.plant.recover(&self.with_journals(more))
    }

    /// What it takes is told, and nothing is accepted by anybody; gives what has to be typed.
    fn is_told(&self) -> String {
        let (had, data) = (self.had, self.plant.site.data());
        provisioner_on(&data, &SERVE).refused(2, "run `provisioner recover`");
        let file = std::fs::read_to_string(&self.journals[0]).unwrap();
        assert!(!file.contains(self.in_flight.password.as_str()) && !file.contains("ticket"));
        let told = self.recover(&[]);
        assert_eq!(told.code, Some(1), "{told:#?}");
        let told = told.json();
        let number = |name: &str| told[name].as_u64().unwrap();
        assert_eq!(number("remembered"), had);
        assert_eq!(number("entries") - number("entries_before"), 3, "{told}");
        let proven = serde_json::json!(["R-003", "R-004", "R-005"]);
        assert_eq!(told["units_proven"], proven);
        assert_eq!(told["units_unproven"], serde_json::json!(["R-006"]));
        assert!(told["orders_unknown"].get(&self.late).is_some(), "{told}");
        let statement = told["statement"].as_str().unwrap().to_owned();
        let lost = number("lost");
        assert_eq!(statement, format!("{lost} of {had} entries are lost"));
        provisioner_on(&data, &SERVE).refused(2, "the token saw a log of");
        let data = text(&data);
        let words = ["recover", "--allow-simulated-hsm", "--data", &data];
        let said = run(
            &binaries().provisioner,
            &[&words[..], &self.with_journals(&[])].concat(),
        );
        let accept = format!("--accept-loss \"{statement}\"");
        for part in [accept.as_str(), "EVERY station", "--order WO-0002:"] {
            assert!(said.out.contains(part), "no `{part}` in {}", said.out);
        }
        statement
    }

    /// Two people, the numbers, and what was made after the copy.
    fn is_accepted(&self, statement: &str) {
        let again = format!("{}:CAM-2:5:20", self.late);
        let accept = |statement: &str, by: &[&str]| {
            let order = ["--order", &again, "--block", "R-099"];
            let accept = ["--accept-loss", statement];
            self.recover(&[&order[..], &accept[..], by].concat())
        };
        accept("1 of 2 entries are lost", &TWO_BADGES).refused(2, "nothing is accepted");
        accept(statement, &["--by", "B-7"]).refused(2, "two people");
        let done = accept(statement, &TWO_BADGES).ok().json();
        assert_eq!(done["recovered"], true);
        let blocked = done["blocked"].as_object().unwrap();
        assert!(blocked.keys().eq(["R-006", "R-099"]), "{done}");

        let site = &self.plant.site;
        let said = &self.plant.verify()["recoveries"][0];
        assert_eq!(said["remembered"], self.had);
        assert_eq!(said["by"], serde_json::json!(["B-7", "B-8"]));
        let serials = ["R-001", "R-002", "R-003", "R-004", "R-005"];
        let stand = serials.map(|serial| state(site, serial));
        assert_eq!(stand, ["sealed", "sealed", "sealed", "loaded", "sealed"]);
        let data = text(&site.data());
        let unit = ["audit", "unit", "R-003", "--data", &data];
        let said = run(&binaries().provisioner, &unit).ok();
        assert!(said.out.contains("of the lost log, kept by bench-1"));
    }

    /// Who remembers the lost log refuses until a lead has typed the numbers.
    fn stations_hear_of_it(&self, statement: &str) {
        let plant = &self.plant;
        let went_back = plant.run(0, &self.order, "R-004", self.units[3]);
        went_back.refused(30, "station-cli recovery");
        let told = plant.station(0, &["recovery", "--format", "json"]);
        let accepted = &told.json()["accepted"];
        assert_eq!((told.code, accepted), (Some(30), &false.into()));
        assert!(told.err.contains("By B-7 and B-8"), "{told:#?}");
        let accept = |bench: usize, typed: &str| {
            let accept = ["recovery", "--accept", typed, "--format", "json"];
            plant.station(bench, &accept)
        };
        accept(0, "yes").refused(2, "nothing is accepted");
        for (bench, aside) in [
            (0, serde_json::json!([])),
            (1, serde_json::json!(["R-006"])),
        ] {
            let told = accept(bench, statement).ok().json();
            assert_eq!(told["laid_aside"], aside);
        }
    }

    /// The unit in flight ends with the password it had; the one nobody proves is never issued again.
    fn the_line_goes_on(&self) {
        let (plant, units) = (&self.plant, &self.units);
        let label = scan(&plant.site.path("labels"), "R-004").unwrap();
        let sealed = plant.run_with(0, &self.order, "R-004", units[3], &label);
        sealed.ok();
        let after = Held::in_flash(&plant.flash(units[3])).unwrap();
        assert!(after.password == self.in_flight.password);
        assert!(after.sha256 == self.in_flight.sha256);
        let blank = plant.run(1, &self.late, "R-006", units[6]);
        assert_eq!(blank.json()["reason"], "DUPLICATE_UNIT", "{blank:#?}");
        plant.seal(1, &self.late, "R-007", units[7]);
        assert_eq!(plant.passwords(), 7);
        assert_eq!(plant.site.count(&self.order).sealed, 4);
        assert_eq!(plant.site.count(&self.late).sealed, 2);
        assert_eq!(plant.verify()["recoveries"].as_array().unwrap().len(), 1);
    }

    /// The brand owner's witness, whose checkpoint nobody has handed in, comes late.
    fn the_witness_comes_late(&mut self) {
        let fresh = text(&self.plant.site.path("export-2"));
        let export = ["audit", "export", "--out", &fresh];
        self.plant.site.provisioner(&export).ok();
        let told = witness(&self.plant, &self.home, &fresh, &[]).refused(1, "hand ");
        let kept = told.err.split("hand ").nth(1).unwrap();
        let kept = kept.split(" to `provisioner").next().unwrap().to_owned();
        self.plant.site.stop();
        let late = ["--checkpoint", kept.as_str()];
        let found = self.recover(&late).json();
        let statement = found["statement"].as_str().unwrap().to_owned();
        let accept = ["--accept-loss", &statement];
        let done = self.recover(&[&late[..], &accept[..], &TWO_BADGES[..]].concat());
        assert_eq!(done.ok().json()["entries_written_again"], 0);
        self.plant.site.serve();
        self.plant.site.provisioner(&export).ok();
        let cosign = |more: &[&str]| witness(&self.plant, &self.home, &fresh, more);
        cosign(&[]).refused(1, &format!("--accept-loss \"{statement}\""));
        cosign(&["--accept-loss", "yes"]).refused(2, "nothing is accepted");
        cosign(&accept).ok();
        cosign(&[]).ok();
    }

    /// The token notices an older copy from before the recovery, and one from after it.
    fn the_token_goes_on_watching(&mut self) {
        let whole = text(&self.plant.site.path("whole.db"));
        let backup = ["backup", "--out", &whole];
        self.plant.site.provisioner(&backup).ok();
        self.plant.site.order("CAM-2", 1, 20);
        self.plant.site.stop();
        for older in [&self.copy, &whole] {
            self.plant.put_back(older);
            let data = self.plant.site.data();
            provisioner_on(&data, &SERVE).refused(2, "the token saw a log of");
        }
    }
}

/// The brand owner's witness, who has no data directory of ours.
fn witness(plant: &Plant, home: &str, bundle: &str, more: &[&str]) -> Done {
    let witness = ["audit", "witness", "--home", home, "--bundle", bundle];
    let nowhere = plant.site.path("nowhere");
    provisioner_on(&nowhere, &[&witness[..], more].concat())
}

#[test]
fn what_stations_prove_comes_back_and_the_gap_is_on_record_for_ever() {
    let mut disaster = Disaster::strikes();
    let statement = disaster.is_told();
    disaster.is_accepted(&statement);
    disaster.plant.site.serve();
    disaster.stations_hear_of_it(&statement);
    disaster.the_line_goes_on();
    disaster.the_witness_comes_late();
    disaster.the_token_goes_on_watching();
}

#[test]
fn a_station_locks_a_server_that_forgot_and_gives_it_back_what_it_forgot() {
    let mut plant = Plant::start(PLAIN);
    let order = plant.site.order("PLUG-1", 10, 20);
    let units: Vec<usize> = (0..4).map(|_| plant.unit("PLUG1")).collect();
    plant.run(0, &order, "R-001", units[0]).ok();
    let copy = plant.back_up();
    let data = plant.site.data();
    // The token is as old as the copy: it remembers nothing more.
    let [token, older] = ["hsm/soft.store", "hsm/older.store"].map(|name| data.join(name));
    plant.site.stop();
    std::fs::copy(&token, &older).unwrap();
    plant.site.serve();
    plant.run(0, &order, "R-002", units[1]).ok();
    let had = plant.verify()["entries"].as_u64().unwrap();
    plant.site.stop();
    plant.put_back(&copy);
    std::fs::copy(&older, &token).unwrap();

    // It starts, and does not know. The first station that remembers tells it, and all are locked.
    plant.site.serve();
    let refused = plant.run(0, &order, "R-003", units[2]);
    refused.refused(30, "went backwards");
    let other = plant.run(1, &order, "R-003", units[3]);
    assert_eq!(other.json()["reason"], "LEDGER_UNAVAILABLE", "{other:#?}");
    assert_eq!(
        Held::in_flash(&plant.flash(units[3])).map(|held| held.serial),
        None
    );
    plant.site.stop();
    let says = format!("a log of {had} entries is remembered");
    provisioner_on(&data, &SERVE).refused(2, &says);

    // A file that was altered brings back nothing.
    let file = plant.hand_over(0);
    let text_of = std::fs::read_to_string(&file).unwrap();
    let forged = text(&plant.site.path("forged"));
    std::fs::write(&forged, text_of.replace("R-002", "R-003")).unwrap();
    plant
        .recover(&["--journal", &forged])
        .refused(2, "take it from there again");
    std::fs::write(&forged, "{}\n").unwrap();
    plant.recover(&["--journal", &forged]).refused(2, "line 1");

    // One station saw everything since the copy: nothing is lost, and nobody has to accept anything.
    let told = plant.recover(&["--journal", &file]).ok().json();
    assert_eq!((&told["lost"], &told["entries"]), (&0.into(), &had.into()));
    assert_eq!(plant.verify()["recoveries"], serde_json::json!([]));
    plant.site.serve();
    plant.run(0, &order, "R-003", units[2]).ok();
    plant.run(1, &order, "R-004", units[3]).ok();
    assert_eq!(plant.passwords(), 4);
    assert_eq!(plant.site.count(&order).sealed, 4);
}

#[test]
fn a_station_that_comes_late_brings_its_units_and_a_serial_that_was_built_twice_is_blocked() {
    let mut plant = Plant::start(PLAIN);
    let order = plant.site.order("PLUG-1", 10, 20);
    let units: Vec<usize> = (0..6).map(|_| plant.unit("PLUG1")).collect();
    plant.run(0, &order, "R-001", units[0]).ok();
    let copy = plant.back_up();
    plant.run(1, &order, "R-002", units[1]).ok();
    plant.run(1, &order, "R-003", units[2]).ok();
    plant.run(0, &order, "R-004", units[3]).ok();
    plant.site.stop();
    plant.put_back(&copy);
    let recover = |plant: &Plant, file: &str| {
        let journal = ["--journal", file];
        let found = plant.recover(&journal);
        let statement = found.json()["statement"].as_str().unwrap().to_owned();
        let accept = ["--accept-loss", &statement];
        let arguments = [&journal[..], &accept[..], &TWO_BADGES[..]].concat();
        (plant.recover(&arguments).ok().json(), statement)
    };
    let (first, statement) = recover(&plant, &plant.hand_over(0));
    assert_eq!(first["units_proven"], serde_json::json!(["R-004"]));
    plant.site.serve();
    let accept = ["recovery", "--accept", &statement];
    plant.station(0, &accept).ok();
    // Nobody knows that this serial is in the field already.
    plant.run(0, &order, "R-003", units[4]).ok();
    plant.site.stop();

    let late = plant.hand_over(1);
    let (second, statement) = recover(&plant, &late);
    assert_eq!(second["entries_written_again"], 3, "{second}");
    let why = second["blocked"]["R-003"].as_str().unwrap();
    assert!(
        why.contains("cannot stand: serial R-003 is sealed"),
        "{why}"
    );
    assert_eq!(state(&plant.site, "R-002"), "sealed");
    let told = plant
        .site
        .provisioner(&["audit", "unit", "R-003"])
        .ok()
        .json();
    assert_eq!(told["blocked_by"].as_array().unwrap().len(), 1);
    let verified = plant.verify();
    assert_eq!(verified["recoveries"].as_array().unwrap().len(), 2);

    // Run once more, as after a crash, it finds nothing left to do.
    let again = plant
        .recover(&[&["--journal", &late], &TWO_BADGES[..]].concat())
        .ok()
        .json();
    assert_eq!(again["entries"], second["entries"]);
    plant.site.serve();
    let accept = ["recovery", "--accept", &statement];
    plant.station(1, &accept).ok();
    plant.run(1, &order, "R-005", units[5]).ok();
    assert_eq!(plant.site.count(&order).sealed, 5);
    plant.verify();
}

fn rotate_log(plant: &mut Plant) {
    let ask = ["rotate", "--key", "log", "--allow-simulated-hsm"];
    let why = ["--reason", "one year", "--operator", "officer 1"];
    let rotate = [ask, why].concat();
    plant.site.stop();
    plant.site.provisioner(&rotate).ok();
    plant.site.serve();
}

#[test]
fn a_rotation_is_never_lost_in_silence_and_comes_back_with_an_export() {
    let mut plant = Plant::start(PLAIN);
    let order = plant.site.order("PLUG-1", 10, 20);
    let units: Vec<usize> = (0..4).map(|_| plant.unit("PLUG1")).collect();
    plant.run(0, &order, "R-001", units[0]).ok();
    let copy = plant.back_up();
    let data = plant.site.data();
    let [vkey, older] = [data.join("vkey"), plant.site.path("older.vkey")];
    std::fs::copy(&vkey, &older).unwrap();
    rotate_log(&mut plant);
    plant.run(0, &order, "R-002", units[1]).ok();
    let exported = text(&plant.site.path("export"));
    let export = ["audit", "export", "--out", &exported];
    plant.site.provisioner(&export).ok();
    plant.run(0, &order, "R-003", units[2]).ok();
    let had = plant.verify()["entries"].as_u64().unwrap();
    plant.site.stop();
    plant.put_back(&copy);
    let file = plant.hand_over(0);
    let journal = ["--journal", file.as_str()];

    // Whether or not the key's file came from the copy too.
    plant.recover(&journal).refused(2, "(--bundle)");
    std::fs::copy(&older, &vkey).unwrap();
    plant.recover(&journal).refused(2, "(--bundle)");

    let both = [&journal[..], &["--bundle", &exported]].concat();
    let told = plant.recover(&both).ok().json();
    assert_eq!((&told["lost"], &told["entries"]), (&0.into(), &had.into()));
    assert_eq!(told["newer_keys"], serde_json::json!([]));
    plant.site.serve();
    plant.run(0, &order, "R-004", units[3]).ok();
    assert_eq!(plant.site.count(&order).sealed, 4);
    let old = text(&older);
    let verify = ["audit", "verify", "--vkey", &old];
    plant.site.provisioner(&verify).ok();
}

#[test]
fn a_key_that_is_rotated_after_a_loss_leaves_nobody_behind_who_remembers_more() {
    let mut plant = Plant::start(PLAIN);
    let order = plant.site.order("PLUG-1", 10, 20);
    let units: Vec<usize> = (0..6).map(|_| plant.unit("PLUG1")).collect();
    rotate_log(&mut plant);
    plant.run(0, &order, "R-001", units[0]).ok();
    let copy = plant.back_up();
    plant.run(1, &order, "R-002", units[1]).ok();
    plant.site.order("PLUG-1", 1, 20); // which no station can prove: the gap
    plant.run(1, &order, "R-003", units[2]).ok();
    plant.run(0, &order, "R-004", units[3]).ok();
    plant.site.stop();
    plant.put_back(&copy);
    let accept = |plant: &Plant, bench: usize| {
        let file = plant.hand_over(bench);
        let journal = ["--journal", file.as_str()];
        let found = plant.recover(&journal).json();
        let statement = found["statement"].as_str().unwrap().to_owned();
        let accept = ["--accept-loss", statement.as_str()];
        let arguments = [&journal[..], &accept[..], &TWO_BADGES[..]].concat();
        (plant.recover(&arguments).ok().json(), statement)
    };
    let (_, first) = accept(&plant, 0);
    // The log is shorter than the one that both benches remember under the key before.
    plant.site.serve();
    rotate_log(&mut plant);
    plant.station(0, &["recovery", "--accept", &first]).ok();
    plant.run(0, &order, "R-005", units[4]).ok();
    let late = plant.run(1, &order, "R-006", units[5]);
    assert_eq!(late.code, Some(30), "{late:#?}");
    plant.site.stop();
    let (told, second) = accept(&plant, 1);
    assert!(
        told["entries_written_again"].as_u64().unwrap() > 0,
        "{told}"
    );
    plant.site.serve();
    rotate_log(&mut plant);
    plant.station(1, &["recovery", "--accept", &second]).ok();
    plant.run(1, &order, "R-006", units[5]).ok();
    assert_eq!(plant.site.count(&order).sealed, 6);
    let verified = plant.verify();
    assert_eq!(verified["recoveries"].as_array().unwrap().len(), 2);
}
