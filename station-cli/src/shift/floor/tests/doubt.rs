//! What must not be taken for something else, nor be passed by, nor go on for ever.

use traveler::{Attempt, Digest};

use super::*;
use crate::journal::{Issued, Ticket};

#[test]
fn a_serial_stays_with_the_slot_that_a_unit_was_put_in() {
    let mut bench = Bench::staffed();
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.hear(1, SlotEvent::Present(Presence::Silent)); // it starts
    bench.scan("SLOT2", true, "SLOT");
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    bench.unit(2, "00000002");
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), ["start 2 A48 B-7", "start 1 A47 B-7"]);
}

#[test]
fn a_slot_that_is_scanned_late_or_by_another_gets_no_serial() {
    let mut bench = Bench::staffed();
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.gone(1);
    bench.later(31);
    bench.scan("SLOT2", true, "SLOT");
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("CANCEL", false, "NOT_NOW"); // slot 2 has none
    bench.later(31);
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.scan("B-8", true, "HELLO");
    bench.scan("SLOT3", true, "SLOT");
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
    // So is a serial that waits for a slot.
    let mut bench = Bench::staffed();
    for slot in 1..=2 {
        bench.unit(slot, &format!("0000000{slot}"));
    }
    bench.scan("A47", true, "SCAN_SLOT");
    bench.later(31);
    bench.scan("SLOT1", true, "SLOT");
    assert_eq!(bench.done(), [""; 0]);
}

#[test]
fn a_slot_that_was_named_and_is_not_free_gets_no_serial_nor_does_another() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.scan("SLOT1", true, "SLOT");
    bench.scan("A48", false, "SLOT_NOT_FREE");
    bench.tile(2, Tone::Empty, "EMPTY", None);
    bench.scan("A48", true, "PUT_IN_SLOT"); // said again, it names none
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
}

#[test]
fn a_serial_is_in_one_slot_alone() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("WRONG_PRODUCT"), Outcome::Refused, false);
    bench.gone(1);
    bench.scan("SLOT2", true, "SLOT");
    bench.start(2, "A47");
    bench.tile(1, Tone::Empty, "EMPTY", None);
    bench.label(2);
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    assert_eq!(bench.done(), ["label 2 20"]);
}

/// A label names the unit it was printed for, not the one it was stuck on.
#[test]
fn with_two_labels_at_hand_the_slot_is_scanned_first() {
    let mut bench = Bench::staffed();
    for (slot, serial) in [(1, "A47"), (2, "A48")] {
        bench.start(slot, serial);
        bench.label(slot);
    }
    bench.tile(1, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
    bench.scan("BM1:A47:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
    bench.scan("BM1:A48:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("SLOT1", true, "SCAN_LABEL");
    bench.tile(1, Tone::Action, "LABEL", Some("SCAN_LABEL"));
    bench.tile(2, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.tile(1, Tone::Running, "RUNNING", None);
    bench.tile(2, Tone::Action, "LABEL", Some("SCAN_LABEL"));
    bench.scan("BM1:A48:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    assert_eq!(bench.done(), ["label 1 20", "label 2 20"]);
}

/// The label prints the serial as a bar code too, and an imager reads whichever it meets first.
#[test]
fn the_serial_of_a_label_shows_no_slot_and_hides_none() {
    for slot_before_label in [false, true] {
        let mut bench = Bench::staffed();
        bench.floor.rules.slot_before_label = slot_before_label;
        for (slot, serial) in [(1, "A47"), (2, "A48")] {
            bench.start(slot, serial);
            bench.label(slot);
        }
        for (slot, serial) in [(1, "A47"), (2, "A48")] {
            let label = format!("BM1:{serial}:K7QDM2X9TR4W");
            bench.scan(serial, true, "SCAN_SLOT_FIRST");
            bench.tile(slot, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
            bench.scan(&label, false, "SCAN_SLOT_FIRST");
        }
        // A bar code of one label and the label of another are no swap: nobody said where they are.
        bench.scan("A47", true, "SCAN_SLOT_FIRST");
        bench.scan("BM1:A48:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
        // Between a slot and its label it changes nothing, whichever label it is of.
        bench.scan("SLOT1", true, "SCAN_LABEL");
        bench.scan("A48", true, "SCAN_SLOT_FIRST");
        bench.scan("BM1:A48:K7QDM2X9TR4W", false, "LABELS_SWAPPED");
        bench.scan("A48", true, "SCAN_SLOT_FIRST");
        bench.scan("BM1:A48:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
        assert_eq!(bench.done(), [""; 0]);
        bench.scan("SLOT1", true, "SCAN_LABEL");
        bench.scan("A47", true, "SCAN_LABEL");
        bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
        assert_eq!(bench.done(), ["label 1 20"]);
    }
}

/// Both labels stick, and then one of the units waits for something else.
#[test]
fn a_label_that_may_be_out_counts_where_its_unit_does_not_wait_for_it() {
    let ends: [fn(&mut Bench); 4] = [
        |bench| bench.end(2, Some("NO_SCAN"), Outcome::Loaded, true),
        |bench| bench.end(2, Some("NO_SERVER"), Outcome::Loaded, true),
        |bench| bench.end(2, Some("CABLE"), Outcome::Loaded, true),
        |bench| bench.hear(2, SlotEvent::Stage(Stage::Lock)), // the printer is being asked
    ];
    for end in ends {
        let mut bench = Bench::staffed();
        for (slot, serial) in [(1, "A47"), (2, "A48")] {
            bench.start(slot, serial);
            bench.label(slot);
        }
        end(&mut bench);
        bench.tile(1, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
        bench.scan("BM1:A47:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
        assert_eq!(bench.done(), [""; 0]);
        bench.scan("SLOT1", true, "SCAN_LABEL");
        bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    }
    // A unit that has none yet, or is done, costs no scan.
    let mut bench = Bench::staffed();
    bench.scan("SLOT2", true, "SLOT");
    bench.start(2, "A48");
    bench.end(2, Some("NO_SERVER"), Outcome::Refused, true);
    bench.start(1, "A47");
    bench.label(1);
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.hear(1, SlotEvent::Stage(Stage::Seal));
    bench.later(5);
    bench.label(2);
    bench.scan("BM1:A48:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.pass(1);
    bench.pass(2);
    assert!(bench.floor.slots.iter().all(|slot| !slot.label_out));
}

/// A power cut after both labels were stuck: the first unit that is back is not alone.
#[test]
fn a_label_that_was_out_before_a_power_cut_counts_too() {
    for (reached, says) in [
        (Reached::Labelled, "SCAN_SLOT_FIRST"),
        (Reached::Printing, "SCAN_SLOT_FIRST"),
        (Reached::Locked, "LABEL_TAKEN"),
    ] {
        let mut bench = Bench::staffed();
        let journal = [("A47", 1), ("A48", 2)].map(|(serial, slot)| Open {
            issued: Some(Issued {
                attempt: Attempt(1),
                ticket: Ticket(Vec::new()),
                leased: false,
                product_sha256: None,
                bundle_sha256: Digest([0; 32]),
                certificate_sha256: Digest([0; 32]),
                reached,
                reprint: 0,
            }),
            ..open(serial, &format!("/p{slot}"), &format!("0000000{slot}"))
        });
        bench.floor.replay(&journal);
        bench.unit(1, "00000001");
        bench.label(1);
        bench.scan("BM1:A47:K7QDM2X9TR4W", says == "LABEL_TAKEN", says);
    }
}

/// Where one unit alone waits, its label is enough, whichever of its codes is read first.
#[test]
fn a_label_alone_needs_no_slot() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.label(1);
    bench.scan("A47", true, "SCAN_LABEL");
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    assert_eq!(bench.done(), ["label 1 20"]);
}

#[test]
fn a_void_label_is_told_from_a_wrong_one() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.label(1);
    bench.end(1, Some("VOID_LABEL"), Outcome::Loaded, true);
    bench.label(1);
    bench.tile(1, Tone::Fail, "LABEL", Some("VOID_LABEL"));
    assert_eq!(bench.floor.tiles(bench.now)[0].number, 307);
}

#[test]
fn a_line_that_has_stopped_begins_nothing_again() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.start(2, "A48");
    bench.end(1, Some("GENERATOR_UNFIT"), Outcome::Stop, false);
    bench.comm(2);
    assert_eq!(bench.done(), [""; 0]);
}

#[test]
fn with_nobody_there_only_a_badge_counts() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.label(1);
    bench.scan("LOGOUT", true, "GOODBYE");
    for text in ["SLOT1", "BM1:A47:K7QDM2X9TR4W", "A48", "CANCEL", "REPRINT"] {
        bench.scan(text, false, "SCAN_BADGE");
    }
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("B-8", true, "HELLO");
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
}

#[test]
fn a_unit_that_drops_each_time_is_not_tried_for_ever() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    for _ in 0..2 {
        bench.end(1, Some("CABLE"), Outcome::Rework, true);
        bench.unit(1, "00000001");
        assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    }
    bench.end(1, Some("CABLE"), Outcome::Rework, true);
    bench.unit(1, "00000001");
    bench.tile(1, Tone::Fail, "FAIL", Some("CALL_LEAD"));
    assert_eq!(bench.done(), [""; 0]);
}

#[test]
fn a_lead_is_not_passed_by_taking_the_unit_out_or_by_the_journal() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    for _ in 0..3 {
        bench.end(1, Some("FAIL_COMM"), Outcome::Rework, true);
    }
    bench.done();
    bench.floor.replay(&[open("A47", "/p1", "00000001")]);
    bench.tile(1, Tone::Fail, "FAIL", Some("CALL_LEAD"));
    bench.gone(1);
    bench.scan("A47", false, "NEEDS_LEAD");
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("A47", true, "PUT_IN_SLOT");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
}

#[test]
fn a_unit_that_was_never_begun_can_be_given_up() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("PORT_MISSING"), Outcome::Refused, false);
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SCRAP", true, "WITHDRAWING");
    bench.hear(1, SlotEvent::Withdrawn(Err("NOTHING_OPEN")));
    bench.gone(1);
    bench.done();
    bench.start(1, "A48"); // the slot is free again
    bench.end(1, Some("PORT_MISSING"), Outcome::Refused, false);
    bench.scan("CANCEL", true, "SLOT");
    bench.tile(1, Tone::Empty, "EMPTY", None);
    // One that was begun stays.
    bench.start(1, "A49");
    bench.end(1, Some("CABLE"), Outcome::Rework, true);
    bench.scan("CANCEL", false, "NOT_NOW");
    // A withdrawal that the server did not hear is told it again.
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SCRAP", true, "WITHDRAWING");
    bench.hear(1, SlotEvent::Withdrawn(Err("NO_SERVER")));
    bench.tile(1, Tone::Offline, "OFFLINE", Some("WITHDRAWING"));
    bench.done();
    bench.later(4);
    assert_eq!(bench.done(), [""; 0]);
    bench.later(1);
    assert_eq!(bench.done(), ["withdraw 1 A49 L-1 true"]);
    // It is away until it has answered, and asked once at a time.
    bench.later(60);
    assert_eq!(bench.done(), [""; 0]);
    bench.tile(1, Tone::Offline, "OFFLINE", Some("WITHDRAWING"));
    bench.hear(1, SlotEvent::Withdrawn(Ok(())));
    bench.tile(1, Tone::Fail, "FAIL", Some("SCRAPPED"));
}

#[test]
fn a_port_that_does_not_open_is_amber_and_heard() {
    let mut bench = Bench::staffed();
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.done.clear();
    for _ in 0..2 {
        bench.hear(1, SlotEvent::Present(Presence::Busy));
    }
    assert_eq!(bench.done, ["Action"], "once");
    bench.tile(1, Tone::Action, "ACTION", Some("PORT_BUSY"));
    bench.later(20); // the turn says what is the matter
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.end(1, Some("PORT_UNUSABLE"), Outcome::Refused, false);
    bench.tile(1, Tone::Action, "ACTION", Some("PORT_UNUSABLE"));
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    let turned = Turned {
        reason: Some("PORT_BUSY"),
        outcome: Outcome::Refused,
        device_id: None,
        open: false,
        port: Some(PortTrouble::Held("modem (7)".to_owned())),
        used: None,
    };
    bench.hear(1, SlotEvent::Ended(turned));
    let said = bench.floor.banner().said;
    assert_eq!((said.key, said.serial.as_str()), ("PORT_HELD", "modem (7)"));
}

#[test]
fn a_used_serial_says_where_and_when() {
    for (reason, word, says) in [
        ("DUPLICATE_UNIT", "USED", "USED_AT"),
        ("OTHER_STATION", "ACTION", "BEGUN_AT"),
    ] {
        let mut bench = Bench::staffed();
        bench.start(1, "A47");
        let turned = Turned {
            reason: Some(reason),
            outcome: Outcome::Refused,
            device_id: None,
            open: false,
            port: None,
            used: Some("bench-3 14:02".to_owned()),
        };
        bench.hear(1, SlotEvent::Ended(turned));
        bench.tile(1, Tone::Action, word, Some(says));
        let tile = &bench.floor.tiles(Duration::ZERO)[0];
        let said = tile.says.as_ref().unwrap();
        assert_eq!(said.serial, "bench-3 14:02");
    }
}

#[test]
fn a_seal_is_broken_by_a_lead_and_qa_together() {
    for (command, scrap, says) in [("REWORK", false, "WITHDRAWN"), ("SCRAP", true, "SCRAPPED")] {
        let mut bench = Bench::staffed();
        bench.start(1, "A47");
        bench.pass(1);
        bench.done();
        bench.scan(command, false, "NEEDS_TWO");
        bench.scan("L-1", true, "LEAD_HERE");
        bench.scan(command, false, "NEEDS_TWO");
        bench.scan("Q-1", true, "QA_HERE");
        bench.scan(command, true, "WITHDRAWING");
        assert_eq!(
            bench.done(),
            [format!("break 1 A47 00000001 L-1 Q-1 {scrap}")]
        );
        bench.hear(1, SlotEvent::Withdrawn(Err("NO_SERVER"))); // it is asked again
        bench.later(20);
        assert_eq!(
            bench.done(),
            [format!("break 1 A47 00000001 L-1 Q-1 {scrap}")]
        );
        bench.hear(1, SlotEvent::Withdrawn(Ok(())));
        assert_eq!(bench.floor.banner().said.key, says);
        // Each badge counts once.
        bench.scan(command, false, "NOT_POSSIBLE");
    }
}

#[test]
fn a_seal_that_was_not_broken_is_one_still_and_old_badges_count_for_none() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("SAME_UNIT"), Outcome::Refused, false);
    bench.scan("Q-1", true, "QA_HERE");
    bench.later(61);
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SCRAP", false, "NEEDS_TWO");
    bench.scan("Q-1", true, "QA_HERE");
    bench.scan("SCRAP", true, "WITHDRAWING");
    bench.hear(1, SlotEvent::Withdrawn(Err("WRONG_STATE")));
    let held = bench.floor.tiles(Duration::ZERO)[0].tone;
    assert_eq!(held, Tone::Fail, "and nothing of it is under way");
    // Something under way takes a lead alone, as before.
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("NO_SCAN"), Outcome::Loaded, true);
    bench.done();
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("REWORK", true, "WITHDRAWING");
    assert_eq!(bench.done(), ["withdraw 1 A47 L-1 false"]);
}

#[test]
fn a_scanner_that_is_lost_is_seen_and_heard_once() {
    let mut bench = Bench::staffed();
    bench.done.clear();
    assert!(!bench.floor.scanner_is_here(true));
    assert!(bench.floor.scanner_is_here(false));
    assert!(!bench.floor.scanner_is_here(false));
    bench.note();
    assert_eq!(bench.done, ["Action"]);
    let notices = bench.floor.banner().notices;
    let keys: Vec<&str> = notices.iter().map(|(_, said)| said.key).collect();
    assert_eq!(keys, ["SCANNER_LOST"]);
    assert!(bench.floor.scanner_is_here(true));
    assert_eq!(bench.floor.banner().notices, []);
}
