//! Labels that were stuck on each other's unit.

use super::*;

#[test]
fn labels_that_are_swapped_are_both_refused() {
    let mut bench = Bench::staffed();
    for (slot, serial) in [(1, "A47"), (2, "A48"), (3, "A49")] {
        bench.start(slot, serial);
        bench.label(slot);
    }
    bench.scan("SLOT1", true, "SCAN_LABEL");
    bench.scan("BM1:A48:K7QDM2X9TR4W", false, "LABELS_SWAPPED");
    let said = bench.floor.banner().said;
    assert_eq!(said.serial, "1 <-> 2");
    for slot in [1, 2] {
        bench.tile(slot, Tone::Fail, "LABEL", Some("LABELS_SWAPPED"));
    }
    bench.tile(3, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
    assert_eq!(bench.done(), [""; 0]);
    // From now on each has to show that it is on the right one.
    bench.scan("BM1:A48:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
    bench.scan("SLOT2", true, "SCAN_LABEL");
    bench.scan("BM1:A48:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.scan("SLOT1", true, "SCAN_LABEL");
    bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.scan("BM1:A49:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    assert_eq!(bench.done(), ["label 2 20", "label 1 20", "label 3 20"]);
}

/// Slots 1 and 2 wait for their labels and were found to have each other's.
fn swapped() -> Bench {
    let mut bench = Bench::staffed();
    for (slot, serial) in [(1, "A47"), (2, "A48")] {
        bench.start(slot, serial);
        bench.label(slot);
    }
    bench.scan("SLOT1", true, "SCAN_LABEL");
    bench.scan("BM1:A48:K7QDM2X9TR4W", false, "LABELS_SWAPPED");
    for slot in [1, 2] {
        bench.tile(slot, Tone::Fail, "LABEL", Some("LABELS_SWAPPED"));
    }
    bench
}

/// Nobody is sent to take the label of a unit that is settled, or of the next one in its slot.
#[test]
fn a_swapped_label_whose_other_half_is_settled_is_not_to_be_changed_any_more() {
    let alone = |bench: &mut Bench| {
        bench.tile(1, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
        bench.scan("BM1:A47:K7QDM2X9TR4W", false, "SCAN_SLOT_FIRST");
        bench.scan("SLOT1", true, "SCAN_LABEL");
        bench.tile(1, Tone::Action, "LABEL", Some("SCAN_LABEL"));
        bench.scan("BM1:A47:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    };
    // Its label was taken, its unit sealed and taken out, and another one begun.
    let mut bench = swapped();
    bench.scan("SLOT2", true, "SCAN_LABEL");
    bench.scan("BM1:A48:K7QDM2X9TR4W", true, "LABEL_TAKEN");
    bench.tile(1, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
    assert_eq!(bench.done(), ["label 2 20"]);
    bench.pass(2);
    bench.gone(2);
    bench.start(2, "A50");
    bench.label(2);
    bench.tile(2, Tone::Action, "LABEL", Some("SCAN_SLOT_FIRST"));
    alone(&mut bench);
    // It broke off, or its cable is out.
    for reason in ["SERVER_FAULT", "CABLE"] {
        let mut bench = swapped();
        bench.end(2, Some(reason), Outcome::Rework, true);
        bench.floor.stopped = None;
        alone(&mut bench);
    }
    // It was found to have a third one's.
    let mut bench = swapped();
    bench.start(3, "A49");
    bench.label(3);
    bench.scan("SLOT2", true, "SCAN_LABEL");
    bench.scan("BM1:A49:K7QDM2X9TR4W", false, "LABELS_SWAPPED");
    for slot in [2, 3] {
        bench.tile(slot, Tone::Fail, "LABEL", Some("LABELS_SWAPPED"));
    }
    alone(&mut bench);
}
