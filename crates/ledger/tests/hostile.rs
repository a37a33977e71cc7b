//! Bundles and database files as an enemy would hand them over: nothing passes, panics or hangs.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ledger::{Audit, Report, export, verify_bundle, verify_bundle_with, verify_with};
use line::lease::*;
use line::*;
use rusqlite::Connection;
use tlog::{Checkpoint, CheckpointSigner, VerifierKey};
use traveler::VoidCause;

/// Mutations of each kind of record.
const MUTATIONS: u64 = 1_000;

/// SplitMix64: the same mutations every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Fillers, then some units; `size` entries.
fn log(size: u64) -> Line {
    let mut line = Line::new();
    let filler = change(vec![product_applied(DEFINITION)]);
    let batch = vec![filler; (size - 17) as usize];
    line.ledger.append(&batch, line.key.as_ref()).unwrap();
    line.seal("BM-1");
    line.seal("BM-2");
    // One that met its unit, and one that met none.
    line.ok(leased("BM-8", 1));
    line.ok(leased("BM-9", 1));
    line.ok(spent("BM-8", 1));
    line.ok(lease_voided("BM-9", 1, VoidCause::LeaseReturned));
    line
}

fn newest(line: &Line) -> Checkpoint {
    let note = line.ledger.reader().unwrap().checkpoint().unwrap().unwrap();
    let text = tlog::open_note(&note, &[line.key.vkey().clone()]).unwrap();
    Checkpoint::parse(text).unwrap()
}

/// Files by name, relative to the folder.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                all.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Changes one file, or takes it away, and says what the audit of it says then.
struct Bundle {
    dir: PathBuf,
    key: VerifierKey,
    newest: Checkpoint,
    whole: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    fn with(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<Report, ledger::Error> {
        for (name, bytes) in changes {
            match bytes {
                Some(bytes) => std::fs::write(self.dir.join(name), bytes).unwrap(),
                None => std::fs::remove_file(self.dir.join(name)).unwrap(),
            }
        }
        // An older export is a whole log; that it is not the newest one knows who remembers that.
        let audit = Audit {
            remembered: std::slice::from_ref(&self.newest),
            ..Audit::default()
        };
        let report = verify_bundle_with(&self.dir, &self.key, &audit);
        for (name, _) in changes {
            std::fs::write(self.dir.join(name), &self.whole[*name]).unwrap();
        }
        report
    }
}

/// The entry in whose bytes a place of an entry bundle is; none for a length.
fn entry_at(bundle: &[u8], first: u64, place: usize) -> Option<u64> {
    let (mut at, mut seq) = (0, first);
    while at < bundle.len() {
        let length = usize::from(u16::from_be_bytes([bundle[at], bundle[at + 1]]));
        if place < at + 2 {
            return None;
        }
        if place < at + 2 + length {
            return Some(seq);
        }
        (at, seq) = (at + 2 + length, seq + 1);
    }
    None
}

/// An export, and the files of an older one of the same log.
fn exported_twice(line: &mut Line) -> (Bundle, Vec<Vec<u8>>) {
    let [out, older] = ["export", "older"].map(|name| line.folder.path().join(name));
    export(&line.path, line.key.vkey(), &older).unwrap();
    line.seal("BM-3");
    export(&line.path, line.key.vkey(), &out).unwrap();
    let bundle = Bundle {
        whole: files(&out),
        dir: out,
        key: line.key.vkey().clone(),
        newest: newest(line),
    };
    (bundle, files(&older).into_values().collect())
}

#[test]
fn a_thousand_mutations_of_a_bundle_are_all_caught() {
    let mut line = log(280);
    let (bundle, older) = exported_twice(&mut line);
    assert!(bundle.with(&[]).unwrap().is_clean());
    let names: Vec<&String> = bundle.whole.keys().collect();
    let (mut dice, mut named) = (Dice(1), 0);
    for nth in 0..MUTATIONS {
        let name = names[dice.below(names.len())].as_str();
        let whole = &bundle.whole[name];
        let mut bytes = whole.clone();
        let mut blame = None;
        let report = match dice.below(6) {
            0 | 1 => {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
                blame = match name {
                    "tile/entries/000" => entry_at(whole, 0, at),
                    "tile/entries/001.p/27" => entry_at(whole, 256, at),
                    "tile/0/000" => Some(at as u64 / 32),
                    "tile/0/001.p/27" => Some(256 + at as u64 / 32),
                    _ => None,
                };
                bundle.with(&[(name, Some(&bytes))])
            }
            2 => {
                bytes.truncate(dice.below(bytes.len()));
                bundle.with(&[(name, Some(&bytes))])
            }
            3 => bundle.with(&[(name, None)]),
            4 => {
                let other = names[dice.below(names.len())].as_str();
                if whole == &bundle.whole[other] {
                    continue;
                }
                let theirs = bundle.whole[other].clone();
                bundle.with(&[(name, Some(&theirs)), (other, Some(whole))])
            }
            _ => {
                let part = &older[dice.below(older.len())];
                if part == whole {
                    continue;
                }
                bundle.with(&[(name, Some(part))])
            }
        };
        // No checkpoint at all: there is nothing to report on, and that is said.
        let Ok(report) = report else {
            assert_eq!(name, "checkpoint", "mutation {nth}");
            continue;
        };
        assert!(!report.is_clean(), "mutation {nth} of {name} passed");
        if blame.is_some() {
            assert_eq!(
                report.findings[0].seq, blame,
                "{nth}: {:?}",
                report.findings
            );
            named += 1;
        }
    }
    assert!(named > 100, "{named} mutations name their entry");
    assert!(bundle.with(&[]).unwrap().is_clean(), "all was put back");
}

/// Every row of every table, or why they cannot be read.
fn dump(path: &Path) -> Result<Vec<String>, rusqlite::Error> {
    let db = Connection::open(path)?;
    let mut all = vec![];
    let sql = "SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let tables: Vec<(String, String)> = db
        .prepare(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, sql) in tables {
        all.push(format!("{name} {sql}"));
        if !sql.starts_with("CREATE TABLE") {
            continue;
        }
        let mut statement = db.prepare(&format!("SELECT * FROM {name}"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cell = |at| row.get_ref(at).map(|cell| format!("{cell:?}"));
            let cells: Vec<String> = (0..columns).map(cell).collect::<Result<_, _>>()?;
            all.push(format!("{name} {}", cells.join(" ")));
        }
    }
    Ok(all)
}

/// The first entry whose bytes are not those it had.
fn first_altered(db: &Path, entries: &[Vec<u8>]) -> Option<u64> {
    let db = Connection::open(db).ok()?;
    let mut statement = db
        .prepare("SELECT bytes FROM entries WHERE seq = ?1")
        .ok()?;
    (0..entries.len() as u64).find(|&seq| {
        let bytes = statement.query_row([seq as i64], |row| row.get::<_, Vec<u8>>(0));
        bytes.ok().as_ref() != Some(&entries[seq as usize])
    })
}

/// One moment of a log as one file.
fn copy(line: &Line, to: &Path) {
    let db = Connection::open(&line.path).unwrap();
    db.execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}

/// One bit of a file, its tail, a page of it, two pages, or pages of an older copy: which kind,
/// and what is left.
fn mutated(dice: &mut Dice, whole: &[u8], older: &[u8]) -> (usize, Vec<u8>) {
    let (page, pages) = (4_096, whole.len() / 4_096);
    let mut bytes = whole.to_vec();
    let kind = dice.below(8);
    match kind {
        0..=3 => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        4 => bytes.truncate(dice.below(bytes.len())),
        5 => {
            let at = dice.below(pages) * page;
            bytes.drain(at..at + page);
        }
        6 => {
            let [a, b] = [dice.below(pages) * page, dice.below(pages) * page];
            let (left, right) = (whole[a..a + page].to_vec(), whole[b..b + page].to_vec());
            bytes[a..a + page].copy_from_slice(&right);
            bytes[b..b + page].copy_from_slice(&left);
        }
        _ => {
            let at = dice.below(pages.min(older.len() / page)) * page;
            let count = (1 + dice.below(4)) * page;
            let end = (at + count).min(older.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&older[at..end]);
        }
    }
    (kind, bytes)
}

#[test]
fn a_thousand_mutations_of_the_database_are_all_caught() {
    let mut line = log(40);
    let folder = line.folder.path().join("database");
    std::fs::create_dir(&folder).unwrap();
    let [older, whole, file] = ["older.db", "whole.db", "log.db"].map(|name| folder.join(name));
    copy(&line, &older);
    line.seal("BM-3");
    copy(&line, &whole);
    let beside = line.path.with_file_name("checkpoint");
    std::fs::copy(beside, folder.join("checkpoint")).unwrap();
    let reader = line.ledger.reader().unwrap();
    let entries: Vec<Vec<u8>> = (0..43)
        .map(|seq| reader.entry(seq).unwrap().unwrap())
        .collect();
    let told = dump(&whole).unwrap();
    let [older, whole] = [older, whole].map(|path| std::fs::read(path).unwrap());
    let (mut dice, mut unseen, mut named) = (Dice(2), 0, 0);
    for nth in 0..MUTATIONS {
        let (kind, bytes) = mutated(&mut dice, &whole, &older);
        if bytes == whole {
            continue;
        }
        std::fs::write(&file, &bytes).unwrap();
        let report = verify_with(&file, line.key.vkey(), &Audit::default(), &mut |_, _| {});
        let report = report.unwrap();
        if report.is_clean() {
            // A place that holds nothing: every row of every table is what it was.
            assert_eq!(
                dump(&file).as_ref(),
                Ok(&told),
                "mutation {nth} ({kind}) passed"
            );
            unseen += 1;
        } else if kind < 4
            && let Some(seq) = first_altered(&file, &entries)
        {
            let damaged = |what: &str| what.contains("damaged");
            let blames = report.findings.iter();
            let mut blames = blames.filter(|f| f.seq == Some(seq) || damaged(&f.what));
            assert!(
                blames.next().is_some(),
                "{nth}: {seq} {:?}",
                report.findings
            );
            named += 1;
        }
    }
    assert!(unseen < MUTATIONS / 2, "{unseen} mutations hit nothing");
    assert!(named > 20, "{named} mutations name their entry");
}

#[test]
fn a_hostile_folder_is_refused_and_never_waited_for() {
    let line = log(300);
    let out = line.folder.path().join("export");
    let check = |what: &str, named: &str, spoil: &dyn Fn(&Path)| {
        if out.exists() {
            std::fs::remove_dir_all(&out).unwrap();
        }
        export(&line.path, line.key.vkey(), &out).unwrap();
        spoil(&out);
        match verify_bundle(&out, line.key.vkey()) {
            Ok(report) => {
                let found = report.findings.iter().any(|f| f.what.contains(named));
                assert!(found, "{what}: {:?}", report.findings);
            }
            Err(error) => assert!(error.to_string().contains(named), "{what}: {error}"),
        }
    };
    let huge = |name: &'static str| {
        move |out: &Path| {
            let file = std::fs::File::options().write(true).open(out.join(name));
            file.unwrap().set_len(1 << 40).unwrap(); // sparse: it takes no place
        }
    };
    let entries = "tile/entries/000";
    check("huge tile", "too long", &huge("tile/0/000"));
    check("huge entries", "too long", &huge(entries));
    check("huge checkpoint", "too long", &huge("checkpoint"));
    check("huge key", "vkey", &huge("vkey"));
    check("a stranger", "notes.txt is no part", &|out| {
        std::fs::write(out.join("notes.txt"), "mine").unwrap();
    });
    check("a stranger among the tiles", "tile/0/run.sh", &|out| {
        std::fs::write(out.join("tile/0/run.sh"), "").unwrap();
    });
    check("a link", "tile/0/002", &|out| {
        symlink("/dev/zero", out.join("tile/0/002")).unwrap();
    });
    check("a tile without end", "not a file", &|out| {
        std::fs::remove_file(out.join(entries)).unwrap();
        symlink("/dev/zero", out.join(entries)).unwrap();
    });
    check("a folder for a file", "not a file", &|out| {
        std::fs::remove_file(out.join(entries)).unwrap();
        std::fs::create_dir(out.join(entries)).unwrap();
    });
    check("folders without end", "is no part", &|out| {
        let deep = format!("tile/0/{}", "x000/".repeat(40));
        std::fs::create_dir_all(out.join(deep)).unwrap();
    });
    check("no tiles", "tile/entries/000", &|out| {
        std::fs::remove_dir_all(out.join("tile")).unwrap();
    });
    check("nothing", "no checkpoint", &|out| {
        std::fs::remove_dir_all(out).unwrap();
    });
    let short = |cut: usize| {
        move |out: &Path| {
            let file = std::fs::File::options().write(true).open(out.join(entries));
            file.unwrap().set_len(cut as u64).unwrap();
        }
    };
    for cut in [0, 1, 2, 3, 1_000] {
        check("cut entries", "breaks off", &short(cut));
    }
}
