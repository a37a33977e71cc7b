//! What no checkpoint covers is named, and signed only when a person said so.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::path::Path;
use std::sync::atomic::Ordering;

use ledger::{Error, Ledger};
use line::*;
use rusqlite::Connection;

/// One finding, about entry `seq`, that nobody signed it.
#[track_caller]
fn names_the_tail(line: &Line, seq: u64) {
    let report = line.verify();
    let [finding] = &report.findings[..] else {
        panic!("{:?}", report.findings)
    };
    assert_eq!(finding.seq, Some(seq));
    assert!(finding.what.contains("no signed checkpoint"), "{finding}");
}

#[track_caller]
fn is_unsigned(opened: Result<Ledger, Error>, expected: (u64, u64)) {
    match opened {
        Err(Error::Unsigned { from, entries }) => assert_eq!((from, entries), expected),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it opened"),
    }
}

/// The line with its ledger closed, so that others get at the file.
fn let_go(line: &mut Line) {
    let spare = line.folder.path().join("spare").join("log.db");
    std::fs::create_dir(spare.parent().unwrap()).unwrap();
    let first = change(vec![log_opened(&line.key)]);
    let spare = Ledger::create(&spare, line.key.as_ref(), first).unwrap();
    std::mem::replace(&mut line.ledger, spare).close().unwrap();
}

fn note(db: &Connection, size: u64) -> String {
    let sql = "SELECT note FROM checkpoints WHERE size = ?1";
    db.query_row(sql, [size as i64], |row| row.get(0)).unwrap()
}

/// The log as if the last thing signed had been the checkpoint over `size` entries.
fn forget_checkpoints(path: &Path, size: u64) {
    let db = Connection::open(path).unwrap();
    std::fs::write(path.with_file_name("checkpoint"), note(&db, size)).unwrap();
    let sql = "DELETE FROM checkpoints WHERE size > ?1";
    db.execute(sql, [size as i64]).unwrap();
}

#[test]
fn entries_whose_checkpoints_were_taken_away_are_named_and_not_signed_again() {
    let mut line = Line::new();
    let_go(&mut line);
    forget_checkpoints(&line.path, 5);
    names_the_tail(&line, 5);
    is_unsigned(Ledger::open(&line.path), (5, 7));
    is_unsigned(Ledger::open(&line.path), (5, 7));
    // A person looked and says that they are good.
    line.ledger = Ledger::open_unsigned(&line.path).unwrap();
    names_the_tail(&line, 5);
    assert!(line.ledger.sign_pending(line.key.as_ref()).unwrap());
    line.check();
    opens_again(line);
}

/// Once signed over, it opens like any other.
fn opens_again(line: Line) {
    let path = line.path.clone();
    drop(line.ledger);
    Ledger::open(&path).unwrap();
}

/// An intruder who uses this software, so that rows, hashes and rules all agree.
#[test]
fn a_history_rewritten_above_an_older_checkpoint_is_named_and_not_signed() {
    let mut line = Line::new();
    line.seal("BM-1");
    let_go(&mut line);
    let real = std::fs::read(&line.path).unwrap();
    // Up to entry 6 it is the log; what follows is another history of the same length.
    let mut other = Line::new();
    other.key.away.store(true, Ordering::SeqCst);
    other.seal("BM-9");
    let_go(&mut other);
    std::fs::copy(&other.path, &line.path).unwrap();
    let beside = other.folder.path().join("checkpoint");
    std::fs::copy(beside, line.folder.path().join("checkpoint")).unwrap();
    names_the_tail(&line, 7);
    is_unsigned(Ledger::open(&line.path), (7, 10));
    std::fs::write(&line.path, real).unwrap();
    Ledger::open(&line.path).unwrap();
}

#[test]
fn a_crash_while_the_key_is_away_leaves_what_a_person_looks_at() {
    let mut line = Line::new();
    line.key.away.store(true, Ordering::SeqCst);
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    names_the_tail(&line, 7);
    let_go(&mut line);
    is_unsigned(Ledger::open(&line.path), (7, 9));
    // The person says so while the key is still away: the line goes on, and the next start asks
    // again.
    line.ledger = Ledger::open_unsigned(&line.path).unwrap();
    line.ok(sealed("BM-1", 1));
    std::fs::remove_dir_all(line.folder.path().join("spare")).unwrap();
    let_go(&mut line);
    is_unsigned(Ledger::open(&line.path), (7, 10));
    line.ledger = Ledger::open_unsigned(&line.path).unwrap();
    line.key.away.store(false, Ordering::SeqCst);
    line.ok(issue("BM-2", 1));
    line.check();
    opens_again(line);
}

#[test]
fn what_others_write_beside_the_running_server_is_not_signed() {
    let mut line = Line::new();
    let db = Connection::open(&line.path).unwrap();
    let forged = forge(&db, product_applied("theirs"));
    let more = [change(vec![issue("BM-1", 1)])];
    for _ in 0..2 {
        let written = line.ledger.append(&more, line.key.as_ref());
        let unsigned = matches!(
            written,
            Err(Error::Unsigned {
                from: 7,
                entries: 8
            })
        );
        assert!(unsigned, "{written:?}");
        let signed = line.ledger.sign_pending(line.key.as_ref());
        assert!(matches!(signed, Err(Error::Unsigned { .. })), "{signed:?}");
    }
    let reader = line.ledger.reader().unwrap();
    assert_eq!((forged, reader.size().unwrap()), (7, 8));
    assert_eq!(reader.proof(forged).unwrap(), None);
    let_go(&mut line);
    is_unsigned(Ledger::open(&line.path), (7, 8));
}

#[test]
fn what_others_change_or_cut_beside_the_running_server_is_not_signed() {
    let mut line = Line::new();
    line.key.away.store(true, Ordering::SeqCst);
    let waiting = line.ok(issue("BM-1", 1));
    line.key.away.store(false, Ordering::SeqCst);
    let db = Connection::open(&line.path).unwrap();
    let theirs = "DELETE FROM hashes WHERE position >= ?1";
    let first = tlog::stored_count(waiting) as i64;
    db.execute(theirs, [first]).unwrap();
    db.execute("DELETE FROM entries WHERE seq = ?1", [waiting as i64])
        .unwrap();
    let signed = line.ledger.sign_pending(line.key.as_ref());
    assert!(matches!(signed, Err(Error::WentBackwards { .. })));
    forge(&db, product_applied("theirs"));
    let signed = line.ledger.sign_pending(line.key.as_ref());
    assert!(matches!(signed, Err(Error::Altered(8))), "{signed:?}");
    let written = line
        .ledger
        .append(&[change(vec![issue("BM-2", 1)])], line.key.as_ref());
    assert!(matches!(written, Err(Error::Altered(8))), "{written:?}");
}

/// A row that says it covers everything, with a note that does not.
#[test]
fn a_checkpoint_that_is_none_hides_no_tail() {
    let mut line = Line::new();
    let_go(&mut line);
    let db = Connection::open(&line.path).unwrap();
    let older = note(&db, 5);
    forget_checkpoints(&line.path, 5);
    for (size, note) in [
        (7, "covers all"),
        (7, older.as_str()),
        (1_000_000, older.as_str()),
    ] {
        let sql = "INSERT INTO checkpoints VALUES (?1, ?2)";
        db.execute(sql, (size, note)).unwrap();
        let tail = |what: &str| what.contains("no signed checkpoint");
        let report = line.verify();
        assert!(
            report
                .findings
                .iter()
                .any(|finding| finding.seq == Some(5) && tail(&finding.what)),
            "{:?}",
            report.findings
        );
        for opened in [Ledger::open(&line.path), Ledger::open_unsigned(&line.path)] {
            assert!(matches!(opened.map(drop), Err(Error::Altered(_))));
        }
        db.execute("DELETE FROM checkpoints WHERE size > 5", [])
            .unwrap();
    }
    db.execute("DELETE FROM checkpoints", []).unwrap();
    std::fs::remove_file(line.folder.path().join("checkpoint")).unwrap();
    names_the_tail(&line, 0);
    is_unsigned(Ledger::open(&line.path), (0, 7));
}

/// Rows taken away, the file left: these entries were signed, and that is what it says.
#[test]
fn checkpoints_missing_behind_the_file_beside_the_log_are_named() {
    let mut line = Line::new();
    let beside = line.folder.path().join("checkpoint");
    let newest = std::fs::read(&beside).unwrap();
    let_go(&mut line);
    forget_checkpoints(&line.path, 5);
    std::fs::write(&beside, newest).unwrap();
    let report = line.verify();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].seq, Some(6));
    let what = &report.findings[0].what;
    assert!(
        what.contains("missing") && !what.contains("somebody else"),
        "{what}"
    );
    is_unsigned(Ledger::open(&line.path), (5, 7));
}

/// Without a pause the file beside the log follows when the write-ahead log is folded in; with one
/// at once.
#[test]
fn the_file_beside_the_log_follows_it() {
    let mut line = Line::new();
    let beside = line.folder.path().join("checkpoint");
    let size = || {
        let note = std::fs::read_to_string(&beside).unwrap();
        note.lines().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let busy = |line: &mut Line| {
        let batch = [change(vec![product_applied("x")])];
        line.ledger.append(&batch, line.key.as_ref()).unwrap();
        line.ledger.maintain(false).unwrap()
    };
    assert_eq!(size(), 7);
    assert!(busy(&mut line), "there is something left to do");
    assert_eq!(size(), 7);
    while line.ledger.maintain(true).unwrap() {}
    assert_eq!(size(), 8);
    let mut behind = 0;
    for entries in 9..300 {
        busy(&mut line);
        behind = behind.max(entries - size());
    }
    line.check();
    assert!((100..=128).contains(&behind), "{behind} entries behind");
    drop(line.ledger);
    assert_eq!(size(), 299);
}
