//! The crash sweep: the power goes at every durable write of a scenario, before it, in the middle
//! of it and after it; what is left is opened and checked in full.
//!
//! The files of the key index are written to a disk in memory, so each single act on it is a point:
//! done, half done, not done, with all, some or none of what no sync had made durable. The database
//! is written by SQLite, whose file layer cannot be replaced without unsafe code: its points are
//! what a crash can leave in its two files, made from what they held before and after each step:
//! every number of frames of the write-ahead log, each of them torn, the first missing behind
//! later ones, and every number of database pages copied by a checkpoint, each of them torn.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail
#![allow(clippy::print_stdout)] // what was counted, or why nothing was run

mod disk;
#[path = "../line/mod.rs"]
mod line;

use std::path::Path;
use std::sync::Arc;

use disk::{End, SimDisk, Unsynced};
use ledger::{Ledger, Options, Refused, verify};
use line::lease::*;
use line::*;
use tempfile::TempDir;
use tlog::CheckpointSigner;
use traveler::{Change, Event, State};

const UNITS: usize = 9;
const PAGE: usize = 4_096;
const WAL_HEADER: usize = 32;
const FRAME: usize = 24 + PAGE;

/// What is in the folder at one moment.
#[derive(Clone, PartialEq)]
struct Files {
    database: Vec<u8>,
    wal: Vec<u8>,
    checkpoint: Vec<u8>,
}

impl Files {
    fn read(path: &Path) -> Files {
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        Files {
            database: read(path),
            wal: read(&path.with_extension("db-wal")),
            checkpoint: read(&path.with_file_name("checkpoint")),
        }
    }

    fn write(&self, path: &Path) {
        let _ = std::fs::remove_file(path.with_extension("db-shm"));
        std::fs::write(path, &self.database).unwrap();
        std::fs::write(path.with_extension("db-wal"), &self.wal).unwrap();
        std::fs::write(path.with_file_name("checkpoint"), &self.checkpoint).unwrap();
    }
}

/// One step of the scenario, as it was.
struct Moment {
    before: Files,
    after: Files,
    /// Acts of the index's disk before and after it.
    acts: (usize, usize),
    /// Entries before and after it.
    sizes: (u64, u64),
}

struct Scenario {
    disk: SimDisk,
    key: Arc<Key>,
    moments: Vec<Moment>,
}

fn options(disk: &SimDisk) -> Options {
    Options {
        disk: Some(Arc::new(disk.clone())),
        run_entries: Some(4),
        fold_batches: Some(6),
        least_free: Some(0), // wherever it runs: this is not about room
        reserve: Some(4_096),
    }
}

/// Units go through the line, some voided, some in one batch; after each batch the ledger tidies up;
/// in the middle it is opened again.
fn scenario() -> Scenario {
    let Line {
        folder,
        path,
        key,
        ledger,
    } = Line::new();
    drop(ledger);
    let mut scenario = Scenario {
        disk: SimDisk::default(),
        key,
        moments: Vec::new(),
    };
    let mut ledger = Ledger::open_with(&path, &options(&scenario.disk)).unwrap();
    for n in 0..UNITS {
        let unit = format!("BM-{n}");
        let batches: Vec<Vec<Change>> = match n % 3 {
            0 => vec![
                vec![change(vec![issue(&unit, 1)])],
                vec![
                    change(vec![loaded(&unit, 1)]),
                    change(vec![sealed(&unit, 1)]),
                ],
            ],
            1 => vec![
                vec![
                    change(vec![issue(&unit, 1)]),
                    change(vec![loaded("BM-77", 1)]),
                ],
                vec![change(vec![loaded(&unit, 1)])],
                vec![change(vec![sealed(&unit, 1)])],
            ],
            _ => vec![
                vec![change(vec![leased(&unit, 1)])],
                vec![
                    change(vec![spent(&unit, 1), loaded(&unit, 1)]),
                    change(vec![product_applied(&unit)]),
                    change(vec![sealed(&unit, 1)]),
                ],
            ],
        };
        for batch in batches {
            scenario.step(&path, &mut ledger, |ledger, key| {
                ledger.append(&batch, key.as_ref()).unwrap();
            });
            let mut more = true;
            while more {
                scenario.step(&path, &mut ledger, |ledger, _| {
                    more = ledger.maintain(true).unwrap();
                });
            }
        }
        if n == UNITS / 2 {
            drop(ledger);
            ledger = Ledger::open_with(&path, &options(&scenario.disk)).unwrap();
        }
    }
    drop((ledger, folder));
    scenario
}

impl Scenario {
    fn step(&mut self, path: &Path, ledger: &mut Ledger, act: impl FnOnce(&mut Ledger, &Arc<Key>)) {
        let size = |ledger: &Ledger| ledger.reader().unwrap().size().unwrap();
        let (before, acts, entries) = (Files::read(path), self.disk.acts(), size(ledger));
        act(ledger, &self.key);
        self.moments.push(Moment {
            before,
            after: Files::read(path),
            acts: (acts, self.disk.acts()),
            sizes: (entries, size(ledger)),
        });
    }

    /// Opens what a crash left, and checks everything.
    fn check(&self, files: &Files, disk: &SimDisk, sizes: &[u64], point: &str) {
        let folder = tempfile::tempdir_in(memory()).unwrap();
        let path = folder.path().join("log.db");
        files.write(&path);
        let mut ledger = Ledger::open_with(&path, &options(disk))
            .unwrap_or_else(|error| panic!("{point}: {error}"));
        let report = verify(&path, self.key.vkey(), &mut |_, _| {}).unwrap();
        assert_eq!(report.findings, [], "{point}");
        assert!(
            sizes.contains(&report.entries),
            "{point}: {} entries",
            report.entries
        );
        let reader = ledger.reader().unwrap();
        let mut stolen = Vec::new();
        for n in 0..UNITS {
            let unit = serial(&format!("BM-{n}"));
            let row = reader.unit(&unit).unwrap();
            let lease = reader.lease(&unit).unwrap();
            if row.is_none() && lease.is_none() {
                continue;
            }
            let expected = row.map_or(0, |row| steps_to(row.state)) + usize::from(lease.is_some());
            let steps = reader.traveler(&unit).unwrap();
            assert_eq!(steps.len(), expected, "{point}: {unit}");
            let mut theft = issue_of(step("BM-99", 1));
            theft.fingerprint = issue_of(step(unit.as_str(), 1)).fingerprint;
            stolen.push(change(vec![Event::Issued(Box::new(theft))]));
        }
        for outcome in ledger.append(&stolen, self.key.as_ref()).unwrap() {
            assert_eq!(outcome, Err(Refused::FingerprintUsed), "{point}");
        }
        // And the line goes on.
        let more = [change(vec![product_applied("x")])];
        ledger.append(&more, self.key.as_ref()).unwrap()[0]
            .as_ref()
            .unwrap();
        while ledger.maintain(true).unwrap() {}
    }
}

fn steps_to(state: State) -> usize {
    match state {
        State::Issued => 1,
        State::Loaded => 2,
        _ => 3,
    }
}

/// Where syncs cost nothing, when there is such a place.
fn memory() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    let usable = TempDir::new_in(memory).is_ok();
    if usable {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

#[test]
fn no_crash_loses_or_invents_an_entry_or_forgets_a_key() {
    let scenario = scenario();
    let index = index_points(&scenario);
    let log = log_points(&scenario);
    let folds = fold_points(&scenario);
    println!(
        "crash sweep: {} durable writes of the key index at {index} points, {log} points in the \
         write-ahead log, {folds} in the database: 0 violations",
        scenario.disk.acts()
    );
    assert!(
        index > 500 && log > 500 && folds > 50,
        "{index} {log} {folds}"
    );
}

/// Each act on the disk of the key index, which happens while the database rests.
fn index_points(scenario: &Scenario) -> usize {
    let mut points = 0;
    for moment in &scenario.moments {
        for n in moment.acts.0..moment.acts.1 {
            let ends = [End::Lost, End::Done, End::Torn];
            let ends = &ends[..if scenario.disk.is_write(n) { 3 } else { 2 }];
            for &end in ends {
                for unsynced in [Unsynced::Kept, Unsynced::Gone, Unsynced::Mixed] {
                    let left = scenario.disk.after_crash(n, end, unsynced);
                    let point = format!("act {n} {end:?}, unsynced {unsynced:?}");
                    scenario.check(&moment.after, &left, &[moment.sizes.1], &point);
                    points += 1;
                }
            }
        }
    }
    points
}

/// Each frame that a commit adds to the write-ahead log.
fn log_points(scenario: &Scenario) -> usize {
    let mut points = 0;
    for (nth, moment) in scenario.moments.iter().enumerate() {
        let (before, after) = (&moment.before, &moment.after);
        if before.wal == after.wal {
            continue;
        }
        let same = before
            .wal
            .iter()
            .zip(&after.wal)
            .take_while(|(a, b)| a == b)
            .count();
        let from = if same < WAL_HEADER {
            0
        } else {
            (same - WAL_HEADER) / FRAME
        };
        let frames = after
            .wal
            .chunks(FRAME)
            .count()
            .min(last_changed(before, after) + 1);
        let disk = scenario.disk_at(moment.acts.0);
        for frame in from..=frames {
            let start = if frame == 0 {
                0
            } else {
                WAL_HEADER + frame * FRAME
            };
            let torn = [start, start + 13, start + 24 + PAGE / 2, start + FRAME - 1];
            for (cut, &at) in torn.iter().enumerate() {
                let mut files = before.clone();
                files.wal = spliced(&before.wal, &after.wal, 0..at);
                if cut == 3 {
                    files.checkpoint.clear(); // torn with it
                }
                let whole = at >= after.wal.len().min(WAL_HEADER + frames * FRAME);
                let sizes = if whole {
                    vec![moment.sizes.1]
                } else {
                    vec![moment.sizes.0, moment.sizes.1]
                };
                scenario.check(
                    &files,
                    &disk,
                    &sizes,
                    &format!("step {nth}, log cut at {at}"),
                );
                points += 1;
            }
        }
        // Later frames there, the first not.
        let mut files = before.clone();
        files.wal = spliced(
            &before.wal,
            &after.wal,
            WAL_HEADER + (from + 1) * FRAME..usize::MAX,
        );
        scenario.check(
            &files,
            &disk,
            &[moment.sizes.0, moment.sizes.1],
            &format!("step {nth}, log"),
        );
        points += 1;
    }
    points
}

/// The last frame that is another one.
fn last_changed(before: &Files, after: &Files) -> usize {
    let differs = |n: usize| {
        let at = WAL_HEADER + n * FRAME;
        after.wal.get(at..at + FRAME) != before.wal.get(at..at + FRAME)
    };
    (0..after.wal.len() / FRAME)
        .rev()
        .find(|&n| differs(n))
        .unwrap_or(0)
}

/// `old` with the bytes of `range` as they are in `new`.
fn spliced(old: &[u8], new: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let (from, to) = (range.start.min(new.len()), range.end.min(new.len()));
    let mut bytes = old.to_vec();
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(&new[from..to]);
    bytes
}

/// Each page that a checkpoint copies into the database, with the write-ahead log still there.
fn fold_points(scenario: &Scenario) -> usize {
    let mut points = 0;
    for (nth, moment) in scenario.moments.iter().enumerate() {
        let (before, after) = (&moment.before, &moment.after);
        if before.database == after.database {
            continue;
        }
        assert!(
            before.wal == after.wal,
            "step {nth}: a checkpoint leaves the log alone"
        );
        let disk = scenario.disk_at(moment.acts.0);
        let mut files = before.clone();
        for page in 0..after.database.len() / PAGE {
            let at = page * PAGE;
            if before.database.get(at..at + PAGE) == after.database.get(at..at + PAGE) {
                continue;
            }
            for end in [at + PAGE / 2, at + PAGE] {
                files.database = spliced(&files.database, &after.database, at..end);
                let point = format!("step {nth}, database to byte {end}");
                scenario.check(&files, &disk, &[moment.sizes.1], &point);
                points += 1;
            }
        }
    }
    points
}

impl Scenario {
    /// The index's disk as it was before act `n`, with everything kept.
    fn disk_at(&self, n: usize) -> SimDisk {
        match n.checked_sub(1) {
            Some(last) => self.disk.after_crash(last, End::Done, Unsynced::Kept),
            None => SimDisk::default(),
        }
    }
}
