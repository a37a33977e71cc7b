//! Leases over the real server: granted, spent, returned, expired, revoked, and never given twice.

use api::v1::administration_client::AdministrationClient;
use api::v1::audit_client::AuditClient;
use api::{Reason, v1};
use credential::{Bundle, BundleBytes, LeaseFor, LeaseKey, LeasedBundle};
use ring::rand::SystemRandom;
use tonic::Status;
use traveler::{Attempt, Entry, Event, OrderId, Serial, StationName};

use crate::put_back::{provisioner, words};
use crate::site::{Bench, Town, Unit, reason};

/// How often a state is asked for that the server reaches by itself within seconds; each time takes a
/// millisecond at least.
pub(crate) const ASKED: u32 = 10_000;

/// A station's end of its leases.
pub(crate) struct Holder {
    pub(crate) bench: Bench,
    name: StationName,
    key: LeaseKey,
}

impl Holder {
    pub(crate) async fn at(town: &Town, name: &str) -> Holder {
        Holder {
            bench: town.bench(name).await,
            name: StationName::parse(name).unwrap(),
            key: LeaseKey::generate(&SystemRandom::new()).unwrap_or_else(|e| panic!("{e}")),
        }
    }

    pub(crate) async fn lease(
        &mut self,
        order: &str,
        units: &[&Unit],
    ) -> Result<v1::LeaseResponse, Status> {
        let serials = units.iter().map(|unit| unit.serial.clone()).collect();
        self.lease_serials(order, serials).await
    }

    async fn lease_serials(
        &mut self,
        order: &str,
        serials: Vec<String>,
    ) -> Result<v1::LeaseResponse, Status> {
        let request = self.lease_request(order, serials).await?;
        Ok(self.bench.client.lease(request).await?.into_inner())
    }

    /// A call as a station makes it: it looks at the log first.
    pub(crate) async fn lease_request(
        &mut self,
        order: &str,
        serials: Vec<String>,
    ) -> Result<v1::LeaseRequest, Status> {
        let look = v1::OpenOrderRequest {
            order: order.to_owned(),
            ..Default::default()
        };
        let log = self.bench.client.open_order(look).await?.into_inner();
        let size = log.checkpoint.lines().nth(1).unwrap().parse().unwrap();
        Ok(v1::LeaseRequest {
            order: order.to_owned(),
            serials,
            recipient: self.key.recipient().unwrap().to_bytes().to_vec(),
            valid_s: 3_600,
            operator: "OP-7".into(),
            seen_size: size,
        })
    }

    pub(crate) fn open(&self, order: &str, leased: &v1::LeasedCredential) -> BundleBytes {
        let lease = LeaseFor {
            station: &self.name,
            order: &OrderId::parse(order).unwrap(),
            serial: &Serial::parse(&leased.serial).unwrap(),
            attempt: Attempt(leased.attempt),
        };
        let bundle = LeasedBundle {
            encapped: leased.encapped.clone(),
            wrapped: leased.wrapped.clone(),
        };
        let opened = self.key.open(&lease, &bundle);
        opened.unwrap_or_else(|e| panic!("{e}"))
    }

    pub(crate) async fn spend(
        &mut self,
        unit: &Unit,
        attempt: u32,
    ) -> Result<v1::ProofResponse, Status> {
        let request = spend(unit, attempt);
        Ok(self.bench.client.spend(request).await?.into_inner())
    }

    pub(crate) async fn give_back(&mut self, units: &[(&Unit, u32)]) -> Result<u32, Status> {
        let target = |(unit, attempt): &(&Unit, u32)| v1::LeaseTarget {
            serial: unit.serial.clone(),
            attempt: *attempt,
        };
        let request = v1::ReturnLeaseRequest {
            leases: units.iter().map(target).collect(),
            operator: "OP-7".into(),
            unit_lost: false,
        };
        let reply = self.bench.client.return_lease(request).await?;
        Ok(reply.into_inner().voided)
    }
}

fn spend(unit: &Unit, attempt: u32) -> v1::SpendRequest {
    v1::SpendRequest {
        serial: unit.serial.clone(),
        attempt,
        device_id: unit.device_id.clone(),
        macs: vec![vec![2, 0, 0, 0, 0, 1]],
        model: "PLUG1".into(),
        slot: "slot-2".into(),
        operator: "OP-7".into(),
        released_unix_ms: 1_700_000_000_000,
        ..Default::default()
    }
}

/// A unit that cannot make a key: what a lease is for.
pub(crate) fn unit(number: u32) -> Unit {
    Unit {
        csr: vec![],
        key: None,
        ..Unit::new(number)
    }
}

/// What the unit would say it holds, as a confirm.
pub(crate) fn receipt(unit: &Unit, attempt: u32, bundle: &BundleBytes) -> v1::ConfirmRequest {
    v1::ConfirmRequest {
        serial: unit.serial.clone(),
        attempt,
        device_id: unit.device_id.clone(),
        bundle_sha256: bundle.digest().0.to_vec(),
        ..Default::default()
    }
}

fn verified(town: &Town, proof: &v1::ProofResponse) -> Entry {
    let vkey = town.site.vkey().unwrap();
    let hashes = proof.inclusion.iter();
    let proven = ledger::Proof {
        entry: proof.entry.clone(),
        index: proof.index,
        checkpoint: proof.checkpoint.clone(),
        inclusion: hashes.map(|it| it.as_slice().try_into().unwrap()).collect(),
    };
    proven.verify(&vkey).unwrap();
    Entry::from_bytes(&proof.entry).unwrap()
}

fn password(bytes: &BundleBytes) -> Vec<u8> {
    let bundle = bytes.expose(|clear| Bundle::decode(clear).unwrap());
    bundle.password.expose(<[u8]>::to_vec)
}

pub(crate) async fn leased_and_returned(town: &Town, order: &str) -> (u32, u32, u32, u32) {
    let count = town.count(order).await;
    (count.open, count.leased, count.returned, count.not_started)
}

#[tokio::test]
async fn a_leased_credential_meets_its_unit_and_is_sealed_like_any_other() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2, 3].map(unit);
    let [first, second, third] = &units;
    let reply = holder.lease(&order, &[third, first, second]).await.unwrap();
    let serials: Vec<&str> = reply.leased.iter().map(|it| it.serial.as_str()).collect();
    assert_eq!(
        serials,
        ["BM-000003", "BM-000001", "BM-000002"],
        "in the order asked"
    );
    assert!((1..=3_600_000).contains(&(reply.expires_unix_ms - reply.now_unix_ms)));
    assert_eq!(leased_and_returned(&town, &order).await, (3, 3, 0, 1));

    // Each is proven before it counts, and opens for nobody but the one who holds the key.
    let mut passwords = Vec::new();
    for leased in &reply.leased {
        let entry = verified(&town, leased.proof.as_ref().unwrap());
        let Event::Leased(record) = entry.event else {
            panic!("{entry:?}")
        };
        assert_eq!(record.lease.serial.as_str(), leased.serial);
        assert_eq!(record.lease.attempt, Attempt(leased.attempt));
        assert_eq!(record.expires.unix_ms(), reply.expires_unix_ms);
        let bundle = holder.open(&order, leased);
        assert_eq!(bundle.digest(), record.bundle_sha256);
        let decoded = bundle.expose(|clear| Bundle::decode(clear).unwrap());
        assert!(decoded.key.is_some(), "the key is minted");
        passwords.push(password(&bundle));
    }
    passwords.sort_unstable();
    passwords.dedup();
    assert_eq!(passwords.len(), 3);

    let leased = &reply.leased[1];
    let bundle = holder.open(&order, leased);
    let spent = holder.spend(first, 1).await.unwrap();
    let Event::Spent(record) = verified(&town, &spent).event else {
        panic!("not spent")
    };
    assert_eq!(record.step.device_id.as_str(), "d000000000000001");
    assert_eq!(record.released.unix_ms(), 1_700_000_000_000);
    let request = receipt(first, 1, &bundle);
    holder.bench.client.confirm(request).await.unwrap();
    holder.bench.seal(first, 1, false).await.unwrap();
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.leased), (1, 2, 2));

    // A unit that could not be loaded is withdrawn, and its serial issued anew while on line.
    holder.spend(second, 1).await.unwrap();
    holder.bench.void(second, 1, false).await.unwrap();
    let fresh = holder.bench.issue(&order, second).await.unwrap();
    assert_eq!(fresh.attempt, 2);
    assert_eq!(holder.give_back(&[(third, 1)]).await.unwrap(), 1);
    assert_eq!(leased_and_returned(&town, &order).await, (1, 0, 1, 2));
    audited(&town, &order).await;
}

/// Every audit of the server's own, and one of somebody else's, tells of the leases.
async fn audited(town: &Town, order: &str) {
    let out = tempfile::tempdir().unwrap();
    let (data, bundle) = (town.site.data().display(), out.path().display());
    let success = format!("{:?}", std::process::ExitCode::SUCCESS);
    for verb in [
        format!("audit verify --data {data}"),
        format!("audit order {order} --data {data}"),
        format!("audit unit BM-000001 --data {data}"),
        format!("audit unit BM-000003 --data {data}"),
        format!("audit export --out {bundle} --format csv --data {data}"),
        format!("audit verify --bundle {bundle} --vkey {bundle}/vkey"),
        format!("order show {order} --data {data}"),
        format!("station list --data {data}"),
    ] {
        assert_eq!(provisioner(words(&verb)).await, success, "{verb}");
    }
    let table = |name: &str| {
        let csv = std::fs::read_to_string(out.path().join("tables").join(name)).unwrap();
        let mut rows = csv.lines().map(|row| row.split(',').map(str::to_owned));
        let head: Vec<String> = rows.next().unwrap().collect();
        let rows = rows.map(|row| head.clone().into_iter().zip(row).collect());
        rows.collect::<Vec<std::collections::HashMap<String, String>>>()
    };
    let orders = table("orders.csv");
    let mine = orders.iter().find(|row| row["order"] == order).unwrap();
    assert_eq!((&*mine["leased"], &*mine["returned"]), ("0", "1"));
    let leases: Vec<String> = table("entries.csv")
        .iter()
        .filter(|row| row["kind"].contains("lease") || row["kind"] == "spent")
        .map(|row| format!("{} {} {}", row["kind"], row["serial"], row["cause"]))
        .collect();
    let told = "leased BM-000003 |leased BM-000001 |leased BM-000002 |spent BM-000001 \
        |spent BM-000002 |lease_voided BM-000003 lease_returned";
    assert_eq!(leases.join("|"), told);
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracle/verify.py");
    let checked = std::process::Command::new("python3")
        .args([oracle, "log"])
        .args([out.path().join("vkey"), out.path().to_owned()])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn a_repeat_answers_the_same_and_a_lost_reply_is_burnt() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2].map(unit);
    let [first, second] = &units;
    let lost = holder.lease(&order, &[first]).await.unwrap();
    let fresh = holder.lease(&order, &[first, second]).await.unwrap();
    let [again, new] = &fresh.leased[..] else {
        panic!("{fresh:?}")
    };
    assert_eq!((again.attempt, new.attempt), (2, 1));
    let burnt = password(&holder.open(&order, &lost.leased[0]));
    assert_ne!(burnt, password(&holder.open(&order, again)));
    assert_eq!(leased_and_returned(&town, &order).await, (2, 2, 1, 2));
    // What was lost is on no unit any more.
    assert_eq!(reason(holder.spend(first, 1).await), Reason::WrongState);

    let once = holder.spend(first, 2).await.unwrap();
    let twice = holder.spend(first, 2).await.unwrap();
    assert_eq!((once.index, &once.entry), (twice.index, &twice.entry));
    let bundle = holder.open(&order, again);
    let request = receipt(first, 2, &bundle);
    holder.bench.client.confirm(request).await.unwrap();
    assert_eq!(holder.spend(first, 2).await.unwrap().index, once.index);

    assert_eq!(holder.give_back(&[(second, 1)]).await.unwrap(), 1);
    assert_eq!(holder.give_back(&[(second, 1)]).await.unwrap(), 0);
    let kinds: Vec<String> = town.entries()[4..]
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect();
    let told = "station_enrolled leased lease_voided leased leased spent loaded lease_voided";
    assert_eq!(kinds, told.split(' ').collect::<Vec<_>>());
}

/// A station names what its disk has, in one call; what is over must not keep the rest from coming
/// back.
#[tokio::test]
async fn a_return_takes_what_is_held_whatever_else_it_names() {
    let town = Town::start().await;
    let order = town.order(5).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let mut other = Holder::at(&town, "bench-2").await;
    let units = [1, 2, 3, 4, 5].map(unit);
    let [spent, returned, anew, others, held] = &units;
    let mine = [spent, returned, anew, held];
    holder.lease(&order, &mine).await.unwrap();
    holder.spend(spent, 1).await.unwrap();
    holder.give_back(&[(returned, 1)]).await.unwrap();
    other.lease(&order, &[returned, others]).await.unwrap();
    holder.lease(&order, &[anew]).await.unwrap();
    let before = town.entries().len();
    let all = [
        (spent, 1),
        (returned, 1),
        (anew, 1),
        (others, 1),
        (&unit(9), 1),
        (held, 1),
    ];
    assert_eq!(holder.give_back(&all).await.unwrap(), 1);
    let entries = town.entries();
    let [voided] = &entries[before..] else {
        panic!("{entries:?}")
    };
    assert_eq!(voided["serial"], held.serial.as_str());
    assert_eq!(voided["cause"], "lease_returned");
    // Nothing of the others was touched.
    assert_eq!(other.give_back(&[(returned, 2)]).await.unwrap(), 1);
    assert_eq!(other.give_back(&[(others, 1)]).await.unwrap(), 1);
    assert_eq!(holder.give_back(&[(anew, 2)]).await.unwrap(), 1);
    holder.bench.void(spent, 1, false).await.unwrap();
}

#[tokio::test]
async fn what_one_station_holds_is_nobody_elses() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let mut other = Holder::at(&town, "bench-2").await;
    let units = [1, 2].map(unit);
    let [first, second] = &units;
    holder.lease(&order, &[first, second]).await.unwrap();
    for bench in [&mut holder, &mut other] {
        // Whoever asks, the holder too: it gives it to a unit from its lease.
        let issued = bench.bench.issue(&order, first).await;
        assert_eq!(reason(issued), Reason::Leased);
    }
    assert_eq!(reason(other.lease(&order, &[first]).await), Reason::Leased);
    assert_eq!(reason(other.spend(first, 1).await), Reason::Leased);
    assert_eq!(other.give_back(&[(first, 1)]).await.unwrap(), 0);
    // One of two is taken: nothing of the call is granted.
    let size = town.entries().len();
    let mixed = other.lease(&order, &[&unit(3), first]).await;
    assert_eq!(reason(mixed), Reason::Leased);
    assert_eq!(town.entries().len(), size);

    // The same silicon twice, another product, another attempt.
    holder.spend(first, 1).await.unwrap();
    let mut same = spend(second, 1);
    same.device_id = first.device_id.clone();
    let taken = holder.bench.client.spend(same).await;
    assert_eq!(reason(taken), Reason::UnitInUse);
    let mut wrong = spend(second, 1);
    wrong.model = "CAM2".into();
    let wrong = holder.bench.client.spend(wrong).await;
    assert_eq!(reason(wrong), Reason::WrongProduct);
    assert_eq!(reason(holder.spend(second, 2).await), Reason::WrongState);
    assert_eq!(reason(holder.spend(&unit(7), 1).await), Reason::UnknownUnit);
    // Another silicon for what was spent already.
    let mut moved = spend(first, 1);
    moved.device_id = second.device_id.clone();
    let moved = holder.bench.client.spend(moved).await;
    assert_eq!(reason(moved), Reason::DuplicateUnit);
    // The unit's state is told as if there were no lease.
    let request = v1::UnitStateRequest {
        serial: second.serial.clone(),
    };
    let state = holder.bench.client.unit_state(request).await.unwrap();
    assert_eq!(state.into_inner().state, "");
}

#[tokio::test]
async fn a_key_that_is_none_costs_the_order_nothing() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut bench = town.bench("bench-1").await;
    let size = town.entries().len();
    let request = v1::LeaseRequest {
        order: order.clone(),
        serials: vec!["BM-000001".into()],
        recipient: vec![0; 32],
        valid_s: 60,
        operator: String::new(),
        seen_size: 1,
    };
    let zero = bench.client.lease(request).await;
    assert_eq!(reason(zero), Reason::BadKey);
    assert_eq!(town.entries().len(), size);
}

#[tokio::test]
async fn an_order_cannot_close_over_leases_nor_grant_more_than_it_has() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2, 3].map(unit);
    let [first, second, third] = &units;
    let too_many = holder.lease(&order, &[first, second, third]).await;
    assert_eq!(reason(too_many), Reason::QuotaSpent);
    assert_eq!(leased_and_returned(&town, &order).await, (0, 0, 0, 2));
    holder.lease(&order, &[first, second]).await.unwrap();
    let close = || v1::CloseOrderRequest {
        order: order.clone(),
    };
    let mut admin = town.admin().await;
    assert_eq!(reason(admin.close_order(close()).await), Reason::UnitsOpen);
    holder.give_back(&[(first, 1), (second, 1)]).await.unwrap();
    admin.close_order(close()).await.unwrap();
    let closed = holder.lease(&order, &[first]).await;
    assert_eq!(reason(closed), Reason::WorkOrderClosed);
}

#[tokio::test]
async fn no_station_holds_more_than_256() {
    let town = Town::start().await;
    let order = town.order(300).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    for call in 0..8 {
        let serials = (0..32).map(|n| format!("BM-{:06}", call * 32 + n));
        let serials = serials.collect();
        holder.lease_serials(&order, serials).await.unwrap();
    }
    let more = holder.lease_serials(&order, vec!["BM-000256".into()]);
    assert_eq!(reason(more.await), Reason::LeaseRefused);
    assert_eq!(leased_and_returned(&town, &order).await, (256, 256, 0, 44));
    holder.give_back(&[(&unit(7), 1)]).await.unwrap();
    let more = holder.lease_serials(&order, vec!["BM-000256".into()]);
    assert_eq!(more.await.unwrap().leased.len(), 1);
}

#[tokio::test]
async fn a_revoked_station_loses_what_it_holds() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2, 3].map(unit);
    let [first, second, third] = &units;
    holder.lease(&order, &[first, second, third]).await.unwrap();
    holder.spend(first, 1).await.unwrap();
    let channel = town.channel(Some(town.person("admin"))).await;
    let mut audit = AuditClient::new(channel.clone());
    let listed = audit.list_stations(v1::ListStationsRequest {});
    let listed = listed.await.unwrap().into_inner().stations;
    assert_eq!((listed[0].open, listed[0].leased), (1, 2));

    let revoke = v1::RevokeStationRequest {
        station: "bench-1".into(),
    };
    let mut admin = AdministrationClient::new(channel);
    let revoked = admin.revoke_station(revoke.clone()).await.unwrap();
    let row = revoked.into_inner();
    assert_eq!(
        (row.state.as_str(), row.open, row.leased),
        ("revoked", 0, 0)
    );
    assert_eq!((row.voided_attempts, row.voided_leases), (1, 2));
    let again = admin.revoke_station(revoke).await.unwrap().into_inner();
    assert_eq!((again.voided_attempts, again.voided_leases), (0, 0));
    assert_eq!(
        reason(holder.spend(second, 1).await),
        Reason::StationRevoked
    );
    let causes: Vec<_> = town
        .entries()
        .iter()
        .filter(|entry| entry["kind"] == "lease_voided")
        .map(|entry| entry["cause"].clone())
        .collect();
    assert_eq!(causes, ["station_revoked", "station_revoked"]);
    assert_eq!(leased_and_returned(&town, &order).await, (0, 0, 2, 4));

    // Its serials are free for others, under numbers of their own.
    let mut other = Holder::at(&town, "bench-2").await;
    let reply = other.lease(&order, &[second]).await.unwrap();
    assert_eq!(reply.leased[0].attempt, 2);
}

#[tokio::test]
async fn nothing_is_leased_while_the_token_is_away_and_what_was_built_is_recorded() {
    let town = Town::on_a_token().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2].map(unit);
    let [first, second] = &units;
    holder.lease(&order, &[first]).await.unwrap();
    town.fault(hsm_sim::Fault::Gone);
    let away = holder.lease(&order, &[second]).await;
    assert_eq!(reason(away), Reason::HsmUnavailable);
    // What was built is recorded all the same; its proof waits for the token.
    assert_eq!(reason(holder.spend(first, 1).await), Reason::HsmUnavailable);
    town.fault(hsm_sim::Fault::None);
    let mut asked = 0;
    while let Err(status) = holder.spend(first, 1).await {
        asked += 1;
        assert!(asked < ASKED, "{status}");
    }
    let spent = |entry: &&serde_json::Value| entry["kind"] == "spent";
    assert_eq!(town.entries().iter().filter(spent).count(), 1);
}
