//! A broken generator stops every order, from the log alone, and only an entry ends it.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::Refused;
use line::*;
use tlog::CheckpointSigner;
use traveler::Event;

fn stopped(in_order: &str) -> Event {
    Event::LineStopped {
        order: order(in_order),
        serial: serial("BM-9"),
        station: station("bench-1"),
        clause: "1(3)(a)".into(),
        detector: "counter".into(),
        evidence: "9 of 9 draws count on".into(),
    }
}

fn resumed(stopped_seq: u64) -> Event {
    Event::LineResumed {
        stopped_seq,
        reason: "token replaced".into(),
        by: "admin".into(),
    }
}

fn refused(line: &mut Line, event: Event, seq: u64) {
    let refused = Refused::LineStopped {
        seq,
        order: order("WO-1"),
        clause: "1(3)(a)".into(),
        detector: "counter".into(),
        since: at(0),
    };
    assert_eq!(line.try_one(event), Err(refused));
}

#[test]
fn nothing_is_issued_until_the_stop_is_ended_and_what_is_under_way_is_finished() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    line.ok(issue("BM-2", 1));
    let seq = line.ledger.reader().unwrap().size().unwrap();
    line.ok(stopped("WO-1"));

    refused(&mut line, issue("BM-3", 1), seq);
    refused(&mut line, stopped("WO-1"), seq);
    line.ok(loaded("BM-1", 1));
    line.ok(sealed("BM-1", 1));
    line.ok(voided("BM-2", 1));
    refused(&mut line, issue("BM-2", 2), seq);

    let row = line.ledger.reader().unwrap().stop().unwrap().unwrap();
    assert_eq!((row.seq, row.detector.as_str()), (seq, "counter"));
    assert_eq!(
        line.try_one(resumed(seq + 1)),
        Err(Refused::NotStopped(seq + 1))
    );
    line.ok(resumed(seq));
    assert_eq!(line.try_one(resumed(seq)), Err(Refused::NotStopped(seq)));
    assert_eq!(line.ledger.reader().unwrap().stop().unwrap(), None);
    line.ok(issue("BM-2", 2));
    line.check();
}

#[test]
fn a_second_stop_is_another_one() {
    let mut line = Line::new();
    let first = line.ledger.reader().unwrap().size().unwrap();
    line.ok(stopped("WO-1"));
    line.ok(resumed(first));
    line.ok(stopped("WO-1"));
    assert_eq!(
        line.try_one(resumed(first)),
        Err(Refused::NotStopped(first))
    );
    refused(&mut line, issue("BM-1", 1), first + 2);
    line.check();
}

#[test]
fn a_stop_is_about_an_order_there_is() {
    let mut line = Line::new();
    assert_eq!(
        line.try_one(stopped("WO-7")),
        Err(Refused::UnknownOrder(order("WO-7")))
    );
}

/// Whoever takes the stop out of the table, or its end out of the log, is found.
#[test]
fn a_stop_that_was_taken_away_is_found() {
    for sql in [
        "DELETE FROM stops",
        "UPDATE stops SET resumed_seq = seq",
        "UPDATE stops SET detector = 'none'",
        "DROP TABLE stops",
    ] {
        let mut line = Line::new();
        line.ok(stopped("WO-1"));
        let db = rusqlite::Connection::open(line.ledger.path()).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        assert!(!line.verify().is_clean(), "{sql} was not found");
    }
    // Called an older file, it is judged by nobody before a server has brought it up to date.
    let line = Line::new();
    let db = rusqlite::Connection::open(line.ledger.path()).unwrap();
    let older = "DROP TABLE stops; PRAGMA user_version = 1";
    db.execute_batch(older).unwrap();
    let told = ledger::verify(&line.path, line.key.vkey(), &mut |_, _| {});
    assert!(matches!(told, Err(ledger::Error::Older { found: 1, .. })));
}
