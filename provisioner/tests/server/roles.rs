//! Who may call what, and how soon a revocation holds.

use api::Reason;
use api::v1;
use api::v1::administration_client::AdministrationClient;
use api::v1::audit_client::AuditClient;
use api::v1::provisioning_client::ProvisioningClient;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::site::{Town, Unit, reason};

#[tokio::test]
async fn without_a_certificate_only_enrolment_answers() {
    let town = Town::start().await;
    let channel = town.channel(None).await;
    let orders = || v1::ListOrdersRequest {};
    let answer = AuditClient::new(channel.clone())
        .list_orders(orders())
        .await;
    assert_eq!(reason(answer), Reason::NotPermitted);
    let answer = ProvisioningClient::new(channel.clone())
        .unit_state(v1::UnitStateRequest::default())
        .await;
    assert_eq!(reason(answer), Reason::NotPermitted);
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
}

/// Whoever has no certificate can only enrol: such connections never take a station's place.
#[tokio::test]
async fn strangers_cannot_fill_the_house() {
    let town = Town::start().await;
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let Ok(channel) = town.try_channel(None).await else {
            refused += 1;
            continue;
        };
        let request = v1::ListOrdersRequest {};
        match AuditClient::new(channel.clone()).list_orders(request).await {
            Err(status) if Reason::of(&status).is_some() => held.push(channel),
            _ => refused += 1,
        }
    }
    assert_eq!((held.len(), refused), (32, 8));
    let admin = town.channel(Some(town.person("admin"))).await;
    let request = v1::ListOrdersRequest {};
    AuditClient::new(admin).list_orders(request).await.unwrap();
}

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let town = Town::start().await;
    let order = town.order(1).await;
    let qa = town.channel(Some(town.person("qa"))).await;
    AuditClient::new(qa.clone())
        .list_orders(v1::ListOrdersRequest {})
        .await
        .unwrap();
    let create = v1::CreateOrderRequest {
        product: "PLUG-1".into(),
        quantity: 1,
        ..Default::default()
    };
    let answer = AdministrationClient::new(qa.clone())
        .create_order(create.clone())
        .await;
    assert_eq!(reason(answer), Reason::NotPermitted);
    let issue = crate::site::request(&order, &Unit::new(1));
    assert_eq!(
        reason(ProvisioningClient::new(qa).issue(issue).await),
        Reason::NotPermitted
    );

    let admin = town.channel(Some(town.person("admin"))).await;
    let issue = crate::site::request(&order, &Unit::new(1));
    assert_eq!(
        reason(ProvisioningClient::new(admin.clone()).issue(issue).await),
        Reason::NotPermitted
    );
    let answer = HealthClient::new(admin)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    assert_eq!(answer.into_inner().status, 1, "SERVING");
}

#[tokio::test]
async fn a_token_works_once() {
    let town = Town::start().await;
    let token = town.token("bench-1").await;
    town.enrol(&token).await.unwrap();
    assert_eq!(
        reason(town.enrol(&token).await.map(|_| ())),
        Reason::TokenRefused
    );
    let answer = town
        .enrol("BM1-bench-1-00000000000000000000000000-0000000000000000")
        .await;
    assert_eq!(reason(answer.map(|_| ())), Reason::TokenRefused);
}

#[tokio::test]
async fn a_newer_certificate_ends_the_older_one() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let mut old = town.bench("bench-1").await;
    let mut new = town.bench("bench-1").await;
    assert_eq!(
        reason(old.issue(&order, &Unit::new(1)).await),
        Reason::UnknownStation
    );
    new.issue(&order, &Unit::new(1)).await.unwrap();
}

/// A station that is told that it is revoked erases its lease, under units that are being built. A
/// server put back whole from before an enrolment has no such thing on record.
#[tokio::test]
async fn a_station_enrolled_after_the_copy_is_unknown_and_not_revoked() {
    let town = Town::start().await;
    let order = town.order(2).await;
    let invitation = town.token("bench-1").await;
    town.bench("bench-2").await;
    let (site, dir) = town.stop().await;
    let (copy, copied) = Town::image(&dir);

    let town = Town::again(site, dir).await;
    let invited = town.enrol(&invitation).await.unwrap();
    let newer = town.bench("bench-2").await;
    let never = town.bench("bench-3").await;
    drop(town.stop().await);

    let town = Town::again(copy, copied).await;
    for bench in [&invited, &newer, &never] {
        let mut bench = town.meet(bench).await;
        let clock = bench.client.show_clock(v1::ShowClockRequest {}).await;
        assert_eq!(reason(clock), Reason::UnknownStation);
        let issued = bench.issue(&order, &Unit::new(1)).await;
        assert_eq!(reason(issued), Reason::UnknownStation);
    }
    // What is revoked here is revoked, whichever certificate it shows.
    let revoke = v1::RevokeStationRequest {
        station: "bench-2".into(),
    };
    town.admin().await.revoke_station(revoke).await.unwrap();
    let mut bench = town.meet(&newer).await;
    let clock = bench.client.show_clock(v1::ShowClockRequest {}).await;
    assert_eq!(reason(clock), Reason::StationRevoked);
}

#[tokio::test]
async fn a_revoked_station_is_refused_at_once_and_its_attempts_are_voided() {
    let town = Town::start().await;
    let order = town.order(5).await;
    let mut bench = town.bench("bench-1").await;
    let (open, loaded, sealed) = (Unit::new(1), Unit::new(2), Unit::new(3));
    bench.issue(&order, &open).await.unwrap();
    let issued = bench.issue(&order, &loaded).await.unwrap();
    bench.confirm(&loaded, &issued).await.unwrap();
    let issued = bench.issue(&order, &sealed).await.unwrap();
    bench.confirm(&sealed, &issued).await.unwrap();
    bench.seal(&sealed, 1, false).await.unwrap();

    let revoke = v1::RevokeStationRequest {
        station: "bench-1".into(),
    };
    let row = town
        .admin()
        .await
        .revoke_station(revoke)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((row.state.as_str(), row.open), ("revoked", 0));
    assert_eq!(
        reason(bench.issue(&order, &Unit::new(4)).await),
        Reason::StationRevoked
    );
    assert_eq!(
        reason(bench.confirm(&loaded, &issued).await),
        Reason::StationRevoked
    );
    let count = town.count(&order).await;
    assert_eq!(
        (count.sealed, count.open, count.voided, count.not_started),
        (1, 0, 2, 4)
    );

    let mut other = town.bench("bench-2").await;
    other.issue(&order, &open).await.unwrap();
}

#[tokio::test]
async fn orders_are_bounded_and_close_only_when_nothing_is_under_way() {
    let town = Town::start().await;
    let order = town.order(1).await;
    let mut admin = town.admin().await;
    let create = |product: &str, quantity| v1::CreateOrderRequest {
        product: product.into(),
        quantity,
        ..Default::default()
    };
    assert_eq!(
        reason(admin.create_order(create("PLUG-1", 0)).await),
        Reason::BadRequest
    );
    assert_eq!(
        reason(admin.create_order(create("NONE", 1)).await),
        Reason::UnknownProduct
    );
    let bad = v1::ApplyProductRequest {
        definition: "sku = 7".into(),
    };
    assert_eq!(reason(admin.apply_product(bad).await), Reason::BadRequest);

    let mut bench = town.bench("bench-1").await;
    let unit = Unit::new(1);
    let issued = bench.issue(&order, &unit).await.unwrap();
    let close = || v1::CloseOrderRequest {
        order: order.clone(),
    };
    assert_eq!(reason(admin.close_order(close()).await), Reason::UnitsOpen);
    bench.void(&unit, issued.attempt, false).await.unwrap();
    assert!(
        admin
            .close_order(close())
            .await
            .unwrap()
            .into_inner()
            .closed
    );
    assert_eq!(
        reason(bench.issue(&order, &unit).await),
        Reason::WorkOrderClosed
    );
    assert_eq!(
        reason(bench.issue("WO-9999", &unit).await),
        Reason::UnknownOrder
    );
}
