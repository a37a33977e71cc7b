//! Units that have to come back to where they were begun.

use super::*;

/// Locked, and not done: who takes it for a finished one puts it where nobody looks for it.
#[test]
fn a_unit_under_way_in_the_wrong_slot_is_sent_to_its_own() {
    for locked in [true, false] {
        let mut bench = Bench::staffed();
        bench.floor.replay(&[open("A47", "/p2", "00000002")]);
        let id = DeviceId::parse("00000002").unwrap();
        let there = match locked {
            true => Presence::Locked(id.clone()),
            false => Presence::Unit(id.clone()),
        };
        bench.hear(1, SlotEvent::Present(there.clone()));
        bench.tile(1, Tone::Action, "PUT_BACK", Some("PUT_BACK_IN"));
        let says = bench.floor.tiles(bench.now)[0].says.clone().unwrap();
        assert_eq!((says.serial.as_str(), says.slot), ("A47", 2));
        // It is no new unit, whatever is scanned.
        bench.scan("SLOT1", false, "PUT_BACK_IN");
        bench.scan("A48", false, "SLOT_NOT_FREE");
        bench.scan("A48", true, "PUT_IN_SLOT");
        bench.tile(3, Tone::Ready, "READY", Some("PUT_IN"));
        bench.hear(3, SlotEvent::Present(there));
        bench.later(60);
        assert_eq!(bench.done(), [""; 0], "nor for who waits for one");
        bench.tile(3, Tone::Action, "PUT_BACK", Some("PUT_BACK_IN"));
        bench.gone(1);
        bench.tile(1, Tone::Empty, "EMPTY", None);
        bench.hear(2, SlotEvent::Present(Presence::Locked(id)));
        // Slot 3 has not seen yet that it is gone.
        assert_eq!(bench.done(), ["start 2 A47 B-7"]);
        bench.tile(3, Tone::Ready, "READY", Some("PUT_IN"));
    }
}

/// The same of one whose cable was pulled.
#[test]
fn a_unit_that_is_reconnected_in_the_wrong_slot_is_sent_to_its_own() {
    let mut bench = Bench::staffed();
    bench.start(1, "A47");
    bench.end(1, Some("CABLE"), Outcome::Rework, true);
    bench.unit(2, "00000001");
    bench.tile(2, Tone::Action, "PUT_BACK", Some("PUT_BACK_IN"));
    bench.scan("A48", true, "PUT_IN_SLOT");
    bench.tile(3, Tone::Ready, "READY", Some("PUT_IN"));
    assert_eq!(bench.done(), [""; 0]);
}
