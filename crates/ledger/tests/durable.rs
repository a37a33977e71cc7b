//! What is answered is written, what is refused is not, and a crash leaves the log whole.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail
#![allow(clippy::print_stdout)] // what was counted, or why nothing was run

mod line;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ledger::{AppendError, Error, Ledger, Options, Reader, Refused, Writer, verify};
use line::*;
use tlog::CheckpointSigner;
use traveler::{Event, State};

#[test]
fn one_refused_change_leaves_the_others_of_its_batch() {
    let mut line = Line::new();
    let batch = [
        change(vec![issue("BM-1", 1)]),
        change(vec![loaded("BM-9", 1)]),
        change(vec![issue("BM-2", 1)]),
    ];
    let outcomes = line.ledger.append(&batch, line.key.as_ref()).unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().first, 7);
    assert_eq!(outcomes[1], Err(Refused::UnknownUnit(serial("BM-9"))));
    assert_eq!(outcomes[2].as_ref().unwrap().first, 8);
    line.check();
}

#[test]
fn a_change_is_written_whole_or_not_at_all() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    // The void is fine, the remint is not: both or neither.
    let again = issue_with("BM-1", 2, |issued| {
        issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
    });
    let refused = line.append(change(vec![voided("BM-1", 1), again]));
    assert_eq!(refused, Err(Refused::FingerprintUsed));
    let unit = line
        .ledger
        .reader()
        .unwrap()
        .unit(&serial("BM-1"))
        .unwrap()
        .unwrap();
    assert_eq!(unit.state, State::Issued);
    let appended = line
        .append(change(vec![voided("BM-1", 1), issue("BM-1", 2)]))
        .unwrap();
    assert_eq!((appended.first, appended.last), (8, 9));
    line.check();
}

#[test]
fn a_password_is_taken_within_a_batch_and_across_batches() {
    let mut line = Line::new();
    let same = |unit| {
        issue_with(unit, 1, |issued| {
            issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
        })
    };
    let batch = [change(vec![issue("BM-1", 1)]), change(vec![same("BM-2")])];
    let outcomes = line.ledger.append(&batch, line.key.as_ref()).unwrap();
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(Refused::FingerprintUsed));
    assert_eq!(line.try_one(same("BM-3")), Err(Refused::FingerprintUsed));
    line.check();
}

/// A row that was taken away frees nothing: what it held was seen before, and that is known.
#[test]
fn a_row_that_was_taken_away_frees_no_key() {
    for table in ["units", "device_ids", "public_keys", "issues"] {
        let mut line = Line::new();
        line.ok(issue("BM-1", 1));
        let db = rusqlite::Connection::open(&line.path).unwrap();
        db.execute(&format!("DELETE FROM {table}"), []).unwrap();
        // Whoever looks at the file next must not make what was read of it before count again.
        assert!(!line.ledger.sign_pending(line.key.as_ref()).unwrap());
        let again = match table {
            "units" => issue("BM-1", 2),
            "device_ids" => issue_with("BM-2", 1, |issued| issued.step.device_id = device("BM-1")),
            "public_keys" => issue_with("BM-2", 1, |issued| {
                issued.public_key_sha256 = issue_of(step("BM-1", 1)).public_key_sha256;
            }),
            _ => issue_with("BM-2", 1, |issued| {
                issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
            }),
        };
        let written = line
            .ledger
            .append(&[change(vec![again])], line.key.as_ref());
        assert!(
            matches!(written, Err(Error::RowLost { .. })),
            "{table}: {written:?}"
        );
        // And what has nothing to do with it goes on.
        line.ok(product_applied("x"));
    }
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    let db = rusqlite::Connection::open(&line.path).unwrap();
    let counted = "UPDATE orders SET open = open + 1";
    assert!(db.execute(counted, []).is_err());
}

#[test]
fn proofs_hold_for_every_entry_with_the_verifier_key_alone() {
    let mut line = Line::new();
    line.seal("BM-1");
    let reader = line.ledger.reader().unwrap();
    let size = reader.size().unwrap();
    for seq in 0..size {
        let proof = reader.proof(seq).unwrap().unwrap();
        let text = tlog::open_note(&proof.checkpoint, &[line.key.vkey().clone()]).unwrap();
        let checkpoint = tlog::Checkpoint::parse(text).unwrap();
        assert_eq!(checkpoint.size, size);
        let leaf = tlog::leaf_hash(&proof.entry);
        let hashes = &proof.inclusion;
        tlog::verify_inclusion(&leaf, seq, checkpoint.size, &checkpoint.root, hashes).unwrap();
        assert_eq!(proof.verify(line.key.vkey()).unwrap(), checkpoint);
        let mut lie = proof.clone();
        lie.entry[9] ^= 1;
        assert!(lie.verify(line.key.vkey()).is_err());
    }
    assert_eq!(reader.proof(size).unwrap(), None);
}

#[test]
fn what_somebody_remembers_is_proved_to_go_on() {
    let mut line = Line::new();
    line.seal("BM-1");
    line.ok(issue("BM-2", 1));
    let reader = line.ledger.reader().unwrap();
    let size = reader.size().unwrap();
    let key = [line.key.vkey().clone()];
    for old in 0..=size {
        let old_root = reader.root_at(old).unwrap().unwrap();
        let now = reader.consistency(old).unwrap().unwrap();
        assert_eq!(now.size, size);
        let text = tlog::open_note(&now.checkpoint, &key).unwrap();
        let root = tlog::Checkpoint::parse(text).unwrap().root;
        tlog::verify_consistency(old, &old_root, size, &root, &now.proof).unwrap();
    }
    // Somebody remembers more than there is: the log went backwards.
    let now = reader.consistency(size + 1).unwrap().unwrap();
    assert_eq!((now.size, now.proof), (size, Vec::new()));
    assert_eq!(reader.root_at(size + 1).unwrap(), None);
    assert_eq!(reader.root_at(u64::MAX).unwrap(), None);
    // What is written but not signed yet is no part of the proof.
    line.key.away.store(true, Ordering::SeqCst);
    line.ok(loaded("BM-2", 1));
    assert_eq!(reader.consistency(1).unwrap().unwrap().size, size);
    assert!(reader.root_at(size + 1).unwrap().is_some());
    // And the proof comes from hashes that are there, or not at all.
    let db = rusqlite::Connection::open(&line.path).unwrap();
    db.execute_batch("DELETE FROM hashes").unwrap();
    let gone = reader.consistency(1);
    assert!(matches!(gone, Err(Error::Altered(_))), "{gone:?}");
    assert!(matches!(reader.root_at(1), Err(Error::Altered(1))));
    db.execute_batch("DELETE FROM checkpoints").unwrap();
    assert_eq!(reader.consistency(1).unwrap(), None);
}

/// The checkpoint and the hashes are of one moment while a writer goes on.
#[test]
fn a_consistency_proof_holds_beside_a_busy_writer() {
    let Line {
        folder,
        path,
        key,
        ledger,
    } = Line::new();
    let reader = ledger.reader().unwrap();
    let old_root = reader.root_at(5).unwrap().unwrap();
    let writer = Writer::spawn(ledger, Arc::clone(&key) as _);
    let busy = {
        let writer = writer.clone();
        std::thread::spawn(move || {
            for _ in 0..60 {
                writer.append(change(vec![product_applied("x")])).unwrap();
            }
        })
    };
    while !busy.is_finished() {
        let now = reader.consistency(5).unwrap().unwrap();
        let text = tlog::open_note(&now.checkpoint, &[key.vkey().clone()]).unwrap();
        let checkpoint = tlog::Checkpoint::parse(text).unwrap();
        assert_eq!(checkpoint.size, now.size);
        let (size, root) = (checkpoint.size, checkpoint.root);
        tlog::verify_consistency(5, &old_root, size, &root, &now.proof).unwrap();
    }
    busy.join().unwrap();
    writer.close();
    drop((folder, path));
}

#[test]
fn entries_wait_for_a_key_that_is_away() {
    let mut line = Line::new();
    line.key.away.store(true, Ordering::SeqCst);
    let seq = line.ok(issue("BM-1", 1));
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.proof(seq).unwrap(), None);
    assert!(matches!(
        line.ledger.sign_pending(line.key.as_ref()),
        Err(Error::Sign(_))
    ));
    let report = line.verify();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].seq, Some(seq));
    line.key.away.store(false, Ordering::SeqCst);
    assert!(line.ledger.sign_pending(line.key.as_ref()).unwrap());
    assert!(!line.ledger.sign_pending(line.key.as_ref()).unwrap());
    reader
        .proof(seq)
        .unwrap()
        .unwrap()
        .verify(line.key.vkey())
        .unwrap();
    // A batch signs over what was left before it, too.
    line.key.away.store(true, Ordering::SeqCst);
    let seq = line.ok(loaded("BM-1", 1));
    line.key.away.store(false, Ordering::SeqCst);
    line.ok(sealed("BM-1", 1));
    reader
        .proof(seq)
        .unwrap()
        .unwrap()
        .verify(line.key.vkey())
        .unwrap();
    line.check();
}

#[test]
fn one_log_one_key_one_writer() {
    let line = Line::new();
    assert!(matches!(Ledger::open(&line.path), Err(Error::Busy(_))));
    let again = change(vec![log_opened(&line.key)]);
    let created = Ledger::create(&line.path, line.key.as_ref(), again.clone());
    assert!(matches!(created, Err(Error::Busy(_))));
    let Line {
        mut ledger,
        path,
        key,
        folder,
    } = line;
    let other = Key::new(2);
    let appended = ledger.append(&[change(vec![issue("BM-1", 1)])], other.as_ref());
    assert!(matches!(appended, Err(Error::OtherKey { .. })));
    drop(ledger);
    assert!(matches!(
        Ledger::create(&path, key.as_ref(), again),
        Err(Error::Exists(_))
    ));
    Ledger::open(&path).unwrap();

    let fresh = folder.path().join("fresh").with_extension("db");
    let wrong = Ledger::create(&fresh, key.as_ref(), change(vec![issue("BM-1", 1)]));
    assert!(matches!(wrong, Err(Error::FirstEntry(Refused::LogOpening))));
    assert!(matches!(Ledger::open(&fresh), Err(Error::NotALog { .. })));
    let wrong = Ledger::create(&fresh, key.as_ref(), change(vec![log_opened(&other)]));
    assert!(matches!(wrong, Err(Error::OtherKey { .. })));
    Ledger::create(&fresh, key.as_ref(), change(vec![log_opened(&key)])).unwrap();
    let missing = folder.path().join("missing.db");
    assert!(matches!(Ledger::open(&missing), Err(Error::NotALog { .. })));
    assert!(matches!(Reader::open(&missing), Err(Error::NotALog { .. })));
    let foreign = folder.path().join("foreign.db");
    std::fs::write(&foreign, "no database").unwrap();
    assert!(Ledger::open(&foreign).is_err() && Reader::open(&foreign).is_err());
}

#[test]
fn readers_see_what_is_written() {
    let mut line = Line::new();
    line.seal("BM-1");
    line.ok(issue("BM-2", 1));
    line.ok(product_applied("newer"));
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.log().unwrap().unwrap().origin, ORIGIN);
    assert_eq!(
        reader.product(&sku("CAM-2")).unwrap().unwrap().definition,
        "newer"
    );
    let older = reader.definition(&sha256(DEFINITION)).unwrap().unwrap();
    assert_eq!(older.definition, DEFINITION);
    assert_eq!(reader.products().unwrap().len(), 1);
    assert_eq!(reader.stations().unwrap().len(), 2);
    let token = reader.station_by_token(&sha256("token 2")).unwrap();
    assert_eq!(token, Some(station("bench-2")));
    let open = reader.open_units(&station("bench-1")).unwrap();
    assert_eq!(
        open.iter()
            .map(|row| row.serial.as_str())
            .collect::<Vec<_>>(),
        ["BM-2"]
    );
    assert!(reader.open_units(&station("bench-2")).unwrap().is_empty());
    let unit = reader.unit_by_device(&device("BM-1")).unwrap().unwrap();
    assert_eq!((unit.serial.as_str(), unit.state), ("BM-1", State::Sealed));
    let kinds: Vec<String> = reader
        .traveler(&serial("BM-1"))
        .unwrap()
        .iter()
        .map(|bytes| {
            serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["kind"].to_string()
        })
        .collect();
    assert_eq!(kinds, ["\"issued\"", "\"loaded\"", "\"sealed\""]);
    assert_eq!(reader.entry(99).unwrap(), None);
    line.ok(voided("BM-2", 1));
    assert_eq!(reader.unit_by_device(&device("BM-2")).unwrap(), None);
}

#[test]
fn sixty_four_callers_share_an_order_of_a_thousand() {
    let mut line = Line::new();
    line.ok(order_created("WO-2", 1_000, 20));
    let Line {
        folder,
        path,
        key,
        ledger,
    } = line;
    let writer = Writer::spawn(ledger, Arc::clone(&key) as _);
    let callers: Vec<_> = (0..64)
        .map(|caller| {
            let writer = writer.clone();
            std::thread::spawn(move || {
                let mut issued = 0;
                for n in 0..20 {
                    let mut step = step(&format!("BM-{caller}-{n}"), 1);
                    step.order = order("WO-2");
                    match writer.append(change(vec![Event::Issued(Box::new(issue_of(step)))])) {
                        Ok(_) => issued += 1,
                        Err(AppendError::Refused(Refused::QuotaSpent { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                issued
            })
        })
        .collect();
    // An audit beside the running line sees one moment of it.
    let during = verify(&path, key.vkey(), &mut |_, _| {}).unwrap();
    assert_eq!(during.findings, []);
    let issued: u32 = callers
        .into_iter()
        .map(|caller| caller.join().unwrap())
        .sum();
    assert_eq!(issued, 1_000);
    let row = writer
        .reader()
        .unwrap()
        .order(&order("WO-2"))
        .unwrap()
        .unwrap();
    assert_eq!((row.open, row.not_started), (1_000, 0));
    writer.close();
    assert_eq!(
        verify(&path, key.vkey(), &mut |_, _| {}).unwrap().findings,
        []
    );
    drop(folder);
}

#[test]
fn two_stations_with_one_serial_in_the_same_instant() {
    let Line {
        folder,
        path,
        key,
        ledger,
    } = Line::new();
    let writer = Writer::spawn(ledger, Arc::clone(&key) as _);
    let both: Vec<_> = ["bench-1", "bench-2"]
        .map(|bench| {
            let writer = writer.clone();
            std::thread::spawn(move || {
                let event = issue_with("BM-1", 1, |issued| {
                    issued.step.station = station(bench);
                    issued.fingerprint.0[0] = bench.as_bytes()[6];
                });
                writer.append(change(vec![event]))
            })
        })
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(both.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = both.into_iter().find_map(Result::err).unwrap();
    assert!(
        matches!(lost, AppendError::Refused(Refused::SerialInUse { .. })),
        "{lost}"
    );
    writer.close();
    assert_eq!(
        verify(&path, key.vkey(), &mut |_, _| {}).unwrap().findings,
        []
    );
    drop(folder);
}

#[test]
fn a_closed_writer_answers_and_writes_nothing() {
    let Line {
        folder,
        path,
        key,
        ledger,
    } = Line::new();
    let writer = Writer::spawn(ledger, Arc::clone(&key) as _);
    let other = writer.clone();
    writer.append(change(vec![issue("BM-1", 1)])).unwrap();
    assert!(!writer.sign_pending().unwrap());
    writer.close();
    let late = other.append(change(vec![issue("BM-2", 1)]));
    assert!(matches!(late, Err(AppendError::Closed)));
    other.close();
    assert_eq!(
        std::fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len()),
        0
    );
    Ledger::open(&path).unwrap();
    drop(folder);
}

/// What a power cut leaves: the database, and a write-ahead log that ends anywhere.
#[test]
fn a_torn_write_ahead_log_reopens_at_a_whole_batch() {
    let mut line = Line::new();
    for unit in ["BM-1", "BM-2", "BM-3"] {
        line.seal(unit);
    }
    let wal = std::fs::read(line.path.with_extension("db-wal")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut sizes = Vec::new();
    let most = line.ledger.reader().unwrap().size().unwrap();
    std::fs::write(folder.path().join("checkpoint"), "").unwrap();
    for cut in (0..=wal.len()).rev().step_by(wal.len() / 60) {
        let _ = std::fs::remove_file(path.with_extension("db-shm"));
        std::fs::copy(&line.path, &path).unwrap();
        std::fs::write(path.with_extension("db-wal"), &wal[..cut]).unwrap();
        let mut ledger = match Ledger::open(&path) {
            Ok(ledger) => ledger,
            // Entries and checkpoint are of one transaction: never one without the other.
            Err(Error::Unsigned { .. }) => panic!("cut at {cut}: a tail that nobody signed"),
            Err(_) => continue,
        };
        assert_eq!(
            verify(&path, line.key.vkey(), &mut |_, _| {})
                .unwrap()
                .findings,
            []
        );
        sizes.push(ledger.reader().unwrap().size().unwrap());
        // And the line goes on.
        let more = ledger.append(&[change(vec![product_applied("x")])], line.key.as_ref());
        assert!(more.unwrap()[0].is_ok());
        assert_eq!(
            verify(&path, line.key.vkey(), &mut |_, _| {})
                .unwrap()
                .findings,
            []
        );
        // The tripwire of this round is ahead of the next one, which finds it torn.
        drop(ledger);
        std::fs::write(folder.path().join("checkpoint"), "").unwrap();
    }
    assert_eq!(sizes[0], most);
    assert!(
        sizes.len() > 20 && sizes.is_sorted_by(|a, b| a >= b),
        "{sizes:?}"
    );
}

/// How often the writing process is killed, on one log that grows.
const KILLS: u64 = 50;
const CHILD: &str = "LEDGER_TEST_CHILD";
const ROUND: &str = "LEDGER_TEST_ROUND";

/// The same test program once more, as a process that is killed while it writes: entries, runs of
/// the key index every 16 entries and their merges, and the write-ahead log folded in every 5 batches.
#[test]
fn a_killed_process_loses_nothing_it_answered() {
    if let Some(path) = std::env::var_os(CHILD) {
        write_until_killed(Path::new(&path));
    }
    let mut line = Line::new();
    line.ok(order_created("WO-2", 1_000_000, 20));
    let Line {
        folder,
        path,
        key,
        ledger,
    } = line;
    drop(ledger);
    let answered = folder.path().join("answered");
    let noted = || std::fs::metadata(&answered).map_or(0, |file| file.len() / 8);
    let mut checked = 0;
    for round in 0..KILLS {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_killed_process_loses_nothing_it_answered",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .env(ROUND, round.to_string())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The moments differ by what was answered; how far the next batch is by then is chance.
        let wanted = noted() + 3 + round * 13 % 31;
        while noted() < wanted {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the child ended by itself"
            );
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let ledger = Ledger::open_with(&path, &killed_options()).unwrap();
        let reader = ledger.reader().unwrap();
        let notes = std::fs::read(&answered).unwrap();
        for seq in notes[checked..].chunks_exact(8) {
            let seq = u64::from_le_bytes(seq.try_into().unwrap());
            reader
                .proof(seq)
                .unwrap()
                .unwrap()
                .verify(key.vkey())
                .unwrap();
        }
        checked = notes.len() / 8 * 8;
        if round % 7 == 0 || round + 1 == KILLS {
            let report = verify(&path, key.vkey(), &mut |_, _| {}).unwrap();
            assert_eq!(report.findings, [], "round {round}");
        }
    }
    println!("{KILLS} kills, {} entries answered: none lost", noted());
}

fn killed_options() -> Options {
    Options {
        run_entries: Some(16),
        fold_batches: Some(5),
        ..Options::default()
    }
}

/// Issues from four threads; each answered number is noted down after the answer.
fn write_until_killed(path: &Path) -> ! {
    use std::io::Write;
    let round = std::env::var(ROUND).unwrap();
    let ledger = Ledger::open_with(path, &killed_options()).unwrap();
    let writer = Writer::spawn(ledger, Key::new(1) as _);
    let answered = path.with_file_name("answered");
    for caller in 0..4 {
        let (writer, round) = (writer.clone(), round.clone());
        let mut notes = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&answered)
            .unwrap();
        std::thread::spawn(move || {
            for n in 0.. {
                let mut step = step(&format!("BM-{round}-{caller}-{n}"), 1);
                step.order = order("WO-2");
                let event = Event::Issued(Box::new(issue_of(step)));
                let appended = writer.append(change(vec![event])).unwrap();
                notes.write_all(&appended.last.to_le_bytes()).unwrap();
            }
        });
    }
    loop {
        std::thread::park();
    }
}
