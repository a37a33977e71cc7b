//! Many at once: the quota is exact, one serial has one winner.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use api::Reason;

use crate::site::{Town, Unit, reason};

const CLIENTS: usize = 64;
const QUANTITY: u32 = 1_000;

/// The unit's own keys are left out: the server mints them, and the clients stay light.
fn unit(number: u32) -> Unit {
    Unit {
        serial: format!("Q-{number:06}"),
        device_id: number.to_be_bytes().to_vec(),
        csr: vec![],
        key: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_get_exactly_what_the_order_permits() {
    exactly_what_the_order_permits(Town::start().await).await;
}

/// The same wherever the keys are.
pub(crate) async fn exactly_what_the_order_permits(town: Town) {
    let order = town.order(QUANTITY).await;
    let bench = town.bench("bench-1").await;
    let next = Arc::new(AtomicU32::new(0));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (mut bench, next, order) = (bench.clone(), Arc::clone(&next), order.clone());
        clients.push(tokio::spawn(async move {
            let mut passwords = Vec::new();
            loop {
                let unit = unit(next.fetch_add(1, Ordering::Relaxed));
                match bench.issue(&order, &unit).await {
                    Ok(issued) => {
                        let bundle = credential::Bundle::decode(&issued.bundle).unwrap();
                        passwords.push(bundle.password.expose(<[u8]>::to_vec));
                    }
                    refused => {
                        assert_eq!(reason(refused), Reason::QuotaSpent);
                        return passwords;
                    }
                }
            }
        }));
    }
    let mut passwords = Vec::new();
    for client in clients {
        passwords.extend(client.await.unwrap());
    }
    assert_eq!(passwords.len(), QUANTITY as usize);
    assert_eq!(
        passwords.iter().collect::<HashSet<_>>().len(),
        QUANTITY as usize
    );
    let count = town.count(&order).await;
    assert_eq!(
        (count.open, count.not_started, count.voided),
        (QUANTITY, 0, 0)
    );

    let (site, _dir) = town.stop().await;
    let vkey = site.vkey().unwrap();
    let report = ledger::verify(&site.ledger(), &vkey, &mut |_, _| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stations_with_one_serial_in_one_instant_one_wins() {
    let town = Town::start().await;
    let order = town.order(100).await;
    let (left, right) = (town.bench("bench-1").await, town.bench("bench-2").await);
    for number in 0..20 {
        // Different silicon, and in every second round the same: a serial is one unit's either way.
        let other = Unit {
            device_id: if number % 2 == 0 {
                vec![0xee, 0, 0, number as u8]
            } else {
                unit(number).device_id
            },
            ..unit(number)
        };
        let (mut left, mut right) = (left.clone(), right.clone());
        let (first, second) = (unit(number), other);
        let (a, b) = tokio::join!(left.issue(&order, &first), right.issue(&order, &second));
        let (won, lost): (Vec<_>, Vec<_>) = [a, b].into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "round {number}");
        for refused in lost {
            let reason = reason(refused);
            assert!(
                matches!(reason, Reason::DuplicateUnit | Reason::OtherStation),
                "{reason}"
            );
        }
    }
    let count = town.count(&order).await;
    assert_eq!((count.open, count.voided), (20, 0));
}

/// A station that hangs up and asks again overtakes its own first call inside the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_asks_twice_at_once_is_answered_twice() {
    let town = Town::start().await;
    let order = town.order(100).await;
    let bench = town.bench("bench-1").await;
    for number in 0..20 {
        let (mut first, mut again) = (bench.clone(), bench.clone());
        let (one, same) = (unit(number), unit(number));
        let (a, b) = tokio::join!(first.issue(&order, &one), again.issue(&order, &same));
        let mut attempts = [a.unwrap().attempt, b.unwrap().attempt];
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2], "round {number}: the newer one counts");
    }
    let count = town.count(&order).await;
    assert_eq!((count.open, count.voided), (20, 20));
}

/// A station dies in a call and its successor asks again: the older call ends in the server, before
/// the newer one or after it, and is over by the time the unit is loaded.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_newest_call_brought_can_be_loaded_and_sealed() {
    let town = Town::start().await;
    let order = town.order(100).await;
    let bench = town.bench("bench-1").await;
    for number in 0..20 {
        let (mut first, mut again) = (bench.clone(), bench.clone());
        let dead = order.clone();
        let older = tokio::spawn(async move { first.issue(&dead, &unit(number)).await });
        let unit = unit(number);
        let issued = again.issue(&order, &unit).await;
        let loaded = match &issued {
            Ok(issued) => again.confirm(&unit, issued).await.map(drop),
            Err(refused) => Err(refused.clone()),
        };
        let older = older.await.unwrap();
        // Which one came in first is not known here: the later one counts, and it is whole.
        match loaded {
            Ok(()) => drop(
                again
                    .seal(&unit, issued.unwrap().attempt, false)
                    .await
                    .unwrap(),
            ),
            Err(refused) => {
                assert_eq!(reason::<()>(Err(refused)), Reason::WrongState);
                let older = older.unwrap();
                again.confirm(&unit, &older).await.unwrap();
                again.seal(&unit, older.attempt, false).await.unwrap();
            }
        }
    }
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open), (20, 0));
}
