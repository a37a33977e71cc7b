//! A server put back from a copy: what its stations prove of their leases comes back, and leases that
//! had come back keep no unit from its place.

use std::path::Path;

use api::v1;
use provisioner::site::Site;
use traveler::{Entry, Event};

use crate::lapse::{leased_long_ago, now_ms};
use crate::lease::{ASKED, Holder, receipt, unit};
use crate::site::{Town, Unit};

/// What the stations of the site can prove: their units and leases, and no end of a lease.
fn provable(site: &Site, from: u64) -> Vec<v1::ProofResponse> {
    let reader = ledger::Reader::open(&site.ledger()).unwrap();
    let proofs = (from..reader.size().unwrap()).map(|seq| reader.proof(seq).unwrap().unwrap());
    proofs
        .filter(|proof| {
            let event = Entry::from_bytes(&proof.entry).unwrap().event;
            event.serial().is_some() && !matches!(event, Event::LeaseVoided { .. })
        })
        .map(|proof| v1::ProofResponse {
            index: proof.index,
            entry: proof.entry,
            checkpoint: proof.checkpoint,
            inclusion: proof.inclusion.iter().map(|it| it.to_vec()).collect(),
            ..Default::default()
        })
        .collect()
}

/// Three leases took the places of an order one after the other and came back, two by the clock and
/// one by its station a moment ago; then three units were sealed. Nobody can prove that the leases
/// came back, and each unit is proven.
#[tokio::test]
async fn leases_that_had_come_back_cost_no_sealed_unit_its_record() {
    let town = Town::start().await;
    let order = town.order(3).await;
    town.bench("bench-1").await;
    let folder = tempfile::tempdir().unwrap();
    let [copy, file] = ["copy.db", "journal"].map(|name| folder.path().join(name));
    let data = town.site.data().display().to_string();
    let backup = words(&format!("backup --data {data} --out {}", copy.display()));
    let success = format!("{:?}", std::process::ExitCode::SUCCESS);
    assert_eq!(provisioner(backup).await, success);
    let kept = town.entries().len();

    let now = now_ms();
    let (site, dir) = town.stop().await;
    let (at, name) = (site.clone(), order.clone());
    let expired = tokio::task::spawn_blocking(move || {
        leased_long_ago(&at, &name, "BM-000001", now, 700);
        leased_long_ago(&at, &name, "BM-000002", now, 700);
    });
    expired.await.unwrap();
    let town = Town::again(site, dir).await;
    let mut asked = 0;
    while town.count(&order).await.returned < 2 && asked < ASKED {
        asked += 1;
    }
    let mut holder = Holder::at(&town, "bench-1").await;
    holder.lease(&order, &[&unit(3)]).await.unwrap();
    assert_eq!(holder.give_back(&[(&unit(3), 1)]).await.unwrap(), 1);
    for number in 11..=13 {
        let unit = Unit::new(number);
        let issued = holder.bench.issue(&order, &unit).await.unwrap();
        holder.bench.confirm(&unit, &issued).await.unwrap();
        holder.bench.seal(&unit, 1, false).await.unwrap();
    }
    let all = town.entries().len();

    let (site, dir) = town.stop().await;
    let proofs = provable(&site, kept as u64);
    assert_eq!(proofs.len(), 3 + 3 * 3);
    std::fs::write(&file, journal(&site, &proofs)).unwrap();
    put_back(&site, &copy);
    let recover = format!(
        "recover --data {data} --allow-simulated-hsm --by B-7 --by B-8 --journal {} --accept-loss",
        file.display()
    );
    let statement = format!("{} of {all} entries are lost", all - kept);
    let recover = [words(&recover), vec![statement]].concat();
    assert_eq!(provisioner(recover).await, success);

    let vkey = site.vkey().unwrap();
    let report = ledger::verify(&site.ledger(), &vkey, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
    let town = Town::again(site, dir).await;
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.not_started), (3, 0, 0));
    assert_eq!((count.leased, count.returned), (0, 2));
    // The third might still be at its station, and there is no place for what it would be given to.
    let blocked: Vec<String> = town
        .entries()
        .iter()
        .filter(|entry| entry["kind"] == "serial_blocked")
        .map(|entry| entry["serial"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(blocked, ["BM-000003"]);
}

/// What a station writes with `sync --export` of what it can prove.
fn journal(site: &Site, proofs: &[v1::ProofResponse]) -> String {
    let newest = proofs.last().unwrap().checkpoint.clone();
    let head = serde_json::json!({
        "birthmark_journal": 1,
        "station": "bench-1",
        "vkey": site.vkey().unwrap().to_string(),
        "checkpoint": newest,
    });
    let kept = proofs.iter().map(|proof| {
        let of = tlog::EntryProof {
            index: proof.index,
            hashes: proof
                .inclusion
                .iter()
                .map(|hash| hash.as_slice().try_into().unwrap())
                .collect(),
            checkpoint: proof.checkpoint.clone(),
        };
        let entry = std::str::from_utf8(&proof.entry).unwrap();
        serde_json::json!({ "entry": entry, "proof": of.to_string() })
    });
    let lines: Vec<String> = [head]
        .into_iter()
        .chain(kept)
        .map(|line| line.to_string() + "\n")
        .collect();
    lines.concat()
}

/// One command of the server's own, in this process.
pub(crate) async fn provisioner(arguments: Vec<String>) -> String {
    let all = ["provisioner".to_owned()].into_iter().chain(arguments);
    let all: Vec<std::ffi::OsString> = all.map(Into::into).collect();
    let done = tokio::task::spawn_blocking(|| provisioner::cli::main(all));
    format!("{:?}", done.await.unwrap())
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The ledger of a stopped site as it was when the copy was made.
fn put_back(site: &Site, copy: &Path) {
    for kind in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(site.data().join(kind));
    }
    std::fs::copy(copy, site.ledger()).unwrap();
    let beside = format!("{}.checkpoint", copy.display());
    std::fs::copy(beside, site.data().join("checkpoint")).unwrap();
}

/// The server is put back from a copy made before a lease, while the units are being built: what the
/// station proves of its lease comes back, and what it built is reported.
#[tokio::test]
async fn a_lease_that_a_copy_knows_nothing_of_comes_back_by_the_stations_proofs() {
    let town = Town::start().await;
    let order = town.order(5).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let folder = tempfile::tempdir().unwrap();
    let [copy, file] = ["copy.db", "journal"].map(|name| folder.path().join(name));
    let data = town.site.data().display().to_string();
    let backup = words(&format!("backup --data {data} --out {}", copy.display()));
    let success = format!("{:?}", std::process::ExitCode::SUCCESS);
    assert_eq!(provisioner(backup).await, success);
    let size = town.entries().len();

    town.order(1).await; // an entry that nobody can prove: nothing joins on
    let units = [1, 2, 3].map(unit);
    let [first, second, third] = &units;
    let reply = holder.lease(&order, &[first, second, third]).await.unwrap();
    let fresh = holder.lease(&order, &[third]).await.unwrap();
    let spent = holder.spend(first, 1).await.unwrap();
    let bundle = holder.open(&order, &reply.leased[0]);
    let request = receipt(first, 1, &bundle);
    let loaded = holder.bench.client.confirm(request).await.unwrap();
    holder.give_back(&[(second, 1)]).await.unwrap();
    // The first lease of the third never arrived; the return of the second leaves no proof.
    let mut proofs: Vec<_> = [&reply.leased[0], &reply.leased[1], &fresh.leased[0]]
        .map(|leased| leased.proof.clone().unwrap())
        .into();
    proofs.extend([spent, loaded.into_inner()]);
    std::fs::write(&file, journal(&town.site, &proofs)).unwrap();
    let remembered = proofs.last().unwrap().index + 1;

    let (site, dir) = town.stop().await;
    put_back(&site, &copy);
    assert!(Town::try_serve(&site).await.is_err(), "it is locked");
    let recover = words(&format!(
        "recover --data {data} --allow-simulated-hsm --journal {}",
        file.display()
    ));
    let lost = format!("{:?}", std::process::ExitCode::from(1));
    assert_eq!(provisioner(recover.clone()).await, lost);
    // The token remembers the return as well.
    let all = remembered + 1;
    let statement = format!("{} of {all} entries are lost", all - size as u64);
    let accepted = words("--by B-7 --by B-8 --accept-loss");
    let accepted = [recover, accepted, vec![statement]].concat();
    assert_eq!(provisioner(accepted).await, success);

    let vkey = site.vkey().unwrap();
    let report = ledger::verify(&site.ledger(), &vkey, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
    let town = Town::again(site, dir).await;
    let count = town.count(&order).await;
    assert_eq!((count.open, count.leased, count.returned), (3, 2, 0));
    holder.bench = town.bench("bench-1").await;
    assert_eq!(holder.give_back(&[(second, 1)]).await.unwrap(), 1);
    holder.spend(third, 2).await.unwrap();
    holder.bench.seal(first, 1, false).await.unwrap();
    let burnt = holder.lease(&order, &[second]).await.unwrap();
    assert_eq!(burnt.leased[0].attempt, 2);
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.leased), (1, 2, 1));
}
