//! Both sides of the line, with everything that can happen between them.

#![allow(clippy::unwrap_used)] // the helpers of a test fail as the test does

mod bench;
mod codec;
mod cuts;
mod install;
mod lies;
mod vectors;

use bench::{Bench, Fault, LATER, NONCE, PASSWORD, bundle, device_id};
use credential::{BundleBytes, Password};
use sha2::{Digest as _, Sha256};
use traveler::{Attempt, Serial};
use wire::{Answer, Check, Lock, Refusal, Reset, UnitState, WireError};

fn asks(bench: &mut Bench, password: &str) -> Result<bool, WireError> {
    let password = Password::parse(password.as_bytes()).unwrap();
    let answer = bench.drive(Check::new(&password))?;
    Ok(answer == Answer::Yes)
}

#[test]
fn a_unit_goes_from_blank_to_locked() {
    let mut bench = Bench::new();
    let blank = bench.greet();
    assert_eq!((blank.state, blank.boots), (UnitState::Blank, Some(1)));
    assert_eq!(blank.held, None);
    assert_eq!(blank.macs[0].to_string(), "02:1A:2B:3C:4D:5E");
    assert_eq!(blank.csr.as_deref(), Some(&[0x30; 300][..]));

    let bundle = bundle(PASSWORD, 900);
    let receipt = bench.provision(&bundle).unwrap();
    assert_eq!((receipt.boots, receipt.digest), (2, bundle.digest()));

    let unit = bench.unit.as_mut().expect("a unit is in the slot");
    let contents = unit.contents(|state, held| (state, held.map(<[u8]>::to_vec)));
    let held = bundle.expose(<[u8]>::to_vec);
    assert_eq!(contents, Ok((UnitState::Locked, Some(held))));

    let locked = bench.greet();
    let held = locked.held.expect("a whole bundle says whose it is");
    assert_eq!(locked.state, UnitState::Locked);
    assert_eq!(
        (held.serial.as_str(), held.attempt),
        ("BM-000047", Attempt(3))
    );

    // The unit signed what the server will verify: the test chip's signature is the digest.
    let serial = Serial::parse("BM-000047").unwrap();
    let signed = credential::receipt(&serial, Attempt(3), &device_id(), &bundle.digest());
    assert_eq!(receipt.signature.unwrap(), Sha256::digest(signed).to_vec());
    assert_eq!(receipt.public_key.unwrap(), vec![1; 91]);
}

#[test]
fn a_locked_unit_takes_no_other_bundle_and_still_answers() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 10);
    bench.provision(&bundle).unwrap();
    for again in [&bundle, &self::bundle("ANOTHER12345", 10)] {
        assert_eq!(bench.load(again), Err(WireError::Refused(Refusal::Locked)));
    }
    assert!(bench.prove(&bundle).is_ok());
    assert!(bench.drive(Lock::new(bundle.digest())).is_ok());
    assert_eq!(asks(&mut bench, PASSWORD), Ok(true));
}

#[test]
fn before_the_lock_a_bundle_is_replaced_whole() {
    let mut bench = Bench::new();
    let first = bundle("FIRST1234567", 2_000);
    let second = bundle("SECND1234567", 10);
    bench.load(&first).unwrap();
    bench.load(&second).unwrap();
    assert_eq!(bench.prove(&first), Err(WireError::Mismatch));
    assert!(bench.prove(&second).is_ok());
}

#[test]
fn the_longest_bundle_fits_one_frame() {
    let longest = credential::BundleBytes::MAX;
    let around = bundle(PASSWORD, 1_000).expose(<[u8]>::len) - 1_000;
    let bundle = bundle(PASSWORD, longest - around);
    assert_eq!(bundle.expose(<[u8]>::len), longest);
    assert!(Bench::new().provision(&bundle).is_ok());
}

#[test]
fn nothing_is_proved_locked_or_checked_on_a_blank_unit() {
    let mut bench = Bench::new();
    let no = Refusal::NotLoaded;
    let digest = bundle(PASSWORD, 10).digest();
    assert_eq!(bench.prove(&bundle(PASSWORD, 10)), Err(WireError::Mismatch));
    assert_eq!(bench.drive(Lock::new(digest)), Err(WireError::Refused(no)));
    assert_eq!(asks(&mut bench, PASSWORD), Err(WireError::Refused(no)));
}

#[test]
fn what_is_no_bundle_is_refused_before_anything_is_erased() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 10);
    bench.load(&bundle).unwrap();
    let broken = credential::BundleBytes::from_bytes(b"\xa1\x00\x01").unwrap_or_else(|_| panic!());
    assert_eq!(
        bench.load(&broken),
        Err(WireError::Refused(Refusal::BadBundle))
    );
    assert!(bench.prove(&bundle).is_ok());
}

/// Every request and every reply, lost, garbled, doubled or in noise: the same end, and the flash
/// is written once.
#[test]
fn one_fault_anywhere_changes_nothing() {
    one_fault_anywhere(Bench::provision);
    one_fault_anywhere(Bench::provision_parts);
    one_fault_anywhere(Bench::provision_first);
}

fn one_fault_anywhere(provision: fn(&mut Bench, &BundleBytes) -> Result<wire::Receipt, WireError>) {
    let bundle = bundle(PASSWORD, 300);
    let mut clean = Bench::new();
    provision(&mut clean, &bundle).unwrap();
    let writes = clean.with_flash(|flash| flash.operations);
    for fault in Fault::ALL {
        for position in 0..6 {
            for on_request in [true, false] {
                let mut bench = Bench::new();
                let faults = if on_request {
                    &mut bench.requests
                } else {
                    &mut bench.replies
                };
                faults.extend((0..position).map(|_| Fault::None));
                faults.push_back(fault);
                let context = format!("{fault:?} at {position}, request: {on_request}");
                let receipt = provision(&mut bench, &bundle);
                assert!(receipt.is_ok(), "{context}: {:?}", receipt.err());
                assert_eq!(bench.greet().state, UnitState::Locked, "{context}");
                let written = bench.with_flash(|flash| flash.operations);
                assert_eq!(written, writes, "{context}");
            }
        }
    }
}

#[test]
fn a_repeat_after_a_lost_reply_is_answered_and_not_done() {
    let mut bench = Bench::new();
    bench.load(&bundle(PASSWORD, 10)).unwrap();
    bench.replies.extend([Fault::Lost, Fault::Lost]);
    // Wrong, and asked three times: one guess, not three.
    assert_eq!(asks(&mut bench, "WRONG1234567"), Ok(false));
    for _ in 1..wire::unit::WRONG_GUESSES {
        assert_eq!(bench.greet().boots, Some(1));
        assert_eq!(asks(&mut bench, "WRONG1234567"), Ok(false));
    }
    bench.greet();
    let spent = WireError::Refused(Refusal::TooManyGuesses);
    assert_eq!(asks(&mut bench, PASSWORD), Err(spent));
    bench.reboot();
    assert_eq!(asks(&mut bench, PASSWORD), Ok(true));
}

#[test]
fn silence_is_found_out_after_the_named_repeats() {
    let mut bench = Bench::new();
    bench.requests.extend([Fault::Lost; 3]);
    let silent = WireError::Silent { request: "load" };
    assert_eq!(bench.load(&bundle(PASSWORD, 10)), Err(silent));
    assert_eq!(bench.sent, 1 + u32::from(wire::RESENDS));
    bench.requests.extend([Fault::Lost; 2]);
    assert!(bench.load(&bundle(PASSWORD, 10)).is_ok());
}

#[test]
fn a_reset_is_waited_for_and_never_done_twice() {
    let cases: [(u32, &[Fault], &[Fault]); 4] = [
        (0, &[], &[Fault::Lost, Fault::Lost]), // neither "resetting" nor "booted" arrives
        (5, &[], &[]),                         // boots slowly and silently
        (5, &[], &[Fault::Lost]),
        (0, &[Fault::Lost, Fault::Lost], &[]), // the request is lost, and the question after it
    ];
    for (slow_boot, requests, replies) in cases {
        let mut bench = Bench::new();
        let before = bench.greet();
        bench.slow_boot = slow_boot;
        bench.requests.extend(requests);
        bench.replies.extend(replies);
        let booted = bench.drive(Reset::new(LATER, &before)).unwrap();
        assert_eq!(booted.boots, 2, "slow {slow_boot}");
    }
}

#[test]
fn a_unit_that_does_not_come_back_or_does_not_go_is_found_out() {
    let mut bench = Bench::new();
    let before = bench.greet();
    bench.slow_boot = 1_000;
    let silent = WireError::Silent { request: "reset" };
    assert_eq!(bench.drive(Reset::new(LATER, &before)), Err(silent));

    let mut bench = Bench::new();
    let before = bench.greet();
    // Every other request is the question whether it is back: those arrive, the resets do not.
    bench.requests.extend([Fault::Lost, Fault::None].repeat(3));
    let stays = WireError::NotReset { boots: 1 };
    assert_eq!(bench.drive(Reset::new(LATER, &before)), Err(stays));
}

#[test]
fn a_password_is_folded_as_the_server_folds_it() {
    let mut bench = Bench::new();
    bench.load(&bundle("k7Od-m2x9-tIlw", 10)).unwrap();
    for (scanned, yes) in [
        ("K70DM2X9T11W", true),
        ("k7od-m2x9-til-w", true),
        ("K70DM2X9T11", false),
        ("K70DM2X9T11WW", false),
        ("-", false),
    ] {
        let password = Password::parse(scanned.as_bytes()).unwrap();
        let minted = Password::parse(b"k7Od-m2x9-tIlw").unwrap();
        let equal = minted.folded(|a| password.folded(|b| a == b));
        assert_eq!(equal, yes, "{scanned}");
        assert_eq!(asks(&mut bench, scanned), Ok(yes), "{scanned}");
    }
}

#[test]
fn the_first_request_of_a_new_run_is_not_taken_for_a_repeat() {
    let mut bench = Bench::new();
    let mut before = bench.greet();
    bench.link = wire::Link::new(0xfffe); // the station restarts and happens on the same number
    bench.load(&bundle(PASSWORD, 10)).unwrap();
    bench.link = wire::Link::new(0xfffe);
    before.state = UnitState::Loaded;
    let facts = bench.drive(wire::Greet::new(LATER)).unwrap();
    assert_eq!(facts.state, before.state);
    assert_ne!(facts.nonce, NONCE);
}

/// A lock goes out ahead of its end. Cut there it is nothing, whatever follows it.
#[test]
fn a_lock_without_its_end_locks_nothing() {
    let bundle = bundle(PASSWORD, 300);
    let mut bench = Bench::new();
    bench.load(&bundle).unwrap();
    let lock = wire::Request::Lock {
        digest: bundle.digest(),
    };
    let line = bench.link.encode(&lock).to_vec();
    let (opening, end) = line.split_at(wire::Link::opening(&line).len());
    assert_eq!(end.len(), wire::frame::ENDING);
    let state = |bench: &mut Bench| {
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        unit.contents(|state, _| state).unwrap()
    };
    let hears = |bench: &mut Bench, bytes: &[u8]| {
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        let mut said = Vec::new();
        unit.handle(bytes, &mut |line| said.extend_from_slice(line));
        !said.is_empty()
    };
    for sent in 0..=opening.len() {
        assert!(!hears(&mut bench, &opening[..sent]), "after {sent} bytes");
        bench.greet(); // answered, since a frame begins with a zero
        assert_eq!(state(&mut bench), UnitState::Loaded, "after {sent} bytes");
    }
    let line = bench.link.encode(&lock).to_vec();
    let opening = wire::Link::opening(&line);
    assert!(!hears(&mut bench, opening));
    assert!(hears(&mut bench, &line[opening.len()..]));
    assert_eq!(state(&mut bench), UnitState::Locked);
}
