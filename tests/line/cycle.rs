//! A station's cycle over its wire time, as `line-sim bench station` measures it: that each of its two
//! servers takes the units through, in three turns. How long they take is the bench's to say.

use crate::binaries::{binaries, run};

#[test]
fn a_native_unit_is_asked_three_times_whoever_serves() {
    let few = ["--rounds", "1", "--units", "3", "--slots", "1,2"];
    let arguments = [&["bench", "station", "--format", "json"][..], &few].concat();
    let said = run(&binaries().line_sim, &arguments).ok().json();
    let settings = said["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 4, "{said}");
    for setting in settings {
        assert_eq!(setting["turns_p50"], 3.0, "{setting}");
        assert!(
            setting["cycle_over_wire_p50"].as_f64().unwrap() > 1.0,
            "{setting}"
        );
        let without = setting["from_memory_cycle_over_wire_p50"].as_f64();
        assert!(without.unwrap() > 1.0, "{setting}");
    }
}
