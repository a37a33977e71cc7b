//! What QA and the brand owner do with the record: proofs of one unit, orders, tables, witnesses,
//! audits that go on, and copies.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::binaries::{Done, binaries, run};
use crate::proof::{Demo, UNITS};
use crate::site::{PLAIN, Site, provisioner_on, text};
use crate::units::flash;

/// The same command with words for people instead of facts.
fn words(data: &Path, arguments: &[&str]) -> Done {
    run(
        &binaries().provisioner,
        &[arguments, &["--data", &text(data)]].concat(),
    )
}

#[test]
fn each_entry_of_a_unit_proves_itself_offline() {
    let demo = Demo::run();
    let serial = Demo::serials().next().unwrap();
    let out = demo.path("proofs");
    let [out_text, vkey] = [&out, &demo.data().join("vkey")].map(|path| text(path));
    let ask = ["audit", "unit", &serial, "--proof", &out_text];
    let told = provisioner_on(&demo.data(), &ask).ok().json();
    let proofs = told["proofs"].as_array().unwrap();
    assert_eq!(proofs.len(), 3, "issued, loaded, sealed: {told}");
    let nowhere = demo.path("nowhere");
    let file = |proof: &Value, name: &str| text(&out.join(proof[name].as_str().unwrap()));
    let verify = |proof: &str, entry: &str| {
        let files = ["--proof", proof, "--entry", entry, "--vkey", &vkey];
        provisioner_on(&nowhere, &[&["audit", "verify"], &files[..]].concat())
    };
    let entries = demo.entries();
    for (nth, proof) in proofs.iter().enumerate() {
        let [path, entry] = ["proof", "entry"].map(|name| file(proof, name));
        let seq = proof["seq"].as_u64().unwrap() as usize;
        assert_eq!(std::fs::read(&entry).unwrap(), entries[seq]);
        let shown = verify(&path, &entry).ok().json();
        assert_eq!(shown["verdict"], "clean");
        assert_eq!(shown["entry"]["serial"], serial.as_str());
        // Another entry's bytes, and its own with one letter changed.
        let other = file(&proofs[(nth + 1) % 3], "entry");
        assert_eq!(verify(&path, &other).code, Some(1));
        let changed = String::from_utf8(entries[seq].clone())
            .unwrap()
            .replace("bench-", "bencH-");
        let forged = text(&demo.path("forged.json"));
        std::fs::write(&forged, changed).unwrap();
        let found = verify(&path, &forged);
        assert_eq!(
            (found.code, &found.json()["verdict"]),
            (Some(1), &"altered".into())
        );
        let cut = text(&demo.path("cut.tlog-proof"));
        std::fs::write(&cut, &std::fs::read(&path).unwrap()[..40]).unwrap();
        verify(&cut, &entry).refused(2, "no proof of an entry");
    }
    let without = ["audit", "verify", "--proof", &file(&proofs[0], "proof")];
    provisioner_on(&nowhere, &without).refused(2, "--vkey FILE");
}

#[test]
fn an_order_tells_what_qa_asks() {
    let demo = Demo::run();
    let ask = ["audit", "order", "WO-0001"];
    let told = provisioner_on(&demo.data(), &ask).ok().json();
    let first_pass = &told["first_pass"];
    assert_eq!(first_pass["units_started"], UNITS);
    assert_eq!(first_pass["sealed_at_attempt_1"], UNITS);
    assert_eq!(first_pass["yield"], 1.0);
    let stations = told["stations"].as_object().unwrap();
    let sealed = stations
        .values()
        .map(|tally| tally["sealed"].as_u64().unwrap());
    assert_eq!(sealed.sum::<u64>(), UNITS as u64, "{told}");
    assert_eq!(told["policy_sha256"].as_array().unwrap().len(), 1);
    assert!(told["first_entry"]["time"].as_str() < told["last_entry"]["time"].as_str());
    let said = words(&demo.data(), &ask).ok().out;
    for part in [
        "ordered 6 = sealed 6 + scrapped 0 + open 0 + not started 0",
        "100.0 %: 6 of 6 units started were sealed at the first try",
        "bench-1: issued",
        "policy      sha256",
    ] {
        assert!(said.contains(part), "no `{part}` in {said}");
    }
}

#[test]
fn tables_hold_every_entry_and_no_password() {
    let demo = Demo::run();
    let out = demo.path("export");
    let [out_text, vkey] = [&out, &demo.data().join("vkey")].map(|path| text(path));
    let export = [
        "audit",
        "export",
        "--out",
        &out_text,
        "--format",
        "csv,jsonl",
    ];
    let size = provisioner_on(&demo.data(), &export).ok().json()["size"]
        .as_u64()
        .unwrap();
    let table = |name: &str| std::fs::read_to_string(out.join("tables").join(name)).unwrap();
    let entries = demo.entries();
    let lines = table("entries.jsonl");
    assert!(
        lines
            .lines()
            .map(str::as_bytes)
            .eq(entries.iter().map(|entry| &entry[..]))
    );
    assert_eq!(table("entries.csv").lines().count(), entries.len() + 1);
    assert!(table("units.csv").starts_with("serial,state,attempt,"));
    let units = table("units.jsonl");
    let units = units
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let serials: BTreeSet<String> = units
        .filter(|unit| unit["state"] == "sealed")
        .map(|unit| unit["serial"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(serials, Demo::serials().collect());
    assert_eq!(table("orders.csv").lines().count(), 2);
    for serial in Demo::serials() {
        let held = flash(&demo.path(&format!("units/{serial}.json")));
        let password = held["password"].as_str().unwrap();
        for name in ["entries.csv", "entries.jsonl", "units.csv", "units.jsonl"] {
            assert!(!table(name).contains(password), "{name}");
        }
    }
    // The tables are no part of what is proven, and no stranger in the bundle.
    let verify = ["audit", "verify", "--bundle", &out_text, "--vkey", &vkey];
    provisioner_on(&demo.path("nowhere"), &verify).ok();
    let since = (size - 2).to_string();
    words(&demo.data(), &[&export[..], &["--since", &since]].concat()).ok();
    assert_eq!(table("entries.jsonl").lines().count(), 2);
    let beyond = ["--since", "9999"];
    let says = format!("the log has {size} entries, fewer than 9999");
    words(&demo.data(), &[&export[..], &beyond].concat()).refused(2, &says);
    words(&demo.data(), &[&export[..4], &["--since", &since]].concat())
        .refused(2, "add --format csv or jsonl");
    // A file of somebody's in it is no sign of a log that was altered.
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    words(&demo.data(), &export).refused(2, "notes.txt");
    let own = text(&demo.data());
    words(&demo.data(), &["audit", "export", "--out", &own]).refused(2, "choose another folder");
    let other = ["audit", "order", "WO-0001", "--format", "csv"];
    words(&demo.data(), &other).refused(2, "tables of `audit export`");
}

/// A site whose log grows, its exports, and a witness outside.
struct Watched {
    site: Site,
    home: String,
}

impl Watched {
    fn start() -> Watched {
        let site = Site::start();
        site.apply(PLAIN).ok();
        let home = text(&site.path("witness"));
        Watched { site, home }
    }

    fn export(&self, name: &str) -> String {
        let out = text(&self.site.path(name));
        self.site
            .provisioner(&["audit", "export", "--out", &out])
            .ok();
        out
    }

    fn witness(&self, bundle: &str) -> Done {
        let vkey = text(&self.site.data().join("vkey"));
        let files = ["--bundle", bundle, "--home", &self.home, "--vkey", &vkey];
        self.site
            .provisioner(&[&["audit", "witness"], &files[..]].concat())
    }

    fn verify(&self, bundle: &str, more: &[&str]) -> Done {
        let verify = ["audit", "verify", "--bundle", bundle];
        self.site.provisioner(&[&verify[..], more].concat())
    }
}

/// The key of another witness, who has cosigned this export and keeps its name.
fn second_witness(watched: &Watched, out: &str) -> String {
    let home = text(&watched.site.path("second"));
    let witness = ["audit", "witness", "--bundle", out, "--home", &home];
    let named = |name| {
        watched
            .site
            .provisioner(&[&witness[..], &["--name", name]].concat())
    };
    named("w.example/2").ok();
    named("w.example/3").refused(2, "this witness is called w.example/2");
    format!("{home}/witness.vkey")
}

#[test]
fn a_witness_cosigns_what_goes_on_and_nothing_else() {
    let mut watched = Watched::start();
    let out = watched.export("export");
    let first = watched.witness(&out).ok().json();
    assert_eq!(
        (&first["size"], &first["seen_before"]),
        (&2.into(), &Value::Null)
    );
    let home = Path::new(&watched.home).to_owned();
    let mode = std::fs::metadata(home.join("witness.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let key = text(&home.join("witness.vkey"));
    let told = watched.verify(&out, &["--witness", &key]).ok().json();
    assert_eq!(told["cosigned"][0]["witness"], first["witness"]);
    watched.verify(&out, &[]).ok();
    let second = second_witness(&watched, &out);
    let both = ["--witness", &key, "--witness", &second];
    watched.verify(&out, &both).ok();

    // The log goes on; the restored one does not, and neither does another history of it, made by
    // whoever holds an older token, too.
    watched.site.stop();
    let data = watched.site.data();
    let [log, kept] = ["ledger.db", "kept.db"].map(|name| data.join(name));
    let [token, older_token] = ["hsm/soft.store", "hsm/older.store"].map(|name| data.join(name));
    std::fs::copy(&log, &kept).unwrap();
    std::fs::copy(&token, &older_token).unwrap();
    watched.site.serve();
    watched.site.order("PLUG-1", 5, 20);
    let again = watched.export("export");
    watched.verify(&again, &both).refused(1, ""); // nobody has seen the new one yet
    let grown = watched.witness(&again).ok().json();
    assert_eq!(
        (&grown["size"], &grown["seen_before"]),
        (&3.into(), &2.into())
    );
    watched.site.stop();
    std::fs::rename(&kept, &log).unwrap();
    std::fs::remove_file(watched.site.data().join("checkpoint")).unwrap();
    let older = watched.export("older");
    let says = "signed over 3 entries, the newest here over 2";
    let told = watched
        .witness(&older)
        .refused(1, says)
        .refused(1, "the bundle of 2 does not go on from them")
        .json();
    assert_eq!(
        (&told["verdict"], &told["cosigned"], &told["seen_before"]),
        (&"altered".into(), &false.into(), &3.into())
    );
    assert!(told["findings"][0]["what"].as_str().unwrap().contains(says));
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    provisioner_on(&data, &serve).refused(2, "the token saw a log of 3 entries");
    std::fs::rename(&older_token, &token).unwrap();
    watched.site.serve();
    watched.site.order("PLUG-1", 6, 20);
    watched.site.order("PLUG-1", 7, 20);
    let forked = watched.export("forked");
    watched
        .witness(&forked)
        .refused(1, "forked: its first 3 entries are not those");

    altered_is_not_cosigned(&watched, &out);
}

/// A bundle that is not whole is not cosigned.
fn altered_is_not_cosigned(watched: &Watched, out: &str) {
    let bundle = Path::new(out).join("tile/entries/000.p/3");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let told = watched
        .witness(out)
        .refused(1, "entry 0: its bytes are not those that were hashed")
        .refused(1, "not cosigned: the bundle is altered")
        .json();
    assert_eq!(
        (&told["cosigned"], &told["findings"][0]["seq"]),
        (&false.into(), &0.into())
    );
}

#[test]
fn an_audit_goes_on_where_the_last_one_ended() {
    let watched = Watched::start();
    let out = watched.export("export");
    let kept = text(&watched.site.path("kept"));
    std::fs::copy(Path::new(&out).join("checkpoint"), &kept).unwrap();
    watched.site.order("PLUG-1", 5, 20);
    watched.export("export");
    let data = ["audit", "verify", "--since", &kept];
    for told in [
        watched.site.provisioner(&data),
        watched.verify(&out, &["--since", &kept, "--threads", "2"]),
    ] {
        let told = told.ok().json();
        assert_eq!((&told["trusted"], &told["entries"]), (&2.into(), &3.into()));
    }
    let said = words(&watched.site.data(), &data).ok().out;
    assert!(
        said.contains("not covered: the bytes of the first 2 entries"),
        "{said}"
    );
    watched.verify(&out, &["--checkpoint", &kept]).ok();
}

#[test]
fn a_running_server_is_copied_and_the_copy_is_a_log() {
    let mut watched = Watched::start();
    watched.site.order("PLUG-1", 5, 20);
    let copy = text(&watched.site.path("copy.db"));
    let made = watched
        .site
        .provisioner(&["backup", "--out", &copy])
        .ok()
        .json();
    assert_eq!(made["entries"], 3);
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    watched
        .site
        .provisioner(&["backup", "--out", &copy])
        .refused(2, "exists");
    watched.site.order("PLUG-1", 6, 20);
    watched.site.stop();

    // Put back with nothing else lost, the server's own checkpoint tells that it is older.
    let data = watched.site.data();
    std::fs::copy(&copy, data.join("ledger.db")).unwrap();
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    watched
        .site
        .provisioner(&serve)
        .refused(2, "went backwards");
    // On a new machine it is whole, and as old as its checkpoint says.
    std::fs::copy(format!("{copy}.checkpoint"), data.join("checkpoint")).unwrap();
    let told = watched.site.provisioner(&["audit", "verify"]).ok().json();
    assert_eq!(told["entries"], 3);
}

#[test]
fn a_log_put_back_from_a_copy_is_made_whole_by_an_export() {
    let mut watched = Watched::start();
    let copy = text(&watched.site.path("copy.db"));
    watched.site.provisioner(&["backup", "--out", &copy]).ok();
    watched.site.order("PLUG-1", 5, 20);
    watched.site.token("bench-1");
    let out = watched.export("export");
    watched.witness(&out).ok();
    watched.site.order("PLUG-1", 6, 20);
    let lost = watched.export("lost"); // an export that burns with the server, but for its note
    let seen = format!("{lost}/checkpoint");
    let kept = text(&watched.site.path("kept"));
    std::fs::copy(format!("{out}/checkpoint"), &kept).unwrap();
    watched.site.stop();
    let data = watched.site.data();
    let put_back = |beside: &str| {
        std::fs::copy(&copy, data.join("ledger.db")).unwrap();
        std::fs::copy(beside, data.join("checkpoint")).unwrap();
    };
    let recover = |bundle: &str, more: &[&str]| {
        let recover = ["recover", "--allow-simulated-hsm", "--bundle", bundle];
        provisioner_on(&data, &[&recover[..], more].concat())
    };

    // The server's own newer checkpoint is beside it, and a bundle that has all of it.
    put_back(&kept);
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    provisioner_on(&data, &serve).refused(2, "went backwards");
    // The token knows of one more: what is there is brought back, and no server opens it.
    let told = recover(&out, &["--checkpoint", &kept]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    let told = told.json();
    assert_eq!(
        (&told["entries_before"], &told["entries"], &told["lost"]),
        (&2.into(), &4.into(), &1.into())
    );
    provisioner_on(&data, &serve).refused(2, "the token saw a log of 5 entries");
    provisioner_on(&data, &["audit", "verify", "--checkpoint", &kept]).ok();
    let exported = text(&watched.site.path("again"));
    provisioner_on(&data, &["audit", "export", "--out", &exported]).ok();
    watched.witness(&exported).ok();
    let again = recover(&out, &[]); // there is nothing more to bring back
    assert_eq!(again.json()["entries"], 4);

    // Somebody remembers an entry that the bundle has not.
    put_back(&format!("{copy}.checkpoint"));
    let told = recover(&out, &["--checkpoint", &seen]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    assert_eq!(
        (&told.json()["lost"], &told.json()["recovered"]),
        (&1.into(), &false.into())
    );
    put_back(&seen);
    let told = recover(&out, &[]);
    assert_eq!((told.code, &told.json()["lost"]), (Some(1), &1.into()));
    recover(&lost, &["--checkpoint", &seen]).ok();

    // An altered bundle brings back nothing.
    put_back(&format!("{copy}.checkpoint"));
    let entries = Path::new(&out).join("tile/entries/000.p/4");
    let mut bytes = std::fs::read(&entries).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    std::fs::write(&entries, bytes).unwrap();
    recover(&out, &[]).refused(2, "entry 3: its bytes are not those that were hashed");
    let told = provisioner_on(&data, &["audit", "verify"]).ok().json();
    assert_eq!(told["entries"], 2);
    // One that broke off locks the server until it is run again.
    std::fs::rename(
        data.join("checkpoint"),
        data.join("checkpoint.before-recover"),
    )
    .unwrap();
    provisioner_on(&data, &serve).refused(2, "run it again");
    recover(&lost, &[]).ok();
    watched.site.serve();
    assert_eq!(watched.site.order("PLUG-1", 7, 20), "WO-0003");
}

#[test]
fn a_ceremony_is_recorded_by_badge_and_a_name_can_be_erased() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("site");
    let init = [
        "init",
        "--operator",
        "B-1=Known Person",
        "--operator",
        "B-2",
    ];
    let told = provisioner_on(&data, &init).ok();
    let names = |file: &str| {
        let text = std::fs::read_to_string(data.join(file)).unwrap();
        (text.contains("Known Person"), text.contains("B-1"))
    };
    assert_eq!(names("operators.toml"), (true, true));
    assert!(!told.out.contains("Known Person"));
    for file in ["ceremony.json", "ceremony.txt"] {
        assert_eq!(names(file), (false, true), "{file}");
    }
    let reader = ledger::Reader::open(&data.join("ledger.db")).unwrap();
    let first = String::from_utf8(reader.entry(0).unwrap().unwrap()).unwrap();
    assert!(first.contains("\"operators\":[\"B-1\",\"B-2\"]"), "{first}");
    provisioner_on(&data, &["operator", "erase", "B-1"]).ok();
    assert_eq!(names("operators.toml"), (false, true));
    let other = folder.path().join("other");
    let init = ["init", "--operator", "Known Person"];
    provisioner_on(&other, &init).refused(2, "2 to 32 of A-Z");
}
