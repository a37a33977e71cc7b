//! Every key of all history is found, whatever became of the files it is found by.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::path::Path;
use std::sync::Arc;

use ledger::{Error, Ledger, Options, Reader, Refused, verify};
use line::*;
use tempfile::TempDir;
use tlog::CheckpointSigner;
use traveler::{Event, State};

/// A run every 8 entries, so that a few hundred make several sizes of them.
const SMALL: u64 = 8;
const UNITS: usize = 150;

struct Many {
    folder: TempDir,
    key: Arc<Key>,
    ledger: Option<Ledger>,
}

impl Many {
    /// 150 units, sealed, in an order for 1,000.
    fn new() -> Many {
        let mut line = Line::new();
        line.ok(order_created("WO-2", 1_000, 20));
        line.ledger.close().unwrap();
        let (key, made) = (line.key, line.folder);
        // Thousands of syncs follow, of which nothing here depends.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let folder = folder.unwrap();
        for file in ["log.db", "checkpoint"] {
            std::fs::copy(made.path().join(file), folder.path().join(file)).unwrap();
        }
        let mut many = Many {
            folder,
            key,
            ledger: None,
        };
        many.open().unwrap();
        for n in 0..UNITS {
            let at = of(n);
            let sealed = Event::Sealed {
                step: at.clone(),
                label: traveler::LabelProof::Scanned,
                reprint: 0,
            };
            let issued = Event::Issued(Box::new(issue_of(at.clone())));
            for event in [issued, loaded_of(at), sealed] {
                many.append(event).unwrap().unwrap();
            }
        }
        many
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("log.db")
    }

    fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("log.keys")
    }

    fn open(&mut self) -> Result<(), Error> {
        drop(self.ledger.take());
        let options = Options {
            run_entries: Some(SMALL),
            ..Options::default()
        };
        self.ledger = Some(Ledger::open_with(&self.path(), &options)?);
        Ok(())
    }

    fn append(&mut self, event: Event) -> Result<Result<u64, Refused>, Error> {
        let ledger = self.ledger.as_mut().unwrap();
        let mut outcomes = ledger.append(&[change(vec![event])], self.key.as_ref())?;
        while ledger.maintain(true)? {}
        Ok(outcomes.remove(0).map(|appended| appended.last))
    }

    /// Each key of each unit is refused to another one; the traveler of each is whole.
    fn knows_all(&mut self) {
        let readers = [
            self.ledger.as_ref().unwrap().reader().unwrap(),
            Reader::open(&self.path()).unwrap(),
        ];
        for n in (0..UNITS).step_by(7) {
            let old = issue_of(of(n));
            let other = issue_of(of(UNITS + 1));
            let same_silicon = issued(&other, |issue| {
                issue.step.device_id = old.step.device_id.clone()
            });
            let same_key = issued(&other, |issue| {
                issue.public_key_sha256 = old.public_key_sha256
            });
            let same_password = issued(&other, |issue| issue.fingerprint = old.fingerprint);
            let same_serial = issued(&other, |issue| issue.step.serial = old.step.serial.clone());
            let mut ask = |event| self.append(event).unwrap().unwrap_err();
            assert!(
                matches!(ask(same_silicon), Refused::DeviceInUse { .. }),
                "{n}"
            );
            assert!(matches!(ask(same_key), Refused::KeyInUse { .. }), "{n}");
            assert_eq!(ask(same_password), Refused::FingerprintUsed, "{n}");
            assert!(
                matches!(ask(same_serial), Refused::SerialInUse { .. }),
                "{n}"
            );
            for reader in &readers {
                let unit = reader.unit(&old.step.serial).unwrap().unwrap();
                assert_eq!(
                    (unit.device_id, unit.state),
                    (device(&name(n)), State::Sealed)
                );
                let by = reader.unit_by_device(&old.step.device_id).unwrap().unwrap();
                assert_eq!(by.serial, old.step.serial);
                assert_eq!(reader.traveler(&old.step.serial).unwrap().len(), 3);
                let loaded = reader
                    .last_step_seq(&old.step.serial, State::Loaded)
                    .unwrap();
                assert_eq!(loaded, Some(unit.first_seq + 1));
            }
        }
        for reader in &readers {
            assert_eq!(reader.unit(&serial("BM-9999")).unwrap(), None);
            assert_eq!(reader.unit_by_device(&device("BM-9999")).unwrap(), None);
            assert!(reader.traveler(&serial("BM-9999")).unwrap().is_empty());
        }
        let report = verify(&self.path(), self.key.vkey(), &mut |_, _| {}).unwrap();
        assert_eq!(report.findings, []);
    }

    /// Names of the files of the index.
    fn runs(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.keys()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn name(n: usize) -> String {
    format!("BM-{n}")
}

fn of(n: usize) -> traveler::Step {
    let mut step = step(&name(n), 1);
    step.order = order("WO-2");
    step
}

fn issued(issue: &traveler::Issued, edit: impl FnOnce(&mut traveler::Issued)) -> Event {
    let mut issue = issue.clone();
    edit(&mut issue);
    Event::Issued(Box::new(issue))
}

#[test]
fn keys_of_all_history_are_found_in_few_files() {
    let mut many = Many::new();
    let runs = many.runs();
    // 457 entries are 57 runs of 8, merged by fours.
    assert!((3..=9).contains(&runs.len()), "{runs:?}");
    assert!(runs.iter().any(|name| name.starts_with("0-")), "{runs:?}");
    many.knows_all();
    many.open().unwrap();
    many.knows_all();
    assert!(many.append(issue_with_order(UNITS)).unwrap().is_ok());
}

fn issue_with_order(n: usize) -> Event {
    Event::Issued(Box::new(issue_of(of(n))))
}

#[test]
fn files_that_are_lost_torn_or_foreign_are_made_again() {
    let mut many = Many::new();
    let spare = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    let good = spare.path().join("good");
    copy(&many.keys(), &good);
    let foreign = Many::new();
    for name in many.runs() {
        let whole = std::fs::read(good.join(&name)).unwrap();
        let mut spoilt: Vec<Option<Vec<u8>>> =
            vec![None, Some(Vec::new()), Some(vec![0; whole.len()])];
        spoilt.push(Some(whole[..whole.len() / 2].to_vec()));
        for at in [17, 60, 90, 130, 150, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            spoilt.push(Some(flipped));
        }
        for bytes in spoilt {
            drop(many.ledger.take());
            copy(&good, &many.keys());
            match bytes {
                Some(bytes) => std::fs::write(many.keys().join(&name), bytes).unwrap(),
                None => std::fs::remove_file(many.keys().join(&name)).unwrap(),
            }
            std::fs::write(many.keys().join("0-8.new"), "half").unwrap();
            many.open().unwrap();
            assert_eq!(
                many.append(same_password(3)).unwrap(),
                Err(Refused::FingerprintUsed)
            );
            assert!(many.runs().iter().all(|name| name.ends_with(".run")));
        }
    }
    many.knows_all();
    drop(many.ledger.take());
    std::fs::remove_dir_all(many.keys()).unwrap();
    many.open().unwrap();
    many.knows_all();
    // Another log's index, whole and of the same length, is not this log's.
    drop(many.ledger.take());
    let mut other = foreign;
    for n in 0..40 {
        let _ = other
            .append(product_applied(&format!("theirs {n}")))
            .unwrap();
    }
    copy(&other.keys(), &many.keys());
    many.open().unwrap();
    many.knows_all();
}

fn same_password(n: usize) -> Event {
    let old = issue_of(of(n));
    issued(&issue_of(of(UNITS + 1)), |issue| {
        issue.fingerprint = old.fingerprint
    })
}

/// A disk that gives back other bytes than were written: noticed where they are read, never taken
/// for an answer, and mended from the tables.
#[test]
fn a_block_that_changed_under_a_running_server_is_noticed_and_mended() {
    let mut many = Many::new();
    let name = many
        .runs()
        .into_iter()
        .find(|name| name.starts_with("0-"))
        .unwrap();
    let path = many.keys().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4_096..4_096 + 4_000] {
        *byte ^= 0x10;
    }
    // In place: the server has the file open.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    let mut failed = 0;
    for n in 0..UNITS {
        match many.append(same_password(n)) {
            Ok(outcome) => assert_eq!(outcome, Err(Refused::FingerprintUsed), "{n}"),
            Err(Error::Index(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(failed, 1);
    many.knows_all();
}

/// What the audit says of an index that a server would believe, and that is wrong.
#[test]
fn an_index_that_forgot_a_key_is_a_finding() {
    let many = Many::new();
    let name = many
        .runs()
        .into_iter()
        .find(|name| name.starts_with("0-"))
        .unwrap();
    let path = many.keys().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let report = verify(&many.path(), many.key.vkey(), &mut |_, _| {}).unwrap();
    assert!(!report.is_clean());
    assert!(report.findings[0].what.contains("key index"), "{report:?}");
}

/// A store as the software before the key index left it.
#[test]
fn an_older_store_is_brought_up_to_date() {
    let mut line = Line::new();
    line.seal("BM-1");
    line.ok(rework("BM-1", 1));
    line.ok(issue("BM-2", 1));
    line.ok(voided("BM-2", 1));
    line.ok(issue("BM-2", 2));
    let other = issue_with("BM-3", 1, |issued| issued.step.device_id = device("new"));
    line.ok(other);
    let Line {
        folder,
        path,
        key,
        ledger,
    } = line;
    ledger.close().unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let old = include_str!("../migrations/0001_log.sql");
    let tables = ["units", "device_ids", "public_keys", "issues", "steps"];
    let mut sql = String::from(
        "DROP INDEX units_open; DROP TABLE recoveries; DROP TABLE blocks; \
        DROP TABLE reprints; DROP TABLE leases; DROP TABLE lease_counts;",
    );
    for table in tables {
        sql += &format!("ALTER TABLE {table} RENAME TO new_{table};");
        let from = old.find(&format!("CREATE TABLE {table} ")).unwrap();
        sql += &old[from..=from + old[from..].find(';').unwrap()];
    }
    sql += "CREATE UNIQUE INDEX units_device ON units (device_id)
        WHERE state IN ('issued', 'loaded', 'sealed', 'rework');
    CREATE INDEX units_open ON units (station, issued_seq) WHERE state IN ('issued', 'loaded');
    INSERT INTO units SELECT serial, device_id, order_id, station, attempt, state, issued_seq, last_seq,
        bundle_sha256, certificate_sha256, public_key_sha256, since_ms FROM new_units;
    INSERT INTO device_ids SELECT device_id, serial, released, seq FROM new_device_ids;
    INSERT INTO public_keys SELECT public_key_sha256, device_id, seq FROM new_public_keys;
    INSERT INTO issues SELECT fingerprint, serial, attempt, seq FROM new_issues;
    INSERT INTO steps SELECT serial, seq, state FROM new_steps;
    DROP TABLE signing_keys;
    PRAGMA user_version = 2;";
    for table in tables {
        sql += &format!("DROP TABLE new_{table};");
    }
    db.execute_batch(&sql).unwrap();
    drop(db);
    let _ = std::fs::remove_dir_all(path.with_extension("keys"));
    assert!(matches!(
        Reader::open(&path),
        Err(Error::Older { found: 2, .. })
    ));
    let told = verify(&path, key.vkey(), &mut |_, _| {}).unwrap_err();
    assert!(told.to_string().contains("start the server once"), "{told}");

    let mut line = Line {
        ledger: Ledger::open(&path).unwrap(),
        folder,
        path,
        key,
    };
    line.check();
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.traveler(&serial("BM-2")).unwrap().len(), 3);
    let unit = reader.unit(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((unit.state, unit.first_seq), (State::Rework, 7));
    let again = issue_with("BM-4", 1, |issued| issued.step.device_id = device("new"));
    assert!(matches!(
        line.try_one(again),
        Err(Refused::DeviceInUse { .. })
    ));
    line.ok(issue("BM-1", 2));
    line.check();
}

/// What the bench measures behind is a log like any other.
#[cfg(feature = "measure")]
#[test]
fn a_history_made_for_measuring_verifies() {
    let mut line = Line::new();
    line.ok(order_created("WO-2", 1_000, 20));
    let units = (0..UNITS).map(|n| issue_of(of(n)));
    let (order, key) = (order("WO-2"), Arc::clone(&line.key));
    line.ledger
        .measure_history(&order, at(0), units, key.as_ref())
        .unwrap();
    line.check();
    let taken = issued(&issue_of(of(UNITS)), |issue| {
        issue.fingerprint = issue_of(of(7)).fingerprint;
    });
    assert_eq!(line.try_one(taken), Err(Refused::FingerprintUsed));
    line.ok(issue_with_order(UNITS));
    line.check();
}
