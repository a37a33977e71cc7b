//! Copies of a log that is being written to.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{Error, Ledger, Writer, backup, verify};
use line::*;
use tlog::CheckpointSigner;

#[test]
fn a_copy_made_while_the_log_grows_is_one_moment_of_it() {
    let Line {
        folder,
        path,
        key,
        ledger,
    } = Line::new();
    let writer = Writer::spawn(ledger, key.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let growing = {
        let (writer, stop) = (writer.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let filler = change(vec![product_applied(DEFINITION)]);
            let mut count = 0;
            while !stop.load(Ordering::SeqCst) && count < 5_000 {
                writer.append(filler.clone()).unwrap();
                count += 1;
            }
        })
    };
    let copies: Vec<_> = (0..5)
        .map(|nth| {
            let out = folder.path().join(format!("copy-{nth}")).join("ledger.db");
            std::fs::create_dir(out.parent().unwrap()).unwrap();
            (backup(&path, key.vkey(), &out).unwrap(), out)
        })
        .collect();
    stop.store(true, Ordering::SeqCst);
    growing.join().unwrap();
    for (made, out) in &copies {
        assert_eq!(made.entries, made.size);
        let mode = std::fs::metadata(out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Put back like this, with its checkpoint beside it, it is a log like any other.
        std::fs::write(out.with_file_name("checkpoint"), &made.checkpoint).unwrap();
        let report = verify(out, key.vkey(), &mut |_, _| {}).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!((report.size, report.root), (made.size, made.root));
        let mut put_back = Ledger::open(out).unwrap();
        put_back
            .append(&[change(vec![product_applied(DEFINITION)])], key.as_ref())
            .unwrap();
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made_stays() {
    let line = Line::new();
    let out = line.folder.path().join("copy").with_extension("db");
    let key = line.key.vkey();
    std::fs::write(&out, "mine").unwrap();
    let refused = backup(&line.path, key, &out);
    assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    std::fs::remove_file(&out).unwrap();

    std::fs::write(line.folder.path().join("copy.db.new"), "of a crash").unwrap();
    backup(&line.path, key, &out).unwrap();
    std::fs::remove_file(&out).unwrap();

    let other = backup(&line.path, Key::new(2).vkey(), &out);
    assert!(matches!(other, Err(Error::Note(_))), "{other:?}");
    let left = |name: &str| line.folder.path().join(name).exists();
    assert!(!left("copy.db") && !left("copy.db.new"));
}
