//! The line with its keys in SoftHSM, and what other people's tool sees of them.

use std::process::Command;

use crate::binaries::{binaries, run};
use crate::site::{provisioner_on, text};

const UNITS: usize = 6;

#[test]
fn the_demo_runs_on_softhsm_and_no_key_can_leave_it() {
    let folder = tempfile::tempdir().unwrap();
    let (units, data) = (UNITS.to_string(), text(folder.path()));
    let arguments = [
        "demo", "--hsm", "softhsm", "--units", &units, "--data", &data,
    ];
    let said = run(
        &binaries().line_sim,
        &[&arguments[..], &["--format", "json"]].concat(),
    );
    let said = said.ok().json();
    assert_eq!(
        (&said["ok"], &said["sealed"]),
        (&true.into(), &UNITS.into())
    );
    let site = folder.path().join("provisioner");
    provisioner_on(&site, &["audit", "verify"]).ok();
    let record = std::fs::read_to_string(site.join("ceremony.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert!(
        record["ceremony"]["model"]
            .as_str()
            .unwrap()
            .contains("SoftHSM")
    );

    let modules = ["/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm"];
    let mut modules = modules.map(|it| format!("{it}/libsofthsm2.so")).into_iter();
    let module = modules
        .find(|it| std::path::Path::new(it).exists())
        .unwrap();
    // The PIN of a token that goes with its folder; that tool takes it from its environment.
    let pin = std::fs::read_to_string(folder.path().join("hsm/pin")).unwrap();
    let listed = Command::new("pkcs11-tool")
        .args(["--module", &module, "--login", "--pin", "env:TOOL_PIN"])
        .args(["--token-label", "birthmark demo", "--list-objects"])
        .env("SOFTHSM2_CONF", folder.path().join("hsm/softhsm2.conf"))
        .env("TOOL_PIN", pin)
        .output()
        .expect("tests/run installs Debian's opensc");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let access = "Access:     sensitive, always sensitive, never extractable, local";
    assert_eq!(listed.matches(access).count(), 6, "{listed}");
    for key in record["ceremony"]["keys"].as_array().unwrap() {
        let label = format!("label:      {}\n", key["key"].as_str().unwrap());
        assert!(listed.contains(&label), "{listed}");
    }
}
