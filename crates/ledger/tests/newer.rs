//! A log that a newer program wrote is not an altered one: this one says so and judges no further.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{Error, Report, export, verify, verify_bundle};
use line::*;
use tlog::{Checkpoint, CheckpointSigner, sign_note};

/// What a program of the future appends: an entry of another kind, signed like every other.
fn from_the_future(line: &Line, text: &str, signed: bool) -> u64 {
    let db = rusqlite::Connection::open(&line.path).unwrap();
    let seq = line.ledger.reader().unwrap().size().unwrap();
    let bytes = text.replace("SEQ", &seq.to_string()).into_bytes();
    db.execute("INSERT INTO entries VALUES (?1, ?2)", (seq as i64, &bytes))
        .unwrap();
    let mut read = |at: u64| {
        let sql = "SELECT hash FROM hashes WHERE position = ?1";
        db.query_row(sql, [at as i64], |row| row.get::<_, tlog::Hash>(0))
    };
    let added = tlog::append_hashes(seq, tlog::leaf_hash(&bytes), &mut read).unwrap();
    for (position, hash) in (tlog::stored_count(seq)..).zip(added) {
        let sql = "INSERT INTO hashes VALUES (?1, ?2)";
        db.execute(sql, (position as i64, hash)).unwrap();
    }
    if signed {
        let root = line
            .ledger
            .reader()
            .unwrap()
            .root_at(seq + 1)
            .unwrap()
            .unwrap();
        let checkpoint = Checkpoint {
            origin: ORIGIN.into(),
            size: seq + 1,
            root,
        };
        let note = sign_note(&checkpoint.to_text(), line.key.as_ref()).unwrap();
        let sql = "INSERT INTO checkpoints VALUES (?1, ?2)";
        db.execute(sql, (seq as i64 + 1, &note)).unwrap();
        std::fs::write(line.folder.path().join("checkpoint"), note).unwrap();
    }
    seq
}

const MOVED: &str = "{\"seq\":SEQ,\"time\":\"2030-01-01T00:00:00.000Z\",\"kind\":\"unit_moved\",\
    \"serial\":\"BM-1\",\"to\":[1,2]}";

fn of_bundle(line: &Line) -> Report {
    let out = line.folder.path().join("out");
    let _ = std::fs::remove_dir_all(&out);
    export(&line.path, line.key.vkey(), &out).unwrap();
    verify_bundle(&out, line.key.vkey()).unwrap()
}

#[test]
fn an_entry_of_another_kind_is_a_newer_one() {
    let mut line = Line::new();
    line.seal("BM-1");
    let seq = from_the_future(&line, MOVED, true);
    for report in [line.verify(), of_bundle(&line)] {
        assert_eq!(report.findings, [], "nothing was altered");
        let newer = report.newer.clone().unwrap();
        assert_eq!((newer.seq, newer.kind.as_str()), (seq, "unit_moved"));
        assert!(!report.is_clean(), "and nobody calls it clean");
    }
}

#[test]
fn what_was_altered_is_altered_however_new_it_looks() {
    let mut line = Line::new();
    line.seal("BM-1");
    // Nobody signed it.
    let seq = from_the_future(&line, MOVED, false);
    assert_eq!(line.verify().findings[0].seq, Some(seq));

    // The bytes of an entry that was signed, made into one of another kind.
    let mut line = Line::new();
    line.seal("BM-1");
    let db = rusqlite::Connection::open(&line.path).unwrap();
    let sql = "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"sealed\"', \
        '\"moved!\"') AS BLOB) WHERE seq = 9";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let report = line.verify();
    assert_eq!(report.findings[0].seq, Some(9), "{report:?}");
    assert_eq!(report.newer, None);

    // Signed, but no entry in any version.
    for text in ["{\"seq\":SEQ}", "{\"seq\":7,\"kind\":\"x\"}", "no JSON"] {
        let mut line = Line::new();
        line.seal("BM-1");
        let seq = from_the_future(&line, text, true);
        let report = line.verify();
        assert_eq!(report.findings[0].seq, Some(seq), "{text}");
    }
}

#[test]
fn a_file_of_another_version_is_for_that_version_to_judge() {
    let line = Line::new();
    let db = rusqlite::Connection::open(&line.path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    let told = verify(&line.path, line.key.vkey(), &mut |_, _| {});
    assert!(
        matches!(told, Err(Error::Newer { found: 99, .. })),
        "{told:?}"
    );
}
