//! Load, reset and proof in one turn: what it is worth, whatever happens on the line or in the unit.

use credential::BundleBytes;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::frame;
use wire::message::{self, Installed};
use wire::proof::{Boots, ReadBack};
use wire::unit::{PAGE, Unit};
use wire::{
    Action, BOOT_POLLS, Check, Event, Exchange, Install, Link, Lock, Nonce, RESENDS, Refusal,
    Reply, Request, UnitState, WireError,
};

use crate::bench::{
    Bench, Chip, DEVICE, Fault, LATER, MemFlash, NONCE, OTHER_DEVICE, PASSWORD, bundle, device_id,
};

fn holds(bench: &mut Bench, bundle: &BundleBytes) -> bool {
    let unit = bench.unit.as_mut().expect("a unit is in the slot");
    let held = unit.contents(|_, held| held.is_some_and(|held| bundle.expose(|b| b == held)));
    held.unwrap()
}

/// What the unit says when it has booted.
fn announced(bench: &mut Bench) -> Vec<u8> {
    let mut said = Vec::new();
    let unit = bench.unit.as_mut().expect("a unit is in the slot");
    unit.announce(&mut |line| said.extend_from_slice(line));
    said
}

fn proves(said: &[u8]) -> bool {
    let heard = Link::new(1).decode(said);
    matches!(&heard[..], [Reply::Booted(booted)] if booted.installed.is_some())
}

#[test]
fn a_unit_takes_three_turns_whether_its_bundle_comes_whole_or_in_parts() {
    for provision in [Bench::provision, Bench::provision_parts] {
        let mut bench = Bench::new();
        assert_eq!(bench.greet().protocol, wire::PROTOCOL_PARTS);
        bench.sent = 0;
        let bundle = bundle(PASSWORD, 600);
        provision(&mut bench, &bundle).unwrap();
        assert_eq!(bench.sent, 3);
        assert!(holds(&mut bench, &bundle));
    }
}

#[test]
fn the_parts_of_a_bundle_are_no_way_around_its_bound() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 600);
    bench.load(&bundle).unwrap();
    let (part, mut out) = ([1; wire::message::BUNDLE_MAX], [0; frame::LINE_MAX]);
    let request = message::Request::InstallParts {
        nonce: LATER,
        device_id: &DEVICE,
        ending: &part[..400],
        beginning: &part[..wire::message::BUNDLE_MAX - 399],
    };
    let length = frame::encode(9, &mut out, |out| request.encode(out)).unwrap();
    let unit = bench.unit.as_mut().expect("a unit is in the slot");
    let mut said = Vec::new();
    unit.handle(&out[..length], &mut |line| said.extend_from_slice(line));
    let mut decoder = frame::Decoder::new();
    let refused = said.iter().any(|byte| {
        let reply = decoder.push(*byte).map(|frame| frame.message.to_vec());
        let reply = reply.as_deref().and_then(message::Reply::decode);
        matches!(reply, Some(message::Reply::Refused(Refusal::BadBundle)))
    });
    assert!(refused);
    assert!(holds(&mut bench, &bundle), "and nothing was erased");
}

#[test]
fn a_lost_receipt_costs_one_more_turn() {
    for replies in [[Fault::Lost, Fault::Lost], [Fault::None, Fault::Garbled]] {
        let mut bench = Bench::new();
        bench.replies.extend(replies);
        let receipt = bench.install(&bundle(PASSWORD, 600)).unwrap();
        assert_eq!((bench.sent, receipt.boots), (2, 2));
    }
}

#[test]
fn a_slow_boot_is_waited_for_and_the_unit_is_reset_once() {
    let mut bench = Bench::new();
    bench.slow_boot = 5;
    assert_eq!(bench.install(&bundle(PASSWORD, 10)).unwrap().boots, 2);

    let mut bench = Bench::new();
    bench.slow_boot = 1_000;
    let silent = WireError::Silent { request: "install" };
    assert_eq!(bench.install(&bundle(PASSWORD, 10)).err(), Some(silent));
    assert_eq!(
        bench.sent,
        1 + u32::from(BOOT_POLLS) - 1,
        "one was spent on its word"
    );
}

#[test]
fn a_bit_that_flips_on_reset_never_passes() {
    let bundle = bundle(PASSWORD, 40);
    let length = bundle.expose(<[u8]>::len);
    for offset in (0..44).chain(PAGE..PAGE + length) {
        let mut bench = Bench::new();
        bench.replies.extend([Fault::Lost, Fault::Lost]);
        // Everything but the last word happened; the flip comes before it is asked for.
        let mut install = Install::new(NONCE, device_id(), &bundle);
        let Ok(Action::Send(request, _)) = install.on(Event::Opened) else {
            panic!("an install begins with a request");
        };
        let line = bench.link.encode(&request).to_vec();
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        assert!(unit.handle(&line, &mut |_| {}).is_some());
        bench.reboot();
        bench.replies.clear();
        bench.with_flash(|flash| flash.bytes[offset] ^= 1 << (offset % 8));
        assert!(!proves(&announced(&mut bench)), "byte {offset}");
        let resumed = Install::resumed(NONCE, device_id(), &bundle);
        assert_eq!(
            bench.drive(resumed).err(),
            Some(WireError::Mismatch),
            "byte {offset}"
        );
    }
}

/// A flip in the note costs another reset, and what passes was read after that one.
#[test]
fn a_note_that_is_damaged_is_no_note() {
    let bundle = bundle(PASSWORD, 40);
    for offset in 512..544 {
        let mut bench = Bench::new();
        bench.install(&bundle).unwrap();
        bench.with_flash(|flash| flash.bytes[offset] ^= 1);
        let gone = WireError::Refused(Refusal::NotInstalled);
        let resumed = Install::resumed(NONCE, device_id(), &bundle);
        assert_eq!(bench.drive(resumed).err(), Some(gone), "byte {offset}");
        let receipt = bench.install(&bundle).unwrap();
        assert_eq!(receipt.boots, 3, "byte {offset}");
    }
}

/// Power that fails between and within any two flash operations, and what the unit says after it.
#[test]
fn a_boot_in_the_middle_of_the_load_is_no_reset() {
    let (old, new) = (bundle("OLDER1234567", 2_000), bundle(PASSWORD, 1_300));
    for over in [None, Some(&old), Some(&new)] {
        let fresh = || {
            let mut bench = Bench::new();
            if let Some(over) = over {
                bench.load(over).unwrap();
            }
            bench.with_flash(|flash| flash.operations = 0);
            bench
        };
        let mut clean = fresh();
        clean.install(&new).unwrap();
        let operations = clean.with_flash(|flash| flash.operations);
        for operation in 0..operations {
            for torn in [0, 1, 8, 15, 16] {
                let context = format!("cut in operation {operation}, {torn}/16 done");
                let mut bench = fresh();
                bench.with_flash(|flash| (flash.cut_at, flash.torn) = (Some(operation), torn));
                let cut = bench.install(&new);
                assert_eq!(cut, Err(WireError::Refused(Refusal::Flash)), "{context}");
                bench.reboot();
                // The note is the last operation: only when it is whole was the load over.
                let over = operation + 1 == operations && torn == 16;
                assert_eq!(proves(&announced(&mut bench)), over, "{context}");
                let resumed = bench.drive(Install::resumed(NONCE, device_id(), &new));
                assert_eq!(resumed.is_ok(), over, "{context}");

                let again = bench.drive(Install::new(LATER, device_id(), &new));
                assert_eq!(again.unwrap().boots, 3, "{context}");
                assert!(holds(&mut bench, &new), "{context}");
            }
        }
    }
}

#[test]
fn the_same_bundle_again_is_not_erased_and_room_for_notes_does_not_end() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 300);
    bench.install(&bundle).unwrap();
    let mut most = 0;
    for round in 0..250 {
        let before = bench.with_flash(|flash| flash.operations);
        let receipt = bench.drive(Install::new(Nonce([round; 16]), device_id(), &bundle));
        assert_eq!(receipt.unwrap().boots, u32::from(round) + 3);
        let operations = bench.with_flash(|flash| flash.operations) - before;
        most = most.max(operations);
        if round < 100 {
            assert_eq!(operations, 1, "a note and nothing else");
        }
    }
    assert!(most > 1, "no erase in 250 rounds");
    assert_eq!(bench.greet().state, UnitState::Loaded);
}

#[test]
fn only_the_boot_after_an_install_proves_unasked() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 300);
    assert!(!proves(&announced(&mut bench)));
    bench.install(&bundle).unwrap();
    assert!(proves(&announced(&mut bench)));
    bench.reboot();
    assert!(!proves(&announced(&mut bench)));
    // It is still there to be asked for, until another bundle takes its place.
    let asked = || Install::resumed(NONCE, device_id(), &bundle);
    assert_eq!(bench.drive(asked()).unwrap().boots, 3);
    bench.load(&self::bundle("SECND1234567", 10)).unwrap();
    let gone = WireError::Refused(Refusal::NotInstalled);
    assert_eq!(bench.drive(asked()).err(), Some(gone));
}

#[test]
fn a_locked_unit_takes_no_install_and_a_label_is_still_checked() {
    let mut bench = Bench::new();
    let bundle = bundle(PASSWORD, 10);
    bench.provision(&bundle).unwrap();
    let locked = WireError::Refused(Refusal::Locked);
    assert_eq!(bench.install(&bundle).err(), Some(locked));
    let password = credential::Password::parse(PASSWORD.as_bytes()).unwrap();
    assert!(bench.drive(Check::new(&password)).unwrap() == wire::Answer::Yes);
}

#[test]
fn a_swapped_unit_is_found_before_and_over_the_reset() {
    let bundle = bundle(PASSWORD, 40);
    let mut bench = Bench::with(MemFlash::new(), OTHER_DEVICE);
    let unsaid = WireError::Swapped {
        expected: device_id(),
        found: None,
    };
    assert_eq!(bench.install(&bundle).err(), Some(unsaid.clone()));
    assert_eq!(bench.with_flash(|flash| flash.operations), 0);

    // Swapped while it was reset: the other one says who it is, or is asked and knows nothing.
    let booted = |install: &mut Install, device_id: &[u8]| {
        let other = traveler::DeviceId::from_bytes(device_id).unwrap();
        let booted = wire::Booted {
            device_id: other,
            boots: 9,
            installed: None,
        };
        install.on(Event::Received(Reply::Booted(booted))).err()
    };
    let mut install = Install::new(NONCE, device_id(), &bundle);
    assert!(install.on(Event::Opened).is_ok());
    let other = traveler::DeviceId::from_bytes(&OTHER_DEVICE).unwrap();
    let swapped = WireError::Swapped {
        expected: device_id(),
        found: Some(other),
    };
    assert_eq!(booted(&mut install, &OTHER_DEVICE), Some(swapped));

    let mut bench = Bench::new();
    bench.install(&bundle).unwrap();
    let other = Chip {
        device_id: OTHER_DEVICE,
        boots: 9,
    };
    bench.unit = Some(Unit::new(MemFlash::new(), other));
    bench.requests.push_back(Fault::Lost);
    assert_eq!(bench.install(&bundle).err(), Some(unsaid));
}

/// What a station does with a boot that says this of an install under [`LATER`].
fn heard(bundle: &BundleBytes, boots: u32, installed: Installed<'_>) -> Result<bool, WireError> {
    let mut install = Install::new(LATER, device_id(), bundle);
    let Ok(Action::Send(request, _)) = install.on(Event::Opened) else {
        panic!("an exchange begins with a request");
    };
    let mut link = Link::new(6);
    link.encode(&request);
    let booted = message::Reply::Booted {
        device_id: &DEVICE,
        boots,
        installed: Some(installed),
    };
    let mut line = [0; wire::frame::LINE_MAX];
    let length = wire::frame::encode(0, &mut line, |out| booted.encode(out)).unwrap();
    let reply = link.decode(&line[..length]).pop().expect("it is readable");
    Ok(matches!(
        install.on(Event::Received(reply))?,
        Action::Finish(_)
    ))
}

#[test]
fn a_replayed_a_stale_and_a_made_up_receipt_do_not_pass() {
    let bundle = bundle(PASSWORD, 40);
    let proof = |nonce: Nonce, written_in, proved_in| {
        let boots = Boots {
            written_in,
            proved_in,
        };
        bundle.expose(|bytes| ReadBack::installed(&nonce, boots).over(bytes).1)
    };
    let installed = |nonce, written_in, proof| Installed {
        nonce,
        written_in,
        proof,
        signature: None,
        public_key: None,
    };
    let read_back = bundle.expose(|bytes| ReadBack::of(&LATER, bytes).1);
    for (said, expected) in [
        (installed(LATER, 1, proof(LATER, 1, 2)), Ok(true)),
        // Another install's: it is asked for this one's.
        (installed(NONCE, 1, proof(NONCE, 1, 2)), Ok(false)),
        // Not reset since: it is installed again.
        (installed(LATER, 2, proof(LATER, 2, 2)), Ok(false)),
        (installed(LATER, 3, proof(LATER, 3, 2)), Ok(false)),
        // Put together from what was heard before.
        (
            installed(LATER, 1, proof(NONCE, 1, 2)),
            Err(WireError::Mismatch),
        ),
        (
            installed(LATER, 1, proof(LATER, 2, 2)),
            Err(WireError::Mismatch),
        ),
        (
            installed(LATER, 1, proof(LATER, 1, 3)),
            Err(WireError::Mismatch),
        ),
        (installed(LATER, 1, read_back), Err(WireError::Mismatch)),
        (
            installed(LATER, 1, bundle.digest().0),
            Err(WireError::Mismatch),
        ),
    ] {
        assert_eq!(heard(&bundle, 2, said), expected);
    }
}

#[test]
fn a_unit_that_never_resets_is_found_out() {
    let bundle = bundle(PASSWORD, 40);
    let mut install = Install::new(LATER, device_id(), &bundle);
    let stays = || {
        let boots = Boots {
            written_in: 4,
            proved_in: 4,
        };
        let proof = bundle.expose(|bytes| ReadBack::installed(&LATER, boots).over(bytes).1);
        Event::Received(Reply::Booted(wire::Booted {
            device_id: device_id(),
            boots: 4,
            installed: Some(wire::Installed {
                nonce: LATER,
                written_in: 4,
                proof,
                signature: None,
                public_key: None,
            }),
        }))
    };
    assert!(install.on(Event::Opened).is_ok());
    for _ in 0..RESENDS {
        let again = install.on(stays());
        assert!(matches!(
            again,
            Ok(Action::Send(Request::Install { .. }, _))
        ));
    }
    let not_reset = WireError::NotReset { boots: 4 };
    assert_eq!(install.on(stays()).err(), Some(not_reset.clone()));
    let mut resumed = Install::resumed(LATER, device_id(), &bundle);
    assert!(resumed.on(Event::Opened).is_ok());
    assert_eq!(resumed.on(stays()).err(), Some(not_reset));
}

#[test]
fn a_unit_that_boots_for_ever_is_none() {
    let bundle = bundle(PASSWORD, 40);
    for installed in [false, true] {
        let mut install = Install::new(LATER, device_id(), &bundle);
        assert!(install.on(Event::Opened).is_ok());
        let ended = (0..200).find_map(|_| {
            let word = match installed {
                true => Reply::Resetting,
                false => Reply::Booted(wire::Booted {
                    device_id: device_id(),
                    boots: 2,
                    installed: None,
                }),
            };
            install.on(Event::Received(word)).err()
        });
        assert_eq!(ended, Some(WireError::Silent { request: "install" }));
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(Fault::ALL.to_vec())
}

proptest! {
    /// What goes ahead of a bundle that is not there yet is what its install begins with, and cut
    /// there it is nothing to the unit.
    #[test]
    fn an_install_that_is_begun_is_gone_on_with_or_dropped(
        first in any::<u16>(),
        nonce in any::<[u8; 16]>(),
        beginning in vec(prop::sample::select(vec![0, 1, 0xff]), 1..600),
        ending in vec(prop::sample::select(vec![0, 1, 0xff]), 1..900),
    ) {
        let nonce = Nonce(nonce);
        let mut link = Link::new(first);
        let opening = link.install_opening(nonce, &device_id(), &ending);
        let whole = BundleBytes::from_bytes(&[&beginning[..], &ending].concat());
        let whole = whole.unwrap_or_else(|error| panic!("{error}"));
        let mut install = Install::new(nonce, device_id(), &whole).with_ending_first(&ending);
        let Ok(Action::Send(request, _)) = install.on(Event::Opened) else {
            panic!("an install begins with a request");
        };
        let line = link.encode(&request);
        prop_assert!(line.starts_with(&opening));
        prop_assert!(opening.len() < line.len());
        // All of the ending but what shares a block of the stuffing with what follows it.
        prop_assert!(opening.len() + 256 > ending.len());
        let mut bench = Bench::new();
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        unit.handle(&opening, &mut |_| panic!("it answers what is not whole"));
        prop_assert_eq!(bench.greet().state, UnitState::Blank);
        prop_assert_eq!(bench.with_flash(|flash| flash.operations), 0);
    }

    /// Whatever the line does, and whenever the power fails: an install that passes was written, then
    /// the unit was reset, and it holds the bundle; the lock that follows locks that bundle.
    #[test]
    fn an_install_that_passes_was_written_reset_and_read(
        requests in vec(fault(), 0..8),
        replies in vec(fault(), 0..8),
        cut in prop::option::of((0u32..12, 0usize..=16)),
        flip in prop::option::of(0..2 * PAGE),
        slow_boot in 0u32..3,
        resumed: bool,
        in_parts: bool,
    ) {
        let bundle = bundle(PASSWORD, 900);
        let mut bench = Bench::new();
        if resumed {
            bench.load(&bundle).unwrap();
            bench.with_flash(|flash| flash.operations = 0);
        }
        bench.slow_boot = slow_boot;
        bench.requests.extend(requests);
        bench.replies.extend(replies);
        if let Some((at, torn)) = cut {
            bench.with_flash(|flash| (flash.cut_at, flash.torn) = (Some(at), torn));
        }
        if let Some(at) = flip {
            bench.flip_on_reset = Some(at);
        }
        let before = bench.boots();
        let passed = match in_parts {
            true => bench.install_parts(NONCE, &bundle),
            false => bench.install(&bundle),
        };
        if let Ok(receipt) = passed {
            prop_assert!(receipt.boots > before);
            prop_assert_eq!(receipt.boots, bench.boots(), "it has not booted since");
            prop_assert!(bench.operations_since_boot() == 0, "written after the reset");
            prop_assert_eq!(receipt.digest, bundle.digest());
            prop_assert!(holds(&mut bench, &bundle));
            bench.requests.clear();
            bench.replies.clear();
            bench.with_flash(|flash| flash.cut_at = None);
            prop_assert!(bench.drive(Lock::new(bundle.digest())).is_ok());
            prop_assert_eq!(bench.greet().state, UnitState::Locked);
        }
    }
}
