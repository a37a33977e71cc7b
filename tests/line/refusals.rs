//! Bad input gets a sentence that says what to do, exit code 2, and costs nothing: the log takes
//! no entry for a unit, the order counts as before, the unit's flash stays as it was.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hsm::{Hsm, HsmError, Key, Pin, Randomness, SoftToken, Storage};
use identity::{Issuer, Role, Signer, Stamp};
use line_sim::unit::SimUnit;
use rcgen::{KeyPair, PublicKeyData};
use traveler::{StationName, Timestamp};

use crate::bench::Bench;
use crate::binaries::{Done, WITHIN, binaries, run, run_with, text_of, until};
use crate::site::{LABELLED, PLAIN, Site, enroll, provisioner_on, text};
use crate::units::{flash, port, scan, silicon};

fn start() -> Bench {
    Bench::of(PLAIN, "PLUG-1", "PLUG1")
}

impl Bench {
    /// Another unit at another port.
    fn unit(&self, number: u32, model: &str) -> SimUnit {
        let flash = self.site.path(&format!("units/{number}.json"));
        SimUnit::spawn(silicon(number, model, &flash)).unwrap()
    }

    /// Tries the blank unit.
    fn try_with(&self, order: &str, serial: &str, port: &str, station: &Path) -> Done {
        provision(order, serial, port, station, "")
    }

    fn try_station(&self, station: &Path) -> Done {
        self.try_with(&self.order, "R-001", &port(&self.unit), station)
    }

    /// What `attempt` must not change.
    #[track_caller]
    fn costs_nothing(&self, attempt: impl FnOnce() -> Done) -> Done {
        let stands = || {
            let count = self.site.count(&self.order);
            let entries = self
                .site
                .provisioner(&["audit", "verify"])
                .ok()
                .json()
                .clone();
            (
                count,
                entries["entries"].clone(),
                flash(&self.flash)["flash"].clone(),
            )
        };
        let before = stands();
        let done = attempt();
        assert_eq!(stands(), before, "{done:#?}");
        let left = std::fs::read_dir(self.station.join("journal")).map(Iterator::count);
        assert!(
            left.is_err() || left.is_ok_and(|left| left == 0),
            "a record is left"
        );
        done
    }
}

fn provision(order: &str, serial: &str, port: &str, station: &Path, input: &str) -> Done {
    let station = text(station);
    let arguments = [
        ["--order", order],
        ["--serial", serial],
        ["--port", port],
        ["--data", &station],
        ["--wait", "1"],
        ["--format", "json"],
    ];
    run_with(
        &binaries().station_cli,
        &[&["provision"], arguments.as_flattened()].concat(),
        input,
    )
}

/// It must have been refused for this reason, and said this.
#[track_caller]
fn check(done: Done, reason: &str, says: &str) {
    assert_eq!(done.json()["reason"], reason, "{done:#?}");
    assert_eq!(done.json()["outcome"], "refused", "{done:#?}");
    done.refused(2, says);
}

#[test]
fn an_order_or_serial_that_cannot_be_used() {
    let bench = start();
    let (order, at) = (&bench.order, port(&bench.unit));
    let bad = |order: &str, serial: &str| {
        bench.costs_nothing(|| bench.try_with(order, serial, &at, &bench.station))
    };
    check(
        bad("WO-9999", "R-001"),
        "UNKNOWN_ORDER",
        "check the order number",
    );
    bad(order, "r 1").refused(2, "3 to 32 of A-Z");
    bad("wo", "R-001").refused(2, "1 to 32 of A-Z");

    bench.site.apply(LABELLED).ok();
    let camera = bench.site.order("CAM-2", 2, 20);
    check(
        bad(&camera, "R-001"),
        "WRONG_PRODUCT",
        "take the unit out, check the order",
    );
    let mut config = silicon(7, "CAM2", &bench.site.path("units/7.json"));
    config.revision = Some("A".to_owned());
    let older = SimUnit::spawn(config).unwrap();
    let wrong = || provision(&camera, "R-001", &port(&older), &bench.station, "");
    check(bench.costs_nothing(wrong), "WRONG_PRODUCT", "CAM2 B");
    assert_eq!(bench.site.count(&camera).not_started, 2);

    let closed = bench.site.order("PLUG-1", 2, 20);
    bench.site.provisioner(&["order", "close", &closed]).ok();
    check(
        bad(&closed, "R-001"),
        "WORK_ORDER_CLOSED",
        "take the next order",
    );

    let site = |arguments: &[&str]| bench.costs_nothing(|| bench.site.provisioner(arguments));
    let create = ["order", "create", "--quantity", "1", "--product", "NONE-1"];
    site(&create).refused(2, "there is no product NONE-1");
    site(&["order", "show", "WO-9999"]).refused(2, "there is no order WO-9999");
    site(&["audit", "order", "WO-9999"]).refused(2, "check it, or name the server with --data");
    site(&["audit", "unit", "R-001"]).refused(2, "was never issued here");
    let create = ["order", "create", "--product", "PLUG-1", "--quantity", "0"];
    site(&create).refused(2, "0 is not in 1..=10000000");
    let again = ["order", "create", "--product", "PLUG-1", "--quantity", "1"];
    site(&[&again[..], &["--order", order]].concat()).refused(2, "choose another name");
}

#[test]
fn a_port_that_is_missing_or_busy() {
    let bench = start();
    let missing = bench.site.path("no-port");
    let at = text(&missing);
    let gone = bench.costs_nothing(|| bench.try_with(&bench.order, "R-001", &at, &bench.station));
    check(gone, "PORT_MISSING", "station-cli ports");
    let greet = |at: &str| run(&binaries().station_cli, &["greet", "--port", at]);
    greet(&at).refused(2, "plug the unit in");

    // A station that waits for a scan holds the port.
    bench.site.apply(LABELLED).ok();
    let camera = bench.site.order("CAM-2", 1, 20);
    let unit = bench.unit(2, "CAM2");
    let at = port(&unit);
    let other = bench.site.station("bench-2");
    let log = bench.site.path("logs/holder.txt");
    let mut holder = Command::new(&binaries().station_cli)
        .args(["provision", "--order", &camera, "--serial", "R-002"])
        .args(["--port", &at, "--data", &text(&other)])
        .stdin(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let label = other.join("labels/R-002.zpl");
    let waits = || {
        text_of(&log)
            .contains("scan the label")
            .then_some(())
            .filter(|()| label.exists())
    };
    until(WITHIN, waits).expect("it asks for the label");
    let busy = bench.costs_nothing(|| bench.try_with(&bench.order, "R-001", &at, &bench.station));
    check(busy, "PORT_BUSY", "is in use by");
    greet(&at).refused(2, "end that first");
    // Nor may another process of the same station take the serial.
    let hand = provision(&camera, "R-002", &at, &other, "");
    check(hand, "IN_HAND", "wait until its other slot is done");

    drop(holder.stdin.take()); // nobody will scan
    assert_eq!(holder.wait().unwrap().code(), Some(10));
    let scanned = scan(&other.join("labels"), "R-002").unwrap();
    provision(&camera, "R-002", &at, &other, &scanned).ok();
}

#[test]
fn a_serial_or_unit_that_was_used() {
    let bench = start();
    let first = || bench.try_station(&bench.station);
    first().ok();
    check(
        bench.costs_nothing(first),
        "SAME_UNIT",
        "take the next unit",
    );

    let second = bench.unit(2, "PLUG1");
    let duplicate = || provision(&bench.order, "R-001", &port(&second), &bench.station, "");
    check(
        bench.costs_nothing(duplicate),
        "DUPLICATE_UNIT",
        "take the next serial",
    );
    let again = || bench.try_with(&bench.order, "R-002", &port(&bench.unit), &bench.station);
    check(bench.costs_nothing(again), "SAME_UNIT", "holds R-001");
    // A unit whose flash was erased is still the same silicon.
    let erased = SimUnit::spawn(silicon(1, "PLUG1", &bench.site.path("units/erased.json")));
    let erased = erased.unwrap();
    let again = || provision(&bench.order, "R-002", &port(&erased), &bench.station, "");
    check(
        bench.costs_nothing(again),
        "UNIT_IN_USE",
        "check serial and unit",
    );

    provision(&bench.order, "R-002", &port(&second), &bench.station, "").ok();
    let third = bench.unit(3, "PLUG1");
    let spent = || provision(&bench.order, "R-003", &port(&third), &bench.station, "");
    check(
        bench.costs_nothing(spent),
        "QUOTA_SPENT",
        "take the next order",
    );
    let blank = flash(&bench.site.path("units/3.json"));
    assert_eq!(
        (&blank["state"], &blank["flash"]),
        (&"blank".into(), &"".into())
    );
}

#[test]
fn a_server_that_is_not_there_or_not_the_one() {
    let mut bench = start();
    let other = Site::start();
    other.apply(PLAIN).ok();
    let stranger = other.station("bench-1");

    // The other server's station, sent here: it does not trust this server.
    let lost = bench.site.path("stations/lost");
    let settings = text_of(&stranger.join("station.toml"));
    copy_station(&stranger, &lost);
    let here = settings.replace(&other.url(), &bench.site.url());
    std::fs::write(lost.join("station.toml"), &here).unwrap();
    let done = bench.costs_nothing(|| bench.try_station(&lost));
    check(
        done,
        "NOT_TRUSTED",
        "not the one the station was enrolled with",
    );

    // Even when it trusts this one, it is not known here.
    std::fs::copy(
        bench.station.join("site-root.pem"),
        lost.join("site-root.pem"),
    )
    .unwrap();
    let done = bench.costs_nothing(|| bench.try_station(&lost));
    check(done, "NOT_TRUSTED", "enrol again with a fresh token");

    let expired = bench.site.path("stations/expired");
    copy_station(&bench.station, &expired);
    expire(&bench.site.data(), &expired);
    let done = bench.costs_nothing(|| bench.try_station(&expired));
    check(done, "NOT_TRUSTED", "it is expired or unknown");

    let token = other.token("bench-9");
    let folder = bench.site.path("stations/bench-9");
    enroll(&bench.site.url(), &token, &folder).refused(2, "check the address");
    let token = bench.site.token("bench-9");
    enroll(&bench.site.url(), &token, &folder).ok();
    enroll(&bench.site.url(), &token, &folder).refused(2, "ask for a fresh token");
    enroll(&bench.site.url(), "BM1-x", &folder).refused(2, "copy the whole line");
    enroll(&other.url(), &other.token("bench-9"), &folder).refused(2, "choose another --data");
    let nobody = bench.site.path("stations/nobody");
    bench.try_station(&nobody).refused(2, "station-cli enroll");

    bench.site.stop();
    let done = bench.costs_nothing(|| bench.try_station(&bench.station));
    check(done, "NO_SERVER", "is `provisioner serve` up?");
    bench
        .site
        .provisioner(&["order", "list"])
        .refused(2, "provisioner serve");
    let none = bench.site.path("none");
    provisioner_on(&none, &["order", "list"]).refused(2, "provisioner init");
    bench.site.serve();
    bench.try_station(&bench.station).ok();
}

#[test]
fn a_revoked_station_stops() {
    let bench = start();
    bench.try_station(&bench.station).ok();
    let revoke = ["station", "revoke", "bench-1"];
    bench.site.provisioner(&revoke).ok();
    let second = bench.unit(2, "PLUG1");
    let attempt = || provision(&bench.order, "R-002", &port(&second), &bench.station, "");
    let done = bench.costs_nothing(attempt);
    assert_eq!(done.json()["reason"], "STATION_REVOKED", "{done:#?}");
    done.refused(30, "stop this station");
    let token = ["station", "token", "bench-1"];
    bench
        .site
        .provisioner(&token)
        .refused(2, "its name is not used again");
    assert_eq!(flash(&bench.site.path("units/2.json"))["flash"], "");
}

#[test]
fn settings_that_cannot_be_read_name_the_line() {
    let mut bench = start();
    let file = bench.site.path("bad.toml");
    std::fs::write(&file, "sku = \"A-1\"\nname = \"A\"\nmodell = \"A\"\n").unwrap();
    let apply = ["product", "apply", &text(&file)];
    let done = bench.costs_nothing(|| bench.site.provisioner(&apply));
    done.refused(2, "bad.toml: line 3, column 1");
    let gone = ["product", "apply", "no-such-file.toml"];
    bench
        .site
        .provisioner(&gone)
        .refused(2, "cannot read the product file no-such-file.toml");

    let settings = bench.station.join("station.toml");
    let good = text_of(&settings);
    std::fs::write(&settings, good.replace("\nstation = ", "\nstation ")).unwrap();
    let done = bench.costs_nothing(|| bench.try_station(&bench.station));
    done.refused(2, "station.toml cannot be used: TOML parse error at line 2");
    std::fs::write(&settings, good).unwrap();

    bench.site.stop();
    let settings = bench.site.data().join("provisioner.toml");
    let good = text_of(&settings);
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    for (bad, line) in [
        (format!("{good}listen = 7\n"), good.lines().count() + 1),
        (format!("\n\nport = 7\n{good}"), 3),
        (format!("hsm soft\n{good}"), 1),
    ] {
        std::fs::write(&settings, bad).unwrap();
        let says = format!("provisioner.toml is not usable: TOML parse error at line {line}");
        bench
            .costs_nothing(|| bench.site.provisioner(&serve))
            .refused(2, &says);
    }
}

#[test]
fn a_server_that_must_not_start() {
    let mut site = Site::start();
    let serve = ["serve", "--allow-simulated-hsm", "--listen", "127.0.0.1:0"];
    site.provisioner(&["init"])
        .refused(2, "choose another --data");
    site.provisioner(&serve)
        .refused(2, "in use by another process");

    let other = Site::init();
    let address = site.url().replace("https://", "");
    let taken = ["serve", "--allow-simulated-hsm", "--listen", &address];
    other
        .provisioner(&taken)
        .refused(2, "choose another with --listen");
    let strict = ["serve", "--listen", "127.0.0.1:0"];
    other
        .provisioner(&strict)
        .refused(2, "--allow-simulated-hsm");

    site.stop();
    let [pin, store] = ["hsm/pin", "hsm/soft.store"];
    let keep = |name: &str| std::fs::read(site.data().join(name)).unwrap();
    let own = [pin, store].map(keep);
    std::fs::copy(other.data().join(pin), site.data().join(pin)).unwrap();
    site.provisioner(&serve).refused(2, "PIN");
    std::fs::copy(other.data().join(store), site.data().join(store)).unwrap();
    site.provisioner(&serve)
        .refused(2, "belongs to another server");
    std::fs::write(site.data().join(pin), &own[0]).unwrap();
    std::fs::write(site.data().join(store), &own[1]).unwrap();

    // The log of another server beside this one's keys.
    let log = site.data().join("ledger.db");
    let kept = std::fs::read(&log).unwrap();
    std::fs::copy(other.data().join("ledger.db"), &log).unwrap();
    site.provisioner(&serve)
        .refused(2, "belongs to another server");
    std::fs::write(&log, kept).unwrap();
    site.provisioner(&["audit", "verify"]).ok();
    site.serve();
}

fn copy_station(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-R").args([from, to]).status();
    assert!(done.unwrap().success());
}

/// Replaces a station's certificate by one of the same site, for the same key, that ended a
/// minute ago.
fn expire(data: &Path, station: &Path) {
    let bytes = |path: PathBuf| std::fs::read(path).unwrap();
    let pin = Pin::parse(&bytes(data.join("hsm/pin"))).unwrap();
    let store = bytes(data.join("hsm/soft.store"));
    let token = SoftToken::open(&store, &pin, Box::new(Nothing), Box::new(Nothing)).unwrap();
    let token: Arc<dyn Hsm> = Arc::new(token);
    let signer = SiteKey(token.public_key(Key::Site).unwrap(), token);
    let root = x509(&data.join("ca/site-root.pem"));
    let issuer = Issuer {
        signer: &signer,
        certificate: &root,
    };
    let key = KeyPair::from_pem(&text_of(&station.join("key.pem"))).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let before = |minutes: i64| {
        let now = i64::try_from(now.as_millis()).unwrap();
        Timestamp::from_unix_ms(now - minutes * 60_000)
    };
    let stamp = Stamp {
        serial_number: [7; 16],
        not_before: before(60),
    };
    let role = Role::Station(StationName::parse("bench-1").unwrap());
    let spki = key.subject_public_key_info();
    let leaf = identity::site_leaf(issuer, &spki, &role, stamp, before(1)).unwrap();
    let pem = identity::pem("CERTIFICATE", &leaf.der);
    std::fs::write(station.join("certificate.pem"), pem.as_bytes()).unwrap();
}

/// The DER of a certificate file.
fn x509(path: &Path) -> Vec<u8> {
    let der = Command::new("openssl")
        .args(["x509", "-outform", "DER", "-in", &text(path)])
        .output();
    der.unwrap().stdout
}

/// The site's key, in a token that is only read.
struct SiteKey(Vec<u8>, Arc<dyn Hsm>);

impl Signer for SiteKey {
    fn spki(&self) -> &[u8] {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, identity::SignError> {
        Ok(self.1.sign(Key::Site, message).unwrap())
    }
}

/// No randomness and no disk: to sign with P-256 takes neither (RFC 6979).
struct Nothing;

impl Randomness for Nothing {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), HsmError> {
        panic!("nothing random is needed")
    }
}

impl Storage for Nothing {
    fn save(&self, _: &[u8]) -> io::Result<()> {
        panic!("nothing is to be saved")
    }
}
