//! `kill -9` of server and stations at random moments of a run.
//!
//! Each kill belongs to one run of a station: so long after its start, the station, the server or
//! both die. Moments are spread over a whole cycle, four slots work at once, and a unit whose
//! station died is run again until it is sealed. What must hold afterwards is at the end.
//!
//! `BIRTHMARK_KILLS=n` asks for more kills, `BIRTHMARK_SEED=n` for the same moments again; how
//! the processes interleave is the kernel's to say.

#![allow(clippy::print_stdout, reason = "the figures of a run")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use line_sim::unit::SimUnit;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::binaries::{WITHIN, binaries, run, text_of, until};
use crate::site::{LABELLED, PLAIN, Site, provisioner_on, text};
use crate::units::{Held, port, scan, silicon};

const UNITS: u32 = 40;
const KILLS: u32 = 50;
const STATIONS: [&str; 2] = ["bench-1", "bench-2"];
const SLOTS: usize = 2;

/// What an undisturbed run takes, until one was measured.
const CYCLE: Duration = Duration::from_millis(150);
/// A unit that needs more runs is not merely unlucky.
const RUNS: u32 = 20;

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let started = Instant::now();
    let kills = from_environment("BIRTHMARK_KILLS").map_or(KILLS, |n| n.try_into().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = from_environment("BIRTHMARK_SEED").unwrap_or(now.as_secs());
    println!("{kills} kills, BIRTHMARK_SEED={seed}");

    let line = Line::new(kills, seed);
    std::thread::scope(|scope| {
        for station in &line.stations {
            for _ in 0..SLOTS {
                scope.spawn(|| line.slot(station));
            }
        }
    });
    let spent = line.plan().struck.values().sum::<u32>();
    assert_eq!(spent, kills, "every kill hit a run that was under way");
    println!("{}", line.figures());
    line.check();
    println!("{:.1} s", started.elapsed().as_secs_f32());
}

/// Who dies.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Victim {
    Server,
    Station,
    Both,
}

/// The line under test.
struct Line {
    site: Mutex<Site>,
    data: PathBuf,
    units: PathBuf,
    labels: PathBuf,
    logs: PathBuf,
    stations: Vec<PathBuf>,
    /// Of products with a label and without.
    orders: [String; 2],
    /// For units beyond the others, while kills are left.
    spare: String,
    plan: Mutex<Plan>,
    held: Mutex<Vec<Held>>,
}

/// What is still to come, and what came.
struct Plan {
    random: Random,
    kills: Vec<Victim>,
    next: u32,
    runs: u32,
    cycle: Duration,
    struck: BTreeMap<(Victim, String), u32>,
    reasons: BTreeMap<String, u32>,
}

/// One unit at its station.
struct Turn<'a> {
    station: &'a Path,
    serial: String,
    order: &'a str,
    port: String,
    flash: PathBuf,
}

/// How a run of a station ended.
enum Ended {
    Killed,
    Exited { code: i32, reason: String },
}

impl Line {
    fn new(kills: u32, seed: u64) -> Line {
        let site = Site::start();
        site.apply(PLAIN).ok();
        site.apply(LABELLED).ok();
        let allowance = 20 + 2 * kills; // each kill can void one attempt
        let order = |product, quantity| site.order(product, quantity, allowance);
        let orders = [order("CAM-2", UNITS / 2), order("PLUG-1", UNITS / 2)];
        let spare = order("CAM-2", 10 * kills + 1);
        let mut random = Random(seed);
        let mut victims: Vec<Victim> = (0..kills)
            .map(|n| match n % 10 {
                0..=3 => Victim::Server,
                4..=7 => Victim::Station,
                _ => Victim::Both,
            })
            .collect();
        for last in (1..victims.len()).rev() {
            victims.swap(last, random.below(last as u64 + 1) as usize);
        }
        Line {
            data: site.data(),
            units: site.path("units"),
            labels: site.path("labels"),
            logs: site.path("logs"),
            stations: STATIONS.map(|name| site.station(name)).into(),
            orders,
            spare,
            plan: Mutex::new(Plan {
                random,
                kills: victims,
                next: 0,
                runs: 0,
                cycle: CYCLE,
                struck: BTreeMap::new(),
                reasons: BTreeMap::new(),
            }),
            held: Mutex::default(),
            site: Mutex::new(site),
        }
    }

    /// Its guard must not outlive a statement: all slots share it.
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("another slot failed")
    }

    /// One slot: takes units until there is nothing left to do.
    fn slot(&self, station: &Path) {
        loop {
            let Some(number) = self.plan().next_unit() else {
                return;
            };
            let serial = format!("K-{number:05}");
            let flash = self.units.join(format!("{serial}.json"));
            let order = match number {
                number if number >= UNITS => &self.spare,
                number => &self.orders[number as usize % 2],
            };
            let model = if *order == self.orders[1] {
                "PLUG1"
            } else {
                "CAM2"
            };
            let mut config = silicon(number, model, &flash);
            config.own_key = number % 4 < 2;
            let unit = SimUnit::spawn(config).unwrap();
            let port = port(&unit);
            let turn = Turn {
                station,
                serial,
                order,
                port,
                flash,
            };
            self.unit(&turn);
            unit.stop().unwrap();
        }
    }

    /// Runs a unit until it is sealed, however often its station dies.
    fn unit(&self, turn: &Turn<'_>) {
        let mut killed = false;
        for _ in 0..RUNS {
            let ended = self.run(turn);
            self.look(turn);
            match ended {
                Ended::Killed => killed = true,
                Ended::Exited { code: 0, .. } => return,
                // It died between its last record and its end.
                Ended::Exited { code: 2, reason } if reason == "SAME_UNIT" && killed => return,
                Ended::Exited {
                    code: 2 | 10,
                    reason,
                } => self.plan().note(reason),
                Ended::Exited { code, reason } => panic!("{}: {code} {reason}", turn.serial),
            }
        }
        panic!("{} is not sealed after {RUNS} runs", turn.serial);
    }

    /// Runs the station once, and kills whoever is to die meanwhile.
    fn run(&self, turn: &Turn<'_>) -> Ended {
        let (number, mut kill) = self.plan().next_run();
        let log = |what| self.logs.join(format!("{}-{number}.{what}", turn.serial));
        let mut child = self.station(turn, &log("out"), &log("err"));
        let mut scanner = child.stdin.take();
        let started = Instant::now();
        let code = until(2 * WITHIN, || {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(Some(status.code().expect("nobody else kills it")));
            }
            self.answer(turn, &mut scanner);
            let (victim, _) = kill.take_if(|(_, after)| started.elapsed() >= *after)?;
            let at = reached(&self.journal(turn));
            if victim != Victim::Server {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            self.plan().struck(victim, at);
            if victim != Victim::Station {
                let mut site = self.site.lock().expect("another slot failed");
                site.kill();
                site.serve();
            }
            (victim != Victim::Server).then_some(None)
        });
        let code = code.unwrap_or_else(|| {
            let _ = child.kill();
            panic!("{} hangs: {}", turn.serial, text_of(&log("err")));
        });
        self.plan().ended(kill, code == Some(0), started.elapsed());
        let Some(code) = code else {
            return Ended::Killed;
        };
        let out = text_of(&log("out"));
        let report: Value = serde_json::from_str(&out)
            .unwrap_or_else(|error| panic!("{error}: {out} {}", text_of(&log("err"))));
        let reason = report["reason"].as_str().unwrap_or_default().to_owned();
        Ended::Exited { code, reason }
    }

    fn station(&self, turn: &Turn<'_>, out: &Path, err: &Path) -> Child {
        Command::new(&binaries().station_cli)
            .args(["provision", "--format", "json", "--operator", "B-7"])
            .args(["--order", turn.order, "--serial", &turn.serial])
            .args(["--port", &turn.port])
            .arg("--data")
            .arg(turn.station)
            .arg("--labels")
            .arg(&self.labels)
            .stdin(Stdio::piped())
            .stdout(File::create(out).unwrap())
            .stderr(File::create(err).unwrap())
            .spawn()
            .unwrap()
    }

    /// Scans the label as soon as it is printed.
    fn answer(&self, turn: &Turn<'_>, scanner: &mut Option<ChildStdin>) {
        if scanner.is_none() || reached(&self.journal(turn)) != "labelled" {
            return;
        }
        let label = scan(&self.labels, &turn.serial).expect("a label that was printed");
        let mut scanner = scanner.take().unwrap();
        let _ = scanner.write_all(label.as_bytes()); // it may have ended meanwhile
    }

    fn journal(&self, turn: &Turn<'_>) -> PathBuf {
        let file = format!("journal/{}.json", turn.serial);
        turn.station.join(file)
    }

    /// Notes what the unit holds now.
    fn look(&self, turn: &Turn<'_>) {
        self.held
            .lock()
            .unwrap()
            .extend(Held::in_flash(&turn.flash));
    }

    fn figures(&self) -> String {
        let plan = self.plan();
        let mut text = format!("{} units, {} runs", plan.next, plan.runs);
        for ((victim, at), times) in &plan.struck {
            text.push_str(&format!("\n  {victim:?} killed at `{at}`: {times}"));
        }
        for (reason, times) in &plan.reasons {
            text.push_str(&format!("\n  run again after {reason}: {times}"));
        }
        text + &format!("\n  cycle {} ms", plan.cycle.as_millis())
    }
}

impl Plan {
    fn next_unit(&mut self) -> Option<u32> {
        let number = self.next;
        (number < UNITS || !self.kills.is_empty()).then(|| self.next += 1)?;
        Some(number)
    }

    /// The run's number, and who dies in it how long after its start. Kills are spread over the
    /// units that are left.
    fn next_run(&mut self) -> (u32, Option<(Victim, Duration)>) {
        self.runs += 1;
        let kills = self.kills.len() as u64;
        let units = u64::from(UNITS.saturating_sub(self.next));
        if kills == 0 || self.random.below(kills + units) >= kills {
            return (self.runs, None);
        }
        let after = self
            .cycle
            .mul_f64(self.random.below(1_000) as f64 / 1_000.0);
        (self.runs, self.kills.pop().map(|victim| (victim, after)))
    }

    fn struck(&mut self, victim: Victim, at: String) {
        *self.struck.entry((victim, at)).or_default() += 1;
    }

    /// A kill that came too late goes back; a run without one says how long a cycle is.
    fn ended(&mut self, kill: Option<(Victim, Duration)>, sealed: bool, took: Duration) {
        match kill {
            Some((victim, _)) => self.kills.push(victim),
            None if sealed => self.cycle = (self.cycle * 7 + took.min(2 * CYCLE)) / 8,
            None => {}
        }
    }

    fn note(&mut self, reason: String) {
        *self.reasons.entry(reason).or_default() += 1;
    }
}

/// What must hold when everything has been run to its end.
impl Line {
    fn check(self) {
        let mut site = self.site.into_inner().unwrap();
        site.kill(); // the log must verify as a kill leaves it, before anybody opens it again
        site.provisioner(&["audit", "verify"]).ok();
        site.serve();

        let units = self.plan.into_inner().unwrap().next;
        let serials: Vec<String> = (0..units).map(|n| format!("K-{n:05}")).collect();
        let mut sealed = 0;
        for (order, quantity) in [(&self.orders[0], UNITS / 2), (&self.orders[1], UNITS / 2)] {
            let count = site.count(order);
            assert_eq!(
                (count.sealed, count.not_started),
                (quantity.into(), 0),
                "{count:?}"
            );
            sealed += count.sealed;
        }
        sealed += site.count(&self.spare).sealed;
        assert_eq!(sealed, u64::from(units));
        let voided = [&self.orders[0], &self.orders[1], &self.spare]
            .map(|order| {
                let count = site.count(order);
                assert_eq!((count.open, count.scrapped), (0, 0), "{count:?}");
                count.voided
            })
            .iter()
            .sum::<u64>();

        for station in &self.stations {
            let left: Vec<_> = std::fs::read_dir(station.join("journal"))
                .unwrap()
                .collect();
            assert!(left.is_empty(), "a journal is not empty: {left:?}");
            let station = text(station);
            let sync = ["sync", "--data", &station, "--format", "json"];
            assert_eq!(run(&binaries().station_cli, &sync).ok().out, "");
        }
        site.stop();
        let verified = site.provisioner(&["audit", "verify"]).ok().json();

        let held = self.held.into_inner().unwrap();
        let attempts = check_units(&self.data, &self.units, &serials, &held);
        check_secrecy(&site, &held, &[self.units, self.labels]);
        println!(
            "{sealed} sealed, {voided} voided, {attempts} attempts, {} of them seen in flash, \
             {} entries",
            held.iter()
                .map(|held| (&held.serial, held.attempt))
                .collect::<HashSet<_>>()
                .len(),
            verified["entries"]
        );
    }
}

/// Units against log: a unit holds only what the log says it was issued, and no two the same.
fn check_units(data: &Path, units: &Path, serials: &[String], held: &[Held]) -> usize {
    let mut issued = HashMap::new(); // (serial, attempt) -> bundle
    for serial in serials {
        let unit = provisioner_on(data, &["audit", "unit", serial]).ok().json();
        assert_eq!(unit["state"], "sealed", "{serial}");
        for entry in unit["entries"].as_array().unwrap() {
            if entry["kind"] == "issued" {
                let attempt = entry["attempt"].as_u64().unwrap();
                let bundle = entry["bundle_sha256"].as_str().unwrap().to_owned();
                issued.insert((serial.clone(), attempt), bundle);
            }
        }
        let now = Held::in_flash(&units.join(format!("{serial}.json"))).unwrap();
        assert_eq!(
            (&now.serial, Some(now.attempt)),
            (serial, unit["attempt"].as_u64())
        );
        let newest = &issued[&(serial.clone(), now.attempt)];
        assert_eq!(
            &now.sha256, newest,
            "{serial} holds another bundle than its log says"
        );
        assert!(
            held.iter().any(|held| held.sha256 == now.sha256),
            "{serial} was looked at"
        );
    }
    let mut owners: HashMap<&str, (&str, u64)> = HashMap::new();
    for held in held {
        let owner = (held.serial.as_str(), held.attempt);
        let logged = issued.get(&(held.serial.clone(), held.attempt));
        assert_eq!(
            logged,
            Some(&held.sha256),
            "{owner:?} held what the log does not hold"
        );
        let first = owners.insert(&held.password, owner).unwrap_or(owner);
        assert_eq!(first, owner, "two attempts, one password");
    }
    issued.len()
}

/// No password that was ever on a unit is in any other file, in any form that is easily undone.
fn check_secrecy(site: &Site, held: &[Held], homes: &[PathBuf]) {
    let mut secrets = Vec::new();
    for password in held.iter().map(|held| held.password.as_str()) {
        assert_eq!(password.len(), 12);
        let [a, b, c] = [&password[..4], &password[4..8], &password[8..]];
        let hex: String = password.bytes().map(|byte| format!("{byte:02X}")).collect();
        let forms = [
            password.to_owned(),
            format!("{a}-{b}-{c}"),
            format!("{a} {b} {c}"),
            hex,
        ];
        secrets.extend(forms.map(Zeroizing::new));
    }
    let root = site.path("");
    let (holders, searched) = line_sim::holders(&root, homes, &secrets).unwrap();
    assert!(holders.is_empty(), "a password is in {holders:?}");
    assert!(searched > 100, "only {searched} files were searched");
    let (found, _) = line_sim::holders(&homes[0], &[], &secrets).unwrap();
    assert!(
        !found.is_empty(),
        "a search that finds nothing where all are proves nothing"
    );
}

/// How far a unit's record at its station has come.
fn reached(journal: &Path) -> String {
    let Ok(text) = std::fs::read_to_string(journal) else {
        return "no record".to_owned();
    };
    let record: Value = serde_json::from_str(&text).expect("a record is replaced whole");
    let reached = record["issued"]["reached"].as_str();
    reached.unwrap_or("intent").to_owned()
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
    )
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same kills.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
