//! What an auditor can prove of a run, with our tools and with other people's.

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::Reader;
use serde_json::Value;

use crate::binaries::{Done, binaries, run};
use crate::site::{PLAIN, Site, provisioner_on, text};
use crate::units::flash;

pub(crate) const UNITS: usize = 6;

/// A demo that has ended; its folder goes with it.
pub(crate) struct Demo {
    folder: tempfile::TempDir,
    said: Value,
}

impl Demo {
    pub(crate) fn run() -> Demo {
        let folder = tempfile::tempdir().unwrap();
        let said = Demo::command(folder.path()).ok().json();
        Demo { folder, said }
    }

    fn command(data: &Path) -> Done {
        let (units, data) = (UNITS.to_string(), text(data));
        let arguments = ["demo", "--units", &units, "--data", &data];
        run(
            &binaries().line_sim,
            &[&arguments[..], &["--format", "json"]].concat(),
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("provisioner")
    }

    /// The entries' bytes as the log keeps them.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        let reader = Reader::open(&self.data().join("ledger.db")).unwrap();
        let size = reader.size().unwrap();
        (0..size)
            .map(|seq| reader.entry(seq).unwrap().unwrap())
            .collect()
    }

    pub(crate) fn serials() -> impl Iterator<Item = String> {
        (1..=UNITS).map(|number| format!("CAM2-{number:05}"))
    }
}

#[test]
fn a_demo_says_what_happened_and_where_it_lies() {
    let demo = Demo::run();
    let said = &demo.said;
    assert_eq!(said["ok"], true, "{said}");
    assert_eq!(said["data"].as_str(), demo.folder.path().to_str());
    assert_eq!(said["order"], "WO-0001");
    assert_eq!(said["log"], "clean");
    for (name, expected) in [
        ("units", UNITS),
        ("sealed", UNITS),
        ("distinct_passwords", UNITS),
        ("scrapped", 0),
        ("open", 0),
        ("not_started", 0),
        ("voided", 0),
        ("files_with_a_password", 0),
        ("entries", demo.entries().len()),
    ] {
        assert_eq!(said[name].as_u64(), Some(expected as u64), "{name}: {said}");
    }
    assert!(said["files_searched"].as_u64() > Some(10), "{said}");
    assert!(said["ms"].is_u64(), "{said}");
    let refused = said["refused"].as_array().unwrap();
    let reasons: Vec<_> = refused.iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["DUPLICATE_UNIT", "SAME_UNIT"]);
    assert!(refused.iter().all(|one| one["outcome"] == "refused"));
    for serial in Demo::serials() {
        assert!(demo.path(&format!("units/{serial}.json")).is_file());
        assert!(demo.path(&format!("labels/{serial}.zpl")).is_file());
    }
    assert!(demo.path("stations/bench-2/station.toml").is_file());

    let before = demo.entries();
    Demo::command(demo.folder.path()).refused(2, "name a new folder with --data");
    assert_eq!(demo.entries(), before);
    provisioner_on(&demo.data(), &["audit", "verify"]).ok();
}

#[test]
fn each_unit_proves_itself_to_openssl() {
    let demo = Demo::run();
    let ca = demo.data().join("ca");
    let roots = ["device-root.pem", "site-root.pem"].map(|name| text(&ca.join(name)));
    for serial in Demo::serials() {
        let file = flash(&demo.path(&format!("units/{serial}.json")));
        let chain = file["certificate_chain"].as_array().unwrap();
        assert_eq!(chain.len(), 2, "the unit's own and the one that signed it");
        let paths = ["unit.pem", "issuing.pem"].map(|name| text(&demo.path(name)));
        for (path, pem) in paths.iter().zip(chain) {
            std::fs::write(path, pem.as_str().unwrap()).unwrap();
        }
        let [unit, issuing] = &paths;
        let verify =
            |root: &str| openssl(&["verify", "-CAfile", root, "-untrusted", issuing, unit]);
        assert!(verify(&roots[0]).ok().out.contains("unit.pem: OK"));
        assert_ne!(
            verify(&roots[1]).code,
            Some(0),
            "the site's root signs no unit"
        );

        let x509 = |what: &[&str]| {
            let read = openssl(&[&["x509", "-noout", "-in", unit], what].concat());
            read.ok().out.trim_end().to_owned()
        };
        let subject = x509(&["-subject", "-nameopt", "RFC2253,sname"]);
        assert!(
            subject.contains(&format!("serialNumber={serial}")),
            "{subject}"
        );
        assert_eq!(x509(&["-enddate"]), "notAfter=Dec 31 23:59:59 9999 GMT");
        let own = openssl(&["pkey", "-pubout", "-in", &key_of(&demo, &file)]);
        assert_eq!(x509(&["-pubkey"]), own.ok().out.trim_end());
        let digest = x509(&["-fingerprint", "-sha256"]).to_lowercase();
        let digest = digest.split_once('=').unwrap().1.replace(':', "");
        let traveler = provisioner_on(&demo.data(), &["audit", "unit", &serial]).ok();
        assert_eq!(traveler.json()["certificate_sha256"], digest);
    }
}

/// The unit's own key as a file.
fn key_of(demo: &Demo, file: &Value) -> String {
    let path = demo.path("units/key.pem");
    std::fs::write(&path, file["private_key"].as_str().unwrap()).unwrap();
    text(&path)
}

#[test]
fn an_entry_says_who_what_and_where() {
    let demo = Demo::run();
    let entries: Vec<Value> = demo
        .entries()
        .iter()
        .map(|bytes| serde_json::from_slice(bytes).unwrap())
        .collect();
    let of_kind = |kind: &'static str| entries.iter().filter(move |entry| entry["kind"] == kind);
    for (kind, times, fields) in [
        ("product_applied", 1, "product product_sha256 by"),
        ("order_created", 1, "order product quantity by"),
        ("station_enrolled", 2, "station certificate_sha256"),
        (
            "issued",
            UNITS,
            "serial device_id order station attempt fingerprint certificate_sha256 bundle_sha256",
        ),
        (
            "loaded",
            UNITS,
            "serial device_id order station attempt bundle_sha256",
        ),
        (
            "sealed",
            UNITS,
            "serial device_id order station attempt label",
        ),
    ] {
        assert_eq!(of_kind(kind).count(), times, "{kind}");
        for entry in of_kind(kind) {
            for field in fields.split(' ').chain(["seq", "time"]) {
                assert!(!entry[field].is_null(), "no {field} in {entry}");
            }
            assert_eq!(entry["simulated_hsm"], true, "{entry}");
        }
    }
    let in_order = entries.iter().enumerate();
    assert!(in_order.clone().all(|(at, entry)| entry["seq"] == at));
    let once = |field: &str| {
        let mut seen: Vec<_> = of_kind("issued")
            .map(|entry| entry[field].to_string())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    };
    for field in ["serial", "device_id", "fingerprint", "certificate_sha256"] {
        assert_eq!(once(field), UNITS, "{field}");
    }
}

#[test]
fn one_altered_byte_of_the_database_names_its_entry() {
    let demo = Demo::run();
    let entries = demo.entries();
    let last = entries.len() - 1;
    let altered = demo.path("altered");
    // A digit, a letter of a value, a mark of the syntax: at the beginning, within, at the end.
    for (seq, at) in [(0, 7), (1, 40), (last / 2, 100), (last - 1, 60), (last, 9)] {
        copy(&demo.data(), &altered);
        flip(&altered.join("ledger.db"), &entries[seq], at);
        check_named(&altered, &["audit", "verify"], seq);
    }
    let (seq, at) = (last / 2, entries[last / 2].len() - 1);
    copy(&demo.data(), &altered);
    flip(&altered.join("ledger.db"), &entries[seq], at);
    check_named(&altered, &["audit", "verify"], seq);
    provisioner_on(&demo.data(), &["audit", "verify"]).ok();
}

#[test]
fn one_altered_byte_of_an_exported_log_names_its_entry() {
    let demo = Demo::run();
    let entries = demo.entries();
    let (out, altered) = (demo.path("export"), demo.path("altered"));
    let export = ["audit", "export", "--out", &text(&out)];
    let exported = provisioner_on(&demo.data(), &export).ok().json();
    assert_eq!(exported["size"], entries.len());
    for name in ["checkpoint", "vkey", "tile/0", "tile/entries"] {
        assert!(out.join(name).exists(), "no {name}");
    }
    let [out_text, altered_text] = [&out, &altered].map(|path| text(path));
    let vkey = text(&demo.data().join("vkey"));
    let verify = |dir| ["audit", "verify", "--bundle", dir, "--vkey", &vkey];
    // The folder alone is enough: no data directory is there to look into.
    let nowhere = demo.path("nowhere");
    let clean = provisioner_on(&nowhere, &verify(&out_text)).ok().json();
    assert_eq!(clean["root"], exported["root"]);

    let partial = format!("000.p/{}", entries.len());
    for seq in [0, 3, entries.len() - 1] {
        copy(&out, &altered);
        let bundle = altered.join("tile/entries").join(&partial);
        flip(&bundle, &entries[seq], 30);
        check_named(&nowhere, &verify(&altered_text), seq);

        copy(&out, &altered);
        let tile = altered.join("tile/0").join(&partial);
        let hash = std::fs::read(&tile).unwrap()[32 * seq..][..32].to_vec();
        flip(&tile, &hash, 17);
        check_named(&nowhere, &verify(&altered_text), seq);
    }
    copy(&out, &altered);
    let checkpoint = altered.join("checkpoint");
    let root = std::fs::read(&checkpoint).unwrap();
    flip(&checkpoint, &root, root.len() - 5);
    let found = provisioner_on(&nowhere, &verify(&altered_text));
    assert_eq!(found.code, Some(1), "an altered signature: {found:#?}");
}

#[test]
fn a_cut_tail_is_noticed() {
    let mut site = Site::start();
    site.apply(PLAIN).ok();
    site.stop();
    let [log, older] = ["ledger.db", "older.db"].map(|name| site.data().join(name));
    std::fs::copy(&log, &older).unwrap();
    site.serve();
    site.order("PLUG-1", 5, 20);
    site.stop();
    site.provisioner(&["audit", "verify"]).ok();

    std::fs::rename(&older, &log).unwrap();
    let found = site.provisioner(&["audit", "verify"]);
    assert_eq!(found.code, Some(1), "{found:#?}");
    let finding = &found.json()["findings"][0];
    assert_eq!(finding["seq"], 2, "the first entry that is gone: {finding}");
    let what = finding["what"].as_str().unwrap();
    assert!(what.contains("missing"), "{what}");
    // Nobody goes on from there as if nothing had happened.
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    site.provisioner(&serve).refused(2, "went backwards");
}

/// Verification ends in 1 and names this entry, to people and to machines.
#[track_caller]
fn check_named(data: &Path, verify: &[&str], seq: usize) {
    let found = provisioner_on(data, verify);
    assert_eq!(found.code, Some(1), "{found:#?}");
    let report = found.json();
    assert_eq!(report["verdict"], "altered", "{report}");
    assert_eq!(report["findings"][0]["seq"], seq, "{report}");
    let data = text(data);
    let words = run(
        &binaries().provisioner,
        &[verify, &["--data", &data]].concat(),
    );
    assert_eq!(words.code, Some(1), "{words:#?}");
    let first = words.out.lines().nth(1).unwrap_or_default().trim_start();
    assert!(first.starts_with(&format!("entry {seq}:")), "{words:#?}");
}

/// Alters one bit of the one place in a file where these bytes are.
#[track_caller]
fn flip(file: &Path, bytes: &[u8], at: usize) {
    let mut content = std::fs::read(file).unwrap();
    let mut places = content.windows(bytes.len()).enumerate();
    let place = places.find(|(_, window)| *window == bytes);
    let (place, _) = place.expect("the bytes are in the file");
    let again = content[place + 1..]
        .windows(bytes.len())
        .any(|window| window == bytes);
    assert!(!again, "a second copy in {}", file.display());
    content[place + at] ^= 1;
    std::fs::write(file, content).unwrap();
}

/// Copies a folder over what was there before.
fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    let done = Command::new("cp").arg("-R").args([from, to]).status();
    assert!(done.unwrap().success());
}

fn openssl(arguments: &[&str]) -> Done {
    run(Path::new("openssl"), arguments)
}
