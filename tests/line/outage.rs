//! The token fails under load while server and token are processes of their own; the long version is
//! `line-sim bench outage`, whose figures are in the README.

use crate::binaries::{binaries, run};

/// Far beyond what is promised, for machines that do other things as well.
const BACK_WITHIN_S: f64 = 10.0;

fn check(hsm: &str, rounds: u64) {
    let number = rounds.to_string();
    let arguments = ["bench", "outage", "--hsm", hsm, "--rounds", &number];
    let more = ["--clients", "4", "--format", "json"];
    let said = run(&binaries().line_sim, &[&arguments[..], &more].concat());
    let said = said.ok().json();
    assert_eq!(said["rounds"], rounds, "{said}");
    for none in ["lost", "duplicate"] {
        assert_eq!(said[none], 0, "{said}");
    }
    assert_eq!(said["server_restarted"], false, "{said}");
    assert_eq!(said["log_findings"], serde_json::json!([]), "{said}");
    assert!(said["units"].as_u64().unwrap() > rounds, "{said}");
    let slowest = said["back"]["max_s"].as_f64().unwrap();
    assert!(slowest < BACK_WITHIN_S, "{said}");
}

#[test]
fn a_simulator_that_is_killed_paused_and_reset_costs_no_unit() {
    check("sim", 3);
}

#[test]
fn the_same_by_its_pkcs11_module() {
    check("sim-pkcs11", 3);
}

#[test]
fn tokens_of_softhsm_that_are_pulled_and_put_back_cost_no_unit() {
    check("softhsm", 2);
}

/// So few units that their keys have no index on disk yet.
#[test]
fn a_short_log_is_asked_as_a_long_one_is() {
    let ask = ["bench", "audit", "--units", "1000", "--format", "json"];
    let said = run(&binaries().line_sim, &ask).ok().json();
    assert_eq!(said["units"], 1_000, "{said}");
    assert!(said["audit"]["unit"]["median_s"].as_f64().unwrap() > 0.0);
}
