//! Units that are not the one that was greeted, or say what is not so.

use wire::message::{self, Proved};
use wire::proof::ReadBack;
use wire::unit::Unit;
use wire::{Event, Exchange, Greet, Link, Load, Lock, Prove, Refusal, Reply, Reset, WireError};

use crate::bench::{
    Bench, Chip, DEVICE, LATER, MemFlash, NONCE, OTHER_DEVICE, PASSWORD, bundle, device_id,
};

/// What a station hears when a unit answers the first request of a run with `reply`.
fn heard(exchange: &mut impl Exchange, reply: &message::Reply<'_>) -> Reply {
    let mut link = Link::new(6);
    let Ok(wire::Action::Send(request, _)) = exchange.on(Event::Opened) else {
        panic!("an exchange begins with a request");
    };
    link.encode(&request);
    let mut line = [0; wire::frame::LINE_MAX];
    let length = wire::frame::encode(7, &mut line, |out| reply.encode(out)).unwrap();
    let mut replies = link.decode(&line[..length]);
    replies.pop().expect("the reply is readable")
}

fn answer<E: Exchange>(mut exchange: E, reply: &message::Reply<'_>) -> Result<bool, WireError> {
    let reply = heard(&mut exchange, reply);
    let action = exchange.on(Event::Received(reply))?;
    Ok(matches!(action, wire::Action::Finish(_)))
}

fn swap(bench: &mut Bench) {
    let other = Chip {
        device_id: OTHER_DEVICE,
        boots: 9,
    };
    bench.unit = Some(Unit::new(MemFlash::new(), other));
}

#[test]
fn a_unit_that_repeats_a_stored_digest_does_not_pass() {
    let bundle = bundle(PASSWORD, 40);
    let digest = bundle.digest().0;
    let earlier = bundle.expose(|bytes| ReadBack::of(&NONCE, bytes).1);
    let now = bundle.expose(|bytes| ReadBack::of(&LATER, bytes).1);
    let proved = |digest, proof| {
        message::Reply::Proved(Proved {
            device_id: &DEVICE,
            boots: 2,
            digest,
            proof,
            signature: None,
            public_key: None,
        })
    };
    for (digest, proof, expected) in [
        (digest, now, Ok(true)),
        (digest, earlier, Err(WireError::Mismatch)),
        (digest, digest, Err(WireError::Mismatch)),
        ([0; 32], now, Err(WireError::Mismatch)),
    ] {
        let prove = Prove::new(LATER, device_id(), &bundle);
        assert_eq!(answer(prove, &proved(digest, proof)), expected);
    }
    for (proof, expected) in [
        (now, Ok(true)),
        (earlier, Err(WireError::Mismatch)),
        (digest, Err(WireError::Mismatch)),
    ] {
        let load = Load::new(LATER, device_id(), &bundle);
        assert_eq!(answer(load, &message::Reply::Stored { proof }), expected);
    }
}

#[test]
fn a_swapped_unit_is_found_at_every_step_and_takes_nothing() {
    let bundle = bundle(PASSWORD, 40);
    let mut bench = Bench::new();
    let before = bench.greet();
    swap(&mut bench);
    let unsaid = WireError::Swapped {
        expected: device_id(),
        found: None,
    };
    assert_eq!(bench.load(&bundle), Err(unsaid));
    assert_eq!(
        bench.with_flash(|flash| flash.operations),
        0,
        "nothing was written"
    );

    let other = traveler::DeviceId::from_bytes(&OTHER_DEVICE).unwrap();
    let swapped = WireError::Swapped {
        expected: device_id(),
        found: Some(other),
    };
    assert_eq!(
        bench.drive(Reset::new(LATER, &before)).err(),
        Some(swapped.clone())
    );
    assert!(
        swapped.to_string().contains("found 00c0ffee00000048"),
        "{swapped}"
    );

    // Both hold a bundle now: the proof names the unit, and the lock names the bundle.
    let mut bench = Bench::with(MemFlash::new(), OTHER_DEVICE);
    let theirs = self::bundle("THEIRS123456", 40);
    let facts = bench.greet();
    bench
        .drive(Load::new(NONCE, facts.device_id, &theirs))
        .unwrap();
    assert_eq!(bench.prove(&theirs).err(), Some(swapped));
    let other_bundle = WireError::Refused(Refusal::OtherBundle);
    assert_eq!(bench.drive(Lock::new(bundle.digest())), Err(other_bundle));
    assert_eq!(bench.greet().state, wire::UnitState::Loaded);
}

#[test]
fn facts_of_an_earlier_greeting_are_not_taken() {
    let facts = |nonce| {
        message::Reply::Facts(message::Facts {
            nonce,
            device_id: &DEVICE,
            macs: &[],
            model: "BM-CAM",
            revision: None,
            firmware: "1",
            state: wire::UnitState::Blank,
            boots: 1,
            held: None,
            csr: None,
            public_key: None,
            protocol: 1,
        })
    };
    assert_eq!(answer(Greet::new(LATER), &facts(LATER)), Ok(true));
    assert_eq!(
        answer(Greet::new(LATER), &facts(NONCE)),
        Err(WireError::Mismatch)
    );
}

#[test]
fn an_answer_to_another_request_ends_the_exchange() {
    let digest = bundle(PASSWORD, 40).digest();
    let out_of_turn = WireError::OutOfTurn {
        request: "lock",
        got: "resetting",
    };
    let got = answer(Lock::new(digest), &message::Reply::Resetting);
    assert_eq!(got, Err(out_of_turn));
}

#[test]
fn a_unit_does_not_answer_the_echo_of_its_own_replies() {
    let mut bench = Bench::new();
    let unit = bench.unit.as_mut().expect("a unit is in the slot");
    let mut said = Vec::new();
    unit.announce(&mut |line| said.extend_from_slice(line));
    let effect = unit.handle(&said, &mut |_| panic!("an echo is answered"));
    assert_eq!(effect, None);
}

#[test]
fn late_replies_and_echoes_are_dropped() {
    let mut link = Link::new(1);
    let greet = wire::Request::Greet { nonce: NONCE };
    let mut line = [0; wire::frame::LINE_MAX];
    let mut reply = |seq| {
        let locked = message::Reply::Locked;
        let length = wire::frame::encode(seq, &mut line, |out| locked.encode(out)).unwrap();
        line[..length].to_vec()
    };
    assert!(link.decode(&reply(1)).is_empty(), "nothing was asked");
    let first = link.encode(&greet).to_vec();
    let repeat = link.encode(&greet).to_vec();
    assert_eq!(first, repeat, "a repeat keeps its number");
    assert!(link.decode(&first).is_empty(), "an echo is no reply");
    link.encode(&wire::Request::Reset);
    assert!(link.decode(&reply(2)).is_empty(), "late");
    assert_eq!(link.decode(&reply(3)).len(), 1);
}
