//! One unit's attempts: granted once, given again only to who had it, closed for good.

use api::{Reason, v1};
use credential::Bundle;

use crate::site::{Town, Unit, reason};

#[tokio::test]
async fn a_unit_travels_from_blank_to_sealed() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);

    let issued = bench.issue(&order, &unit).await.unwrap();
    let bundle = Bundle::decode(&issued.bundle).unwrap();
    assert_eq!((issued.attempt, bundle.serial.as_str()), (1, "BM-000001"));
    assert!(bundle.key.is_none(), "the unit made its own key");

    let loaded = bench.confirm(&unit, &issued).await.unwrap();
    let sealed = bench.seal(&unit, 1, false).await.unwrap();
    assert!(loaded.index > issued.index && sealed.index > loaded.index);

    let vkey = town.site.vkey().unwrap();
    let text = tlog::open_note(&sealed.checkpoint, &[vkey]).unwrap();
    let checkpoint = tlog::Checkpoint::parse(text).unwrap();
    let inclusion: Vec<tlog::Hash> = sealed
        .inclusion
        .iter()
        .map(|hash| hash.as_slice().try_into().unwrap())
        .collect();
    let leaf = tlog::leaf_hash(&sealed.entry);
    tlog::verify_inclusion(
        &leaf,
        sealed.index,
        checkpoint.size,
        &checkpoint.root,
        &inclusion,
    )
    .unwrap();
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.not_started), (1, 0, 1));
}

#[tokio::test]
async fn a_lost_reply_is_voided_and_minted_anew() {
    let town = Town::start().await;
    let order = town.order(1).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);

    let lost = bench.issue(&order, &unit).await.unwrap();
    let fresh = bench.issue(&order, &unit).await.unwrap();
    assert_eq!((lost.attempt, fresh.attempt), (1, 2));
    let password = |bytes: &[u8]| {
        Bundle::decode(bytes)
            .unwrap()
            .password
            .expose(<[u8]>::to_vec)
    };
    assert_ne!(password(&lost.bundle), password(&fresh.bundle));

    // The burnt one can neither be confirmed nor resumed.
    assert_eq!(
        reason(bench.confirm(&unit, &lost).await),
        Reason::WrongState
    );
    assert_eq!(reason(bench.resume(&unit, &lost).await), Reason::WrongState);
    bench.confirm(&unit, &fresh).await.unwrap();
    let count = town.count(&order).await;
    assert_eq!((count.open, count.voided, count.not_started), (1, 1, 0));
}

/// The call of a station that was killed is finished by the server, however late: the station that
/// runs now has its unit loaded by then.
#[tokio::test]
async fn an_issue_that_comes_late_leaves_a_loaded_unit_alone() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let simple = Unit {
        csr: vec![],
        key: None,
        ..Unit::new(1)
    };
    for unit in [simple, Unit::new(2)] {
        let issued = bench.issue(&order, &unit).await.unwrap();
        let loaded = bench.confirm(&unit, &issued).await.unwrap();
        assert_eq!(reason(bench.issue(&order, &unit).await), Reason::WrongState);
        let again = bench.confirm(&unit, &issued).await.unwrap();
        assert_eq!(again.index, loaded.index);
        let resumed = bench.resume(&unit, &issued).await.unwrap();
        assert!(resumed.bundle == issued.bundle, "the same bundle");
        bench.seal(&unit, issued.attempt, false).await.unwrap();
    }
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.open, count.voided), (2, 0, 0));
}

/// What is proven lets a station lock the unit, so a withdrawn attempt is not proven any more. The
/// station is told so, and not that its unit's receipt is wrong.
#[tokio::test]
async fn a_load_that_was_withdrawn_since_is_not_proven_again() {
    let town = Town::start().await;
    let order = town.order(1).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit {
        csr: vec![],
        key: None,
        ..Unit::new(1)
    };
    let issued = bench.issue(&order, &unit).await.unwrap();
    bench.confirm(&unit, &issued).await.unwrap();
    bench.void(&unit, issued.attempt, false).await.unwrap();
    let withdrawn = bench.confirm(&unit, &issued).await;
    assert_eq!(reason(withdrawn), Reason::WrongState);

    let fresh = bench.issue(&order, &unit).await.unwrap();
    let mut older = unit.receipt(&issued);
    older.public_key = vec![4; 65];
    older.signature = vec![0; 64];
    let withdrawn = bench.client.confirm(older).await;
    assert_eq!(reason(withdrawn), Reason::WrongState);
    bench.confirm(&unit, &fresh).await.unwrap();
}

/// A reprint whose reply was lost is answered as before; who asks otherwise asks for another label, and
/// is told to take the next number. No unit is sealed by a label that is void.
#[tokio::test]
async fn a_label_counts_by_its_number() {
    let town = Town::start().await;
    let order = town.labelled_order(1).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let mut blank = crate::site::request(&order, &unit).into_inner();
    (blank.model, blank.revision) = ("CAM2".into(), "B".into());
    let issued = bench.client.issue(blank).await.unwrap().into_inner();
    bench.confirm(&unit, &issued).await.unwrap();
    let mut client = bench.client.clone();
    let mut ask = async |reprint, reason: &str, operator: &str| {
        let request = v1::ReprintRequest {
            serial: unit.serial.clone(),
            attempt: issued.attempt,
            device_id: unit.device_id.clone(),
            reprint,
            reason: reason.into(),
            operator: operator.into(),
        };
        client.reprint(request).await.map(|done| done.into_inner())
    };
    let first = ask(1, "torn", "B-7").await.unwrap();
    assert_eq!(ask(1, "torn", "B-7").await.unwrap().index, first.index);
    for (words, badge) in [("cut off", "B-7"), ("torn", "B-8")] {
        assert_eq!(reason(ask(1, words, badge).await), Reason::VoidLabel);
    }
    let second = ask(2, "cut off", "B-7").await.unwrap();
    assert_eq!(second.index, first.index + 1);
    assert_eq!(reason(ask(1, "torn", "B-7").await), Reason::VoidLabel);

    let mut seal = async |reprint| {
        let request = v1::SealRequest {
            serial: unit.serial.clone(),
            attempt: issued.attempt,
            device_id: unit.device_id.clone(),
            label_scanned: true,
            reprint,
            ..Default::default()
        };
        let done = bench.client.seal(request).await;
        done.map(|done| done.into_inner())
    };
    for void in [0, 1, 3] {
        assert_eq!(reason(seal(void).await), Reason::VoidLabel);
    }
    let sealed = seal(2).await.unwrap();
    assert_eq!(seal(2).await.unwrap().index, sealed.index);
    let entry = town.entries().pop().unwrap();
    assert_eq!(
        (&entry["kind"], &entry["reprint"]),
        (&"sealed".into(), &2.into())
    );
}

#[tokio::test]
async fn a_ticket_gives_the_same_bundle_again_across_a_restart() {
    let town = Town::start().await;
    let order = town.order(1).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();

    let town = town.restart().await;
    let mut bench = town.bench("bench-1").await; // enrolled again: the same name, a new key
    let again = bench.resume(&unit, &issued).await.unwrap();
    assert!(again.bundle == issued.bundle, "the same bundle");

    let other = Unit {
        device_id: vec![9; 8],
        ..Unit::new(1)
    };
    assert_eq!(
        reason(bench.resume(&other, &issued).await),
        Reason::TicketRefused
    );
    let mut altered = issued;
    *altered.ticket.last_mut().unwrap() ^= 1;
    assert_eq!(
        reason(bench.resume(&unit, &altered).await),
        Reason::TicketRefused
    );
    *altered.ticket.last_mut().unwrap() ^= 1;

    bench.confirm(&unit, &altered).await.unwrap();
    bench.resume(&unit, &altered).await.unwrap();
    bench.seal(&unit, 1, false).await.unwrap();
    assert_eq!(
        reason(bench.resume(&unit, &altered).await),
        Reason::WrongState
    );
}

#[tokio::test]
async fn a_repeated_step_answers_the_same() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    let loaded = bench.confirm(&unit, &issued).await.unwrap();
    assert_eq!(
        bench.confirm(&unit, &issued).await.unwrap().index,
        loaded.index
    );
    let sealed = bench.seal(&unit, 1, false).await.unwrap();
    assert_eq!(
        bench.seal(&unit, 1, false).await.unwrap().index,
        sealed.index
    );
    assert_eq!(
        bench.confirm(&unit, &issued).await.unwrap().index,
        loaded.index
    );

    let bad = Unit::new(2);
    let issued = bench.issue(&order, &bad).await.unwrap();
    let voided = bench.void(&bad, issued.attempt, true).await.unwrap();
    assert_eq!(
        bench.void(&bad, issued.attempt, true).await.unwrap().index,
        voided.index
    );
    assert_eq!(
        reason(bench.issue(&order, &bad).await),
        Reason::DuplicateUnit
    );
    let count = town.count(&order).await;
    assert_eq!((count.sealed, count.scrapped, count.not_started), (1, 1, 0));
}

#[tokio::test]
async fn a_receipt_for_something_else_is_refused() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let (unit, other) = (Unit::new(1), Unit::new(2));
    let issued = bench.issue(&order, &unit).await.unwrap();
    let foreign = bench.issue(&order, &other).await.unwrap();
    assert_eq!(
        reason(bench.confirm(&unit, &foreign).await),
        Reason::ReceiptMismatch
    );
    let swapped = Unit {
        device_id: other.device_id,
        ..unit
    };
    assert_eq!(
        reason(bench.confirm(&swapped, &issued).await),
        Reason::UnitInUse
    );
    let unit = Unit::new(1);
    assert_eq!(
        reason(bench.seal(&unit, 1, false).await),
        Reason::WrongState
    );
}

#[tokio::test]
async fn a_unit_with_a_key_of_its_own_must_sign_with_it() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();

    let mut unsigned = unit.receipt(&issued);
    unsigned.signature.clear();
    let answer = bench.client.confirm(unsigned).await;
    assert_eq!(reason(answer), Reason::ReceiptMismatch);
    let mut altered = unit.receipt(&issued);
    *altered.signature.last_mut().unwrap() ^= 1;
    let answer = bench.client.confirm(altered).await;
    assert_eq!(reason(answer), Reason::ReceiptMismatch);
    let mut foreign = Unit::new(1).receipt(&issued);
    foreign.serial.clone_from(&unit.serial);
    let answer = bench.client.confirm(foreign).await;
    assert_eq!(reason(answer), Reason::ReceiptMismatch);
    bench.confirm(&unit, &issued).await.unwrap();

    // Silicon without a key of its own is certified for one minted for it, and need not sign.
    let simple = Unit {
        csr: vec![],
        key: None,
        ..Unit::new(2)
    };
    let issued = bench.issue(&order, &simple).await.unwrap();
    assert!(Bundle::decode(&issued.bundle).unwrap().key.is_some());
    bench.confirm(&simple, &issued).await.unwrap();
}

#[tokio::test]
async fn a_sealed_serial_silicon_or_key_is_refused_before_any_secret() {
    let town = Town::start().await;
    let order = town.order(5).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    bench.confirm(&unit, &issued).await.unwrap();
    bench.seal(&unit, 1, false).await.unwrap();

    let same_serial = Unit {
        serial: unit.serial.clone(),
        ..Unit::new(2)
    };
    let refused = bench.issue(&order, &same_serial).await.err().unwrap();
    assert_eq!(Reason::of(&refused), Some(Reason::DuplicateUnit));
    // Where it is, in fields of its own: nobody parses the words.
    let in_use = api::InUse::of(&refused).unwrap();
    assert_eq!(in_use.station.as_str(), "bench-1");
    let sealed = town.entries().pop().unwrap();
    assert_eq!(sealed["time"], in_use.since.to_string());
    let same_silicon = Unit {
        device_id: unit.device_id.clone(),
        ..Unit::new(3)
    };
    assert_eq!(
        reason(bench.issue(&order, &same_silicon).await),
        Reason::UnitInUse
    );
    let same_key = Unit {
        csr: unit.csr.clone(),
        ..Unit::new(4)
    };
    assert_eq!(
        reason(bench.issue(&order, &same_key).await),
        Reason::UnitInUse
    );
    let count = town.count(&order).await;
    assert_eq!(
        (count.sealed, count.open, count.voided, count.not_started),
        (1, 0, 0, 4)
    );
}

#[tokio::test]
async fn a_labelled_product_seals_only_after_the_scan() {
    let town = Town::start().await;
    let order = town.labelled_order(1).await;
    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    assert_eq!(
        reason(bench.issue(&order, &unit).await),
        Reason::WrongProduct
    );
    let mut request = crate::site::request(&order, &unit).into_inner();
    (request.model, request.revision) = ("CAM2".into(), "B".into());
    let issued = bench.client.issue(request).await.unwrap().into_inner();
    bench.confirm(&unit, &issued).await.unwrap();
    assert_eq!(
        reason(bench.seal(&unit, 1, false).await),
        Reason::WrongState
    );
    bench.seal(&unit, 1, true).await.unwrap();
}
