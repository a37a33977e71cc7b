//! An exported log, read by other people's code and by ours.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::path::{Path, PathBuf};

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ledger::{Error, Ledger, Report, export, verify_bundle};
use line::*;
use rusqlite::Connection;
use tlog::CheckpointSigner;

/// A log of `size` entries, the last ones a unit's.
fn long(size: u64) -> Line {
    let mut line = Line::new();
    let filler = change(vec![product_applied(DEFINITION)]);
    let there = line.ledger.reader().unwrap().size().unwrap();
    let batch = vec![filler; (size - there - 3) as usize];
    line.ledger.append(&batch, line.key.as_ref()).unwrap();
    line.seal("BM-1");
    assert_eq!(line.ledger.reader().unwrap().size().unwrap(), size);
    line
}

fn exported(line: &Line) -> PathBuf {
    let out = line.folder.path().join("export");
    export(&line.path, line.key.vkey(), &out).unwrap();
    out
}

fn bundle(line: &Line, out: &Path) -> Report {
    verify_bundle(out, line.key.vkey()).unwrap()
}

/// The folder as `tlog_tiles` asks for tiles, whose names carry the tile height.
struct Folder(PathBuf);

impl tlog_tiles::TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let name = |tile: &tlog_tiles::Tile| tile.path().replace("tile/8/", "tile/");
        Ok(tiles
            .iter()
            .map(|tile| std::fs::read(self.0.join(name(tile))).unwrap())
            .collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn other_peoples_tools_accept_every_entry() {
    for size in [10, 256, 257, 700] {
        let line = long(size);
        let out = exported(&line);
        let read = |name: &str| std::fs::read(out.join(name)).unwrap();

        // signed_note opens the checkpoint with the key from the folder.
        let vkey = String::from_utf8(read("vkey")).unwrap();
        let verifier = signed_note::StandardVerifier::new(vkey.trim_end()).unwrap();
        let keys = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let note = signed_note::Note::from_bytes(&read("checkpoint")).unwrap();
        assert_eq!(note.verify(&keys).unwrap().0.len(), 1);

        // tlog_tiles reads it and proves every entry from the tiles.
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, size));
        let folder = Folder(out.clone());
        let hashes = tlog_tiles::TileHashReader::new(size, *checkpoint.hash(), &folder);
        let mut tree = MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
        let mut seq = 0;
        for start in (0..size).step_by(256) {
            let (index, width) = (start / 256, (size - start).min(256));
            let partial = if width < 256 {
                format!(".p/{width}")
            } else {
                String::new()
            };
            let bundle = read(&format!("tile/entries/{index:03}{partial}"));
            let mut rest = &bundle[..];
            while let Some((length, tail)) = rest.split_first_chunk() {
                let (entry, tail) = tail.split_at(u16::from_be_bytes(*length).into());
                let leaf = tlog_tiles::record_hash(entry);
                let proof = tlog_tiles::prove_record(size, seq, &hashes).unwrap();
                tlog_tiles::check_record(&proof, size, *checkpoint.hash(), seq, leaf).unwrap();
                tree.push(entry.to_vec());
                rest = tail;
                seq += 1;
            }
        }
        assert_eq!(seq, size);
        assert_eq!(tree.root().as_bytes()[..], checkpoint.hash().0);

        let report = bundle(&line, &out);
        assert_eq!(report.findings, []);
        assert_eq!(
            (report.entries, report.size, report.root),
            (size, size, checkpoint.hash().0)
        );
    }
}

#[test]
fn every_changed_file_is_found_and_the_entry_named() {
    let line = long(300);
    let out = exported(&line);
    let check = |file: &str, at: usize, named: Option<u64>| {
        let path = out.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let report = bundle(&line, &out);
        assert!(!report.is_clean(), "{file} {at}");
        if named.is_some() {
            assert_eq!(
                report.findings[0].seq, named,
                "{file} {at}: {:?}",
                report.findings
            );
        }
        std::fs::write(&path, whole).unwrap();
    };
    let bundle_bytes = std::fs::read(out.join("tile/entries/000")).unwrap();
    let mut at = 0;
    for seq in 0..256 {
        let length = u16::from_be_bytes([bundle_bytes[at], bundle_bytes[at + 1]]) as usize;
        check("tile/entries/000", at + 2 + length / 2, Some(seq));
        at += 2 + length;
    }
    check("tile/entries/000", 1, None);
    check("tile/entries/001.p/44", 1, None);
    for seq in [0, 7, 255] {
        check("tile/0/000", 32 * seq + 5, Some(seq as u64));
    }
    check("tile/0/001.p/44", 40, Some(257));
    check("tile/1/000.p/1", 3, Some(255));
    let note = std::fs::read(out.join("checkpoint")).unwrap();
    (0..note.len()).for_each(|at| check("checkpoint", at, None));
    check("vkey", 30, None);
    assert_eq!(bundle(&line, &out).findings, []);
}

#[test]
fn missing_files_are_found() {
    let line = long(300);
    let out = exported(&line);
    for (file, first) in [
        ("tile/entries/000", 0),
        ("tile/entries/001.p/44", 256),
        ("tile/0/000", 0),
        ("tile/0/001.p/44", 256),
        ("tile/1/000.p/1", 0),
    ] {
        let whole = std::fs::read(out.join(file)).unwrap();
        std::fs::remove_file(out.join(file)).unwrap();
        let report = bundle(&line, &out);
        assert_eq!(
            report.findings[0].seq,
            Some(first),
            "{file}: {:?}",
            report.findings
        );
        std::fs::write(out.join(file), &whole[..whole.len() - 1]).unwrap();
        assert!(!bundle(&line, &out).is_clean(), "{file}");
        std::fs::write(out.join(file), whole).unwrap();
    }
    std::fs::remove_file(out.join("checkpoint")).unwrap();
    assert!(matches!(
        verify_bundle(&out, line.key.vkey()),
        Err(Error::NotALog { .. })
    ));
    let other = Key::new(2);
    exported(&line);
    assert!(!verify_bundle(&out, other.vkey()).unwrap().is_clean());
}

#[test]
fn an_export_grows_with_the_log_and_never_back() {
    let mut line = long(300);
    let out = exported(&line);
    let old = line.folder.path().join("old").with_extension("db");
    let db = Connection::open(&line.path).unwrap();
    db.execute("VACUUM INTO ?1", [old.to_str().unwrap()])
        .unwrap();
    line.ok(issue("BM-2", 1));
    let again = export(&line.path, line.key.vkey(), &out).unwrap();
    assert_eq!((again.size, again.tiles), (301, 5));
    assert_eq!(bundle(&line, &out).findings, []);

    // The same log, restored from a copy that is one entry older.
    let back = export(&old, line.key.vkey(), &out);
    assert!(
        matches!(
            back,
            Err(Error::WentBackwards {
                signed: 301,
                entries: 300
            })
        ),
        "{back:?}"
    );
    // Elsewhere it is a log like any other.
    let fresh = line.folder.path().join("fresh");
    assert_eq!(export(&old, line.key.vkey(), &fresh).unwrap().size, 300);
}

/// The log key signed another history: as long as the exported one, or longer.
#[test]
fn another_history_is_not_exported_over_the_first() {
    let line = long(300);
    let out = exported(&line);
    for size in [300, 301, 600] {
        let mut other = Line::new();
        other.ok(issue("BM-9", 1));
        let filler = vec![change(vec![product_applied(DEFINITION)]); size - 8];
        other.ledger.append(&filler, other.key.as_ref()).unwrap();
        let back = export(&other.path, line.key.vkey(), &out);
        assert!(matches!(back, Err(Error::Altered(300))), "{size}: {back:?}");
        assert_eq!(bundle(&line, &out).findings, []);
    }
}

/// Whatever byte of it was altered, the earlier export stays and stays whole.
#[test]
fn an_altered_log_is_not_exported() {
    let line = long(700);
    let out = exported(&line);
    let db = Connection::open(&line.path).unwrap();
    let count = tlog::stored_count(700);
    let leaf = |seq: u64| tlog::stored_index(0, seq);
    let over_256 = tlog::stored_index(8, 0);
    let cases = [
        "UPDATE entries SET bytes = CAST(bytes || ' ' AS BLOB) WHERE seq = 5".to_owned(),
        "UPDATE entries SET bytes = zeroblob(65536) WHERE seq = 699".to_owned(),
        "DELETE FROM entries WHERE seq = 300".to_owned(),
        "UPDATE entries SET seq = -seq WHERE seq = 300".to_owned(),
        format!("DELETE FROM hashes WHERE position = {}", leaf(9)),
        format!("DELETE FROM hashes WHERE position = {}", count - 1),
        format!(
            "UPDATE hashes SET hash = zeroblob(32) WHERE position = {}",
            leaf(9)
        ),
        format!("UPDATE hashes SET hash = zeroblob(32) WHERE position = {over_256}"),
        format!(
            "UPDATE hashes SET hash = zeroblob(32) WHERE position = {}",
            over_256 - 1
        ),
    ];
    let whole = line.folder.path().join("whole").with_extension("db");
    let sql = "VACUUM INTO ?1";
    db.execute(sql, [whole.to_str().unwrap()]).unwrap();
    for (nth, sql) in cases.iter().enumerate() {
        let copy = line.folder.path().join(format!("copy-{nth}.db"));
        std::fs::copy(&whole, &copy).unwrap();
        let db = Connection::open(&copy).unwrap();
        db.execute_batch(sql).unwrap();
        for folder in [&out, &line.folder.path().join(format!("fresh-{nth}"))] {
            let refused = export(&copy, line.key.vkey(), folder);
            assert!(
                matches!(refused, Err(Error::Altered(700))),
                "{sql}: {refused:?}"
            );
        }
    }
    // An entry together with its leaf hash: the hashes above them know.
    let copy = line.folder.path().join("consistent").with_extension("db");
    std::fs::copy(&whole, &copy).unwrap();
    let db = Connection::open(&copy).unwrap();
    let theirs = [7u8; 40];
    db.execute("UPDATE entries SET bytes = ?1 WHERE seq = 9", [theirs])
        .unwrap();
    let sql = "UPDATE hashes SET hash = ?1 WHERE position = ?2";
    db.execute(sql, (tlog::leaf_hash(&theirs), leaf(9) as i64))
        .unwrap();
    let refused = export(&copy, line.key.vkey(), &out);
    assert!(matches!(refused, Err(Error::Altered(700))), "{refused:?}");
    assert_eq!(bundle(&line, &out).findings, []);
    assert_eq!(export(&whole, line.key.vkey(), &out).unwrap().size, 700);
}

/// What an export that broke off leaves above the checkpoint proves nothing and claims nothing.
#[test]
fn tiles_above_the_checkpoint_are_not_believed() {
    let mut line = long(300);
    let out = exported(&line);
    let older = std::fs::read(out.join("checkpoint")).unwrap();
    line.ok(issue("BM-2", 1));
    exported(&line);
    std::fs::write(out.join("checkpoint"), older).unwrap();
    let report = bundle(&line, &out);
    assert_eq!(report.findings, []);
    assert_eq!((report.entries, report.size), (300, 300));
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let line = Line::new();
    let out = line.folder.path().join("full");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.txt"), "mine").unwrap();
    let refused = export(&line.path, line.key.vkey(), &out);
    assert!(matches!(refused, Err(Error::ForeignDirectory { .. })));
    let out = exported(&line);
    let other = {
        let key = Key::new(2);
        let path = line.folder.path().join("second").with_extension("db");
        let first = change(vec![log_opened(&key)]);
        drop(Ledger::create(&path, key.as_ref(), first).unwrap());
        export(&path, key.vkey(), &out)
    };
    assert!(
        matches!(other, Err(Error::ForeignDirectory { .. })),
        "{other:?}"
    );
    // An export that broke off is taken up again.
    std::fs::remove_file(out.join("checkpoint")).unwrap();
    exported(&line);
    assert_eq!(bundle(&line, &out).findings, []);
}

/// The server's own folder and a station's hold a checkpoint of this log as well: it is what they
/// remember, and an export over it would take that away.
#[test]
fn a_checkpoint_of_this_log_makes_no_export() {
    let mut line = Line::new();
    let kept = exported(&line);
    let note = std::fs::read(kept.join("checkpoint")).unwrap();
    line.ok(issue("BM-1", 1));
    for beside in [&["token.json"][..], &["vkey", "ledger.db"], &[]] {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("checkpoint"), &note).unwrap();
        for name in beside {
            std::fs::write(out.path().join(name), "mine").unwrap();
        }
        let refused = export(&line.path, line.key.vkey(), out.path());
        let Err(Error::ForeignDirectory { .. }) = refused else {
            panic!("{beside:?}: {refused:?}");
        };
        let left = std::fs::read_dir(out.path()).unwrap().count();
        assert_eq!(left, beside.len() + 1, "{beside:?}");
        assert_eq!(std::fs::read(out.path().join("checkpoint")).unwrap(), note);
    }
    // A file of somebody's in a real export is named before anything is written.
    std::fs::write(kept.join("tile/notes.txt"), "mine").unwrap();
    let refused = export(&line.path, line.key.vkey(), &kept).unwrap_err();
    assert!(refused.to_string().contains("tile/notes.txt"), "{refused}");
    assert_eq!(std::fs::read(kept.join("checkpoint")).unwrap(), note);
    std::fs::remove_file(kept.join("tile/notes.txt")).unwrap();
    exported(&line);
}

#[test]
fn nothing_unsigned_is_exported() {
    let mut line = Line::new();
    line.key
        .away
        .store(true, std::sync::atomic::Ordering::SeqCst);
    line.ok(issue("BM-1", 1));
    let out = line.folder.path().join("export");
    assert_eq!(export(&line.path, line.key.vkey(), &out).unwrap().size, 7);
    assert_eq!(bundle(&line, &out).findings, []);
    let other = Key::new(2);
    assert!(matches!(
        export(&line.path, other.vkey(), &out),
        Err(Error::Note(_))
    ));
}
