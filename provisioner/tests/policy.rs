//! `provisioner policy` as a process: what scripts rely on, and each reason a policy is refused for.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Exit code, stdout, stderr.
fn run(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioner"));
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

/// Judges a policy file of these lines behind name and version.
#[track_caller]
fn check(lines: &str, code: i32, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name = \"mine\"\nversion = 1\n{lines}");
    std::fs::write(folder.path().join("mine.toml"), text).unwrap();
    let (got, out, err) = run(&["policy", "check", "mine.toml"], folder.path());
    assert_eq!(got, code, "{lines}: {out}{err}");
    let said = if code == 2 { err } else { out };
    assert!(said.contains(expected), "{lines}: {said}");
}

#[test]
fn a_policy_file_is_good_refused_or_unusable() {
    let rest = "length = 12\nfloor_bits = 48\n";
    let with = |lines: &str| format!("{lines}\n{rest}");
    check(
        &with("alphabet = \"23456789ABCDEFGHJKMNPQRSTVWXYZ\""),
        0,
        "GOOD    mine version 1",
    );
    check(
        &with("alphabet = \"0123456789\""),
        1,
        "REFUSED policy `mine`: 12 of 10 symbols give 39 bits, under its floor of 48",
    );
    check(&with("alphabet = \"O0\""), 1, "look alike");
    check(
        &with("alphabet = \"ABCDEFGHJKMNPQRSTVWXYZ\"\nclasses = [\"digit\"]"),
        1,
        "no draw can satisfy it: no symbol of its alphabet is of the class digit",
    );
    check(
        &with("words = [\"sea\", \"seal\"]"),
        1,
        "typed without hyphens, two passwords would be one",
    );
    check(
        "words = \"birthmark\"\nlength = 12\nfloor_bits = 60\n",
        1,
        "its longest password has 71 characters, more than 63",
    );
    check(
        "alphabet = \"0123456789\"\nlength = 5\nfloor_bits = 16\n",
        1,
        "no draw passes the gate (short, clause 1(3)(d))",
    );
    check(&with("alphabett = \"AB\""), 2, "line 3");
    check(&with("words = \"eff\""), 2, "the list \"birthmark\"");
}

#[test]
fn the_list_and_each_policy_are_facts_for_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(&["policy", "list", "--format", "json"], folder.path());
    assert_eq!(code, 0);
    let all: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(all.len(), 15);
    for fact in &all {
        let name = fact["name"].as_str().unwrap();
        let (code, out, _) = run(&["policy", "show", name, "--format", "json"], folder.path());
        assert_eq!(code, 0, "{name}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), *fact);
        assert!(
            fact["bits"].as_f64() >= fact["floor_bits"].as_f64(),
            "{fact}"
        );
        assert!(fact["longest"].as_u64() <= Some(63), "{fact}");
    }
    let bits = |name: &str| all.iter().find(|it| it["name"] == name).unwrap()["bits"].clone();
    assert_eq!(bits("uk-psti"), 60.0);
    assert_eq!(bits("de-bsi-03148"), 100.0);
    assert_eq!(bits("matter"), 26.57);
    assert_eq!(bits("homekit"), 26.57);
    assert_eq!(bits("pin-lockout"), 19.93);
    assert_eq!(bits("passphrase"), 62.03);

    let short = ["policy", "show", "uk-psti", "--length", "11"];
    let (code, out, _) = run(&short, folder.path());
    assert_eq!(code, 1);
    assert!(out.starts_with("REFUSED"), "{out}");
    let (code, _, err) = run(&["policy", "show", "uk-psri"], folder.path());
    assert_eq!(code, 2);
    assert!(
        err.contains("no password policy is named `uk-psri`"),
        "{err}"
    );
    let (code, _, err) = run(&["policy", "check", "none.toml"], folder.path());
    assert_eq!(code, 2);
    assert!(
        err.contains("cannot read the policy file none.toml"),
        "{err}"
    );
}
