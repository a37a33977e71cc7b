//! A shift without a terminal, a port or a clock.

mod away;
mod back;
mod doubt;
mod labels;

use super::*;
use crate::shift::card::Tone;
use crate::shift::scan::tests::reading;

/// A bench of three, and what it was told to do.
struct Bench {
    floor: Floor,
    now: Duration,
    done: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        let rules = Rules {
            order: OrderId::parse("WO-1").unwrap(),
            retries: 2,
            lock_after: 3,
            answer_within: Duration::from_secs(20),
            slot_before_label: false,
        };
        let slots = (1..=3).map(|number| (number, format!("/p{number}")));
        Bench {
            floor: Floor::new(rules, slots),
            now: Duration::ZERO,
            done: Vec::new(),
        }
    }

    /// With somebody there.
    fn staffed() -> Bench {
        let mut bench = Bench::new();
        bench.scan("B-7", true, "HELLO");
        bench
    }

    #[track_caller]
    fn scan(&mut self, text: &str, accepted: bool, says: &str) {
        let heard = self.floor.scan(reading().tell(text), self.now);
        assert_eq!((heard.accepted, heard.says), (accepted, says), "{text}");
        self.note();
    }

    fn hear(&mut self, slot: usize, event: SlotEvent) {
        self.floor.hear(slot - 1, event, self.now);
        self.note();
    }

    fn note(&mut self) {
        for todo in self.floor.todo() {
            self.done.push(match todo {
                Do::Start {
                    slot,
                    serial,
                    operator,
                    ..
                } => {
                    format!("start {} {serial} {operator}", slot + 1)
                }
                Do::Label { slot, text } => format!("label {} {}", slot + 1, text.len()),
                Do::NoLabel { slot } => format!("no label {}", slot + 1),
                Do::Withdraw {
                    slot,
                    serial,
                    operator,
                    second: None,
                    scrap,
                } => {
                    format!("withdraw {} {serial} {operator} {scrap}", slot + 1)
                }
                Do::Withdraw {
                    slot,
                    serial,
                    operator,
                    second: Some(Second { badge, unit }),
                    scrap,
                } => {
                    let by = format!("{operator} {badge}");
                    format!("break {} {serial} {unit} {by} {scrap}", slot + 1)
                }
                Do::Reprint {
                    slot,
                    serial,
                    operator,
                } => format!("reprint {} {serial} {operator}", slot + 1),
                Do::Journal => "journal".to_owned(),
                Do::Sound(sound) => format!("{sound:?}"),
            });
        }
    }

    /// What was done since this was asked last, without noises.
    fn done(&mut self) -> Vec<String> {
        let noises = ["Pass", "Fail", "Action"];
        let mut done = std::mem::take(&mut self.done);
        done.retain(|what| !noises.contains(&what.as_str()));
        done
    }

    fn unit(&mut self, slot: usize, id: &str) {
        let id = DeviceId::parse(id).unwrap();
        self.hear(slot, SlotEvent::Present(Presence::Unit(id)));
    }

    fn end(&mut self, slot: usize, reason: Option<&'static str>, outcome: Outcome, open: bool) {
        let device_id = DeviceId::parse("00000001").ok();
        self.hear(
            slot,
            SlotEvent::Ended(Turned {
                reason,
                outcome,
                device_id,
                open,
                port: None,
                used: None,
            }),
        );
    }

    fn pass(&mut self, slot: usize) {
        self.end(slot, None, Outcome::Sealed, false);
    }

    fn comm(&mut self, slot: usize) {
        self.end(slot, Some("FAIL_COMM"), Outcome::Rework, false);
    }

    fn label(&mut self, slot: usize) {
        self.hear(slot, SlotEvent::Stage(Stage::Label));
    }

    fn gone(&mut self, slot: usize) {
        self.hear(slot, SlotEvent::Present(Presence::Nothing));
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.floor.advance(self.now);
        self.note();
    }

    #[track_caller]
    fn tile(&self, slot: usize, tone: Tone, word: &str, says: Option<&str>) {
        let tile = self.floor.tiles(self.now).swap_remove(slot - 1);
        let said = tile.says.as_ref().map(|said| said.key);
        assert_eq!((tile.tone, tile.word, said), (tone, word, says), "{tile:?}");
    }

    /// A unit that is on its way in this slot.
    fn start(&mut self, slot: usize, serial: &str) {
        self.scan(serial, true, "PUT_IN_SLOT");
        self.unit(slot, "00000001");
        assert_eq!(self.done(), [format!("start {slot} {serial} B-7")]);
    }
}

fn open(serial: &str, port: &str, id: &str) -> Open {
    Open {
        serial: Serial::parse(serial).unwrap(),
        order: OrderId::parse("WO-0").unwrap(),
        port: port.to_owned(),
        device_id: DeviceId::parse(id).unwrap(),
        issued: None,
        withdraw: None,
    }
}

#[test]
fn a_unit_from_scan_to_empty_slot() {
    let mut bench = Bench::new();
    bench.scan("A47", false, "SCAN_BADGE");
    bench.scan("B-7", true, "HELLO");
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    assert_eq!(bench.done(), [""; 0], "not before the unit is there");
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.tile(1, Tone::Running, "RUNNING", None);
    bench.label(1);
    bench.tile(1, Tone::Action, "LABEL", Some("SCAN_LABEL"));
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    assert_eq!(bench.done(), ["label 1 20"]);
    bench.pass(1);
    bench.tile(1, Tone::Pass, "PASS", Some("PASS"));
    // It sticks while the unit is in, and when it is out, until the next scan.
    bench.unit(1, "00000001");
    bench.tile(1, Tone::Pass, "PASS", Some("PASS"));
    bench.gone(1);
    bench.later(3_600);
    bench.tile(1, Tone::Pass, "PASS", Some("PASS"));
    bench.scan("SLOT1", true, "SLOT");
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
}

#[test]
fn a_badge_or_nonsense_in_place_of_a_serial_is_only_a_beep() {
    let mut bench = Bench::staffed();
    for text in ["", "HALLO WELT", "A4", "BM1:A47:", "\u{1b}[2J", "SLOT"] {
        bench.done.clear();
        bench.scan(text, false, "WRONG_CODE");
        assert_eq!(bench.done, ["Action"], "{text}");
    }
    bench.scan("B-8", true, "HELLO");
    bench.scan("SLOT9", false, "NO_SUCH_SLOT");
    for slot in 1..=3 {
        bench.tile(slot, Tone::Empty, "EMPTY", None);
    }
}

#[test]
fn the_slot_may_be_scanned_before_or_after_the_serial() {
    let mut bench = Bench::staffed();
    bench.scan("SLOT3", true, "SLOT");
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.tile(3, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.scan("SLOT2", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Empty, "EMPTY", None);
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("A47", false, "IN_WORK");
    bench.scan("A49", true, "PUT_IN_SLOT");
    bench.scan("A50", false, "NO_FREE_SLOT");
    bench.scan("CANCEL", true, "SLOT");
    bench.tile(1, Tone::Empty, "EMPTY", None);
}

#[test]
fn a_unit_that_is_in_already_gets_the_serial() {
    let mut bench = Bench::staffed();
    bench.unit(2, "00000002");
    bench.tile(2, Tone::Ready, "READY", Some("SCAN_SERIAL"));
    bench.scan("A47", true, "PUT_IN_SLOT");
    assert_eq!(bench.done(), ["start 2 A47 B-7"]);
    // With two in, nobody guesses.
    bench.unit(1, "00000001");
    bench.unit(3, "00000003");
    bench.scan("A48", true, "SCAN_SLOT");
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("SLOT3", true, "PUT_IN_SLOT");
    assert_eq!(bench.done(), ["start 3 A48 B-7"]);
}

#[test]
fn the_unit_that_was_left_in_is_amber_and_gets_nothing() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.pass(1);
    bench.unit(1, "00000001");
    bench.scan("A48", true, "PUT_IN_SLOT"); // in the next slot
    bench.scan("SLOT1", false, "TAKE_OUT");
    bench.tile(1, Tone::Action, "SAME_UNIT", Some("SAME_UNIT"));
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
    assert_eq!(bench.done(), [""; 0]);
    bench.unit(1, "00000009"); // changed so fast that nobody saw it empty
    bench.scan("SLOT1", true, "PUT_IN_SLOT");
    assert_eq!(bench.done(), ["start 1 A48 B-7"]);
}

#[test]
fn a_unit_that_was_left_in_over_a_restart_is_taken_out() {
    let mut bench = Bench::staffed();
    let id = DeviceId::parse("00000001").unwrap();
    bench.hear(1, SlotEvent::Present(Presence::Locked(id)));
    bench.tile(1, Tone::Action, "SAME_UNIT", Some("TAKE_OUT"));
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("SLOT1", false, "TAKE_OUT");
    bench.gone(1);
    bench.scan("SLOT1", true, "PUT_IN_SLOT");
    assert_eq!(bench.done(), [""; 0]);
}

#[test]
fn after_a_swap_the_other_unit_is_no_new_one() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("SWAPPED"), Outcome::Rework, false);
    bench.tile(1, Tone::Fail, "SWAPPED", Some("SWAPPED"));
    bench.unit(1, "00000009");
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.tile(2, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("SLOT1", false, "SLOT_NOT_FREE");
    bench.gone(1);
    bench.scan("SLOT1", true, "PUT_IN_SLOT");
}

#[test]
fn two_tries_by_itself_then_a_lead() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.comm(1);
    bench.tile(1, Tone::Running, "RUNNING", Some("TRY"));
    bench.comm(1);
    assert_eq!(bench.done(), ["start 1 A47 B-7"; 2]);
    bench.comm(1);
    assert_eq!(bench.done(), [""; 0]);
    bench.tile(1, Tone::Fail, "FAIL", Some("CALL_LEAD"));
    bench.scan("RETRY", false, "NEEDS_LEAD");
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("RETRY", true, "SLOT");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.comm(1);
    bench.scan("RETRY", false, "NEEDS_LEAD"); // a badge counts once
    bench.scan("L-1", true, "LEAD_HERE");
    bench.later(61);
    bench.scan("RETRY", false, "NEEDS_LEAD"); // and not for long
}

#[test]
fn a_slot_locks_itself_after_three_fails_in_a_row() {
    let mut bench = Bench::staffed();
    for (number, serial) in ["A47", "A48", "A49"].into_iter().enumerate() {
        bench.scan("SLOT2", true, "SLOT");
        bench.scan(serial, true, "PUT_IN_SLOT");
        bench.unit(2, "00000001");
        for _ in 0..3 {
            bench.comm(2);
        }
        bench.gone(2);
        let locked = if number < 2 { Tone::Fail } else { Tone::Locked };
        assert_eq!(bench.floor.tiles(bench.now)[1].tone, locked);
    }
    bench.tile(2, Tone::Locked, "LOCKED", Some("CHECK_PINS"));
    bench.scan("SLOT2", false, "NEEDS_LEAD");
    bench.scan("A50", false, "SLOT_NOT_FREE"); // it was to go there
    bench.scan("A50", true, "PUT_IN_SLOT"); // in another slot
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SLOT2", true, "UNLOCKED");
    bench.tile(2, Tone::Fail, "FAIL", Some("CALL_LEAD"));
    bench.scan("SLOT2", true, "PUT_IN_SLOT");
}

#[test]
fn a_silent_unit_is_begun_after_a_while_and_fails() {
    let mut bench = Bench::staffed();
    bench.scan("A47", true, "PUT_IN_SLOT");
    bench.hear(1, SlotEvent::Present(Presence::Silent));
    bench.later(6);
    bench.tile(1, Tone::Ready, "READY", Some("NO_ANSWER"));
    assert_eq!(bench.done(), [""; 0]);
    bench.later(15);
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
}

#[test]
fn a_pulled_cable_waits_for_the_same_unit() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("CABLE"), Outcome::Rework, true);
    bench.tile(1, Tone::Action, "RECONNECT", Some("CABLE"));
    bench.unit(1, "00000002");
    assert_eq!(bench.done(), [""; 0], "not that one");
    bench.tile(1, Tone::Action, "RECONNECT", Some("CABLE"));
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
}

#[test]
fn a_server_or_a_printer_that_is_away_is_asked_again() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("NO_SERVER"), Outcome::Rework, true);
    bench.tile(1, Tone::Offline, "OFFLINE", Some("NO_SERVER"));
    let (tone, said) = bench.floor.banner().notices.remove(0);
    assert_eq!((tone, said.key), (Tone::Offline, "OFFLINE"));
    bench.later(4);
    assert_eq!(bench.done(), [""; 0]);
    bench.later(1);
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.hear(1, SlotEvent::Stage(Stage::Server));
    bench.tile(1, Tone::Offline, "OFFLINE", Some("NO_SERVER")); // it may be away still
    bench.hear(1, SlotEvent::Stage(Stage::Greet));
    bench.tile(1, Tone::Running, "RUNNING", None);
    bench.end(1, Some("PRINTER"), Outcome::Loaded, true);
    bench.tile(1, Tone::Action, "PRINTER", Some("PRINTER"));
    bench.scan("REPRINT", true, "REPRINTING"); // now, not in a while
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.scan("REPRINT", false, "NOT_NOW");
}

#[test]
fn a_label_is_printed_again_under_its_next_number() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.hear(1, SlotEvent::Stage(Stage::Printer));
    bench.tile(1, Tone::Action, "PRINTER", Some("SCAN_OR_REPRINT"));
    bench.scan("REPRINT", true, "REPRINTING");
    assert_eq!(bench.done(), ["no label 1"], "the turn ends first");
    bench.end(1, Some("LABEL_UNKNOWN"), Outcome::Loaded, true);
    assert_eq!(bench.done(), ["reprint 1 A47 B-7"]);
    bench.hear(1, SlotEvent::Reprinted(Ok(())));
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
    bench.label(1);
    // This one came out, says the printer: whoever doubts it is a lead.
    bench.scan("REPRINT", false, "NEEDS_LEAD");
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("REPRINT", true, "REPRINTING");
    bench.end(1, Some("NO_SCAN"), Outcome::Loaded, true);
    assert_eq!(bench.done(), ["no label 1", "reprint 1 A47 B-7"]);
    bench.later(7);
    assert_eq!(bench.floor.tiles(bench.now)[0].seconds, 7);
    bench.hear(1, SlotEvent::Reprinted(Err("PRINTER")));
    bench.tile(1, Tone::Action, "PRINTER", Some("PRINTER"));
    // One that came out after all, as the scanner shows, needs no other.
    bench.later(5);
    bench.hear(1, SlotEvent::Stage(Stage::Printer));
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.pass(1);
    assert_eq!(bench.done(), ["start 1 A47 B-7", "label 1 20"]);
}

#[test]
fn a_label_nobody_waits_for_goes_to_nobody() {
    let mut bench = Bench::staffed();
    bench.scan("BM1:A48:K7QDM2X9TR4W", false, "NO_LABEL_WANTED");
    bench.start(1, "A47");
    bench.scan("BM1:A47:K7QDM2X9TR4W", false, "NO_LABEL_WANTED"); // not printed yet
    bench.label(1);
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.scan("BM1:A47:K7QDM2X9TR4W", false, "NO_LABEL_WANTED"); // twice
    assert_eq!(bench.done(), ["label 1 20"]);
    bench.end(1, Some("WRONG_LABEL"), Outcome::Loaded, true);
    bench.label(1);
    bench.tile(1, Tone::Fail, "LABEL", Some("WRONG_LABEL"));
    bench.scan("SLOT1", true, "SCAN_LABEL");
    bench.scan("BM1:X99:K7QDM2X9TR4W", false, "WRONG_LABEL");
}

#[test]
fn after_a_power_cut_the_slot_waits_for_its_unit_alone() {
    let mut bench = Bench::new();
    bench.floor.replay(&[
        open("A47", "/p2", "00000002"),
        open("A40", "/p9", "00000003"),
    ]);
    let (tone, said) = bench.floor.banner().notices.remove(0);
    assert_eq!(
        (tone, said.key, said.slot),
        (Tone::Action, "PUT_BACK_IN", 2)
    );
    bench.tile(2, Tone::Action, "PUT_BACK", Some("PUT_IN"));
    bench.unit(2, "00000002");
    assert_eq!(bench.done(), [""; 0], "nobody is there");
    bench.scan("B-7", true, "HELLO");
    assert_eq!(bench.done(), ["start 2 A47 B-7"]);

    let mut bench = Bench::staffed();
    bench.floor.replay(&[open("A47", "/p2", "00000002")]);
    bench.scan("SLOT2", true, "SLOT");
    bench.scan("A48", false, "SLOT_NOT_FREE");
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.tile(1, Tone::Ready, "READY", Some("PUT_IN"));
    bench.unit(2, "00000009");
    bench.scan("SLOT2", false, "SLOT_NOT_FREE");
    assert_eq!(bench.done(), [""; 0], "it does nothing else");
    bench.scan("SCRAP", false, "NEEDS_LEAD");
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SCRAP", true, "WITHDRAWING");
    assert_eq!(bench.done(), ["withdraw 2 A47 L-1 true"]);
    bench.later(9);
    assert_eq!(bench.floor.tiles(bench.now)[1].seconds, 9);
    bench.hear(2, SlotEvent::Withdrawn(Ok(())));
    bench.tile(2, Tone::Fail, "FAIL", Some("SCRAPPED"));
    bench.gone(2);
    bench.scan("SLOT2", true, "PUT_IN_SLOT");
}

#[test]
fn what_is_sealed_is_not_undone_by_a_lead_alone() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.pass(1);
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SCRAP", false, "NEEDS_TWO");
    bench.scan("REWORK", false, "NEEDS_TWO");
    assert_eq!(bench.done(), [""; 0]);
}

/// The reply to its seal was lost, and then somebody gave it up.
#[test]
fn what_was_sealed_before_it_was_given_up_is_a_good_unit() {
    for scrap in [false, true] {
        let mut bench = Bench::staffed();
        bench.start(1, "A47");
        bench.end(1, Some("NO_SERVER"), Outcome::Loaded, true);
        bench.scan("L-1", true, "LEAD_HERE");
        let command = if scrap { "SCRAP" } else { "REWORK" };
        bench.scan(command, true, "WITHDRAWING");
        assert_eq!(bench.done(), [format!("withdraw 1 A47 L-1 {scrap}")]);
        bench.hear(1, SlotEvent::Withdrawn(Err("SEALED_ALREADY")));
        bench.tile(1, Tone::Pass, "PASS", Some("SEALED_ALREADY"));
        assert_eq!(bench.done(), ["journal"]);
        // One that is not known to be locked is still on record: it has to come back.
        bench.floor.replay(&[open("A47", "/p1", "00000001")]);
        bench.tile(1, Tone::Action, "PUT_BACK", Some("PUT_IN"));
    }
}

#[test]
fn a_stop_stops_all_slots_until_a_lead_goes_on() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.end(1, Some("GENERATOR_UNFIT"), Outcome::Stop, false);
    bench.tile(1, Tone::Stop, "STOP", Some("GENERATOR_UNFIT"));
    bench.unit(2, "00000002");
    bench.scan("A49", false, "STOPPED");
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("RETRY", false, "NEEDS_LEAD");
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("RETRY", true, "SCAN_SERIAL");
    assert_eq!(bench.done(), ["start 1 A47 B-7", "start 2 A48 B-7"]);
}

#[test]
fn a_slot_that_breaks_off_harms_no_other() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.start(2, "A48");
    bench.hear(1, SlotEvent::Died);
    assert_eq!(bench.done(), ["journal"]);
    bench.floor.replay(&[open("A47", "/p1", "00000001")]);
    bench.tile(1, Tone::Locked, "LOCKED", Some("SLOT_DIED"));
    bench.tile(2, Tone::Running, "RUNNING", None);
    bench.unit(1, "00000001");
    assert_eq!(bench.done(), [""; 0]);
    bench.scan("L-1", true, "LEAD_HERE");
    bench.scan("SLOT1", true, "UNLOCKED");
    assert_eq!(bench.done(), ["start 1 A47 B-7"]);
}

#[test]
fn the_end_of_a_shift_finishes_what_is_in_work() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.start(2, "A48");
    bench.label(2);
    bench.scan("A49", true, "PUT_IN_SLOT");
    bench.floor.end();
    bench.note();
    assert_eq!(bench.done(), ["no label 1", "no label 2"]);
    bench.scan("A50", false, "ENDING");
    bench.unit(3, "00000003");
    assert_eq!(bench.done(), [""; 0]);
    bench.label(1);
    assert_eq!(bench.done(), ["no label 1"]);
    assert!(!bench.floor.is_idle());
    bench.pass(1);
    bench.end(2, Some("NO_SCAN"), Outcome::Loaded, true);
    assert!(bench.floor.is_idle());
}

#[test]
fn a_turn_that_hangs_is_seen() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.hear(1, SlotEvent::Stage(Stage::Load));
    bench.later(91);
    bench.tile(1, Tone::Action, "ACTION", Some("SLOT_SLOW"));
    bench.hear(1, SlotEvent::Stage(Stage::Lock)); // it waits for the printer
    bench.later(91);
    bench.tile(1, Tone::Action, "PRINTER", Some("PRINTER"));
}
