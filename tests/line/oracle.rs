//! The record, proven by a program that shares nothing with ours: `tests/oracle/verify.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::proof::Demo;
use crate::site::{provisioner_on, text};

/// What the other program says: exit code and its one line.
fn oracle(arguments: &[&str]) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/verify.py");
    let done = Command::new("python3").arg(script).args(arguments).output();
    let done = done.expect("python3 runs: see tests/run");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (done.status.code(), said)
}

#[track_caller]
pub(crate) fn good(arguments: &[&str]) -> String {
    let (code, said) = oracle(arguments);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("GOOD"), "{said}");
    said
}

#[track_caller]
fn bad(arguments: &[&str], says: &str) {
    let (code, said) = oracle(arguments);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(says), "no `{says}` in {said}");
}

/// A typing error is no forgery.
#[track_caller]
fn unusable(arguments: &[&str]) {
    let (code, said) = oracle(arguments);
    assert_eq!(code, Some(2), "{arguments:?}: {said}");
    assert!(!said.contains("BAD"), "{said}");
}

/// The file with one byte changed, wherever it is; it is put back at the end.
fn altered(path: &Path, at: usize, check: impl FnOnce()) {
    let bytes = std::fs::read(path).unwrap();
    let mut other = bytes.clone();
    let at = at % other.len();
    other[at] ^= 1;
    std::fs::write(path, other).unwrap();
    check();
    std::fs::write(path, bytes).unwrap();
}

struct Files {
    demo: Demo,
    vkey: String,
    bundle: PathBuf,
    older: PathBuf,
}

fn files() -> Files {
    let demo = Demo::run();
    let bundle = demo.path("export");
    let out = text(&bundle);
    provisioner_on(&demo.data(), &["audit", "export", "--out", &out]).ok();
    // What a station remembers: it is of the end of its own last unit.
    let older = demo.path("stations/bench-1/checkpoint");
    Files {
        vkey: text(&demo.data().join("vkey")),
        demo,
        bundle,
        older,
    }
}

#[test]
fn a_stranger_proves_the_whole_log_and_every_alteration_is_seen() {
    let Files {
        demo,
        vkey,
        bundle,
        older,
    } = files();
    let [out, older] = [&bundle, &older].map(|path| text(path));
    let count = demo.entries().len();
    let said = good(&["log", &vkey, &out, &older]);
    assert!(said.contains(&format!("{count} entries")), "{said}");

    let width = count.to_string();
    let entries = bundle.join("tile/entries/000.p").join(&width);
    let hashes = bundle.join("tile/0/000.p").join(&width);
    let log = ["log", &vkey, &out];
    for at in [7, 2_000, 9_999] {
        altered(&entries, at, || bad(&log, "not the one that was hashed"));
        altered(&hashes, at, || bad(&log, "not the one that was hashed"));
    }
    altered(&bundle.join("checkpoint"), 40, || bad(&log, "BAD"));
    let short = std::fs::read(&entries).unwrap();
    std::fs::write(&entries, &short[..short.len() - 1]).unwrap();
    bad(&log, "cut short");
    std::fs::write(&entries, short).unwrap();
    good(&log);
    // Another log's key, and a checkpoint that this log never had.
    let key = std::fs::read_to_string(&vkey).unwrap();
    let foreign = text(&demo.path("foreign.vkey"));
    std::fs::write(&foreign, key.replacen("birthmark/", "birthmarx/", 1)).unwrap();
    bad(&["log", &foreign, &out], "number");
    altered(Path::new(&older), 60, || {
        bad(&["log", &vkey, &out, &older], "BAD");
    });
    let nowhere = text(&demo.path("nowhere"));
    unusable(&["log", &nowhere, &out]);
    unusable(&["log", &vkey, &nowhere]);
    unusable(&["log", &older, &out]);
    unusable(&["log", &vkey, &out, &nowhere]);
    // A tile that is gone is another matter: its checkpoint is there, and speaks of it.
    std::fs::remove_file(&entries).unwrap();
    bad(&log, "entries");
}

#[test]
fn a_stranger_proves_one_unit() {
    let Files { demo, vkey, .. } = files();
    let serial = Demo::serials().next().unwrap();
    let out = demo.path("proofs");
    let ask = ["audit", "unit", &serial, "--proof", &text(&out)];
    let told = provisioner_on(&demo.data(), &ask).ok().json();
    let proofs = told["proofs"].as_array().unwrap();
    assert_eq!(proofs.len(), 3);
    let file = |nth: usize, name: &str| text(&out.join(proofs[nth][name].as_str().unwrap()));
    for (nth, told) in proofs.iter().enumerate() {
        let [entry, proof] = ["entry", "proof"].map(|name| file(nth, name));
        let check = ["entry", &vkey, &entry, &proof];
        assert!(good(&check).contains(&format!("entry {}", told["seq"])));
        altered(Path::new(&entry), 30, || bad(&check, "another root"));
        altered(Path::new(&proof), 60, || bad(&check, "BAD"));
        let another = file((nth + 1) % 3, "entry");
        bad(&["entry", &vkey, &another, &proof], "another root");
        unusable(&["entry", &entry, &proof, &vkey]);
        unusable(&["entry", &vkey, &proof, &entry]);
        unusable(&["entry", &vkey, &entry]);
    }
}
