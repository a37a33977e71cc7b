//! A small shift with all that goes wrong in one: the station in a terminal, its scanner the only
//! way in. `line-sim shift --units 200` is the large one.

use std::time::Duration;

use serde_json::json;

use crate::binaries::{binaries, run_within};

/// What the whole shift may take on a busy machine; it takes half a minute on one that is not.
const WITHIN: Duration = Duration::from_secs(240);

#[test]
fn a_shift_loses_nothing_whatever_is_pulled_cut_or_swapped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shift").display().to_string();
    let arguments = [
        ["--format", "json"],
        ["shift", "--units=20"],
        ["--slots", "4"],
        ["--seed", "5"],
        ["--cut", "8"],
        ["--data", &data],
    ];
    let done = run_within(&binaries().line_sim, arguments.as_flattened(), WITHIN).ok();
    let fact = done.json();
    for none in ["lost", "duplicates", "wrong_labels", "leaks"] {
        assert_eq!(fact[none], json!([]), "{fact}");
    }
    assert_eq!(fact["log_is_clean"], true, "{fact}");
    let order = &fact["order"];
    let zero = ["scrapped", "open", "not_started"].map(|name| order[name].as_u64());
    assert_eq!(
        (order["sealed"].as_u64(), zero),
        (Some(20), [Some(0); 3]),
        "{fact}"
    );
    // What did not happen proves nothing.
    for (what, times) in [
        ("power cuts", 2),
        ("network cuts", 1),
        ("paper out", 2),
        ("units left in", 1),
        ("units swapped", 1),
        ("wrong products", 1),
        ("labels swapped", 1),
        ("nonsense scanned", 1),
        ("cables pulled", 2),
    ] {
        assert_eq!(fact["troubles"][what], times, "{what}: {fact}");
    }
    // What the operator saw.
    for (screen, words) in [
        ("same-unit", "SAME UNIT"),
        ("swapped", "E-205"),
        ("wrong-product", "WRONG PRODUCT"),
        ("paper-out", "CHECK PAPER AND PRINTER"),
        ("labels-swapped", "<->"),
        ("offline", "NO SERVER"),
        ("put-back", "PUT BACK"),
    ] {
        let path = folder.path().join(format!("shift/screens/{screen}.txt"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(words), "no {words} in {screen}:\n{text}");
    }
}
