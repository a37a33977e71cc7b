//! `provisioner lint` as a process: what scripts rely on, and that no password is shown unasked.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

/// Exit code, stdout, stderr.
fn run(arguments: &[&str], folder: &Path, stdin: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_provisioner"))
        .arg("lint")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

/// Rows of units with consecutive serials and addresses, and a password each.
fn table(rows: usize, mut password: impl FnMut(usize, &str) -> String) -> (String, Vec<String>) {
    let mut text = "serial,mac,colour,password\n".to_owned();
    let mut passwords = vec![];
    for row in 0..rows {
        let mac = format!("021A2B{:06X}", 0x3C_4D00 + row * 7);
        let made = password(row, &mac);
        text.push_str(&format!("BM-{:06},{mac},red,{made}\n", 4_711 + row));
        passwords.push(made);
    }
    (text, passwords)
}

/// A password of the system's generator: 12 of 32 symbols.
fn drawn() -> String {
    let mut bytes = [0; 12];
    SystemRandom::new().fill(&mut bytes).unwrap();
    let symbols = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let symbol = |byte: &u8| char::from(symbols[usize::from(byte % 32)]);
    bytes.iter().map(symbol).collect()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn a_list_of_drawn_passwords_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let (text, passwords) = table(200, |_, _| drawn());
    write(folder.path(), "list.csv", &text);
    let (code, out, err) = run(&["list.csv"], folder.path(), "");
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.starts_with("CLEAN     list.csv: 200 units, each with its own password"),
        "{out}"
    );
    assert!(out.contains("Strength  at most 60 bits each; uk-psti v1 asks for 60"));
    assert!(out.contains("generate the same units twice"), "{out}");
    assert!(
        err.contains("columns that are not looked at: colour"),
        "{err}"
    );
    for password in &passwords {
        assert!(!out.contains(password) && !err.contains(password));
    }
    let (code, out, _) = run(&["-", "--format", "json"], folder.path(), &text);
    let fact: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &fact["verdict"]), (0, &Value::from("clean")));
    assert_eq!(fact["rows"], 200);
    assert_eq!(fact["bits"], 60.0);
    assert!(!fact["unseen"].as_array().unwrap().is_empty());
}

#[test]
fn a_list_made_from_addresses_is_refused_with_the_limb_and_masked() {
    let folder = tempfile::tempdir().unwrap();
    let (text, passwords) = table(60, |_, mac| mac[4..].to_owned());
    write(folder.path(), "list.csv", &text);
    let (code, out, err) = run(&["list.csv"], folder.path(), "");
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.starts_with("REFUSED   list.csv: 60 units"), "{out}");
    assert!(
        out.contains("1(3)(c)  based on or derived from unique product identifiers"),
        "{out}"
    );
    assert!(out.contains("password ********"), "{out}");
    // The address itself is on the box: what is masked is the column of passwords.
    let shown = |out: &str| {
        let column = |password: &&String| out.contains(&format!("password {password}"));
        passwords.iter().filter(column).count()
    };
    assert_eq!(shown(&out), 0, "{out}");
    let (_, out, _) = run(&["list.csv", "--show-passwords"], folder.path(), "");
    assert!(shown(&out) > 0, "{out}");
    let (code, out, _) = run(&["list.csv", "--format", "json"], folder.path(), "");
    let fact: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &fact["verdict"]), (1, &Value::from("refused")));
    let findings = fact["findings"].as_array().unwrap();
    let derived = |finding: &&Value| finding["clause"] == "1(3)(c)" && finding["class"] == "A";
    let finding = findings.iter().find(derived).unwrap();
    for field in [
        "verdict", "class", "detector", "clause", "rows", "evidence", "chance",
    ] {
        assert!(!finding[field].is_null(), "{field}: {finding}");
    }
    assert_eq!(finding["rows"], 60);
    assert_eq!(finding["lines"][0], 2);
}

#[test]
fn the_policy_decides_what_is_strong_enough() {
    let folder = tempfile::tempdir().unwrap();
    let digits = |_: usize, _: &str| {
        let mut bytes = [0; 8];
        SystemRandom::new().fill(&mut bytes).unwrap();
        format!("{:08}", u64::from_le_bytes(bytes) % 100_000_000)
    };
    let (text, _) = table(40, digits);
    write(folder.path(), "list.csv", &text);
    let (code, out, _) = run(&["list.csv"], folder.path(), "");
    assert_eq!(code, 1, "{out}");
    assert!(out.starts_with("POLICY    list.csv"), "{out}");
    assert!(!out.contains("guessed"), "{out}");
    assert!(
        out.contains("at most 26.5 bits each, under the floor"),
        "{out}"
    );
    assert!(
        out.contains("at most 26.5 bits each; uk-psti v1 asks for 60"),
        "{out}"
    );
    let (code, out, _) = run(&["list.csv", "--profile", "homekit"], folder.path(), "");
    assert_eq!(code, 0, "{out}");
    let (code, out, _) = run(&["list.csv", "--profile", "wpa-psk"], folder.path(), "");
    assert_eq!(code, 1, "{out}");
    let (text, _) = table(40, |_, _| drawn()[..7].to_owned());
    let (code, out, _) = run(&["-", "--profile", "wpa-psk"], folder.path(), &text);
    assert_eq!(code, 1);
    assert!(out.contains("under 8 symbols in 40 of 40 rows"), "{out}");
}

/// Unique per product comes first, and is no matter of chance: short codes meet by accident.
#[test]
fn two_units_with_one_password_are_refused_at_any_strength() {
    let folder = tempfile::tempdir().unwrap();
    let pin = |row: usize| format!("{:06}", (row as u64 * 740_083 + 90_001) % 999_983);
    for (rows, twice) in [(400, 7), (2, 0)] {
        let (text, _) = table(rows, |row, _| {
            pin(if row == rows - 1 { twice } else { row })
        });
        let arguments = ["-", "--profile", "pin-lockout"];
        let (code, out, _) = run(&arguments, folder.path(), &text);
        assert_eq!(code, 1, "{out}");
        assert!(out.starts_with("REFUSED   standard input"), "{out}");
        let told = out.split_once("1(2)(a)  unique per product").unwrap().1;
        assert!(told.contains("2 units share a password"), "{out}");
        for line in [twice + 2, rows + 1] {
            assert!(told.contains(&format!("line {line}  serial")), "{out}");
        }
        assert!(!told.contains(&pin(twice)), "{out}");
        let json = [&arguments[..], &["--format", "json"]].concat();
        let (code, out, _) = run(&json, folder.path(), &text);
        let fact: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &fact["verdict"]), (1, &Value::from("refused")));
    }
}

#[test]
fn the_same_password_twice_means_derived() {
    let folder = tempfile::tempdir().unwrap();
    let (first, passwords) = table(30, |_, _| drawn());
    let (same, _) = table(30, |row, _| passwords[row].clone());
    let (other, _) = table(30, |_, _| drawn());
    write(folder.path(), "first.csv", &first);
    write(folder.path(), "same.csv", &same);
    write(folder.path(), "other.csv", &other);
    let again = |second| run(&["first.csv", "--again", second], folder.path(), "");
    let (code, out, _) = again("same.csv");
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("30 of 30 units got the same password when they were generated again"),
        "{out}"
    );
    let (code, out, _) = again("other.csv");
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("0 of 30 units got the same password"), "{out}");
    let (code, _, err) = again("first.csv");
    assert_eq!(code, 2, "{err}");
    write(folder.path(), "bare.csv", "password\nK7QDM2X9TR4W\n");
    let (code, _, err) = again("bare.csv");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no unit can be matched"), "{err}");
}

#[test]
fn an_unusable_file_says_where() {
    let folder = tempfile::tempdir().unwrap();
    #[track_caller]
    fn check(folder: &Path, text: &str, expected: &str) {
        let (code, out, err) = run(&["-"], folder, text);
        assert_eq!(code, 2, "{out}{err}");
        assert!(err.contains(expected), "{err}");
        assert!(
            out.is_empty() && !err.contains("K7QDM2X9TR4W"),
            "{out}{err}"
        );
    }
    let folder = folder.path();
    check(folder, "", "none of its 0 columns is called `password`");
    check(
        folder,
        "1,K7QDM2X9TR4W\n2,9XTR4WK7QDM2\n",
        "none of its 2 columns is called `password`",
    );
    check(
        folder,
        "serial,password\n1,K7QDM2X9TR4W\n2\n",
        "standard input: line 3, column 2: the row has 1 columns, the header 2",
    );
    check(
        folder,
        "serial,password\n1,K7QDM2X9TR4W\n2,\n",
        "line 3, column 2: the password is empty",
    );
    check(
        folder,
        "serial,password\n1,\"K7QDM2X9TR4W\n2,K7QDM2X9TR4W\n",
        "line 2, column 2 (password)",
    );
    let (code, _, err) = run(&["no-such.csv"], folder, "");
    assert_eq!(code, 2);
    assert!(err.contains("cannot read no-such.csv"), "{err}");
    let (code, _, err) = run(&["-", "--profile", "uk-psri"], folder, "password\nx\n");
    assert_eq!(code, 2);
    assert!(err.contains("uk-psri") && err.contains("uk-psti"), "{err}");
}
