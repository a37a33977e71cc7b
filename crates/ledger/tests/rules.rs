//! Each rule of the line by one minimal test: what it refuses, and that nothing was written.

#![allow(clippy::unwrap_used)] // a test that cannot be set up must fail

mod line;

use ledger::Refused;
use line::*;
use traveler::{Attempt, Event, KeyId, LabelProof, Serial, State, Step, VoidCause};

/// A fresh line where `before` happened; `event` is then refused as `expected` and leaves no
/// trace, and the log verifies.
#[track_caller]
fn check(before: Vec<Event>, event: Event, expected: Refused) {
    let mut line = Line::new();
    for event in before {
        line.ok(event);
    }
    let size = line.ledger.reader().unwrap().size().unwrap();
    assert_eq!(line.try_one(event), Err(expected));
    assert_eq!(line.ledger.reader().unwrap().size().unwrap(), size);
    line.check();
}

/// Everything in `events` happens, one after the other.
#[track_caller]
fn accept(events: Vec<Event>) -> Line {
    let mut line = Line::new();
    for event in events {
        line.ok(event);
    }
    line.check();
    line
}

fn with_step(mut event: Event, edit: impl FnOnce(&mut Step)) -> Event {
    match &mut event {
        Event::Issued(issued) => edit(&mut issued.step),
        Event::Loaded { step, .. }
        | Event::Reprinted { step, .. }
        | Event::Sealed { step, .. }
        | Event::Voided { step, .. }
        | Event::Rework { step, .. }
        | Event::Scrapped { step, .. } => edit(step),
        other => panic!("{other:?} has no step"),
    }
    event
}

fn in_use(unit: &str, state: State) -> Refused {
    Refused::SerialInUse {
        serial: serial(unit),
        state,
        station: station("bench-1"),
        order: order("WO-1"),
        since: at(0),
    }
}

fn wrong_state(state: State, wanted: State) -> Refused {
    let (serial, attempt) = (serial("BM-1"), Attempt(1));
    Refused::WrongState {
        serial,
        state,
        attempt,
        wanted,
    }
}

#[test]
fn only_the_first_entry_opens_the_log() {
    check(vec![], log_opened(&Key::new(1)), Refused::LogOpening);
}

#[test]
fn a_change_without_events_is_refused() {
    assert_eq!(Line::new().append(change(vec![])), Err(Refused::Empty));
}

#[test]
fn an_entry_too_long_for_a_bundle_is_refused() {
    let mut line = Line::new();
    let refused = line.try_one(product_applied(&"#".repeat(70_000)));
    assert!(
        matches!(refused, Err(Refused::TooLong { bytes }) if bytes > 70_000),
        "{refused:?}"
    );
    line.check();
}

#[test]
fn a_definition_must_have_its_digest() {
    let mut event = product_applied("one");
    if let Event::ProductApplied { definition, .. } = &mut event {
        *definition = "two".into();
    }
    check(vec![], event, Refused::DefinitionDigest(sku("CAM-2")));
}

#[test]
fn an_order_needs_a_known_product() {
    let mut event = order_created("WO-2", 1, 0);
    if let Event::OrderCreated { product, .. } = &mut event {
        *product = sku("CAM-3");
    }
    check(vec![], event, Refused::UnknownProduct(sku("CAM-3")));
}

#[test]
fn an_order_is_made_under_the_newest_definition() {
    let newer = product_applied("sku = \"CAM-2\"\nlabel = true\n");
    check(
        vec![newer],
        order_created("WO-2", 1, 0),
        Refused::ProductChanged(sku("CAM-2")),
    );
}

#[test]
fn an_order_name_is_used_once() {
    check(
        vec![],
        order_created("WO-1", 5, 0),
        Refused::OrderExists(order("WO-1")),
    );
}

#[test]
fn an_order_is_for_at_least_one_unit() {
    check(
        vec![],
        order_created("WO-2", 0, 0),
        Refused::NoQuantity(order("WO-2")),
    );
}

#[test]
fn an_unknown_order_takes_no_unit_and_cannot_be_closed() {
    let event = with_step(issue("BM-1", 1), |step| step.order = order("WO-9"));
    check(vec![], event, Refused::UnknownOrder(order("WO-9")));
    check(
        vec![],
        order_closed("WO-9"),
        Refused::UnknownOrder(order("WO-9")),
    );
}

#[test]
fn a_closed_order_takes_no_unit() {
    let closed = || Refused::OrderClosed(order("WO-1"));
    check(vec![order_closed("WO-1")], issue("BM-1", 1), closed());
    check(vec![order_closed("WO-1")], order_closed("WO-1"), closed());
    let sealed = vec![
        issue("BM-1", 1),
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        order_closed("WO-1"),
    ];
    check(sealed, rework("BM-1", 1), closed());
}

#[test]
fn an_order_with_units_under_way_stays_open() {
    let open = || Refused::UnitsOpen {
        order: order("WO-1"),
        open: 1,
    };
    check(vec![issue("BM-1", 1)], order_closed("WO-1"), open());
    let reworked = vec![
        issue("BM-1", 1),
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        rework("BM-1", 1),
    ];
    check(reworked, order_closed("WO-1"), open());
    accept(vec![
        issue("BM-1", 1),
        voided("BM-1", 1),
        order_closed("WO-1"),
    ]);
}

#[test]
fn an_order_has_as_many_places_as_units() {
    let all = (1..=10).map(|n| issue(&format!("BM-{n}"), 1)).collect();
    check(
        all,
        issue("BM-11", 1),
        Refused::QuotaSpent {
            order: order("WO-1"),
            quantity: 10,
        },
    );
}

#[test]
fn a_void_frees_a_place_and_a_scrapped_unit_keeps_one() {
    let mut line = Line::new();
    for n in 1..=10 {
        line.ok(issue(&format!("BM-{n}"), 1));
    }
    line.ok(voided("BM-1", 1));
    line.ok(scrapped("BM-1", 1));
    let spent = Refused::QuotaSpent {
        order: order("WO-1"),
        quantity: 10,
    };
    assert_eq!(line.try_one(issue("BM-11", 1)), Err(spent.clone()));
    line.ok(voided("BM-2", 1));
    line.ok(issue("BM-11", 1));
    assert_eq!(line.try_one(scrapped("BM-2", 1)), Err(spent));
    line.check();
}

#[test]
fn a_unit_in_rework_keeps_its_place() {
    let mut line = Line::new();
    line.ok(order_created("WO-2", 1, 3));
    let in_2 = |event| with_step(event, |step| step.order = order("WO-2"));
    for event in [
        issue("BM-1", 1),
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        rework("BM-1", 1),
    ] {
        line.ok(in_2(event));
    }
    let spent = Refused::QuotaSpent {
        order: order("WO-2"),
        quantity: 1,
    };
    assert_eq!(line.try_one(in_2(issue("BM-2", 1))), Err(spent));
    line.ok(in_2(issue("BM-1", 2)));
    line.check();
}

#[test]
fn voids_and_reworks_draw_on_the_allowance() {
    let mut before = vec![issue("BM-1", 1), loaded("BM-1", 1), sealed("BM-1", 1)];
    before.extend([
        rework("BM-1", 1),
        issue("BM-1", 2),
        voided("BM-1", 2),
        issue("BM-1", 3),
    ]);
    before.extend([voided("BM-1", 3), issue("BM-1", 4), voided("BM-1", 4)]);
    let spent = Refused::AllowanceSpent {
        order: order("WO-1"),
        allowance: 3,
        voided: 3,
        reworked: 1,
    };
    check(before, issue("BM-1", 5), spent);
}

#[test]
fn a_station_must_be_known() {
    let elsewhere = |step: &mut Step| step.station = station("bench-9");
    let unknown = || Refused::UnknownStation(station("bench-9"));
    check(vec![], with_step(issue("BM-1", 1), elsewhere), unknown());
    check(vec![], enrolled("bench-9", "token"), unknown());
    check(vec![], revoked("bench-9"), unknown());
    let sealed = vec![issue("BM-1", 1), loaded("BM-1", 1), sealed("BM-1", 1)];
    check(sealed, with_step(scrapped("BM-1", 1), elsewhere), unknown());
}

#[test]
fn an_invited_station_does_nothing_yet() {
    let event = with_step(issue("BM-1", 1), |step| step.station = station("bench-3"));
    check(
        vec![invited("bench-3", "t")],
        event,
        Refused::NotEnrolled(station("bench-3")),
    );
}

#[test]
fn a_revoked_station_does_nothing_any_more() {
    let refused = || Refused::StationRevoked(station("bench-1"));
    let gone = || revoked("bench-1");
    check(vec![gone()], issue("BM-1", 1), refused());
    check(vec![issue("BM-1", 1), gone()], loaded("BM-1", 1), refused());
    check(
        vec![issue("BM-1", 1), loaded("BM-1", 1), gone()],
        sealed("BM-1", 1),
        refused(),
    );
    check(vec![issue("BM-1", 1), gone()], voided("BM-1", 1), refused());
    check(vec![gone()], invited("bench-1", "new token"), refused());
    check(vec![gone()], enrolled("bench-1", "token 1"), refused());
    check(vec![gone()], gone(), refused());
}

#[test]
fn what_a_revoked_station_left_is_voided_in_its_name() {
    let void = || Event::Voided {
        step: step("BM-1", 1),
        cause: VoidCause::StationRevoked,
    };
    check(
        vec![issue("BM-1", 1)],
        void(),
        Refused::NotRevoked(station("bench-1")),
    );
    accept(vec![issue("BM-1", 1), revoked("bench-1"), void()]);
}

/// A call that was overtaken must not withdraw what the unit holds; who names the attempt may.
#[test]
fn only_an_attempt_that_nobody_loaded_is_voided_by_the_issue_of_the_next() {
    let remint = || change(vec![voided("BM-1", 1), issue("BM-1", 2)]);
    let mut line = accept(vec![issue("BM-1", 1), loaded("BM-1", 1)]);
    let refused = line.ledger.append(&[remint()], line.key.as_ref()).unwrap();
    let is_loaded = Refused::WrongState {
        serial: serial("BM-1"),
        state: State::Loaded,
        attempt: Attempt(1),
        wanted: State::Issued,
    };
    assert_eq!(refused, [Err(is_loaded)]);
    line.ok(voided("BM-1", 1));
    line.ok(issue("BM-1", 2));
    line.check();

    let mut line = accept(vec![issue("BM-1", 1)]);
    let written = line.ledger.append(&[remint()], line.key.as_ref()).unwrap();
    assert!(written[0].is_ok(), "{written:?}");
    // In one batch too: the load was first.
    let batch = [
        change(vec![loaded("BM-1", 2)]),
        change(vec![voided("BM-1", 2), issue("BM-1", 3)]),
    ];
    let written = line.ledger.append(&batch, line.key.as_ref()).unwrap();
    assert_eq!(
        written.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false]
    );
    line.check();
}

#[test]
fn a_token_must_be_the_stations() {
    let unknown = || Refused::TokenUnknown(station("bench-3"));
    let invite = || vec![invited("bench-3", "right"), invited("bench-4", "other")];
    check(invite(), enrolled("bench-3", "wrong"), unknown());
    check(invite(), enrolled("bench-3", "other"), unknown());
}

#[test]
fn a_token_works_once_and_only_the_newest() {
    let spent = || Refused::TokenSpent(station("bench-1"));
    check(vec![], enrolled("bench-1", "token 1"), spent());
    let again = vec![invited("bench-1", "old"), invited("bench-1", "new")];
    check(again.clone(), enrolled("bench-1", "old"), spent());
    let line = accept([again, vec![enrolled("bench-1", "new")]].concat());
    let row = line
        .ledger
        .reader()
        .unwrap()
        .station(&station("bench-1"))
        .unwrap()
        .unwrap();
    assert_eq!(row.certificate_sha256, Some(sha256("certificate for new")));
}

#[test]
fn a_token_stops_working() {
    let mut line = Line::new();
    line.ok(invited("bench-3", "t"));
    let mut late = change(vec![enrolled("bench-3", "t")]);
    late.time = at(60);
    let expired = Refused::TokenExpired {
        station: station("bench-3"),
        expires: at(60),
    };
    assert_eq!(line.append(late.clone()), Err(expired));
    late.time = at(59);
    line.append(late).unwrap();
    line.check();
}

#[test]
fn a_token_is_given_out_once() {
    let repeated = Refused::TokenRepeated(station("bench-3"));
    check(vec![], invited("bench-3", "token 1"), repeated);
}

#[test]
fn a_unit_is_built_as_its_order_says() {
    let wrong = || Refused::WrongProduct {
        order: order("WO-1"),
        builds: sku("CAM-2"),
    };
    let other = issue_with("BM-1", 1, |issued| issued.product = sku("CAM-3"));
    check(vec![], other, wrong());
    let older = issue_with("BM-1", 1, |issued| issued.product_sha256 = sha256("older"));
    check(vec![], older, wrong());
}

#[test]
fn a_serial_is_one_unit() {
    let mut events = vec![];
    for (event, state) in [
        (issue("BM-1", 1), State::Issued),
        (loaded("BM-1", 1), State::Loaded),
        (sealed("BM-1", 1), State::Sealed),
        (scrapped("BM-1", 1), State::Scrapped),
    ] {
        events.push(event);
        check(events.clone(), issue("BM-1", 2), in_use("BM-1", state));
        let other_silicon = issue_with("BM-1", 1, |issued| issued.step.device_id = device("B"));
        check(events.clone(), other_silicon, in_use("BM-1", state));
    }
}

#[test]
fn one_piece_of_silicon_is_one_serial() {
    let again = || issue_with("BM-2", 1, |issued| issued.step.device_id = device("BM-1"));
    let (device_id, serial) = (device("BM-1"), serial("BM-1"));
    let refused = Refused::DeviceInUse { device_id, serial };
    let all = [
        issue("BM-1", 1),
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        scrapped("BM-1", 1),
    ];
    for n in 1..=all.len() {
        check(all[..n].to_vec(), again(), refused.clone());
    }
    // A scrapped unit's silicon stays scrapped, also by way of a void.
    let by_void = vec![issue("BM-1", 1), voided("BM-1", 1), scrapped("BM-1", 1)];
    check(by_void, again(), refused);
}

#[test]
fn a_voided_serials_silicon_is_free_and_its_new_owner_keeps_it() {
    let on_1 = |event| with_step(event, |step| step.device_id = device("BM-1"));
    let second = vec![
        issue("BM-1", 1),
        voided("BM-1", 1),
        issue_with("BM-2", 1, |issued| {
            *issued = issue_of(Step {
                device_id: device("BM-1"),
                ..step("BM-2", 1)
            });
        }),
    ];
    let taken = Refused::DeviceInUse {
        device_id: device("BM-1"),
        serial: serial("BM-2"),
    };
    check(second.clone(), issue("BM-1", 2), taken.clone());
    // Scrapping the first serial does not touch the silicon that is another one now.
    let line = accept([second.clone(), vec![scrapped("BM-1", 1)]].concat());
    let reader = line.ledger.reader().unwrap();
    assert_eq!(
        reader
            .unit_by_device(&device("BM-1"))
            .unwrap()
            .unwrap()
            .serial,
        serial("BM-2")
    );
    // The first serial may be another piece of silicon, and the second goes on.
    let other = Step {
        device_id: device("spare"),
        ..step("BM-1", 2)
    };
    let other = Event::Issued(Box::new(issue_of(other)));
    accept([second, vec![other, on_1(voided("BM-2", 1))]].concat());
}

#[test]
fn a_public_key_belongs_to_one_piece_of_silicon_for_ever() {
    let copied = || {
        issue_with("BM-2", 1, |issued| {
            issued.public_key_sha256 = issue_of(step("BM-1", 1)).public_key_sha256;
        })
    };
    let refused = || Refused::KeyInUse {
        device_id: device("BM-1"),
    };
    check(vec![issue("BM-1", 1)], copied(), refused());
    check(
        vec![issue("BM-1", 1), voided("BM-1", 1)],
        copied(),
        refused(),
    );
    accept(vec![issue("BM-1", 1), voided("BM-1", 1), issue("BM-1", 2)]);
}

#[test]
fn a_password_is_issued_once_in_all_history() {
    let same = |unit, attempt| {
        issue_with(unit, attempt, |issued| {
            issued.fingerprint = issue_of(step("BM-1", 1)).fingerprint;
        })
    };
    check(
        vec![issue("BM-1", 1)],
        same("BM-2", 1),
        Refused::FingerprintUsed,
    );
    check(
        vec![issue("BM-1", 1), voided("BM-1", 1)],
        same("BM-1", 2),
        Refused::FingerprintUsed,
    );
    let other_order = with_step(same("BM-2", 1), |step| step.order = order("WO-2"));
    let before = vec![issue("BM-1", 1), order_created("WO-2", 5, 0)];
    check(before, other_order, Refused::FingerprintUsed);
}

#[test]
fn fingerprints_are_comparable() {
    let given = KeyId([1; 8]);
    let event = issue_with("BM-1", 1, |issued| issued.fingerprint_key = given);
    let expected = FINGERPRINT_KEY;
    check(
        vec![],
        event,
        Refused::OtherFingerprintKey { expected, given },
    );
}

#[test]
fn a_step_needs_an_issue() {
    for event in [
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        voided("BM-1", 1),
        rework("BM-1", 1),
    ] {
        check(vec![], event, Refused::UnknownUnit(serial("BM-1")));
    }
    check(
        vec![],
        scrapped("BM-1", 1),
        Refused::UnknownUnit(serial("BM-1")),
    );
}

#[test]
fn steps_follow_the_table() {
    use State::{Issued, Loaded, Rework, Scrapped, Sealed, Voided};
    let ways: [(State, Vec<Event>); 6] = [
        (Issued, vec![issue("BM-1", 1)]),
        (Loaded, vec![issue("BM-1", 1), loaded("BM-1", 1)]),
        (
            Sealed,
            vec![issue("BM-1", 1), loaded("BM-1", 1), sealed("BM-1", 1)],
        ),
        (Voided, vec![issue("BM-1", 1), voided("BM-1", 1)]),
        (
            Rework,
            vec![
                issue("BM-1", 1),
                loaded("BM-1", 1),
                sealed("BM-1", 1),
                rework("BM-1", 1),
            ],
        ),
        (
            Scrapped,
            vec![issue("BM-1", 1), voided("BM-1", 1), scrapped("BM-1", 1)],
        ),
    ];
    for (from, way) in ways {
        for (to, event) in [
            (Loaded, loaded("BM-1", 1)),
            (Sealed, sealed("BM-1", 1)),
            (Voided, voided("BM-1", 1)),
            (Rework, rework("BM-1", 1)),
            (Scrapped, scrapped("BM-1", 1)),
        ] {
            if to.may_follow(Some(from)) {
                drop(accept([way.clone(), vec![event]].concat()));
            } else {
                check(way.clone(), event, wrong_state(from, to));
            }
        }
    }
}

#[test]
fn attempts_are_counted_one_by_one() {
    let refused = |expected, given| Refused::WrongAttempt {
        serial: serial("BM-1"),
        expected: Attempt(expected),
        given: Attempt(given),
    };
    check(vec![], issue("BM-1", 2), refused(1, 2));
    check(
        vec![issue("BM-1", 1), voided("BM-1", 1)],
        issue("BM-1", 1),
        refused(2, 1),
    );
    check(
        vec![issue("BM-1", 1), voided("BM-1", 1)],
        issue("BM-1", 3),
        refused(2, 3),
    );
    let second = vec![issue("BM-1", 1), voided("BM-1", 1), issue("BM-1", 2)];
    check(second, loaded("BM-1", 1), refused(2, 1));
}

#[test]
fn a_swapped_unit_is_noticed() {
    let swapped = with_step(loaded("BM-1", 1), |step| step.device_id = device("B"));
    let (expected, given) = (device("BM-1"), device("B"));
    let refused = Refused::OtherDevice {
        serial: serial("BM-1"),
        expected,
        given,
    };
    check(vec![issue("BM-1", 1)], swapped, refused.clone());
    let reworked = vec![
        issue("BM-1", 1),
        loaded("BM-1", 1),
        sealed("BM-1", 1),
        rework("BM-1", 1),
    ];
    let another = issue_with("BM-1", 2, |issued| issued.step.device_id = device("B"));
    check(reworked, another, refused);
}

#[test]
fn a_unit_stays_in_its_order() {
    let elsewhere = |event| with_step(event, |step| step.order = order("WO-2"));
    let refused = || Refused::OtherOrder {
        serial: serial("BM-1"),
        order: order("WO-1"),
    };
    let mut before = vec![order_created("WO-2", 5, 5), issue("BM-1", 1)];
    check(before.clone(), elsewhere(loaded("BM-1", 1)), refused());
    before.extend([loaded("BM-1", 1), sealed("BM-1", 1), rework("BM-1", 1)]);
    check(before, elsewhere(issue("BM-1", 2)), refused());
    // A voided unit holds no place, so its serial may be built under another order.
    let voided = vec![
        order_created("WO-2", 5, 5),
        issue("BM-1", 1),
        voided("BM-1", 1),
    ];
    accept([voided, vec![elsewhere(issue("BM-1", 2))]].concat());
}

#[test]
fn an_open_attempt_belongs_to_its_station() {
    let elsewhere = |event| with_step(event, |step| step.station = station("bench-2"));
    let refused = |state| Refused::OtherStation {
        serial: serial("BM-1"),
        state,
        station: station("bench-1"),
        since: at(0),
    };
    let issued = vec![issue("BM-1", 1)];
    check(
        issued.clone(),
        elsewhere(loaded("BM-1", 1)),
        refused(State::Issued),
    );
    check(
        issued.clone(),
        elsewhere(voided("BM-1", 1)),
        refused(State::Issued),
    );
    let both = [issued, vec![loaded("BM-1", 1)]].concat();
    check(
        both.clone(),
        elsewhere(sealed("BM-1", 1)),
        refused(State::Loaded),
    );
    accept([both, vec![sealed("BM-1", 1), elsewhere(rework("BM-1", 1))]].concat());
}

#[test]
fn a_receipt_is_for_what_was_issued() {
    let mut event = loaded("BM-1", 1);
    if let Event::Loaded { bundle_sha256, .. } = &mut event {
        *bundle_sha256 = sha256("another bundle");
    }
    let (serial, attempt) = (serial("BM-1"), Attempt(1));
    check(
        vec![issue("BM-1", 1)],
        event,
        Refused::BundleMismatch { serial, attempt },
    );
}

#[test]
fn rework_takes_two_people() {
    let sealed = || vec![issue("BM-1", 1), loaded("BM-1", 1), sealed("BM-1", 1)];
    for people in [vec![], vec!["QA-1"], vec!["QA-1", "QA-1"]] {
        let by = people.into_iter().map(str::to_owned).collect();
        let event = Event::Rework {
            step: step("BM-1", 1),
            reason: "scratch".into(),
            by,
        };
        check(sealed(), event, Refused::OnePerson(serial("BM-1")));
    }
}

#[test]
fn a_seal_is_scrapped_by_two_people_and_what_is_not_sealed_by_anybody() {
    let sealed = || vec![issue("BM-1", 1), loaded("BM-1", 1), sealed("BM-1", 1)];
    for people in [&[][..], &["QA-1"], &["QA-1", "QA-1"]] {
        let event = scrapped_by("BM-1", 1, people);
        check(sealed(), event, Refused::OnePerson(serial("BM-1")));
    }
    accept([sealed(), vec![scrapped_by("BM-1", 1, &["L-1", "QA-1"])]].concat());
    let voided = vec![issue("BM-1", 1), voided("BM-1", 1)];
    accept([voided, vec![scrapped_by("BM-1", 1, &[])]].concat());
}

#[test]
fn the_whole_life_of_a_unit() {
    let line = accept(vec![
        issue("BM-1", 1),
        voided("BM-1", 1),
        issue("BM-1", 2),
        loaded("BM-1", 2),
        sealed("BM-1", 2),
        rework("BM-1", 2),
        issue("BM-1", 3),
        loaded("BM-1", 3),
        Event::Sealed {
            step: step("BM-1", 3),
            label: LabelProof::NoLabel,
            reprint: 0,
        },
    ]);
    let reader = line.ledger.reader().unwrap();
    let unit = reader.unit(&serial("BM-1")).unwrap().unwrap();
    assert_eq!((unit.attempt, unit.state), (Attempt(3), State::Sealed));
    assert_eq!(reader.traveler(&serial("BM-1")).unwrap().len(), 9);
    let row = reader.order(&order("WO-1")).unwrap().unwrap();
    assert_eq!((row.sealed, row.open, row.not_started), (1, 0, 9));
    assert_eq!((row.voided, row.reworked, row.scrapped), (1, 1, 0));
    assert_eq!(
        reader
            .last_step_seq(&serial("BM-1"), State::Sealed)
            .unwrap(),
        Some(15)
    );
    assert_eq!(
        reader
            .last_step_seq(&serial("BM-1"), State::Scrapped)
            .unwrap(),
        None
    );
    assert_eq!(reader.unit(&Serial::parse("BM-9").unwrap()).unwrap(), None);
}
