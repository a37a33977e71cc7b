//! A token that comes and goes under load, and a database that is older than the token remembers.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::Reason;
use hsm_sim::Fault;
use provisioner::serve::ServeError;

use crate::site::{Town, Unit, reason};

const CLIENTS: usize = 8;
const ROUNDS: usize = 100;

/// What befalls the token, by turns.
const FAULTS: [Fault; 6] = [
    Fault::Gone,
    Fault::Paused,
    Fault::Reset,
    Fault::Busy,
    Fault::SessionLost,
    Fault::ReplyLost,
];
const PAUSE: Duration = Duration::from_millis(50);

/// How soon after its return the token has to be in use again, on a machine with much else to do;
/// `line-sim bench outage` has the figure.
const BACK_WITHIN: Duration = Duration::from_secs(10);

fn unit(number: u32) -> Unit {
    Unit {
        serial: format!("T-{number:06}"),
        device_id: number.to_be_bytes().to_vec(),
        csr: vec![],
        key: None,
    }
}

/// Waits until `count` has moved on by `more`, and says how long that took.
async fn moved(count: &AtomicU32, more: u32) -> Duration {
    let (begun, from) = (Instant::now(), count.load(Ordering::SeqCst));
    let mut look = tokio::time::interval(Duration::from_millis(1));
    while count.load(Ordering::SeqCst) < from + more {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing moves");
        look.tick().await;
    }
    begun.elapsed()
}

/// Switches the fault on, until the line has met it.
async fn befall(town: &Town, fault: Fault, granted: &AtomicU32, refused: &AtomicU32) {
    town.fault(fault);
    match fault {
        Fault::Gone | Fault::Busy => {
            moved(refused, 4).await;
        }
        // The client of the token repeats what it lost: the line goes on.
        Fault::ReplyLost | Fault::SessionLost | Fault::Reset => {
            moved(granted, 4).await;
        }
        // Too short to be noticed by anybody but those who wait.
        _ => drop(tokio::time::timeout(PAUSE, std::future::pending::<()>()).await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_lost_a_hundred_times_costs_no_unit_and_no_restart() {
    let town = Town::on_a_token().await;
    let order = town.order(100_000).await;
    let bench = town.bench("bench-1").await;
    let (next, done) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (granted, refused) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut bench, order) = (bench.clone(), order.clone());
        let (next, done) = (Arc::clone(&next), Arc::clone(&done));
        let (granted, refused) = (Arc::clone(&granted), Arc::clone(&refused));
        clients.push(tokio::spawn(async move {
            let mut passwords = Vec::new();
            let mut wait = tokio::time::interval(Duration::from_millis(10));
            while !done.load(Ordering::SeqCst) {
                let unit = unit(next.fetch_add(1, Ordering::SeqCst));
                loop {
                    match bench.issue(&order, &unit).await {
                        Ok(issued) => {
                            let bundle = credential::Bundle::decode(&issued.bundle).unwrap();
                            passwords.push(bundle.password.expose(<[u8]>::to_vec));
                            granted.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                        no => {
                            assert_eq!(reason(no), Reason::HsmUnavailable);
                            refused.fetch_add(1, Ordering::SeqCst);
                            wait.tick().await;
                        }
                    }
                }
            }
            passwords
        }));
    }
    moved(&granted, 20).await;
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let fault = FAULTS[round % FAULTS.len()];
        befall(&town, fault, &granted, &refused).await;
        town.fault(Fault::None);
        let back = moved(&granted, 1).await;
        longest = longest.max(back);
    }
    assert!(longest < BACK_WITHIN, "back after {longest:?}");
    done.store(true, Ordering::SeqCst);
    let mut passwords = Vec::new();
    for client in clients {
        passwords.extend(client.await.unwrap());
    }
    let distinct: HashSet<_> = passwords.iter().collect();
    assert_eq!(
        distinct.len(),
        passwords.len(),
        "a password was given twice"
    );
    let count = town.count(&order).await;
    assert_eq!((count.open as usize, count.voided), (passwords.len(), 0));
    let (site, _dir) = town.stop().await;
    let vkey = site.vkey().unwrap();
    let report = ledger::verify(&site.ledger(), &vkey, &mut |_, _| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_that_the_token_is_gone_and_that_it_is_back() {
    let town = Town::on_a_token().await;
    let order = town.order(10).await;
    let mut bench = town.bench("bench-1").await;
    let until = async |wanted: bool| {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..500 {
            if town.serves().await == wanted {
                return;
            }
            look.tick().await;
        }
        panic!("health never says {wanted}");
    };
    until(true).await;
    town.fault(Fault::Gone);
    let refused = bench.issue(&order, &unit(1)).await;
    assert_eq!(reason(refused), Reason::HsmUnavailable);
    until(false).await;
    // Nobody waits for the token's own time-out any more.
    let asked = Instant::now();
    for _ in 0..20 {
        let refused = bench.issue(&order, &unit(1)).await;
        assert_eq!(reason(refused), Reason::HsmUnavailable);
    }
    assert!(asked.elapsed() < 20 * Duration::from_secs(2));
    town.fault(Fault::None);
    until(true).await;
    bench.issue(&order, &unit(1)).await.unwrap();
}

/// The entry is on record when the token does not sign the checkpoint over it. The call waits for the
/// next look at the token: a unit with a device profile takes nothing that is not proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_silence_of_the_log_key_leaves_no_issue_without_its_proof() {
    let town = Town::on_a_token().await;
    let order = town.order(10).await;
    let mut bench = town.bench("bench-1").await;
    for number in 0..3 {
        town.fault(Fault::LogUnsigned);
        let issued = bench.issue(&order, &unit(number)).await.unwrap();
        let proof = issued.proof.expect("its proof");
        assert_eq!((issued.attempt, proof.index), (1, issued.index));
        assert!(!proof.checkpoint.is_empty());
    }
}

/// A token that hangs gives no error: only its silence says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_hangs_is_given_up_and_taken_back() {
    let town = Town::on_a_token().await;
    let order = town.order(10).await;
    let bench = town.bench("bench-1").await;
    town.fault(Fault::Paused);
    let mut waiting = Vec::new();
    for number in 0..20 {
        let (mut bench, order) = (bench.clone(), order.clone());
        waiting.push(tokio::spawn(async move {
            reason(bench.issue(&order, &unit(number)).await)
        }));
    }
    for one in waiting {
        let refused = tokio::time::timeout(Duration::from_secs(20), one).await;
        assert_eq!(refused.unwrap().unwrap(), Reason::HsmUnavailable);
    }
    assert!(!town.serves().await);
    town.fault(Fault::None);
    let (begun, mut bench) = (Instant::now(), bench);
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while bench.issue(&order, &unit(1)).await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is not taken back"
        );
        look.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_an_old_backup_is_not_served() {
    let town = Town::start().await;
    let order = town.order(10).await;
    let mut bench = town.bench("bench-1").await;
    bench.issue(&order, &unit(1)).await.unwrap();
    let (site, dir) = town.stop().await;
    // Everything but the token, as a backup of the data has it.
    let backup = dir.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    let files = || {
        let all = std::fs::read_dir(site.data()).unwrap().map(Result::unwrap);
        all.filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name())
            .collect::<Vec<_>>()
    };
    for name in files() {
        std::fs::copy(site.data().join(&name), backup.join(&name)).unwrap();
    }
    let running = Town::try_serve(&site).await.unwrap();
    running.stop().await.unwrap();
    let reader = ledger::Reader::open(&site.ledger()).unwrap();
    let entries = reader.size().unwrap();
    drop(reader);

    let town = Town::again(site.clone(), dir).await;
    let mut bench = town.bench("bench-2").await;
    bench.issue(&order, &unit(2)).await.unwrap();
    let (site, dir) = town.stop().await;
    for name in files() {
        std::fs::remove_file(site.data().join(&name)).unwrap();
    }
    for entry in std::fs::read_dir(dir.path().join("backup")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), site.data().join(entry.file_name())).unwrap();
    }
    match Town::try_serve(&site).await.err() {
        Some(ServeError::RolledBack { kept, entries: has }) => {
            assert!(kept > has, "{kept} and {has}");
            assert_eq!(has, entries);
        }
        other => panic!("{other:?}"),
    }
}
