//! Power that fails between and within any two flash operations.

use credential::BundleBytes;
use wire::{Refusal, UnitState, WireError};

use crate::bench::{Bench, LATER, MemFlash, PASSWORD, bundle, device_id};

/// How much of the operation under way is done: nothing, a little, half, nearly all, and all of it
/// with the reply lost.
const TORN: [usize; 5] = [0, 1, 8, 15, 16];

fn flash_holding(bundle: Option<&BundleBytes>) -> MemFlash {
    let mut bench = Bench::new();
    if let Some(bundle) = bundle {
        bench.load(bundle).unwrap();
    }
    let mut flash = bench.with_flash(|flash| std::mem::replace(flash, MemFlash::new()));
    flash.operations = 0;
    flash
}

/// Loads `new` over `old` with a cut at `operation`, then looks and loads again.
fn cut_and_rerun(old: Option<&BundleBytes>, new: &BundleBytes, operation: u32, torn: usize) {
    let context = format!("cut in operation {operation}, {torn}/16 done");
    let mut flash = flash_holding(old);
    flash.cut_at = Some(operation);
    flash.torn = torn;
    let mut bench = Bench::with(flash, crate::bench::DEVICE);
    assert_eq!(
        bench.load(new),
        Err(WireError::Refused(Refusal::Flash)),
        "{context}"
    );
    bench.reboot();

    let facts = bench.greet();
    let proves = |bench: &mut Bench, bundle| bench.prove(bundle).is_ok();
    let holds_new = proves(&mut bench, new);
    let holds_old = old.is_some_and(|old| proves(&mut bench, old));
    // Never the word of a whole bundle without one, and never a whole one denied.
    assert_eq!(
        facts.state == UnitState::Loaded,
        holds_new || holds_old,
        "{context}"
    );
    assert_eq!(facts.held.is_some(), holds_new || holds_old, "{context}");

    bench
        .load(new)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    bench.reboot();
    assert_eq!(bench.greet().state, UnitState::Loaded, "{context}");
    let receipt = bench
        .prove(new)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(receipt.digest, new.digest(), "{context}");
}

#[test]
fn a_cut_at_any_flash_operation_is_made_good_by_a_rerun() {
    let new = bundle(PASSWORD, 1_300);
    let shorter = bundle("OLDER1234567", 200);
    let longer = bundle("OLDER1234567", 3_000);
    for old in [None, Some(&shorter), Some(&longer)] {
        let mut clean = Bench::with(flash_holding(old), crate::bench::DEVICE);
        clean.load(&new).unwrap();
        let operations = clean.with_flash(|flash| flash.operations);
        assert!(
            operations >= 9,
            "two erases, six chunks, one marker: {operations}"
        );
        for operation in 0..operations {
            for torn in TORN {
                cut_and_rerun(old, &new, operation, torn);
            }
        }
    }
}

#[test]
fn a_cut_in_the_lock_leaves_it_locked_or_not() {
    let bundle = bundle(PASSWORD, 100);
    for torn in TORN {
        let mut flash = flash_holding(Some(&bundle));
        flash.cut_at = Some(0);
        flash.torn = torn;
        let mut bench = Bench::with(flash, crate::bench::DEVICE);
        let cut = bench.drive(wire::Lock::new(bundle.digest()));
        assert_eq!(cut, Err(WireError::Refused(Refusal::Flash)));
        bench.reboot();
        let expected = if torn == 0 {
            UnitState::Loaded
        } else {
            UnitState::Locked
        };
        assert_eq!(bench.greet().state, expected, "{torn}/16");
        bench.drive(wire::Lock::new(bundle.digest())).unwrap();
        assert!(bench.prove(&bundle).is_ok());
    }
}

#[test]
fn every_single_bit_that_flips_is_found() {
    let bundle = bundle(PASSWORD, 40);
    let length = bundle.expose(<[u8]>::len);
    let marker = 0..44;
    let stored = wire::unit::PAGE..wire::unit::PAGE + length;
    for offset in marker.chain(stored) {
        let mut bench = Bench::with(flash_holding(Some(&bundle)), crate::bench::DEVICE);
        bench.with_flash(|flash| flash.bytes[offset] ^= 1 << (offset % 8));
        assert_eq!(bench.greet().state, UnitState::Partial, "byte {offset}");
        assert_eq!(
            bench.prove(&bundle),
            Err(WireError::Mismatch),
            "byte {offset}"
        );
        bench.load(&bundle).unwrap();
        assert!(bench.prove(&bundle).is_ok(), "byte {offset}");
    }
}

#[test]
fn a_locked_unit_whose_bundle_is_damaged_stays_locked() {
    let bundle = bundle(PASSWORD, 40);
    let mut bench = Bench::new();
    bench.provision(&bundle).unwrap();
    bench.with_flash(|flash| flash.bytes[wire::unit::PAGE] ^= 1);
    assert_eq!(bench.greet().state, UnitState::Partial);
    assert_eq!(
        bench.load(&bundle),
        Err(WireError::Refused(Refusal::Locked))
    );
    let damaged = bench.drive(wire::Prove::new(LATER, device_id(), &bundle));
    assert_eq!(damaged, Err(WireError::Mismatch));
}

#[test]
fn a_unit_that_reboots_in_the_middle_is_asked_again() {
    use wire::{Action, Booted, Event, Exchange, Load, Reply, Request};
    let bundle = bundle(PASSWORD, 40);
    let mut load = Load::new(LATER, device_id(), &bundle);
    let booted = || {
        Event::Received(Reply::Booted(Booted {
            device_id: device_id(),
            boots: 2,
            installed: None,
        }))
    };
    for event in [Event::Opened, booted(), booted()] {
        assert!(matches!(
            load.on(event),
            Ok(Action::Send(Request::Load { .. }, _))
        ));
    }
    let silent = WireError::Silent { request: "load" };
    assert_eq!(load.on(booted()).err(), Some(silent)); // a unit that boots for ever is none
}
