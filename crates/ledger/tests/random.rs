//! Whatever is asked, in whatever order: the log verifies and the counts add up.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{LeaseRow, Reader, Refused, verify};
use line::lease::*;
use line::*;
use proptest::prelude::*;
use tlog::CheckpointSigner;
use traveler::{Attempt, Change, Event, State, Step, VoidCause};

const UNITS: &[&str] = &["BM-1", "BM-2", "BM-3", "BM-4"];

/// One thing somebody might ask, right or wrong.
fn event() -> impl Strategy<Value = Event> {
    let step = (
        prop::sample::select(UNITS),
        prop::sample::select(UNITS),
        1u32..5,
        prop::sample::select(&["bench-1", "bench-1", "bench-1", "bench-2"][..]),
        prop::sample::select(&["WO-1", "WO-1", "WO-1", "WO-2"][..]),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(unit, other, attempt, bench, in_order, own)| Step {
            device_id: device(if own { unit } else { other }),
            station: station(bench),
            order: order(in_order),
            attempt: Attempt(attempt),
            ..step(unit, 1)
        });
    (step, 0u8..100).prop_map(|(step, kind)| {
        let (unit, attempt) = (step.serial.as_str().to_owned(), step.attempt.0);
        let with = |mut event: Event| {
            match &mut event {
                Event::Sealed { step: at, .. }
                | Event::Voided { step: at, .. }
                | Event::Rework { step: at, .. }
                | Event::Scrapped { step: at, .. } => *at = step.clone(),
                _ => {}
            }
            event
        };
        let voided_lease = |cause| Event::LeaseVoided {
            lease: lease_step(step.clone()),
            cause,
        };
        match kind {
            0..12 => Event::Leased(Box::new(leased_of(step))),
            12..20 => Event::Spent(Box::new(spent_of(step))),
            20..23 => voided_lease(VoidCause::LeaseReturned),
            23..25 => voided_lease(VoidCause::LeaseExpired),
            25 => voided_lease(VoidCause::ReplyLost),
            26 => voided_lease(VoidCause::StationRevoked),
            27..40 => Event::Issued(Box::new(issue_of(step))),
            40..60 => loaded_of(step),
            60..75 => with(sealed(&unit, attempt)),
            75..87 => with(voided(&unit, attempt)),
            87..93 => with(rework(&unit, attempt)),
            93..96 => with(scrapped(&unit, attempt)),
            96 => order_closed(step.order.as_str()),
            97 => revoked("bench-2"),
            98 => invited("bench-2", "again"),
            _ => enrolled("bench-2", "again"),
        }
    })
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    // Some are asked when every lease is over.
    let one = (
        prop::collection::vec(event(), 1..3),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(events, late)| Change {
            time: at(if late { LASTS } else { 0 }),
            ..change(events)
        });
    prop::collection::vec(prop::collection::vec(one, 1..12), 1..25)
}

/// What is open is what units and leases add up to, one by one.
fn adds_up(reader: &Reader) -> Result<(), TestCaseError> {
    for row in reader.orders().unwrap() {
        prop_assert_eq!(
            row.quantity,
            row.sealed + row.scrapped + row.open + row.not_started
        );
        let units = UNITS
            .iter()
            .filter_map(|unit| reader.unit(&serial(unit)).unwrap());
        let open = units
            .filter(|unit| unit.order == row.order)
            .filter(|unit| unit.state.is_open() || unit.state == State::Rework)
            .count();
        let leases = UNITS
            .iter()
            .filter_map(|unit| reader.lease(&serial(unit)).unwrap());
        let held = leases
            .filter(|lease| lease.order == row.order)
            .filter(LeaseRow::is_held)
            .count();
        prop_assert_eq!(row.open as usize, open + held);
        let count = reader.lease_count(&row.order).unwrap();
        prop_assert_eq!(count.leased as usize, held);
        prop_assert!(count.returned <= row.quantity + row.allowance + 1);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_sequence_leaves_a_log_that_verifies(batches in changes()) {
        let mut line = Line::new();
        line.ok(order_created("WO-2", 2, 1));
        let mut size = line.ledger.reader().unwrap().size().unwrap();
        for batch in batches {
            let outcomes = line.ledger.append(&batch, line.key.as_ref()).unwrap();
            for (change, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    Ok(at) => {
                        prop_assert_eq!(at.first, size);
                        size += change.events.len() as u64;
                        prop_assert_eq!(at.last, size - 1);
                    }
                    Err(refused) => prop_assert_ne!(refused, Refused::Empty),
                }
            }
            let reader = line.ledger.reader().unwrap();
            prop_assert_eq!(reader.size().unwrap(), size);
            adds_up(&reader)?;
        }
        let report = verify(&line.path, line.key.vkey(), &mut |_, _| {}).unwrap();
        prop_assert_eq!(&report.findings, &[]);
        prop_assert_eq!((report.entries, report.size), (size, size));
    }
}
