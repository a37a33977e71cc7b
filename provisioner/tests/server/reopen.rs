//! Breaking a seal: two people, any bench, and a password that stays burnt.

use api::{Reason, v1};

use crate::site::{Town, Unit, reason};

fn scrap(unit: &Unit, operators: &[&str]) -> v1::ScrapRequest {
    v1::ScrapRequest {
        serial: unit.serial.clone(),
        attempt: 1,
        device_id: unit.device_id.clone(),
        reason: "cracked".to_owned(),
        operators: operators.iter().map(|&badge| badge.to_owned()).collect(),
    }
}

fn rework(unit: &Unit, operators: &[&str]) -> v1::ReworkRequest {
    let scrap = scrap(unit, operators);
    v1::ReworkRequest {
        serial: scrap.serial,
        attempt: scrap.attempt,
        device_id: scrap.device_id,
        reason: scrap.reason,
        operators: scrap.operators,
    }
}

#[tokio::test]
async fn a_sealed_unit_is_opened_again_by_two_people_at_any_bench() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let mut other = town.bench("bench-2").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    let both = ["L-1", "Q-1"];
    let early = other.client.rework(rework(&unit, &both)).await;
    assert_eq!(reason(early), Reason::WrongState, "it is under way");
    bench.confirm(&unit, &issued).await.unwrap();
    bench.seal(&unit, 1, false).await.unwrap();

    for badges in [&[][..], &["L-1"], &["L-1", "L-1"]] {
        let answer = other.client.rework(rework(&unit, badges)).await;
        assert_eq!(reason(answer), Reason::BadRequest, "{badges:?}");
    }
    let proof = other.client.rework(rework(&unit, &both)).await.unwrap();
    let index = proof.into_inner().index;
    let again = other.client.rework(rework(&unit, &both)).await.unwrap();
    assert_eq!(again.into_inner().index, index, "a repeat answers the same");
    let entry = town.entries().pop().unwrap();
    assert_eq!(entry["kind"], "rework");
    assert_eq!(entry["by"], serde_json::json!(both));
    assert_eq!(entry["operator"], "L-1");

    let fresh = bench.issue(&order, &unit).await.unwrap();
    assert_eq!(fresh.attempt, 2);
    assert_ne!(fresh.bundle, issued.bundle, "another password");
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.reworked), (0, 1, 1));
}

#[tokio::test]
async fn a_sealed_unit_is_scrapped_by_two_people_and_never_issued_again() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    bench.confirm(&unit, &issued).await.unwrap();
    bench.seal(&unit, 1, false).await.unwrap();
    let alone = bench.client.scrap(scrap(&unit, &["L-1"])).await;
    assert_eq!(reason(alone), Reason::BadRequest);

    let both = ["L-1", "Q-1"];
    let proof = bench.client.scrap(scrap(&unit, &both)).await.unwrap();
    let again = bench.client.scrap(scrap(&unit, &both)).await.unwrap();
    assert_eq!(proof.into_inner().index, again.into_inner().index);
    let entry = town.entries().pop().unwrap();
    assert_eq!(
        (&entry["kind"], &entry["reason"]),
        (&"scrapped".into(), &"cracked".into())
    );
    assert_eq!(
        reason(bench.issue(&order, &unit).await),
        Reason::DuplicateUnit
    );
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.scrapped, count.not_started), (0, 1, 1));
}
