//! Calls that a station gave up, and that the server reads after those that the station made since;
//! and units that a station put aside, since the server would not have them.

use api::{Reason, v1};

use crate::lease::{Holder, leased_and_returned, receipt, unit};
use crate::put_back::{provisioner, words};
use crate::site::{Town, reason};

#[tokio::test]
async fn a_lease_call_that_is_read_late_voids_nothing_that_came_since() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2, 3].map(unit);
    let [first, second, third] = &units;
    let serials = |units: &[&crate::site::Unit]| {
        let serials = units.iter().map(|unit| unit.serial.clone());
        serials.collect::<Vec<String>>()
    };
    // Sent, given up, and still somewhere on its way.
    let late = holder.lease_request(&order, serials(&[first, second]));
    let late = late.await.unwrap();
    // The station asks again, is answered, and goes offline with what it got.
    let reply = holder.lease(&order, &[first, second]).await.unwrap();
    let size = town.entries().len();
    let read_late = holder.bench.client.lease(late.clone()).await;
    assert_eq!(reason(read_late), Reason::WrongState);
    assert_eq!(town.entries().len(), size, "nothing came of it");
    // What the station holds is good.
    holder.spend(first, 1).await.unwrap();
    let bundle = holder.open(&order, &reply.leased[0]);
    let held = receipt(first, 1, &bundle);
    holder.bench.client.confirm(held).await.unwrap();
    holder.bench.seal(first, 1, false).await.unwrap();
    // Nor does it mint behind a lease that was given back since.
    assert_eq!(holder.give_back(&[(second, 1)]).await.unwrap(), 1);
    let mut alone = late;
    alone.serials = serials(&[second]);
    let read_late = holder.bench.client.lease(alone).await;
    assert_eq!(reason(read_late), Reason::WrongState);
    assert_eq!(leased_and_returned(&town, &order).await, (0, 0, 1, 3));

    // A reply that was lost is another matter: the station looks at the log, and asks again.
    holder.lease(&order, &[third]).await.unwrap();
    let again = holder.lease(&order, &[third]).await.unwrap();
    assert_eq!(again.leased[0].attempt, 2);
    assert_eq!(leased_and_returned(&town, &order).await, (1, 1, 2, 2));
}

/// The bench gave it to silicon that has another serial by now. The unit, and its label, may lie in a
/// bin: the log says so, and nobody makes a second one of the name.
#[tokio::test]
async fn a_unit_that_was_put_aside_without_a_record_keeps_its_serial() {
    let town = Town::start().await;
    let order = town.order(4).await;
    let mut holder = Holder::at(&town, "bench-1").await;
    let units = [1, 2].map(unit);
    let [first, second] = &units;
    holder.lease(&order, &[first, second]).await.unwrap();
    holder.spend(first, 1).await.unwrap();
    let moved = crate::site::Unit {
        device_id: first.device_id.clone(),
        ..unit(2)
    };
    assert_eq!(reason(holder.spend(&moved, 1).await), Reason::UnitInUse);
    let lost = v1::ReturnLeaseRequest {
        leases: vec![v1::LeaseTarget {
            serial: second.serial.clone(),
            attempt: 1,
        }],
        operator: "L-1".into(),
        unit_lost: true,
    };
    for voided in [1, 0] {
        let reply = holder.bench.client.return_lease(lost.clone()).await;
        assert_eq!(reply.unwrap().into_inner().voided, voided, "a repeat");
    }
    let entries = town.entries();
    let said = entries.last().unwrap();
    let said = ["kind", "serial", "cause", "operator"].map(|name| said[name].as_str().unwrap());
    assert_eq!(said, ["lease_voided", "BM-000002", "unit_lost", "L-1"]);
    assert_eq!(leased_and_returned(&town, &order).await, (1, 0, 1, 3));
    let mut other = Holder::at(&town, "bench-2").await;
    for holder in [&mut holder, &mut other] {
        let leased = holder.lease(&order, &[second]).await;
        assert_eq!(reason(leased), Reason::DuplicateUnit);
        let issued = holder.bench.issue(&order, second).await;
        assert_eq!(reason(issued), Reason::DuplicateUnit);
    }
    let success = format!("{:?}", std::process::ExitCode::SUCCESS);
    for verb in ["audit verify", "audit unit BM-000002"] {
        let verb = format!("{verb} --data {}", town.site.data().display());
        assert_eq!(provisioner(words(&verb)).await, success, "{verb}");
    }
}
