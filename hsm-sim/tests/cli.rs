//! The program as a process: what it prints, its exit codes, its files, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may stop anywhere")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use hsm::{Hsm, Key, Pin, RemoteToken};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hsm-sim"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    program(arguments, folder).output().unwrap()
}

/// Exit code and the first line for people.
fn check(arguments: &[&str], folder: &Path, code: i32, expected: &str) {
    let output = run(arguments, folder);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.starts_with(expected), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty());
}

/// A serving process, ended at the latest when the test ends.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `serve` and waits until it says that it serves.
fn serve(folder: &Path) -> (Serving, Value) {
    let arguments = [
        "serve", "--socket", "socket", "--store", "token", "--format", "json",
    ];
    let mut child = program(&arguments, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    (Serving(child), serde_json::from_str(&line).unwrap())
}

fn end(mut serving: Serving, signal: Signal) -> (Option<i32>, String) {
    kill_process(Pid::from_child(&serving.0), signal).unwrap();
    let mut words = String::new();
    serving
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut words)
        .unwrap();
    (serving.0.wait().unwrap().code(), words)
}

#[test]
fn a_token_is_served_switched_asked_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (serving, said) = serve(folder);
    assert_eq!(said["created"], true);
    assert_eq!(said["simulated"], true);

    let pin = std::fs::read(folder.join("token.pin")).unwrap();
    let socket = folder.join("socket");
    let connect = hsm_sim::connector(&socket, Duration::from_secs(20));
    let token = RemoteToken::new(connect, Pin::parse(&pin).unwrap());
    token.make_key(Key::Log).unwrap();
    let public = token.public_key(Key::Log).unwrap();

    let fault = run(
        &["fault", "busy", "--socket", "socket", "--format", "json"],
        folder,
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&fault.stdout).unwrap(),
        json!({"fault": "busy"})
    );
    assert!(token.public_key(Key::Log).is_err());
    let status = run(
        &["status", "--socket", "socket", "--format", "json"],
        folder,
    );
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let uses = json!({"log make-key": 1, "log public-key": 1, "login": 1});
    assert_eq!((&status["fault"], &status["uses"]), (&json!("busy"), &uses));
    assert_eq!(status["serial"], said["serial"]);
    check(
        &["fault", "none", "--socket", "socket"],
        folder,
        0,
        "fault: none\n",
    );
    check(
        &["status", "--socket", "socket"],
        folder,
        0,
        "birthmark soft token ",
    );

    let second = ["serve", "--socket", "other", "--store", "token"];
    check(
        &second,
        folder,
        2,
        "hsm-sim: token is used by another process",
    );

    let (code, words) = end(serving, Signal::TERM);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("it is in token.pin"), "{words}");
    assert!(!words.contains(std::str::from_utf8(&pin).unwrap()));
    assert!(!socket.exists());

    // Killed and started again: the same token with the same key, over the socket left behind.
    let (killed, again) = serve(folder);
    assert_eq!(
        (&again["created"], &again["serial"]),
        (&json!(false), &said["serial"])
    );
    end(killed, Signal::KILL);
    assert!(socket.exists());
    let (serving, _) = serve(folder);
    assert_eq!(token.public_key(Key::Log), Ok(public));
    assert_eq!(end(serving, Signal::INT).0, Some(0));
}

#[test]
fn a_token_that_was_locked_is_locked_when_it_is_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let client = |pin: &[u8]| {
        let connect = hsm_sim::connector(&folder.join("socket"), Duration::from_secs(20));
        RemoteToken::new(connect, Pin::parse(pin).unwrap()).describe()
    };
    let (serving, _) = serve(folder);
    let pin = std::fs::read(folder.join("token.pin")).unwrap();
    client(&pin).unwrap();
    let mut serving = serving;
    // Ten in a row, whatever is killed between them.
    for wrong in 0..10 {
        if wrong % 4 == 3 {
            end(serving, Signal::KILL);
            serving = serve(folder).0;
        }
        assert_eq!(
            client(b"wrong PIN"),
            Err(hsm::HsmError::WrongPin),
            "{wrong}"
        );
    }
    let locked = |answer: Result<hsm::Description, hsm::HsmError>| {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("locked"), "{error}");
    };
    locked(client(&pin));
    end(serving, Signal::KILL);
    let (serving, _) = serve(folder);
    locked(client(&pin));
    end(serving, Signal::TERM);
    // The security officer of a simulator.
    std::fs::remove_file(folder.join("token.tries")).unwrap();
    let (serving, _) = serve(folder);
    client(&pin).unwrap();
    end(serving, Signal::TERM);
}

#[test]
fn what_cannot_be_used_ends_with_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("pin"), "123456\n").unwrap();
    std::fs::write(folder.join("text"), "not a store").unwrap();
    let nobody = "hsm-sim: no token answers on socket: start one with";
    check(&["status", "--socket", "socket"], folder, 2, nobody);
    check(&["fault", "gone", "--socket", "socket"], folder, 2, nobody);
    check(
        &["fault", "on-fire", "--socket", "socket"],
        folder,
        2,
        "error: invalid value 'on-fire'",
    );
    check(
        &["serve", "--socket", "socket"],
        folder,
        2,
        "error: the following required arguments",
    );
    let serve = |store, socket| {
        [
            "serve",
            "--socket",
            socket,
            "--store",
            store,
            "--pin-file",
            "pin",
        ]
    };
    check(
        &serve("a/b", "socket"),
        folder,
        2,
        "hsm-sim: the folder of a/b is not there: make it",
    );
    let arguments = serve("text", "socket");
    let output = run(&arguments, folder);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("it is not a token's store"), "{text}");
    assert!(!text.contains("123456"));
    let output = run(&serve("new", "text"), folder);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("text is there and is no socket: choose another --socket"),
        "{text}"
    );
}
