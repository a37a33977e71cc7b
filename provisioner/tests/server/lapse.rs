//! A lease whose time is over: voided by the clock, and taken still when its unit was built in time.

use api::{Reason, v1};
use hsm::{Hsm, HsmError, Key, Pin, Randomness, SoftToken, Storage};
use ledger::Ledger;
use provisioner::config::{Config, HsmPlace};
use provisioner::site::Site;
use tlog::{CheckpointSigner, SignError, VerifierKey};
use traveler::{
    Attempt, Change, Digest, Event, Fingerprint, GateRecord, LeaseStep, Leased, OrderId, Serial,
    StationName, Timestamp,
};

use crate::lease::{ASKED, Holder, leased_and_returned, unit};
use crate::site::{Town, reason};

/// The log's key of a site whose server is stopped.
struct LogKey(SoftToken, VerifierKey);

/// Signing draws nothing and stores nothing.
struct Nothing;

impl Randomness for Nothing {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), HsmError> {
        panic!("nothing is drawn here")
    }
}

impl Storage for Nothing {
    fn save(&self, _: &[u8]) -> std::io::Result<()> {
        panic!("nothing is stored here")
    }
}

impl CheckpointSigner for LogKey {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.0.sign(Key::log(1).unwrap(), note).unwrap();
        Ok(signature.try_into().unwrap())
    }

    fn vkey(&self) -> &VerifierKey {
        &self.1
    }
}

/// A lease as it was granted hours ago, and expired `expired_s` ago.
pub(crate) fn leased_long_ago(site: &Site, order: &str, serial: &str, now: i64, expired_s: i64) {
    let config = Config::read(site.data()).unwrap();
    let place = HsmPlace::parse(&config.hsm, site.data()).unwrap();
    let HsmPlace::Soft(store) = place else {
        panic!("not a software token")
    };
    let store = std::fs::read(store).unwrap();
    let pin = std::fs::read(site.data().join(config.pin_file.unwrap()));
    let pin = Pin::parse(&pin.unwrap()).unwrap();
    let token = SoftToken::open(&store, &pin, Box::new(Nothing), Box::new(Nothing)).unwrap();
    let reader = ledger::Reader::open(&site.ledger()).unwrap();
    let order_row = reader.order(&OrderId::parse(order).unwrap());
    let order_row = order_row.unwrap().unwrap();
    let digest = |salt: &str| {
        let of = ring::digest::digest(&ring::digest::SHA256, format!("{salt}{serial}").as_bytes());
        Digest(of.as_ref().try_into().unwrap())
    };
    let expires = now - expired_s * 1_000;
    let leased = Leased {
        lease: LeaseStep {
            serial: Serial::parse(serial).unwrap(),
            order: order_row.order,
            station: StationName::parse("bench-1").unwrap(),
            attempt: Attempt::FIRST,
            operator: None,
        },
        expires: Timestamp::from_unix_ms(expires),
        seen: None,
        product: order_row.product,
        product_sha256: order_row.product_sha256,
        policy_sha256: digest("policy"),
        fingerprint: Fingerprint(digest("password").0[..16].try_into().unwrap()),
        fingerprint_key: reader.log().unwrap().unwrap().fingerprint_key,
        certificate_sha256: digest("certificate"),
        public_key_sha256: digest("key"),
        bundle_sha256: digest("bundle"),
        gate: GateRecord {
            detectors: "1".into(),
            redraws: 0,
            collisions: 0,
        },
    };
    let change = Change {
        time: Timestamp::from_unix_ms(expires - 3_600_000),
        simulated_hsm: true,
        events: vec![Event::Leased(Box::new(leased))],
    };
    let signer = LogKey(token, site.vkey().unwrap());
    let mut ledger = Ledger::open(&site.ledger()).unwrap();
    ledger.append(&[change], &signer).unwrap()[0]
        .clone()
        .unwrap();
}

/// The clock voids what nobody spent, ten minutes after its time; a unit that was built in time and
/// reported after that takes its place again.
#[tokio::test]
async fn a_lease_expires_and_a_late_report_is_taken() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let now = now_ms();
    let (site, dir) = town.stop().await;
    let (at, name) = (site.clone(), order.clone());
    let forged = tokio::task::spawn_blocking(move || {
        leased_long_ago(&at, &name, "BM-000001", now, 601);
        leased_long_ago(&at, &name, "BM-000002", now, 300);
    });
    forged.await.unwrap();
    let town = Town::again(site, dir).await;
    let mut asked = 0;
    while town.count(&order).await.returned == 0 && asked < ASKED {
        asked += 1;
    }
    // The second is over too, and still in its grace.
    assert_eq!(leased_and_returned(&town, &order).await, (1, 1, 1, 1));
    let voided = town.entries();
    let voided = voided.last().unwrap();
    assert_eq!(voided["cause"], "lease_expired");
    assert_eq!(voided["serial"], "BM-000001");

    // It enrols again, since the server has another port now.
    holder.bench = town.bench("bench-1").await;
    holder.spend(&unit(1), 1).await.unwrap();
    holder.spend(&unit(2), 1).await.unwrap();
    assert_eq!(leased_and_returned(&town, &order).await, (2, 0, 0, 0));
    for number in [1, 2] {
        let unit = unit(number);
        let of = format!("bundle{}", unit.serial);
        let digest = ring::digest::digest(&ring::digest::SHA256, of.as_bytes());
        let request = v1::ConfirmRequest {
            serial: unit.serial.clone(),
            attempt: 1,
            device_id: unit.device_id.clone(),
            bundle_sha256: digest.as_ref().to_vec(),
            ..Default::default()
        };
        holder.bench.client.confirm(request).await.unwrap();
        holder.bench.seal(&unit, 1, false).await.unwrap();
    }
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.voided), (2, 0, 0));
}

/// A record that is settled late says that a unit may exist: of what expired, and only while nobody
/// else has built the serial. What was given back was given back: else who steals a station takes
/// serials away from every other bench.
#[tokio::test]
async fn no_late_word_takes_a_serial_from_another_bench() {
    let town = Town::start().await;
    let order = town.order(4).await;
    Holder::at(&town, "bench-1").await;
    let now = now_ms();
    let (site, dir) = town.stop().await;
    let (at, name) = (site.clone(), order.clone());
    let forged = tokio::task::spawn_blocking(move || {
        leased_long_ago(&at, &name, "BM-000001", now, 601);
        leased_long_ago(&at, &name, "BM-000002", now, 601);
    });
    forged.await.unwrap();
    let town = Town::again(site, dir).await;
    let mut asked = 0;
    while town.count(&order).await.returned < 2 && asked < ASKED {
        asked += 1;
    }
    assert_eq!(leased_and_returned(&town, &order).await, (0, 0, 2, 4));
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2, 3].map(unit);
    let [lost, second, third] = &units;
    holder.lease(&order, &[third]).await.unwrap();
    assert_eq!(holder.give_back(&[(third, 1)]).await.unwrap(), 1);

    let mut other = town.bench("bench-2").await;
    for unit in [second, third] {
        assert_eq!(other.issue(&order, unit).await.unwrap().attempt, 2);
    }
    let target = |unit: &crate::site::Unit| v1::LeaseTarget {
        serial: unit.serial.clone(),
        attempt: 1,
    };
    let late = v1::ReturnLeaseRequest {
        leases: units.iter().map(target).collect(),
        operator: "L-1".into(),
        unit_lost: true,
    };
    for voided in [1, 0] {
        let reply = holder.bench.client.return_lease(late.clone()).await;
        assert_eq!(reply.unwrap().into_inner().voided, voided);
    }
    let said = town.entries();
    let said = said.last().unwrap();
    assert_eq!(
        (&said["serial"], &said["cause"]),
        (&lost.serial.clone().into(), &"unit_lost".into())
    );
    assert_eq!(
        reason(other.issue(&order, lost).await),
        Reason::DuplicateUnit
    );
    // The other bench goes on: it lost a reply, or its unit has to be built once more.
    for unit in [second, third] {
        assert_eq!(other.issue(&order, unit).await.unwrap().attempt, 3);
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}
