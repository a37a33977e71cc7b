//! Leases: one test a rule, and what they add up to.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::{Appended, Refused, export, verify_bundle};
use line::lease::*;
use line::*;
use tlog::CheckpointSigner;
use traveler::{Attempt, Change, Event, Fingerprint, State, VoidCause};

use VoidCause::{LeaseExpired, LeaseReturned, ReplyLost, StationRevoked, UnitLost};

#[track_caller]
fn refused(line: &mut Line, event: Event, expected: Refused) {
    assert_eq!(line.try_one(event).unwrap_err(), expected);
}

fn later(line: &mut Line, seconds: i64, event: Event) -> Result<Appended, Refused> {
    line.append(Change {
        time: at(seconds),
        ..change(vec![event])
    })
}

/// Open, leased of these, returned, not started.
#[track_caller]
fn counts(line: &Line, expected: [u32; 4]) {
    let reader = line.ledger.reader().unwrap();
    let row = reader.order(&order("WO-1")).unwrap().unwrap();
    let leases = reader.lease_count(&order("WO-1")).unwrap();
    let found = [row.open, leases.leased, leases.returned, row.not_started];
    assert_eq!(found, expected);
    assert_eq!(row.voided, 0, "a lease draws on no allowance");
}

fn held(unit: &str) -> Refused {
    Refused::Leased {
        serial: serial(unit),
        station: station("bench-1"),
        expires: at(LASTS),
    }
}

fn over(unit: &str, attempt: u32, how: &'static str) -> Refused {
    Refused::LeaseOver {
        serial: serial(unit),
        attempt: Attempt(attempt),
        how,
    }
}

fn wrong_attempt(unit: &str, expected: u32, given: u32) -> Refused {
    Refused::WrongAttempt {
        serial: serial(unit),
        expected: Attempt(expected),
        given: Attempt(given),
    }
}

#[test]
fn a_lease_takes_its_place_and_a_spent_one_is_an_attempt_like_any_other() {
    let mut line = Line::new();
    let first = line.ok(leased("BM-1", 1));
    counts(&line, [1, 1, 0, 9]);
    assert_eq!(
        line.ledger.reader().unwrap().unit(&serial("BM-1")).unwrap(),
        None
    );
    let met = line.ok(spent("BM-1", 1));
    counts(&line, [1, 0, 0, 9]);
    let reader = line.ledger.reader().unwrap();
    let unit = reader.unit(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((unit.state, unit.issued_seq), (State::Issued, met));
    assert_eq!(unit.bundle_sha256, leased_of(step("BM-1", 1)).bundle_sha256);
    let row = reader.lease(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((row.seq, row.spent_seq), (first, Some(met)));
    assert_eq!(reader.leases_held(&station("bench-1")).unwrap(), []);
    drop(reader);
    line.ok(loaded("BM-1", 1));
    line.ok(sealed("BM-1", 1));
    counts(&line, [0, 0, 0, 9]);
    line.ok(rework("BM-1", 1));
    line.ok(issue("BM-1", 2));
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 6);
    let issued = reader.last_step_seq(&serial("BM-1"), State::Issued);
    assert_eq!(issued.unwrap(), Some(met + 4));
    line.check();
}

#[test]
fn a_call_of_before_the_newest_try_leases_nothing() {
    let mut line = Line::new();
    let asked = |attempt, seen| leased_with("BM-1", attempt, |it| it.seen = Some(seen));
    let overtaken = || Refused::Overtaken(serial("BM-1"));
    let first = line.ok(asked(1, 1));
    let again = |seen| {
        let lost = lease_voided("BM-1", 1, ReplyLost);
        change(vec![lost, asked(2, seen)])
    };
    let late = line.append(again(first)).unwrap_err();
    assert_eq!(late, overtaken());
    counts(&line, [1, 1, 0, 9]);
    // Who had seen it may have lost the reply.
    let second = line.append(again(first + 1)).unwrap().last;
    // Also when the newer one is over, and when it became an attempt.
    line.ok(lease_voided("BM-1", 2, LeaseReturned));
    refused(&mut line, asked(3, second), overtaken());
    line.ok(asked(3, second + 1));
    let met = line.ok(spent("BM-1", 3));
    line.ok(voided("BM-1", 3));
    refused(&mut line, asked(4, met), overtaken());
    line.ok(asked(4, met + 1));
    line.check();
}

#[test]
fn a_returned_lease_gives_its_place_back_and_its_number_to_nobody() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(lease_voided("BM-1", 1, LeaseReturned));
    counts(&line, [0, 0, 1, 10]);
    refused(
        &mut line,
        lease_voided("BM-1", 1, LeaseReturned),
        over("BM-1", 1, "lease_returned"),
    );
    refused(
        &mut line,
        spent("BM-1", 1),
        over("BM-1", 1, "lease_returned"),
    );
    refused(&mut line, issue("BM-1", 1), wrong_attempt("BM-1", 2, 1));
    refused(&mut line, leased("BM-1", 1), wrong_attempt("BM-1", 2, 1));
    let reader = line.ledger.reader().unwrap();
    assert_eq!(
        reader.next_attempt(&serial("BM-1")).unwrap(),
        Attempt(2),
        "leases count as tries"
    );
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 2);
    line.ok(issue("BM-1", 2));
    line.check();
}

#[test]
fn a_leased_serial_is_issued_to_nobody() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    refused(&mut line, issue("BM-1", 2), held("BM-1"));
    let elsewhere = issue_with("BM-1", 2, |issued| {
        issued.step.station = station("bench-2");
    });
    refused(&mut line, elsewhere, held("BM-1"));
    // Nor leased twice, whoever asks.
    refused(&mut line, leased("BM-1", 2), held("BM-1"));
    // A lost reply is voided and minted anew in one change.
    let again = change(vec![lease_voided("BM-1", 1, ReplyLost), leased("BM-1", 2)]);
    line.append(again).unwrap();
    counts(&line, [1, 1, 1, 9]);
    refused(&mut line, spent("BM-1", 1), wrong_attempt("BM-1", 2, 1));
    line.ok(spent("BM-1", 2));
    line.check();
}

#[test]
fn only_a_serial_that_is_new_or_voided_is_leased() {
    let mut line = Line::new();
    let in_use = |line: &mut Line, attempt| {
        let refused = line.try_one(leased("BM-1", attempt)).unwrap_err();
        assert!(matches!(refused, Refused::SerialInUse { .. }), "{refused}");
    };
    line.ok(issue("BM-1", 1));
    in_use(&mut line, 2);
    line.ok(voided("BM-1", 1));
    line.ok(leased("BM-1", 2));
    line.ok(spent("BM-1", 2));
    in_use(&mut line, 3);
    line.ok(loaded("BM-1", 2));
    line.ok(sealed("BM-1", 2));
    in_use(&mut line, 3);
    line.ok(rework("BM-1", 2));
    in_use(&mut line, 3); // the unit is there: it is issued to, by its silicon
    line.check();
}

#[test]
fn a_lease_is_for_what_its_order_builds_while_it_builds() {
    let mut line = Line::new();
    let other = leased_with("BM-1", 1, |leased| leased.product_sha256 = sha256("x"));
    assert!(matches!(
        line.try_one(other),
        Err(Refused::WrongProduct { .. })
    ));
    let unknown = leased_with("BM-1", 1, |leased| leased.lease.order = order("WO-9"));
    refused(&mut line, unknown, Refused::UnknownOrder(order("WO-9")));
    line.ok(leased("BM-1", 1));
    let open = Refused::UnitsOpen {
        order: order("WO-1"),
        open: 1,
    };
    refused(&mut line, order_closed("WO-1"), open);
    line.ok(lease_voided("BM-1", 1, LeaseReturned));
    line.ok(order_closed("WO-1"));
    let closed = Refused::OrderClosed(order("WO-1"));
    refused(&mut line, leased("BM-1", 2), closed);
    line.check();
}

#[test]
fn a_lease_lasts_a_minute_to_half_a_day() {
    let mut line = Line::new();
    for seconds in [-1, 0, 59, 43_201] {
        let expires = at(seconds);
        let event = leased_with("BM-1", 1, |leased| leased.expires = expires);
        let refusal = Refused::LeaseBounds {
            serial: serial("BM-1"),
            expires,
        };
        refused(&mut line, event, refusal);
    }
    for (unit, seconds) in [("BM-1", 60), ("BM-2", 43_200)] {
        line.ok(leased_with(unit, 1, |leased| leased.expires = at(seconds)));
    }
    line.check();
}

#[test]
fn no_station_holds_more_than_256() {
    let mut line = Line::new();
    line.ok(order_created("WO-2", 300, 0));
    let many = |n: u32| {
        leased_with(&format!("BM-{n}"), 1, |leased| {
            leased.lease.order = order("WO-2");
        })
    };
    let batch: Vec<Event> = (0..256).map(many).collect();
    line.append(change(batch)).unwrap();
    let full = Refused::LeasesHeld {
        station: station("bench-1"),
        held: 256,
    };
    refused(&mut line, many(256), full);
    let elsewhere = leased_with("BM-256", 1, |leased| {
        leased.lease.order = order("WO-2");
        leased.lease.station = station("bench-2");
    });
    line.ok(elsewhere);
    line.ok(spent_with("BM-7", 1, |step| step.order = order("WO-2")));
    line.ok(many(257));
    line.check();
}

#[test]
fn leases_take_no_place_that_is_not_there() {
    let mut line = Line::new();
    for n in 0..10 {
        line.ok(leased(&format!("BM-{n}"), 1));
    }
    let spent_out = Refused::QuotaSpent {
        order: order("WO-1"),
        quantity: 10,
    };
    refused(&mut line, leased("BM-10", 1), spent_out.clone());
    refused(&mut line, issue("BM-10", 1), spent_out);
    line.ok(lease_voided("BM-3", 1, LeaseReturned));
    line.ok(issue("BM-10", 1));
    line.check();
}

#[test]
fn leases_that_nobody_gave_back_are_bounded_and_those_given_back_are_not() {
    let mut line = Line::new();
    let mut attempt = 0;
    let mut ended = |line: &mut Line, cause: VoidCause, times: u32| {
        for _ in 0..times {
            attempt += 1;
            line.ok(leased("BM-1", attempt));
            line.ok(lease_voided("BM-1", attempt, cause));
        }
    };
    ended(&mut line, LeaseReturned, 20);
    ended(&mut line, ReplyLost, 14);
    counts(&line, [0, 0, 34, 10]);
    let refusal = Refused::LeasesReturned {
        order: order("WO-1"),
        returned: 14,
        most: 13,
    };
    refused(&mut line, leased("BM-1", 35), refusal);
    // What one bench lets lapse is no other's bound.
    let elsewhere = leased_with("BM-2", 1, |it| it.lease.station = station("bench-2"));
    line.ok(elsewhere);
    line.ok(issue("BM-1", 35)); // a unit that is there is issued to all the same
    line.check();
}

#[test]
fn a_station_cannot_mint_without_end_by_returning() {
    let mut line = Line::new();
    line.ok(order_created("WO-2", 1, 0));
    let here = |attempt| leased_with("BM-1", attempt, |leased| leased.lease.order = order("WO-2"));
    let back = |attempt| {
        let Event::LeaseVoided { mut lease, cause } = lease_voided("BM-1", attempt, LeaseReturned)
        else {
            unreachable!("it is one");
        };
        lease.order = order("WO-2");
        Event::LeaseVoided { lease, cause }
    };
    let nights: Vec<u32> = (1..=1_001).collect();
    for some in nights.chunks(100) {
        let events = some.iter().flat_map(|night| [here(*night), back(*night)]);
        line.append(change(events.collect())).unwrap();
    }
    let refusal = Refused::LeasesReturned {
        order: order("WO-2"),
        returned: 1_001,
        most: 1_000,
    };
    refused(&mut line, here(1_002), refusal);
    line.check();
}

/// It was refused when it was told of: a unit and a label of that serial may lie in a bin.
#[test]
fn a_serial_whose_unit_may_exist_is_given_out_no_more() {
    let no = |unit: &str| Refused::UnitMayExist(serial(unit));
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(lease_voided("BM-1", 1, UnitLost));
    counts(&line, [0, 0, 1, 10]);
    // Also when its time had ended it, and whoever asks.
    line.ok(leased("BM-2", 1));
    later(&mut line, LASTS, lease_voided("BM-2", 1, LeaseExpired)).unwrap();
    line.ok(lease_voided("BM-2", 1, UnitLost));
    counts(&line, [0, 0, 2, 10]);
    for unit in ["BM-1", "BM-2"] {
        refused(&mut line, leased(unit, 2), no(unit));
        refused(&mut line, issue(unit, 2), no(unit));
        refused(&mut line, spent(unit, 1), over(unit, 1, "unit_lost"));
        let again = lease_voided(unit, 1, UnitLost);
        refused(&mut line, again, over(unit, 1, "unit_lost"));
    }
    // A unit that is on record is another matter.
    line.ok(leased("BM-3", 1));
    line.ok(spent("BM-3", 1));
    let spent = lease_voided("BM-3", 1, UnitLost);
    refused(&mut line, spent, over("BM-3", 1, "spent"));
    line.check();
}

/// Else who steals a station takes serials away from everybody, for good.
#[test]
fn nobody_says_of_a_lease_that_he_gave_back_that_a_unit_has_it() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(lease_voided("BM-1", 1, LeaseReturned));
    let lost = || lease_voided("BM-1", 1, UnitLost);
    refused(&mut line, lost(), over("BM-1", 1, "lease_returned"));
    line.ok(issue("BM-1", 2));
    refused(&mut line, lost(), over("BM-1", 1, "lease_returned"));
    line.check();
}

/// It is another bench's unit by now, which may have to be built anew, or reworked.
#[test]
fn nothing_comes_to_light_of_a_lease_behind_a_later_attempt() {
    let mut line = Line::new();
    for unit in ["BM-1", "BM-2", "BM-3"] {
        line.ok(leased(unit, 1));
        later(&mut line, LASTS, lease_voided(unit, 1, LeaseExpired)).unwrap();
        line.ok(issue(unit, 2));
    }
    line.ok(voided("BM-2", 2));
    line.ok(loaded("BM-3", 2));
    line.ok(sealed("BM-3", 2));
    for unit in ["BM-1", "BM-2", "BM-3"] {
        let lost = lease_voided(unit, 1, UnitLost);
        refused(&mut line, lost, over(unit, 1, "lease_expired"));
    }
    line.ok(issue("BM-2", 3));
    line.ok(rework("BM-3", 2));
    line.ok(issue("BM-3", 3));
    // An earlier attempt is none that it could harm.
    line.ok(issue("BM-4", 1));
    line.ok(voided("BM-4", 1));
    line.ok(leased("BM-4", 2));
    later(&mut line, LASTS, lease_voided("BM-4", 2, LeaseExpired)).unwrap();
    line.ok(lease_voided("BM-4", 2, UnitLost));
    line.check();
}

#[test]
fn a_spent_allowance_stops_leases_as_it_stops_issues() {
    let mut line = Line::new();
    for attempt in 1..=4 {
        line.ok(issue("BM-1", attempt));
        line.ok(voided("BM-1", attempt));
    }
    assert!(matches!(
        line.try_one(leased("BM-2", 1)),
        Err(Refused::AllowanceSpent { .. })
    ));
    line.check();
}

#[test]
fn passwords_and_keys_of_leases_are_burnt_for_ever() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(lease_voided("BM-1", 1, LeaseReturned));
    let first = leased_of(step("BM-1", 1));
    let password = first.fingerprint;
    let same = leased_with("BM-2", 1, |leased| leased.fingerprint = password);
    refused(&mut line, same, Refused::FingerprintUsed);
    let same = issue_with("BM-2", 1, |issued| issued.fingerprint = password);
    refused(&mut line, same, Refused::FingerprintUsed);
    let key = first.public_key_sha256;
    let taken = Refused::LeasedKey(serial("BM-1"));
    let same = leased_with("BM-2", 1, |leased| leased.public_key_sha256 = key);
    refused(&mut line, same, taken.clone());
    let same = issue_with("BM-2", 1, |issued| issued.public_key_sha256 = key);
    refused(&mut line, same, taken);
    // And the other way round: what a unit has is leased to nobody.
    line.ok(issue("BM-3", 1));
    let key = issue_of(step("BM-3", 1)).public_key_sha256;
    let same = leased_with("BM-2", 1, |leased| leased.public_key_sha256 = key);
    let in_use = Refused::KeyInUse {
        device_id: device("BM-3"),
    };
    refused(&mut line, same, in_use);
    let foreign = leased_with("BM-2", 1, |leased| {
        leased.fingerprint_key = traveler::KeyId([1; 8]);
        leased.fingerprint = Fingerprint([1; 16]);
    });
    assert!(matches!(
        line.try_one(foreign),
        Err(Refused::OtherFingerprintKey { .. })
    ));
    line.check();
}

#[test]
fn a_lease_is_spent_once_by_its_station_on_silicon_that_is_free() {
    let mut line = Line::new();
    refused(
        &mut line,
        spent("BM-1", 1),
        Refused::UnknownLease(serial("BM-1")),
    );
    line.ok(leased("BM-1", 1));
    line.ok(leased("BM-2", 1));
    let elsewhere = spent_with("BM-1", 1, |step| step.station = station("bench-2"));
    refused(&mut line, elsewhere, held("BM-1"));
    let other = spent_with("BM-1", 1, |step| step.order = order("WO-9"));
    let refusal = Refused::OtherOrder {
        serial: serial("BM-1"),
        order: order("WO-1"),
    };
    refused(&mut line, other, refusal);
    refused(&mut line, spent("BM-1", 2), wrong_attempt("BM-1", 1, 2));
    line.ok(spent("BM-1", 1));
    let again = line.try_one(spent("BM-1", 1)).unwrap_err();
    assert!(matches!(again, Refused::SerialInUse { .. }), "{again}");
    let same_silicon = spent_with("BM-2", 1, |step| step.device_id = device("BM-1"));
    let refusal = Refused::DeviceInUse {
        device_id: device("BM-1"),
        serial: serial("BM-1"),
    };
    refused(&mut line, same_silicon, refusal);
    // Withdrawn like any attempt, and by no cause of a lease.
    for cause in [LeaseReturned, LeaseExpired] {
        let step = step("BM-1", 1);
        refused(
            &mut line,
            Event::Voided { step, cause },
            Refused::WrongCause(cause),
        );
    }
    refused(
        &mut line,
        lease_voided("BM-1", 1, LeaseReturned),
        over("BM-1", 1, "spent"),
    );
    line.ok(voided("BM-1", 1));
    refused(&mut line, spent("BM-1", 1), wrong_attempt("BM-1", 2, 1));
    line.ok(spent_with("BM-2", 1, |step| {
        step.device_id = device("BM-1")
    }));
    line.check();
}

#[test]
fn an_expired_lease_is_voided_by_anybody_and_no_sooner() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    let runs = Refused::LeaseRuns {
        serial: serial("BM-1"),
        expires: at(LASTS),
    };
    let expired = || lease_voided("BM-1", 1, LeaseExpired);
    let early = later(&mut line, LASTS - 1, expired());
    assert_eq!(early.unwrap_err(), runs);
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.leases_expired(at(LASTS - 1), 9).unwrap(), []);
    assert_eq!(reader.leases_expired(at(LASTS), 9).unwrap().len(), 1);
    drop(reader);
    later(&mut line, LASTS, expired()).unwrap();
    counts(&line, [0, 0, 1, 10]);
    line.check();
}

/// A unit that was built in time is a unit, whenever its station finds a network.
#[test]
fn an_upload_after_the_lease_expired_takes_its_place_again() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    later(&mut line, LASTS, lease_voided("BM-1", 1, LeaseExpired)).unwrap();
    counts(&line, [0, 0, 1, 10]);
    let met = line.ok(spent("BM-1", 1));
    counts(&line, [1, 0, 0, 9]);
    let reader = line.ledger.reader().unwrap();
    let row = reader.lease(&serial("BM-1")).unwrap().unwrap();
    assert_eq!(row.voided, Some(LeaseExpired));
    assert_eq!(row.spent_seq, Some(met));
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 3);
    drop(reader);
    line.ok(loaded("BM-1", 1));
    line.ok(sealed("BM-1", 1));
    line.check();
}

#[test]
fn a_late_upload_is_refused_when_the_serial_or_its_place_is_gone() {
    let mut line = Line::new();
    for unit in ["BM-1", "BM-2", "BM-3"] {
        line.ok(leased(unit, 1));
        later(&mut line, LASTS, lease_voided(unit, 1, LeaseExpired)).unwrap();
    }
    // Another bench took the serial meanwhile, and gave it up again.
    line.ok(issue("BM-1", 2));
    let taken = line.try_one(spent("BM-1", 1)).unwrap_err();
    assert!(matches!(taken, Refused::SerialInUse { .. }), "{taken}");
    line.ok(voided("BM-1", 2));
    refused(&mut line, spent("BM-1", 1), wrong_attempt("BM-1", 3, 1));
    // All places are taken.
    for n in 10..20 {
        line.ok(issue(&format!("BM-{n}"), 1));
    }
    let full = Refused::QuotaSpent {
        order: order("WO-1"),
        quantity: 10,
    };
    refused(&mut line, spent("BM-2", 1), full);
    for n in 10..20 {
        line.ok(loaded(&format!("BM-{n}"), 1));
        line.ok(sealed(&format!("BM-{n}"), 1));
    }
    line.ok(order_closed("WO-1"));
    let closed = Refused::OrderClosed(order("WO-1"));
    refused(&mut line, spent("BM-2", 1), closed);
    line.check();
}

#[test]
fn a_revoked_station_neither_leases_nor_spends_and_what_it_holds_is_voided() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    refused(
        &mut line,
        lease_voided("BM-1", 1, StationRevoked),
        Refused::NotRevoked(station("bench-1")),
    );
    line.ok(revoked("bench-1"));
    let gone = Refused::StationRevoked(station("bench-1"));
    refused(&mut line, leased("BM-2", 1), gone.clone());
    refused(&mut line, spent("BM-1", 1), gone.clone());
    for cause in [LeaseReturned, ReplyLost] {
        refused(&mut line, lease_voided("BM-1", 1, cause), gone.clone());
    }
    for cause in [VoidCause::ReadBack, VoidCause::Swapped] {
        refused(
            &mut line,
            lease_voided("BM-1", 1, cause),
            Refused::WrongCause(cause),
        );
    }
    refused(
        &mut line,
        lease_voided("BM-1", 1, VoidCause::RecordLost),
        Refused::Recovery("nothing was lost"),
    );
    line.ok(lease_voided("BM-1", 1, StationRevoked));
    counts(&line, [0, 0, 1, 10]);
    let elsewhere = issue_with("BM-1", 2, |issued| {
        issued.step.station = station("bench-2");
    });
    line.ok(elsewhere);
    line.check();
}

#[test]
fn a_line_that_is_stopped_leases_nothing_and_takes_what_was_built() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(Event::LineStopped {
        order: order("WO-1"),
        serial: serial("BM-9"),
        station: station("bench-1"),
        clause: "1(3)(a)".into(),
        detector: "counter".into(),
        evidence: "9 of 9 draws count on".into(),
    });
    assert!(matches!(
        line.try_one(leased("BM-2", 1)),
        Err(Refused::LineStopped { .. })
    ));
    line.ok(spent("BM-1", 1));
    line.check();
}

/// Whoever takes a lease out of the file, or makes one up, is seen.
#[test]
fn a_row_that_was_altered_is_found() {
    for (sql, expected) in [
        ("DELETE FROM leases", "missing"),
        ("DELETE FROM lease_counts", "missing"),
        (
            "UPDATE leases SET expires_ms = expires_ms + 1",
            "not what the entries add up to",
        ),
        (
            "UPDATE leases SET voided = 'lease_returned', voided_seq = 9",
            "not what the entries add up to",
        ),
        (
            "UPDATE leases SET voided = 'mood', voided_seq = 9",
            "damaged",
        ),
        (
            "UPDATE lease_counts SET returned = 0",
            "not what the entries add up to",
        ),
    ] {
        let mut line = Line::new();
        line.ok(leased("BM-1", 1));
        line.ok(lease_voided("BM-1", 1, LeaseReturned));
        line.ok(leased("BM-2", 1));
        let db = rusqlite::Connection::open(&line.path).unwrap();
        db.execute(sql, []).unwrap();
        let report = line.verify();
        let found = report.findings.iter().any(|it| it.what.contains(expected));
        assert!(found, "{sql}: {report:?}");
    }
}

/// Entries that the rules forbid do not verify, however they came into the file.
#[test]
fn a_forged_lease_is_found() {
    for event in [
        spent("BM-2", 1),
        leased("BM-1", 2),
        issue("BM-1", 2),
        lease_voided("BM-1", 1, LeaseExpired),
    ] {
        let mut line = Line::new();
        line.ok(leased("BM-1", 1));
        let seq = forge(
            &rusqlite::Connection::open(&line.path).unwrap(),
            event.clone(),
        );
        let report = line.verify();
        let found = report.findings.iter();
        let mut found = found.filter(|it| it.what.contains("the rules forbid it"));
        assert!(found.any(|it| it.seq == Some(seq)), "{event:?}: {report:?}");
    }
}

#[test]
fn a_bundle_with_leases_verifies() {
    let mut line = Line::new();
    line.ok(leased("BM-1", 1));
    line.ok(leased("BM-2", 1));
    line.ok(spent("BM-1", 1));
    line.ok(lease_voided("BM-2", 1, LeaseReturned));
    line.check();
    let out = line.folder.path().join("out");
    export(&line.path, line.key.vkey(), &out).unwrap();
    let report = verify_bundle(&out, line.key.vkey()).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.is_clean());
}

/// A file that no newer software wrote to yet has no such tables, and nobody had a lease.
#[test]
fn an_older_file_is_read_as_it_is() {
    let mut line = Line::new();
    line.seal("BM-1");
    let db = rusqlite::Connection::open(&line.path).unwrap();
    db.execute_batch("DROP TABLE leases; DROP TABLE lease_counts; PRAGMA user_version = 6;")
        .unwrap();
    drop(db);
    let report = line.verify();
    assert_eq!(report.findings, [], "{report:?}");
    let reader = line.ledger.reader().unwrap();
    assert_eq!(reader.lease(&serial("BM-1")).unwrap(), None);
    assert_eq!(reader.leases_held(&station("bench-1")).unwrap(), []);
    assert_eq!(reader.leases_expired(at(0), 9).unwrap(), []);
    assert_eq!(reader.lease_count(&order("WO-1")).unwrap().leased, 0);
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 3);
    let (path, key) = (line.path.clone(), line.key.clone());
    let Line { ledger, folder, .. } = line;
    drop((reader, ledger));
    // The next writer brings it up to date, and goes on.
    let mut ledger = ledger::Ledger::open(&path).unwrap();
    let outcome = ledger.append(&[change(vec![leased("BM-2", 1)])], key.as_ref());
    outcome.unwrap()[0].clone().unwrap();
    drop((ledger, folder));
}
