//! Units with a console and nothing of ours in it, provisioned by the station's own code on a pty,
//! by a server that is the real one.

#![allow(clippy::unwrap_used)] // the helpers of a test fail as the test does

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use line_sim::unit::SimConsole;
use line_sim::unit::console::{ConsoleUnit, Faults, Kind};
use line_sim::{LabelReader, Town, holders};
use station_cli::{
    Bench, Home, Job, LabelFolder, Outcome, Patience, ReadBack, Report, SerialPort, Server,
    provision,
};
use traveler::{Entry, Event, OrderId, Serial};

const KINDS: [(&str, Kind); 4] = [
    ("at-modem", Kind::At),
    ("zephyr-shell", Kind::Zephyr),
    ("u-boot", Kind::UBoot),
    ("linux-login", Kind::Linux),
];

/// One byte in a hundred is lost each way, a log's lines come into the answers, and more than 12
/// bytes at once overrun the receiver.
const BAD_LINE: Faults = Faults {
    lost_per_mille: 10,
    noise_per_cent: 20,
    overrun: Some(12),
    flips: 0,
    boot_log_shows_password: true,
    lies: false,
    fakes_reset: false,
    forgets: false,
    swap: false,
    takes_any_password: false,
    dies_after: None,
};

/// A site with one station.
struct Site {
    folder: tempfile::TempDir,
    town: Town,
    home: Home,
    labels: PathBuf,
    /// All that anyone at the bench saw.
    said: Mutex<String>,
}

impl Site {
    async fn found() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let town = Town::found(folder.path()).await.unwrap();
        let home = town.enrol("bench-1").await.unwrap();
        let labels = folder.path().join("labels");
        std::fs::create_dir(&labels).unwrap();
        Site {
            folder,
            town,
            home,
            labels,
            said: Mutex::new(String::new()),
        }
    }

    /// An order for units under a profile, as `product apply` makes their product.
    async fn order(&self, sku: &str, profile: &str) -> OrderId {
        let product = format!(
            "sku = \"{sku}\"\nname = \"Camera\"\nmodel = \"CAM2\"\nlabel = true\n\
             profile = \"{profile}\"\n"
        );
        let found = |name: &str| Ok(compliance::shipped_profile(name).unwrap().to_owned());
        let definition = compliance::embed(&product, found).unwrap();
        let order = self.town.order(&definition, sku, 50).await.unwrap();
        OrderId::parse(&order).unwrap()
    }

    async fn run(&self, order: &OrderId, serial: &str, port: &Path) -> Report {
        let job = Job {
            order: order.clone(),
            serial: Serial::parse(serial).unwrap(),
            operator: None,
            patience: Patience::default(),
            reconnect: Duration::ZERO,
        };
        let mut bench = Bench {
            server: Server::of(&self.home).unwrap(),
            port: SerialPort::new(port.display().to_string(), SerialPort::BAUD),
            scanner: LabelReader(self.labels.clone()),
            labels: LabelFolder(self.labels.clone()),
            progress: (),
        };
        let report = provision(&job, &self.home, &mut bench).await;
        let said = format!("{}\n{report}\n", report.to_json());
        self.said.lock().unwrap().push_str(&said);
        report
    }

    /// As an operator does who is told to: the same unit again, a few times.
    async fn run_again(&self, order: &OrderId, serial: &str, port: &Path) -> Report {
        let mut report = self.run(order, serial, port).await;
        for _ in 0..3 {
            if report.exit_code() != 10 {
                break;
            }
            report = self.run(order, serial, port).await;
        }
        report
    }

    /// The entries of a unit, from the log itself.
    fn traveler(&self, serial: &str) -> Vec<Event> {
        let ledger = ledger::Reader::open(&self.town.site.ledger()).unwrap();
        let serial = Serial::parse(serial).unwrap();
        let entries = ledger.traveler(&serial).unwrap();
        let event = |bytes: &Vec<u8>| Entry::from_bytes(bytes).unwrap().event;
        entries.iter().map(event).collect()
    }

    /// No password of these units in anything that was written or said, but their labels.
    fn no_secret_is_left(&self, passwords: &[String]) {
        let secrets: Vec<_> = passwords
            .iter()
            .cloned()
            .map(zeroize::Zeroizing::new)
            .collect();
        let (found, files) = holders(
            self.folder.path(),
            std::slice::from_ref(&self.labels),
            &secrets,
        )
        .unwrap();
        assert!(found.is_empty() && files > 10, "{found:?} of {files}");
        let said = self.said.lock().unwrap();
        assert!(!passwords.iter().any(|password| said.contains(password)));
    }
}

fn spawn(kind: Kind, id: u64, faults: Faults) -> SimConsole {
    let mut unit = ConsoleUnit::new(kind, 0x00a1_0000_0000_0000 + id, id * 7_919);
    unit.faults = faults;
    SimConsole::spawn(unit).unwrap()
}

/// One unit over the bad line to its PASS; gives the password that it holds.
async fn over_a_bad_line(site: &Site, nth: usize) -> String {
    let (profile, kind) = KINDS[nth];
    let order = site.order(&format!("CAM-{nth}"), profile).await;
    let serial = format!("C{nth}-001");
    let console = spawn(kind, nth as u64 + 1, BAD_LINE);
    let report = site.run_again(&order, &serial, console.port()).await;
    assert_eq!(report.outcome, Outcome::Sealed, "{profile}: {report}");
    assert_eq!(report.read_back, Some(ReadBack::Station));
    let locks = matches!(kind, Kind::At | Kind::Zephyr);
    assert_eq!(report.not_locked.is_none(), locks, "{report}");

    let unit = console.unit();
    let held = unit.holds("password").unwrap().to_owned();
    let label = std::fs::read_to_string(site.labels.join(format!("{serial}.zpl"))).unwrap();
    assert!(label.contains(&format!("BM1:{serial}:{held}")), "{profile}");
    assert_eq!(unit.holds("serial"), Some(serial.as_str()));
    assert_eq!(unit.is_locked(), locks);
    assert!(unit.boots >= 2);

    // The log says who read it back, and by which profile.
    let text = compliance::shipped_profile(profile).unwrap();
    let sha256 = wire::profile::Profile::parse(text).unwrap().sha256;
    let loaded = |event: Event| match event {
        Event::Loaded {
            profile_sha256,
            receipt_signed,
            ..
        } => Some((profile_sha256, receipt_signed)),
        _ => None,
    };
    let by = site.traveler(&serial).into_iter().find_map(loaded);
    assert_eq!(by, Some((Some(sha256), false)));
    held
}

/// All at once, each at its own slot: what takes time is the line, not the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_of_every_shipped_profile_are_provisioned_over_a_bad_line() {
    let site = Arc::new(Site::found().await);
    let mut slots = Vec::new();
    for nth in 0..KINDS.len() {
        let site = Arc::clone(&site);
        slots.push(tokio::spawn(
            async move { over_a_bad_line(&site, nth).await },
        ));
    }
    let mut passwords = Vec::new();
    for slot in slots {
        passwords.push(slot.await.unwrap());
    }
    site.no_secret_is_left(&passwords);
    let site = Arc::into_inner(site).unwrap();
    site.town.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_whose_flash_changes_on_reset_never_passes() {
    let site = Site::found().await;
    for (nth, (profile, kind)) in KINDS.into_iter().enumerate() {
        let order = site.order(&format!("CAM-{nth}"), profile).await;
        let flips = |flips| Faults {
            flips,
            ..Faults::default()
        };
        let console = spawn(kind, 50 + nth as u64, flips(9));
        let report = site
            .run(&order, &format!("F{nth}-001"), console.port())
            .await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("READ_BACK"), 20),
            "{profile}: {report}"
        );
        assert!(!console.unit().is_locked());
        // Once is forgiven: it is written whole again.
        let console = spawn(kind, 60 + nth as u64, flips(1));
        let report = site
            .run(&order, &format!("F{nth}-002"), console.port())
            .await;
        assert_eq!(report.outcome, Outcome::Sealed, "{profile}: {report}");
    }
    site.town.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_done_swapped_or_dumb_is_told_apart() {
    let site = Site::found().await;
    let order = site.order("CAM-1", "zephyr-shell").await;
    let console = spawn(Kind::Zephyr, 70, Faults::default());
    let report = site.run(&order, "D0-001", console.port()).await;
    assert_eq!(report.outcome, Outcome::Sealed, "{report}");
    let report = site.run(&order, "D0-002", console.port()).await;
    assert_eq!(report.reason, Some("SAME_UNIT"), "{report}");

    let swapped = Faults {
        swap: true,
        ..Faults::default()
    };
    let console = spawn(Kind::Zephyr, 71, swapped);
    let report = site.run(&order, "D0-003", console.port()).await;
    assert_eq!(report.reason, Some("SWAPPED"), "{report}");

    let dumb = Faults {
        dies_after: Some(900),
        ..Faults::default()
    };
    let console = spawn(Kind::Zephyr, 72, dumb);
    let report = site.run(&order, "D0-004", console.port()).await;
    assert_eq!(report.reason, Some("FAIL_COMM"), "{report}");
    console.unit().faults = Faults::default();
    let report = site.run(&order, "D0-004", console.port()).await;
    assert_eq!(
        report.outcome,
        Outcome::Sealed,
        "the same bundle again: {report}"
    );
    assert_eq!(report.attempt.unwrap().0, 1);
    site.town.stop().await.unwrap();
}
