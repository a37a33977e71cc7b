//! Whatever is altered in the file, verification finds it and names the entry.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{Error, Ledger, Report, verify};
use line::*;
use rusqlite::Connection;
use rusqlite::types::Value;
use tlog::CheckpointSigner;

/// A log with units in every state, closed into one file.
fn eventful() -> Line {
    let mut line = Line::new();
    for unit in ["BM-1", "BM-2"] {
        line.seal(unit);
    }
    for event in [
        issue("BM-3", 1),
        voided("BM-3", 1),
        issue("BM-3", 2),
        issue("BM-4", 1),
        loaded("BM-4", 1),
        voided("BM-4", 1),
        scrapped("BM-4", 1),
        rework("BM-1", 1),
        invited("bench-3", "token 3"),
    ] {
        line.ok(event);
    }
    line.ledger.close().unwrap();
    let ledger = Ledger::open(&line.path).unwrap();
    line.ledger = ledger;
    line.check();
    line
}

/// The file, opened by somebody who may do anything.
fn intruder(line: &Line) -> Connection {
    let connection = Connection::open(&line.path).unwrap();
    connection
        .execute_batch("PRAGMA ignore_check_constraints = ON")
        .unwrap();
    connection
}

#[track_caller]
fn names(report: &Report, seq: u64) {
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.seq == Some(seq)),
        "entry {seq} is not named: {:?}",
        report.findings
    );
}

/// Runs `alter`, gives the report, and takes the alteration back.
fn altered(line: &Line, db: &Connection, alter: impl FnOnce(&Connection)) -> Report {
    db.execute_batch("BEGIN").unwrap();
    alter(db);
    db.execute_batch("COMMIT").unwrap();
    line.verify()
}

fn blobs(db: &Connection, sql: &str) -> Vec<(i64, Vec<u8>)> {
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get_ref(1)?.as_bytes().unwrap().to_vec()))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn one_changed_byte_of_an_entry_is_found() {
    let line = eventful();
    let db = intruder(&line);
    let sql = "UPDATE entries SET bytes = ?2 WHERE seq = ?1";
    for (seq, bytes) in blobs(&db, "SELECT seq, bytes FROM entries") {
        for at in (0..bytes.len()).step_by(bytes.len() / 5) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let report = altered(&line, &db, |db| drop(db.execute(sql, (seq, changed))));
            names(&report, seq as u64);
            assert_eq!(
                report.findings[0].seq,
                Some(seq as u64),
                "{:?}",
                report.findings
            );
        }
        db.execute(sql, (seq, bytes)).unwrap();
    }
    line.check();
}

#[test]
fn one_changed_byte_of_a_stored_hash_is_found() {
    let line = eventful();
    let db = intruder(&line);
    let entries = line.ledger.reader().unwrap().size().unwrap();
    let sql = "UPDATE hashes SET hash = ?2 WHERE position = ?1";
    for (position, hash) in blobs(&db, "SELECT position, hash FROM hashes") {
        let at = position as usize % 32;
        let mut changed = hash.clone();
        changed[at] ^= 0x80;
        let report = altered(&line, &db, |db| drop(db.execute(sql, (position, changed))));
        let completes = |seq: &u64| tlog::stored_count(seq + 1) > position as u64;
        names(&report, (0..entries).find(completes).unwrap());
        db.execute(sql, (position, hash)).unwrap();
    }
    line.check();
}

#[test]
fn one_changed_byte_of_a_checkpoint_is_found() {
    let line = eventful();
    let db = intruder(&line);
    let sql = "UPDATE checkpoints SET note = CAST(?2 AS TEXT) WHERE size = ?1";
    let notes = blobs(&db, "SELECT size, note FROM checkpoints");
    for (nth, (size, note)) in notes.into_iter().enumerate() {
        for at in (nth % 7..note.len()).step_by(7) {
            let mut changed = note.clone();
            changed[at] ^= 1;
            let report = altered(&line, &db, |db| drop(db.execute(sql, (size, changed))));
            names(&report, size as u64 - 1);
        }
        db.execute(sql, (size, note)).unwrap();
    }
    line.check();
}

/// Every column of every row of every derived table.
#[test]
fn one_changed_cell_of_a_derived_row_is_found() {
    let line = eventful();
    let db = intruder(&line);
    let tables = [
        ("log", "seq"),
        ("products", "seq"),
        ("orders", "seq"),
        ("stations", "seq"),
        ("tokens", "seq"),
        ("units", "last_seq"),
        ("device_ids", "seq"),
        ("public_keys", "seq"),
        ("issues", "seq"),
        ("steps", "seq"),
    ];
    let mut cells = 0;
    for (table, seq_column) in tables {
        let mut statement = db
            .prepare(&format!("SELECT *, {seq_column} FROM {table}"))
            .unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let columns = &columns[..columns.len() - 1];
        let rows: Vec<(Vec<Value>, i64)> = statement
            .query_map([], |row| {
                let cells = (0..columns.len())
                    .map(|n| row.get(n))
                    .collect::<Result<_, _>>()?;
                Ok((cells, row.get(columns.len())?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let same: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(n, name)| format!("{name} IS ?{}", n + 1))
            .collect();
        for (row, seq) in rows {
            for (n, column) in columns.iter().enumerate() {
                let mut changed = row.clone();
                change_one(&mut changed[n], column);
                let set = |from: &[Value], to: &Value| {
                    let sql = format!(
                        "UPDATE {table} SET {column} = ?{} WHERE {}",
                        columns.len() + 1,
                        same.join(" AND ")
                    );
                    let values = from.iter().chain([to]);
                    assert_eq!(db.execute(&sql, rusqlite::params_from_iter(values)), Ok(1));
                };
                set(&row, &changed[n]);
                let report = line.verify();
                names(&report, seq as u64);
                set(&changed, &row[n]);
                cells += 1;
            }
        }
    }
    assert!(cells > 180, "{cells}");
    line.check();
}

fn change_one(cell: &mut Value, column: &str) {
    match cell {
        Value::Null if column == "before" => *cell = Value::Integer(1),
        Value::Null => *cell = Value::Blob(vec![1; 32]),
        Value::Integer(number) => *number += if *number > 1 { 1_000 } else { 1 },
        Value::Real(_) => unreachable!("no table has one"),
        Value::Text(text) => {
            let last = text.pop().unwrap();
            text.push(if last == '7' { '8' } else { '7' });
        }
        Value::Blob(bytes) => bytes[0] ^= 1,
    }
}

#[test]
fn missing_moved_and_added_rows_are_found() {
    let size = eventful().ledger.reader().unwrap().size().unwrap() as i64;
    let check = |sql: &str, seq: Option<u64>| {
        let line = eventful();
        let report = altered(&line, &intruder(&line), |db| db.execute_batch(sql).unwrap());
        assert!(!report.is_clean(), "{sql}");
        if let Some(seq) = seq {
            let first = report.findings.iter().find_map(|finding| finding.seq);
            assert_eq!(first, Some(seq), "{sql}: {:?}", report.findings);
        }
    };
    for seq in 0..size {
        check(
            &format!("DELETE FROM entries WHERE seq = {seq}"),
            Some(seq as u64),
        );
    }
    let last = size - 1;
    check(
        &format!("DELETE FROM entries WHERE seq >= {}", last - 3),
        Some(last as u64 - 3),
    );
    check("UPDATE entries SET seq = -1 WHERE seq = 4", None);
    check(
        "UPDATE entries SET seq = 9223372036854775807 WHERE seq = 4",
        None,
    );
    check(
        "UPDATE checkpoints SET size = 9223372036854775807 WHERE size = 4",
        None,
    );
    check("UPDATE checkpoints SET size = -5 WHERE size = 4", None);
    check(
        "UPDATE hashes SET position = -5 WHERE position = 4",
        Some(3),
    );
    check("DELETE FROM hashes WHERE position = 3", Some(2));
    check("INSERT INTO hashes VALUES (100000, zeroblob(32))", None);
    check("INSERT INTO steps VALUES (3, 'BM-9', 'issued', NULL)", None);
    check("DELETE FROM steps WHERE seq = 8", Some(8));
    check("DELETE FROM units WHERE serial = 'BM-2'", Some(12));
    check(
        "INSERT INTO public_keys VALUES (3, zeroblob(32), '00112233')",
        None,
    );
    check("DELETE FROM issues", None);
    check("UPDATE orders SET closed = 2", Some(20));
    check("DROP INDEX units_open", None);
    let swap = "UPDATE entries SET seq = -9 WHERE seq = 7; UPDATE entries SET seq = 7 WHERE \
        seq = 8; UPDATE entries SET seq = 8 WHERE seq = -9";
    check(swap, Some(7));
}

/// All of it consistently: rows, hashes and checkpoints. The file beside the log remembers.
#[test]
fn a_cleanly_cut_tail_is_found() {
    let mut line = Line::new();
    let tables = "units device_ids public_keys issues steps";
    let empty: String = tables
        .split(' ')
        .map(|table| format!("DELETE FROM {table};"))
        .collect();
    let before = line
        .ledger
        .reader()
        .unwrap()
        .order(&order("WO-1"))
        .unwrap()
        .unwrap();
    let last = line.ok(issue("BM-1", 1));
    let db = intruder(&line);
    db.execute_batch(&empty).unwrap();
    db.execute("DELETE FROM entries WHERE seq >= ?1", [last as i64])
        .unwrap();
    let kept = tlog::stored_count(last) as i64;
    db.execute("DELETE FROM hashes WHERE position >= ?1", [kept])
        .unwrap();
    db.execute("DELETE FROM checkpoints WHERE size > ?1", [last as i64])
        .unwrap();
    let seq = before.seq as i64;
    db.execute(
        "UPDATE orders SET open = 0, not_started = 10, seq = ?1",
        [seq],
    )
    .unwrap();
    let report = line.verify();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    names(&report, last);
    // And the server does not start on it.
    let path = line.path.clone();
    drop((db, line.ledger));
    assert!(matches!(
        Ledger::open(&path),
        Err(Error::WentBackwards {
            signed: 8,
            entries: 7
        })
    ));
}

/// An entry changed together with every hash over it: only the signatures know.
#[test]
fn an_entry_rewritten_with_all_its_hashes_is_found() {
    let line = eventful();
    let db = intruder(&line);
    let mut entries = blobs(&db, "SELECT seq, bytes FROM entries ORDER BY seq");
    let text = String::from_utf8(entries[2].1.clone()).unwrap();
    entries[2].1 = text.replace("\"admin\"", "\"nimda\"").into_bytes();
    db.execute(
        "UPDATE entries SET bytes = ?1 WHERE seq = 2",
        [&entries[2].1],
    )
    .unwrap();
    let mut stored: Vec<tlog::Hash> = Vec::new();
    for (seq, bytes) in &entries {
        let read = &mut |at| Ok::<_, std::convert::Infallible>(stored[at as usize]);
        let Ok(added) = tlog::append_hashes(*seq as u64, tlog::leaf_hash(bytes), read);
        stored.extend(added);
    }
    for (position, hash) in stored.iter().enumerate() {
        let sql = "UPDATE hashes SET hash = ?2 WHERE position = ?1";
        db.execute(sql, (position as i64, hash)).unwrap();
    }
    let report = line.verify();
    assert_eq!(report.findings[0].seq, Some(2), "{:?}", report.findings);
    let path = line.path.clone();
    drop((db, line.ledger));
    assert!(matches!(Ledger::open(&path), Err(Error::Altered(_))));
}

/// Somebody with the log key writes what the rules forbid, with good hashes and signature.
#[test]
fn an_entry_that_the_rules_forbid_is_found_though_signed() {
    let same_password = issue_with("BM-9", 1, |issued| {
        issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
    });
    let same_silicon = issue_with("BM-9", 1, |issued| issued.step.device_id = device("BM-2"));
    let same_key = issue_with("BM-9", 1, |issued| {
        issued.public_key_sha256 = issue_of(step("BM-3", 2)).public_key_sha256;
    });
    let other_key = issue_with("BM-9", 1, |issued| issued.fingerprint_key.0 = [1; 8]);
    for event in [
        same_password,
        same_silicon,
        same_key,
        other_key,
        issue("BM-2", 2),
        sealed("BM-3", 2),
        enrolled("bench-1", "token 1"),
        invited("bench-9", "token 1"),
        revoked("bench-9"),
        order_created("WO-1", 5, 5),
        log_opened(&Key::new(1)),
    ] {
        let line = eventful();
        let db = intruder(&line);
        let seq = forge(&db, event);
        let mut read = |at: u64| {
            let sql = "SELECT hash FROM hashes WHERE position = ?1";
            db.query_row(sql, [at as i64], |row| row.get::<_, tlog::Hash>(0))
        };
        let root = tlog::root(seq + 1, &mut read).unwrap();
        let text = tlog::Checkpoint {
            origin: ORIGIN.into(),
            size: seq + 1,
            root,
        }
        .to_text();
        let note = tlog::sign_note(&text, line.key.as_ref()).unwrap();
        db.execute(
            "INSERT INTO checkpoints VALUES (?1, ?2)",
            (seq as i64 + 1, note),
        )
        .unwrap();
        let report = line.verify();
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        assert_eq!(report.findings[0].seq, Some(seq));
        assert!(
            report.findings[0].what.contains("the rules forbid it"),
            "{report:?}"
        );
    }
}

#[test]
fn a_ruined_page_is_a_finding_and_not_a_crash() {
    let line = eventful();
    let bytes = std::fs::read(&line.path).unwrap();
    let (path, key) = (line.path.clone(), line.key.clone());
    drop(line.ledger);
    for page in 0..bytes.len() / 4096 {
        let mut ruined = bytes.clone();
        let mut noise = page as u8 | 1;
        for byte in &mut ruined[page * 4096..(page + 1) * 4096] {
            noise = noise.wrapping_mul(181).wrapping_add(7);
            *byte = noise;
        }
        std::fs::write(&path, &ruined).unwrap();
        let report = verify(&path, key.vkey(), &mut |_, _| {}).unwrap();
        assert!(!report.is_clean(), "page {page}");
    }
    for at in (0..bytes.len()).step_by(397) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        std::fs::write(&path, &flipped).unwrap();
        verify(&path, key.vkey(), &mut |_, _| {}).unwrap(); // unused bytes may well be clean
    }
    for length in [0, 1, 100, 4096, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let report = verify(&path, key.vkey(), &mut |_, _| {}).unwrap();
        assert!(!report.is_clean(), "{length} bytes");
    }
}

#[test]
fn another_key_and_another_file_are_told_apart() {
    let line = eventful();
    let report = verify(&line.path, Key::new(2).vkey(), &mut |_, _| {}).unwrap();
    names(&report, 0);
    let nowhere = line.folder.path().join("nowhere.db");
    let missing = verify(&nowhere, line.key.vkey(), &mut |_, _| {});
    assert!(matches!(missing, Err(Error::NotALog { .. })));
}

#[test]
fn the_file_beside_the_log_is_checked_and_may_be_torn() {
    let line = eventful();
    let beside = line.folder.path().join("checkpoint");
    let note = std::fs::read_to_string(&beside).unwrap();
    for torn in [vec![], vec![0; note.len()]] {
        std::fs::write(&beside, torn).unwrap();
        line.check();
    }
    std::fs::remove_file(&beside).unwrap();
    let report = line.verify();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(report.findings[0].what.contains("is missing"), "{report:?}");
    std::fs::write(&beside, note.replace(ORIGIN, "someone.example/else")).unwrap();
    assert!(!line.verify().is_clean());
}

#[test]
fn progress_reaches_the_end() {
    let line = eventful();
    let mut last = (0, 0);
    verify(&line.path, line.key.vkey(), &mut |done, of| {
        last = (done, of)
    })
    .unwrap();
    let size = line.ledger.reader().unwrap().size().unwrap();
    assert_eq!(last, (size, size));
}
