//! Audits that begin where another ended, are held against what others remember, or run in
//! several threads.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::path::{Path, PathBuf};

use ledger::{Audit, Report, export, verify_bundle_with, verify_with};
use line::*;
use rusqlite::Connection;
use tlog::{Checkpoint, CheckpointSigner};

/// A log of `size` entries, and its checkpoint.
fn long(size: u64) -> (Line, Checkpoint) {
    let mut line = Line::new();
    let there = line.ledger.reader().unwrap().size().unwrap();
    let filler = change(vec![product_applied(DEFINITION)]);
    let batch = vec![filler; (size - there - 3) as usize];
    line.ledger.append(&batch, line.key.as_ref()).unwrap();
    line.seal("BM-1");
    let head = head(&line);
    (line, head)
}

fn head(line: &Line) -> Checkpoint {
    let note = line.ledger.reader().unwrap().checkpoint().unwrap().unwrap();
    let text = tlog::open_note(&note, &[line.key.vkey().clone()]).unwrap();
    Checkpoint::parse(text).unwrap()
}

fn exported(line: &Line, name: &str) -> PathBuf {
    let out = line.folder.path().join(name);
    export(&line.path, line.key.vkey(), &out).unwrap();
    out
}

/// The same audit of the database and of its export.
fn both(line: &Line, out: &Path, audit: &Audit<'_>) -> [Report; 2] {
    let key = line.key.vkey();
    let database = verify_with(&line.path, key, audit, &mut |_, _| {}).unwrap();
    [database, verify_bundle_with(out, key, audit).unwrap()]
}

fn since(head: &Checkpoint) -> Audit<'_> {
    Audit {
        since: Some(head),
        ..Audit::default()
    }
}

#[test]
fn an_audit_goes_on_from_any_earlier_one() {
    let mut heads = vec![];
    let (mut line, first) = long(250);
    heads.push(first);
    for unit in 2..=4 {
        line.seal(&format!("BM-{unit}"));
        heads.push(head(&line));
    }
    let out = exported(&line, "export");
    for seen in &heads {
        for report in both(&line, &out, &since(seen)) {
            assert_eq!(report.findings, [], "{}", seen.size);
            assert_eq!((report.trusted, report.size), (seen.size, 259));
            assert_eq!(report.root, heads[3].root);
        }
    }
}

#[test]
fn an_audit_that_goes_on_names_what_is_wrong_behind_the_checkpoint() {
    let (mut line, seen) = long(300);
    line.seal("BM-2");
    let out = exported(&line, "export");
    let bundle = out.join("tile/entries/001.p/47");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let sql = "UPDATE entries SET bytes = CAST(bytes || ' ' AS BLOB) WHERE seq = 302";
    Connection::open(&line.path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    for report in both(&line, &out, &since(&seen)) {
        assert_eq!(report.findings[0].seq, Some(302), "{:?}", report.findings);
    }
}

#[test]
fn a_password_that_comes_back_behind_the_checkpoint_is_seen() {
    let (mut line, seen) = long(20);
    line.ok(issue("BM-2", 1));
    let again = issue_with("BM-3", 1, |issued| {
        issued.fingerprint = issue_of(step("BM-2", 1)).fingerprint;
    });
    let forged = forge(&Connection::open(&line.path).unwrap(), again);
    let report = verify_with(&line.path, line.key.vkey(), &since(&seen), &mut |_, _| {});
    let findings = report.unwrap().findings;
    assert!(
        findings
            .iter()
            .any(|f| f.seq == Some(forged) && f.what.contains("password"))
    );
}

#[test]
fn a_checkpoint_of_another_history_is_not_gone_on_from() {
    let (line, seen) = long(20);
    let out = exported(&line, "export");
    let other = Checkpoint {
        root: [7; 32],
        ..seen.clone()
    };
    let longer = Checkpoint { size: 21, ..seen };
    for head in [&other, &longer] {
        for report in both(&line, &out, &since(head)) {
            assert!(!report.is_clean(), "{head:?}");
        }
    }
}

#[test]
fn what_others_remember_is_held_against_the_log() {
    let (mut line, seen) = long(290);
    line.seal("BM-2");
    let newest = head(&line);
    let out = exported(&line, "export");
    let held = |remembered: &[Checkpoint]| {
        let audit = Audit {
            remembered,
            ..Audit::default()
        };
        both(&line, &out, &audit)
    };
    for report in held(&[seen.clone(), newest.clone()]) {
        assert_eq!(report.findings, []);
    }
    let ahead = Checkpoint {
        size: 400,
        ..newest.clone()
    };
    let forked = Checkpoint {
        root: newest.root,
        ..seen.clone()
    };
    let foreign = Checkpoint {
        origin: "elsewhere.example/log".into(),
        ..seen
    };
    for (head, says) in [
        (ahead, "went backwards"),
        (forked, "forked: its first 290 entries"),
        (foreign, "elsewhere.example"),
    ] {
        for report in held(std::slice::from_ref(&head)) {
            let found = &report.findings[..];
            assert!(
                found.len() == 1 && found[0].what.contains(says),
                "{found:?}"
            );
        }
    }
}

#[test]
fn threads_change_nothing() {
    let (line, _) = long(700);
    let out = exported(&line, "export");
    let sql = "UPDATE entries SET bytes = CAST(bytes || ' ' AS BLOB) WHERE seq IN (5, 600); \
               DELETE FROM entries WHERE seq = 300";
    let db = Connection::open(&line.path).unwrap();
    let audit = |threads| Audit {
        threads,
        ..Audit::default()
    };
    for altered in [false, true] {
        if altered {
            db.execute_batch(sql).unwrap();
            std::fs::remove_file(out.join("tile/entries/002.p/188")).unwrap();
        }
        let alone = both(&line, &out, &audit(1));
        assert_eq!(alone[0].is_clean(), !altered);
        for threads in [2, 3, 8] {
            assert_eq!(both(&line, &out, &audit(threads)), alone, "{threads}");
        }
    }
}

#[test]
fn lines_of_witnesses_survive_an_export_of_the_same_log() {
    let (mut line, _) = long(20);
    let out = exported(&line, "export");
    let file = out.join("checkpoint");
    let mut note = std::fs::read_to_string(&file).unwrap();
    note.push_str("\u{2014} witness.example AAAAAAAA\n");
    std::fs::write(&file, &note).unwrap();
    exported(&line, "export");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), note);
    line.seal("BM-2");
    exported(&line, "export");
    let newer = std::fs::read_to_string(&file).unwrap();
    assert!(!newer.contains("witness"), "{newer}");
}
