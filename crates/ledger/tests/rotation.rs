//! A log that is handed over from one key to another: what was signed stays good, what comes is the
//! new key's, and nobody takes over whom the key in force did not name.

#![allow(clippy::unwrap_used)] // a test may stop anywhere

mod line;

use std::sync::atomic::Ordering;

use ledger::{
    Audit, Error, Ledger, Refused, Report, SignerName, export, verify, verify_bundle,
    verify_bundle_with, verify_with,
};
use line::{
    Key, Line, ORIGIN, change, forge, issue, loaded, note, order_created, rotate, rotated, sealed,
};
use tlog::{Checkpoint, CheckpointSigner, LogKeys, Rotation, sign_note};

/// One unit before, one on its way through, one after.
fn handed_over() -> Line {
    let mut line = Line::new();
    line.seal("BM-1");
    line.ok(issue("BM-2", 1));
    rotate(&mut line, 2);
    line.ok(loaded("BM-2", 1));
    line.ok(sealed("BM-2", 1));
    line.seal("BM-3");
    line
}

fn under(line: &Line, seed: u8) -> Report {
    verify(&line.path, Key::new(seed).vkey(), &mut |_, _| {}).unwrap()
}

#[test]
fn old_and_new_verify_under_either_key_and_under_no_other() {
    let mut line = handed_over();
    line.check();
    rotate(&mut line, 3);
    line.seal("BM-4");
    line.check();
    for seed in 1..=3 {
        let report = under(&line, seed);
        assert_eq!((report.findings, &report.vkey), (vec![], line.key.vkey()));
    }
    let report = under(&line, 4);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].what.contains("this is the log of"));

    // A process that starts again signs with the newest key, and with no other.
    let (path, key) = (line.path.clone(), line.key.clone());
    drop(line.ledger);
    let mut ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.vkey(), key.vkey());
    let batch = [change(vec![order_created("WO-2", 1, 1)])];
    let old = ledger.append(&batch, Key::new(1).as_ref());
    assert!(matches!(old, Err(Error::OtherKey { .. })));
    assert!(ledger.append(&batch, key.as_ref()).unwrap()[0].is_ok());
}

#[test]
fn the_checkpoint_over_a_rotation_is_signed_by_both_keys() {
    let mut line = Line::new();
    rotate(&mut line, 2);
    let checkpoint = line.ledger.reader().unwrap().checkpoint().unwrap().unwrap();
    for seed in [1, 2] {
        let one = LogKeys::new(Key::new(seed).vkey().clone());
        assert_eq!(one.open(&checkpoint).unwrap().size, line.ledger.next_seq());
    }
    // And with either line gone it is none.
    let db = rusqlite::Connection::open(&line.path).unwrap();
    let (text, lines) = checkpoint.split_once("\n\n").unwrap();
    for only in lines.lines() {
        let sql =
            "UPDATE checkpoints SET note = ?1 WHERE size = (SELECT max(size) FROM checkpoints)";
        db.execute(sql, [format!("{text}\n\n{only}\n")]).unwrap();
        assert!(!line.verify().is_clean());
    }
}

#[test]
fn a_bundle_is_followed_from_an_older_key_and_goes_on_from_older_checkpoints() {
    let mut line = Line::new();
    line.seal("BM-1");
    let out = line.folder.path().join("bundle");
    export(&line.path, line.key.vkey(), &out).unwrap();
    let note = std::fs::read_to_string(out.join("checkpoint")).unwrap();
    let seen = LogKeys::new(line.key.vkey().clone()).open(&note).unwrap();
    assert!(!out.join("rotations").exists());

    rotate(&mut line, 2);
    line.seal("BM-2");
    // The earlier export is brought up to date, whichever of its keys is known.
    export(&line.path, Key::new(1).vkey(), &out).unwrap();
    let remembered = [seen.clone()];
    for seed in [1, 2] {
        let audit = Audit {
            remembered: &remembered,
            ..Audit::default()
        };
        let report = verify_bundle_with(&out, Key::new(seed).vkey(), &audit).unwrap();
        assert_eq!((report.findings, &report.vkey), (vec![], line.key.vkey()));
    }
    assert!(!verify_bundle(&out, Key::new(3).vkey()).unwrap().is_clean());

    // From the old checkpoint on, the rotation is met on the way.
    let audit = Audit {
        since: Some(&seen),
        ..Audit::default()
    };
    let since = |audit: &Audit<'_>| {
        let old = Key::new(1);
        let data = verify_with(&line.path, old.vkey(), audit, &mut |_, _| {}).unwrap();
        [data, verify_bundle_with(&out, old.vkey(), audit).unwrap()]
    };
    for report in since(&audit) {
        assert_eq!((report.findings, report.trusted), (vec![], seen.size));
    }

    // Without the note nobody who knows the old key can follow, and with another's nobody at all.
    let rotations = out.join("rotations");
    let told = std::fs::read_to_string(&rotations).unwrap();
    std::fs::remove_file(&rotations).unwrap();
    assert!(!verify_bundle(&out, Key::new(1).vkey()).unwrap().is_clean());
    let stranger = Rotation::sign(9, Key::new(1).as_ref(), Key::new(7).as_ref()).unwrap();
    for bad in [stranger, format!("{told}{told}"), told[1..].to_owned()] {
        std::fs::write(&rotations, bad).unwrap();
        for seed in [1, 2] {
            let report = verify_bundle(&out, Key::new(seed).vkey()).unwrap();
            assert!(!report.is_clean(), "{seed}");
        }
    }
}

#[test]
fn nobody_takes_over_whom_the_key_in_force_did_not_name() {
    let (old, new, stranger) = (Key::new(1), Key::new(2), Key::new(7));
    let seq = Line::new().ledger.next_seq();
    let sign = |seq, a: &Key, b: &Key| Rotation::sign(seq, a, b).unwrap();
    let one_line = |note: String, nth: usize| {
        let (text, lines) = note.split_once("\n\n").unwrap();
        format!("{text}\n\n{}\n", lines.lines().nth(nth).unwrap())
    };
    let bad = [
        // Signed by the new key alone, by the old one alone, by a stranger for either.
        one_line(sign(seq, &old, &new), 1),
        one_line(sign(seq, &old, &new), 0),
        sign(seq, &stranger, &new),
        sign(seq, &old, &stranger),
        // Of another place in the log, and of none.
        sign(seq + 1, &old, &new),
        "the old key agrees\n".to_owned(),
    ];
    for note in bad {
        let mut line = Line::new();
        let event = rotated(note, &new);
        let refused = line
            .ledger
            .rotate(&change(vec![event.clone()]), old.as_ref(), new.as_ref());
        assert!(
            matches!(
                refused,
                Ok(Err(Refused::NotAuthorised {
                    key: SignerName::Log,
                    ..
                })) | Err(Error::OtherKey { .. })
            ),
            "{refused:?}"
        );
        line.check();

        // Forced into the file, with good hashes and a checkpoint by both keys.
        let db = rusqlite::Connection::open(&line.path).unwrap();
        let seq = forge(&db, event);
        let mut read = |at: u64| {
            let sql = "SELECT hash FROM hashes WHERE position = ?1";
            db.query_row(sql, [at as i64], |row| row.get::<_, tlog::Hash>(0))
        };
        let root = tlog::root(seq + 1, &mut read).unwrap();
        let (origin, size) = (ORIGIN.to_owned(), seq + 1);
        let text = Checkpoint { origin, size, root }.to_text();
        let signed = tlog::countersigned(&text, old.as_ref(), new.as_ref()).unwrap();
        let sql = "INSERT INTO checkpoints VALUES (?1, ?2)";
        db.execute(sql, (size as i64, signed)).unwrap();
        for seed in [1, 2] {
            let report = under(&line, seed);
            let named = report.findings.iter().find(|found| found.seq == Some(seq));
            assert!(
                named.unwrap().what.contains("is not authorised"),
                "{report:?}"
            );
        }
    }
}

#[test]
fn what_the_old_key_signs_after_it_handed_over_is_worth_nothing() {
    let line = handed_over();
    let reader = line.ledger.reader().unwrap();
    let size = line.ledger.next_seq();
    let root = reader.root_at(size).unwrap().unwrap();
    let text = Checkpoint {
        origin: ORIGIN.into(),
        size,
        root,
    }
    .to_text();
    let old = sign_note(&text, Key::new(1).as_ref()).unwrap();
    let db = rusqlite::Connection::open(&line.path).unwrap();
    let sql = "UPDATE checkpoints SET note = ?1 WHERE size = ?2";
    db.execute(sql, (&old, size as i64)).unwrap();
    std::fs::write(line.path.with_file_name("checkpoint"), old).unwrap();
    for seed in [1, 2] {
        assert!(!under(&line, seed).is_clean());
    }
}

#[test]
fn a_rotation_with_a_key_away_leaves_the_old_one() {
    let mut line = Line::new();
    let new = Key::new(2);
    let event = rotated(note(&line, &line.key, &new), &new);
    let before = line.ledger.next_seq();
    for away in [&line.key, &new] {
        away.away.store(true, Ordering::SeqCst);
        let event = change(vec![event.clone()]);
        let written = line.ledger.rotate(&event, line.key.as_ref(), new.as_ref());
        assert!(matches!(written, Err(Error::Sign(_))), "{written:?}");
        away.away.store(false, Ordering::SeqCst);
    }
    assert_eq!(line.ledger.next_seq(), before);
    line.seal("BM-1");
    line.check();
    // By the way of all other entries it is not written: its checkpoint would lack a signature.
    assert_eq!(line.try_one(event), Err(Refused::RotatesAlone));
}
