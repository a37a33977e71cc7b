//! What a bench shows while it goes on without a server.

use super::*;
use crate::lease::Standing;

fn outlook(away: bool, left: usize, to_upload: usize) -> Outlook {
    Outlook {
        away,
        held: Standing {
            leased: true,
            left,
            to_upload,
            ..Standing::default()
        },
        ..Outlook::default()
    }
}

#[track_caller]
fn check(bench: &Bench, expected: Option<(Tone, &str, &str, u32)>) {
    let notices = bench.floor.banner().notices;
    let found = notices.first();
    let found = found.map(|(tone, said)| (*tone, said.key, said.serial.as_str(), said.slot));
    assert_eq!(found, expected);
}

#[test]
fn everybody_sees_how_many_are_left_and_what_is_to_be_uploaded() {
    let mut bench = Bench::staffed();
    check(&bench, None);
    bench.floor.looks_out(outlook(false, 40, 0));
    check(&bench, None);
    bench.floor.looks_out(outlook(true, 37, 3));
    check(&bench, Some((Tone::Offline, "OFFLINE_LEFT", "3", 37)));
    bench.floor.looks_out(outlook(true, 0, 40));
    check(&bench, Some((Tone::Stop, "OFFLINE_LEFT", "40", 0)));
    bench.floor.looks_out(outlook(false, 0, 12));
    check(&bench, Some((Tone::Offline, "UPLOADING", "12", 0)));
    bench.floor.looks_out(outlook(false, 0, 0));
    check(&bench, None);
}

/// Nobody has to guess how long what is left may be used.
#[test]
fn everybody_sees_until_when_what_is_left_may_be_used() {
    let mut bench = Bench::staffed();
    let until = Outlook {
        until: Some("02:00".to_owned()),
        ..outlook(true, 37, 3)
    };
    bench.floor.looks_out(until);
    check(&bench, Some((Tone::Offline, "OFFLINE_UNTIL", "3", 37)));
    assert_eq!(bench.floor.banner().notices[0].1.time, "02:00");
}

#[test]
fn what_presses_more_hides_nothing() {
    let mut bench = Bench::staffed();
    bench.floor.replay(&[open("A47", "/p2", "00000002")]);
    bench.floor.replay(&[
        open("A47", "/p2", "00000002"),
        open("A40", "/p9", "00000003"),
    ]);
    let mut held = outlook(true, 3, 0);
    held.held.on_hold = ["A50", "A51"].map(|it| Serial::parse(it).unwrap()).into();
    bench.floor.looks_out(held);
    bench.floor.scanner_is_here(false);
    bench.floor.clock_is_wrong(true);
    let notices = bench.floor.banner().notices;
    let keys: Vec<&str> = notices.iter().map(|(_, said)| said.key).collect();
    assert_eq!(
        keys,
        [
            "PUT_BACK_IN",
            "SCANNER_LOST",
            "OFFLINE_LEFT",
            "ON_HOLD",
            "ON_HOLD",
            "CLOCK",
            "PUT_BACK_NOWHERE",
        ]
    );
}

#[test]
fn a_unit_on_hold_is_red_and_heard() {
    let mut bench = Bench::staffed();
    let mut held = outlook(true, 3, 0);
    held.held.on_hold = vec![Serial::parse("CAM2-00047").unwrap()];
    bench.floor.looks_out(held.clone());
    bench.floor.looks_out(held.clone());
    bench.note();
    assert_eq!(bench.done.iter().filter(|what| *what == "Fail").count(), 1);
    // How many are left is for the whole bench, and comes first.
    check(&bench, Some((Tone::Offline, "OFFLINE_LEFT", "0", 3)));
    held.away = false;
    bench.floor.looks_out(held);
    check(&bench, Some((Tone::Fail, "ON_HOLD", "...00047", 0)));
    bench.start(1, "A47");
    bench.end(1, Some("HOLD"), Outcome::Stop, true);
    bench.tile(1, Tone::Fail, "HOLD", Some("HOLD"));
}

/// It passed without the server, which refuses it: nobody may take it out as a good one.
#[test]
fn a_pass_that_is_put_on_hold_turns_red_where_it_stands() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.pass(1);
    bench.start(2, "A48");
    bench.pass(2);
    let mut held = outlook(false, 3, 0);
    held.held.on_hold = vec![Serial::parse("A47").unwrap()];
    bench.floor.looks_out(held);
    bench.tile(1, Tone::Fail, "HOLD", Some("HOLD"));
    assert_eq!(bench.floor.tiles(Duration::ZERO)[1].tone, Tone::Pass);
}

fn two_people_scrap(bench: &mut Bench) {
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("Q-1", true, "QA_HERE");
    bench.scan("SCRAP", true, "WITHDRAWING");
}

/// A unit that passed, and that two people scrap while the server is away.
fn scrapped_without_a_server() -> Bench {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.pass(1);
    bench.done();
    bench.floor.looks_out(outlook(true, 3, 1));
    two_people_scrap(&mut bench);
    bench
}

/// It is on record before anybody is told that it counts, and the server hears of it later.
#[test]
fn a_seal_that_is_broken_while_the_server_is_away_says_so() {
    let mut bench = scrapped_without_a_server();
    assert_eq!(bench.done().len(), 1);
    bench.hear(1, SlotEvent::Kept);
    bench.tile(1, Tone::Fail, "FAIL", Some("SCRAPPED"));
    assert_eq!(bench.floor.banner().said.key, "TOLD_LATER");
}

/// It was sealed elsewhere: nothing here would remember it.
#[test]
fn a_seal_of_another_station_waits_for_the_server() {
    let mut bench = scrapped_without_a_server();
    bench.hear(1, SlotEvent::Withdrawn(Err("ONLY_ONLINE")));
    bench.tile(1, Tone::Pass, "PASS", Some("PASS"));
    assert_eq!(bench.floor.banner().said.key, "ONLY_ONLINE");
    // Later, as it says.
    bench.floor.looks_out(outlook(false, 3, 0));
    two_people_scrap(&mut bench);
    bench.hear(1, SlotEvent::Withdrawn(Ok(())));
    bench.tile(1, Tone::Fail, "FAIL", Some("SCRAPPED"));
}

#[test]
fn what_is_not_leased_is_nobodys_fault_and_what_is_spent_waits() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("NOT_IN_LEASE"), Outcome::Refused, false);
    bench.tile(1, Tone::Action, "NOT_IN_LEASE", Some("NOT_IN_LEASE"));
    bench.start(2, "A48");
    bench.end(2, Some("LEASE_SPENT"), Outcome::Refused, false);
    bench.tile(2, Tone::Offline, "OFFLINE", Some("LEASE_SPENT"));
    bench.later(5);
    assert_eq!(bench.done(), ["start 2 A48 B-7"], "the server may be back");
}

/// Nobody is told to put a unit in that nobody can look for.
#[test]
fn a_bench_without_a_server_is_offline_before_anything_is_put_in() {
    let mut bench = Bench::staffed();
    bench.floor.unasked("NO_SERVER");
    for slot in [1, 2, 3] {
        bench.tile(slot, Tone::Offline, "OFFLINE", Some("NO_SERVER"));
    }
    check(&bench, Some((Tone::Offline, "OFFLINE", "", 0)));
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Offline, "OFFLINE", Some("NO_SERVER"));
    // The server is back: it looks, and goes on as ever.
    bench.gone(1);
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.gone(2);
    bench.tile(2, Tone::Empty, "EMPTY", None);
    // And it has closed the order meanwhile.
    let closed = Presence::Unasked("WORK_ORDER_CLOSED");
    bench.hear(3, SlotEvent::Present(closed));
    bench.tile(3, Tone::Action, "ACTION", Some("WORK_ORDER_CLOSED"));
}

#[test]
fn a_revoked_station_stops_with_no_unit_in_it() {
    let mut bench = Bench::staffed();
    let mut revoked = outlook(false, 0, 0);
    revoked.revoked = true;
    bench.floor.looks_out(revoked);
    check(&bench, Some((Tone::Stop, "STOPPED", "STATION_REVOKED", 0)));
    bench.scan("A47", false, "STOPPED");
}
