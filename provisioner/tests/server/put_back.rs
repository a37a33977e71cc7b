//! A server put back from a copy: leases that had come back keep no unit from its place.

use api::v1;
use traveler::{Entry, Event};

use crate::lease::{ASKED, Holder, journal, leased_long_ago, provisioner, put_back, unit, words};
use crate::site::{Town, Unit};

/// What the stations of the site can prove: their units and leases, and no end of a lease.
fn provable(site: &provisioner::site::Site, from: u64) -> Vec<v1::ProofResponse> {
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

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}
