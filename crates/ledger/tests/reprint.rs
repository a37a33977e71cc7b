//! Labels that are printed again: when they may be, what the log says of them, and that older logs and
//! older files are what they were.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{Refused, export, verify_bundle};
use line::*;
use tlog::CheckpointSigner;
use traveler::{Attempt, Event, LabelProof, OperatorId, State};

fn reprinted(unit: &str, attempt: u32, reprint: u32) -> Event {
    let mut step = step(unit, attempt);
    step.operator = Some(OperatorId::parse("OP-7").unwrap());
    Event::Reprinted {
        step,
        reprint,
        reason: "torn".into(),
    }
}

#[track_caller]
fn refused(line: &mut Line, event: Event, expected: Refused) {
    assert_eq!(line.try_one(event).unwrap_err(), expected);
}

#[test]
fn a_reprint_stands_between_load_and_seal_and_moves_nothing() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    let no = |state, attempt| Refused::NoReprint {
        serial: serial("BM-1"),
        state,
        attempt: Attempt(attempt),
    };
    refused(&mut line, reprinted("BM-1", 1, 1), no(State::Issued, 1));
    line.ok(loaded("BM-1", 1));
    let before = line.ledger.reader().unwrap().order(&order("WO-1")).unwrap();
    line.ok(reprinted("BM-1", 1, 1));
    line.ok(reprinted("BM-1", 1, 2));
    let reader = line.ledger.reader().unwrap();
    assert_eq!(
        reader.order(&order("WO-1")).unwrap(),
        before,
        "no place was taken"
    );
    let row = reader.unit(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((row.state, row.attempt), (State::Loaded, Attempt(1)));
    assert_eq!(reader.reprint(&serial("BM-1")).unwrap().unwrap().reprint, 2);
    // A repeated confirm is answered with the load, not with what came behind it.
    let load = reader
        .last_step_seq(&serial("BM-1"), State::Loaded)
        .unwrap();
    assert_eq!(load, Some(row.last_seq - 2));
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 4);
    drop(reader);
    line.ok(sealed_by("BM-1", 1, 2));
    refused(&mut line, reprinted("BM-1", 1, 3), no(State::Sealed, 1));
    line.check();
}

#[test]
fn numbers_rise_and_begin_anew_with_the_attempt() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    line.ok(reprinted("BM-1", 1, 1));
    for given in [0, 1] {
        let refusal = Refused::ReprintNumber {
            serial: serial("BM-1"),
            newest: 1,
            given,
        };
        refused(&mut line, reprinted("BM-1", 1, given), refusal);
    }
    line.ok(voided("BM-1", 1));
    line.ok(issue("BM-1", 2));
    line.ok(loaded("BM-1", 2));
    let old = Refused::WrongAttempt {
        serial: serial("BM-1"),
        expected: Attempt(2),
        given: Attempt(1),
    };
    refused(&mut line, reprinted("BM-1", 1, 2), old);
    line.ok(reprinted("BM-1", 2, 1));
    line.check();
}

/// The station that looked and the station that prints again may do so at once: whichever entry is
/// first decides, and no seal is by a label that is void.
#[test]
fn a_seal_is_by_the_label_that_counts() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    let void = |scanned, newest| Refused::VoidLabel {
        serial: serial("BM-1"),
        scanned,
        newest,
    };
    refused(&mut line, sealed_by("BM-1", 1, 1), void(1, 0));
    line.ok(reprinted("BM-1", 1, 1));
    line.ok(reprinted("BM-1", 1, 2));
    for scanned in [0, 1, 3] {
        refused(&mut line, sealed_by("BM-1", 1, scanned), void(scanned, 2));
    }
    let without = |reprint| Event::Sealed {
        step: step("BM-1", 1),
        label: LabelProof::NoLabel,
        reprint,
    };
    refused(&mut line, without(2), void(2, 0));
    line.ok(sealed_by("BM-1", 1, 2));
    // Another attempt, another count.
    line.ok(rework("BM-1", 1));
    line.ok(issue("BM-1", 2));
    line.ok(loaded("BM-1", 2));
    line.ok(sealed_by("BM-1", 2, 0));
    line.check();
}

#[test]
fn somebody_asks_for_it_and_says_why() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    let with = |badge: bool, reason: &str| {
        let mut event = reprinted("BM-1", 1, 1);
        if let Event::Reprinted {
            step, reason: why, ..
        } = &mut event
        {
            step.operator = step.operator.take().filter(|_| badge);
            *why = reason.to_owned();
        }
        event
    };
    refused(
        &mut line,
        with(false, "torn"),
        Refused::NoBadge(serial("BM-1")),
    );
    for reason in ["", "  ", "a\nb", "a\u{1b}[2Kb", &"x".repeat(501)] {
        refused(
            &mut line,
            with(true, reason),
            Refused::NoReason(serial("BM-1")),
        );
    }
    line.ok(with(true, "größer \u{7eb8}"));
    line.check();
}

#[test]
fn another_station_prints_no_label_of_ours() {
    let mut line = Line::new();
    line.ok(invited("bench-2", "token"));
    line.ok(enrolled("bench-2", "token"));
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    let mut event = reprinted("BM-1", 1, 1);
    if let Event::Reprinted { step, .. } = &mut event {
        step.station = station("bench-2");
    }
    assert!(matches!(
        line.try_one(event),
        Err(Refused::OtherStation { .. })
    ));
    line.check();
}

/// Whoever takes a reprint out of the file, or puts another number into its row, is seen.
#[test]
fn a_row_that_was_altered_is_found() {
    for (sql, expected) in [
        ("DELETE FROM reprints", "missing"),
        (
            "UPDATE reprints SET reprint = 7",
            "not what the entries add up to",
        ),
        (
            "INSERT INTO reprints VALUES (3, 'BM-9', 1, 1)",
            "no entry speaks of",
        ),
    ] {
        let mut line = Line::new();
        line.ok(issue("BM-1", 1));
        line.ok(loaded("BM-1", 1));
        line.ok(reprinted("BM-1", 1, 1));
        let db = rusqlite::Connection::open(&line.path).unwrap();
        db.execute(sql, []).unwrap();
        let report = line.verify();
        let found = report.findings.iter().any(|it| it.what.contains(expected));
        assert!(found, "{sql}: {report:?}");
    }
}

#[test]
fn a_bundle_with_reprints_verifies() {
    let mut line = Line::new();
    line.ok(issue("BM-1", 1));
    line.ok(loaded("BM-1", 1));
    line.ok(reprinted("BM-1", 1, 1));
    line.ok(sealed_by("BM-1", 1, 1));
    line.check();
    let out = line.folder.path().join("out");
    export(&line.path, line.key.vkey(), &out).unwrap();
    let report = verify_bundle(&out, line.key.vkey()).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.is_clean());
}

/// A file that no newer software wrote to yet has no such table, and nothing to put into it.
#[test]
fn an_older_file_is_read_as_it_is() {
    let mut line = Line::new();
    line.seal("BM-1");
    line.ledger
        .reader()
        .unwrap()
        .reprint(&serial("BM-1"))
        .unwrap();
    let db = rusqlite::Connection::open(&line.path).unwrap();
    db.execute_batch(
        "DROP TABLE reprints; DROP TABLE leases; DROP TABLE lease_counts; PRAGMA user_version = 5;",
    )
    .unwrap();
    let report = line.verify();
    assert_eq!(report.findings, [], "{report:?}");
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.reprint(&serial("BM-1")).unwrap(), None);
}
