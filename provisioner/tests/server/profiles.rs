//! Device profiles: handed out with the order, and no receipt under another way of reading.

use api::{Reason, v1};
use traveler::{Entry, Event};

use crate::site::{Bench, Town, Unit, reason};

const PRODUCT: &str =
    "sku = \"MODEM-1\"\nname = \"Modem\"\nmodel = \"PLUG1\"\nprofile = \"at-modem\"\n";

/// A unit that cannot make a key, as those with a mere console cannot.
fn unit(number: u32) -> Unit {
    Unit {
        csr: Vec::new(),
        key: None,
        ..Unit::new(number)
    }
}

async fn opened(bench: &mut Bench, order: &str) -> v1::OpenOrderResponse {
    let request = v1::OpenOrderRequest {
        order: order.to_owned(),
        ..Default::default()
    };
    bench.client.open_order(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_receipt_is_made_as_its_product_says_or_not_taken() {
    let town = Town::start().await;
    let shipped = |name: &str| Ok(compliance::shipped_profile(name).unwrap().to_owned());
    let definition = compliance::embed(PRODUCT, shipped).unwrap();
    let order = town.order_for(&definition, "MODEM-1", 2).await;
    let mut bench = town.bench("bench-1").await;

    let open = opened(&mut bench, &order).await;
    assert_eq!(
        Some(open.profile.as_str()),
        compliance::shipped_profile("at-modem")
    );
    let profile = compliance::Product::parse(&definition)
        .unwrap()
        .profile
        .unwrap();
    assert_eq!(open.profile_sha256, profile.sha256.0);

    let unit = unit(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    // Neither a proof that such a unit cannot give, nor a reading by another profile.
    for profile_sha256 in [Vec::new(), vec![7; 32]] {
        let request = v1::ConfirmRequest {
            profile_sha256,
            ..unit.receipt(&issued)
        };
        let answer = bench.client.confirm(request).await;
        assert_eq!(reason(answer), Reason::ReceiptMismatch);
    }
    let request = v1::ConfirmRequest {
        profile_sha256: open.profile_sha256,
        ..unit.receipt(&issued)
    };
    let proof = bench.client.confirm(request).await.unwrap().into_inner();
    let event = Entry::from_bytes(&proof.entry).unwrap().event;
    let Event::Loaded { profile_sha256, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        profile_sha256,
        Some(profile.sha256),
        "the log says who read it back"
    );
}

#[tokio::test]
async fn a_station_does_not_vouch_for_a_unit_that_can_prove_itself() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut bench = town.bench("bench-1").await;
    let open = opened(&mut bench, &order).await;
    assert!(open.profile.is_empty() && open.profile_sha256.is_empty());
    let unit = unit(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    let request = v1::ConfirmRequest {
        profile_sha256: vec![7; 32],
        ..unit.receipt(&issued)
    };
    let answer = bench.client.confirm(request).await;
    assert_eq!(reason(answer), Reason::ReceiptMismatch);
    bench.confirm(&unit, &issued).await.unwrap();
}

#[tokio::test]
async fn a_profile_that_cannot_type_the_passwords_is_refused_with_its_product() {
    let town = Town::start().await;
    let shipped = |name: &str| Ok(compliance::shipped_profile(name).unwrap().to_owned());
    let product = format!("{PRODUCT}[password]\npolicy = \"br-anatel\"\n");
    let definition = compliance::embed(&product, shipped).unwrap();
    let request = v1::ApplyProductRequest { definition };
    let refused = town.admin().await.apply_product(request).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::BadRequest));
    let said = refused.message();
    assert!(
        said.contains("profile is refused: it types the password"),
        "{said}"
    );
    let kept = town.entries().into_iter();
    assert_eq!(
        kept.filter(|entry| entry["kind"] == "product_applied")
            .count(),
        0
    );
}
