//! A disk that is really full: new work is refused early, what is under way is finished, and never
//! is an entry half written.
//!
//! The disk is a small file system in memory. Where this process may not mount one, the test says
//! so and ends; `tests/run` runs as root, where it may.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail
#![allow(clippy::print_stdout)] // what was counted, or why nothing was run

mod line;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ledger::{Error, Ledger, Options, Refused, verify};
use line::*;
use tempfile::TempDir;
use tlog::CheckpointSigner;

const MB: u64 = 1024 * 1024;
/// Free space below which nothing new begins here.
const LEAST_FREE: u64 = 6 * MB;

/// A small file system, gone with its folder.
struct Small {
    folder: TempDir,
}

impl Small {
    fn mount(megabytes: u64) -> Option<Small> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(done) if done.status.success() => Some(Small { folder }),
            Ok(done) => {
                let why = String::from_utf8_lossy(&done.stderr).into_owned();
                println!("not run: a file system cannot be mounted here: {why}");
                None
            }
            Err(why) => {
                println!("not run: there is no mount command: {why}");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    fn free(&self) -> u64 {
        fs4::available_space(self.folder.path()).unwrap()
    }

    /// Another program takes all but `left` bytes.
    fn fill_to(&self, left: u64) {
        use std::io::Write;
        let path = self.folder.path().join("theirs");
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let page = [0; 4_096];
        while self.free() > left {
            if file.write_all(&page).is_err() {
                break;
            }
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.folder.path().join("theirs")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.folder.path()).status();
    }
}

fn open(path: &Path) -> Ledger {
    let options = Options {
        least_free: Some(LEAST_FREE),
        reserve: Some(2 * MB),
        ..Options::default()
    };
    Ledger::open_with(path, &options).unwrap()
}

#[test]
fn a_full_disk_stops_new_work_and_finishes_what_is_under_way() {
    let Some(small) = Small::mount(24) else {
        return;
    };
    let key = Key::new(1);
    let path = small.path();
    let first = change(vec![log_opened(&key)]);
    drop(Ledger::create(&path, key.as_ref(), first).unwrap());
    let mut line = Small24 {
        ledger: open(&path),
        key,
    };
    for event in [
        product_applied(DEFINITION),
        order_created("WO-1", 100, 3),
        invited("bench-1", "token 1"),
        enrolled("bench-1", "token 1"),
    ] {
        line.ask(event).unwrap().unwrap();
    }
    for n in 0..10 {
        line.ask(issue(&format!("BM-{n}"), 1)).unwrap().unwrap();
    }

    // Low: nothing new, all the rest.
    small.fill_to(LEAST_FREE - MB);
    let refused = line.ask(issue("BM-10", 1)).unwrap();
    assert!(
        matches!(refused, Err(Refused::NoRoom { .. })),
        "{refused:?}"
    );
    let refused = line.ask(order_created("WO-2", 5, 5)).unwrap();
    assert!(
        matches!(refused, Err(Refused::NoRoom { .. })),
        "{refused:?}"
    );
    line.ask(loaded("BM-0", 1)).unwrap().unwrap();

    // Full to the last byte: the reserve is what the units under way are finished from.
    small.fill_to(0);
    assert!(small.free() < 4_096);
    for n in 1..10 {
        line.ask(loaded(&format!("BM-{n}"), 1)).unwrap().unwrap();
    }
    let mut written = 0;
    for n in 0..10 {
        written = line.ask(sealed(&format!("BM-{n}"), 1)).unwrap().unwrap();
    }

    // And when that is spent too, a batch is written whole or not at all.
    let definition = "x".repeat(20_000);
    let failed = loop {
        small.fill_to(0);
        match line.ask(product_applied(&definition)) {
            Ok(outcome) => written = outcome.unwrap(),
            Err(error) => break error,
        }
        assert!(written < 10_000, "the disk never fills");
    };
    assert!(matches!(failed, Error::Database(_)), "{failed:?}");
    let report = verify(&path, line.key.vkey(), &mut |_, _| {}).unwrap();
    assert_eq!((report.findings, report.entries), (vec![], written + 1));

    // The same after a restart, and with room again the line issues.
    let Small24 { ledger, key } = line;
    drop(ledger);
    small.empty();
    let mut line = Small24 {
        ledger: open(&path),
        key,
    };
    line.ask(issue("BM-10", 1)).unwrap().unwrap();
    let report = verify(&path, line.key.vkey(), &mut |_, _| {}).unwrap();
    assert_eq!((report.findings, report.entries), (vec![], written + 2));
}

struct Small24 {
    ledger: Ledger,
    key: Arc<Key>,
}

impl Small24 {
    fn ask(&mut self, event: traveler::Event) -> Result<Result<u64, Refused>, Error> {
        let outcome = self
            .ledger
            .append(&[change(vec![event])], self.key.as_ref())?
            .remove(0);
        let _ = self.ledger.maintain(false); // fails on a full disk, and costs nothing
        Ok(outcome.map(|appended| appended.last))
    }
}
