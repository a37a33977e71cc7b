//! Properties of messages, frames and both decoders.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::frame::{self, Decoder, LINE_MAX, MESSAGE_MAX};
use wire::message::{BUNDLE_MAX, Facts, Installed, Proved, Refusal, Reply, Request, UnitState};
use wire::{Link, Nonce};

use crate::bench::{Bench, MemFlash};

/// Frames found in `bytes`, as number and message.
fn frames(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for byte in bytes {
        if let Some(frame) = decoder.push(*byte) {
            found.push((frame.seq, frame.message.to_vec()));
        }
    }
    found
}

fn line(seq: u16, message: &[u8]) -> Vec<u8> {
    let mut line = [0; LINE_MAX];
    let length = frame::encode(seq, &mut line, |out| {
        out[..message.len()].copy_from_slice(message);
        Some(message.len())
    });
    line[..length.unwrap()].to_vec()
}

fn state() -> impl Strategy<Value = UnitState> {
    prop::sample::select(vec![
        UnitState::Blank,
        UnitState::Partial,
        UnitState::Loaded,
        UnitState::Locked,
    ])
}

fn encoded(encode: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut out = vec![0; MESSAGE_MAX];
    let length = encode(&mut out).expect("it fits a frame");
    out.truncate(length);
    out
}

/// Every request there is, as its bytes: a `Request` may carry secrets and cannot be printed.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let device_id = vec(any::<u8>(), 4..=32);
    let bundle = vec(any::<u8>(), 1..=BUNDLE_MAX);
    let password = vec(any::<u8>(), 0..=64);
    let all = (
        any::<[u8; 16]>(),
        any::<[u8; 32]>(),
        device_id,
        bundle,
        password,
        0..9,
    );
    all.prop_map(|(nonce, digest, device_id, bundle, password, kind)| {
        let nonce = Nonce(nonce);
        let request = match kind {
            0 => Request::Greet { nonce },
            1 => Request::Load {
                nonce,
                device_id: &device_id,
                bundle: &bundle,
            },
            2 => Request::Reset,
            3 => Request::Prove { nonce },
            4 => Request::Lock { digest },
            5 => Request::Check {
                password: &password,
            },
            6 => Request::Install {
                nonce,
                device_id: &device_id,
                bundle: &bundle,
            },
            7 => Request::Report { nonce },
            _ => Request::InstallParts {
                nonce,
                device_id: &device_id,
                ending: &digest,
                beginning: &bundle[..bundle.len().min(BUNDLE_MAX - 32)],
            },
        };
        encoded(|out| request.encode(out))
    })
}

proptest! {
    #[test]
    fn requests_round_trip(message in request()) {
        let read = Request::decode(&message).expect("what was written is read");
        prop_assert_eq!(encoded(|out| read.encode(out)), message);
    }

    #[test]
    fn facts_round_trip(
        device_id in vec(any::<u8>(), 4..=32),
        macs in vec(any::<[u8; 6]>(), 0..=8),
        texts in ("[ -~]{1,64}", option::of("\\PC{0,16}"), "[ -~]{0,64}"),
        numbers in (any::<[u8; 16]>(), state(), any::<u32>()),
        held in option::of(("[A-Z0-9]{1,32}", any::<u32>())),
        csr in option::of(vec(any::<u8>(), 1..=2_048)),
        public_key in option::of(vec(any::<u8>(), 1..=128)),
        protocol in 1u32..,
    ) {
        let macs = macs.concat();
        let facts = Facts {
            nonce: Nonce(numbers.0),
            device_id: &device_id,
            macs: &macs,
            model: &texts.0,
            revision: texts.1.as_deref(),
            firmware: &texts.2,
            state: numbers.1,
            boots: numbers.2,
            held: held.as_ref().map(|(serial, attempt)| (serial.as_str(), *attempt)),
            csr: csr.as_deref(),
            public_key: public_key.as_deref(),
            protocol,
        };
        let message = encoded(|out| Reply::Facts(facts).encode(out));
        let Some(Reply::Facts(read)) = Reply::decode(&message) else {
            panic!("facts are read as facts");
        };
        prop_assert_eq!(read, facts);
    }

    #[test]
    fn other_replies_round_trip(
        device_id in vec(any::<u8>(), 4..=32),
        boots: u32,
        hashes in any::<([u8; 32], [u8; 32])>(),
        signature in option::of(vec(any::<u8>(), 1..=72)),
        public_key in option::of(vec(any::<u8>(), 1..=128)),
        code in 11u8..,
        written_in: u32,
    ) {
        let proved = Proved {
            device_id: &device_id,
            boots,
            digest: hashes.0,
            proof: hashes.1,
            signature: signature.as_deref(),
            public_key: public_key.as_deref(),
        };
        let installed = Installed {
            nonce: Nonce([boots as u8; 16]),
            written_in,
            proof: hashes.1,
            signature: signature.as_deref(),
            public_key: public_key.as_deref(),
        };
        for reply in [
            Reply::Proved(proved),
            Reply::Booted { device_id: &device_id, boots, installed: None },
            Reply::Booted { device_id: &device_id, boots, installed: Some(installed) },
            Reply::Stored { proof: hashes.0 },
            Reply::Refused(Refusal::Other(code)),
            Reply::Answer { yes: boots % 2 == 0 },
        ] {
            let message = encoded(|out| reply.encode(out));
            let read = Reply::decode(&message).expect("what was written is read");
            prop_assert_eq!(encoded(|out| read.encode(out)), message);
        }
    }

    #[test]
    fn frames_round_trip(seq: u16, message in vec(prop_oneof![Just(0u8), any::<u8>()], 0..=MESSAGE_MAX)) {
        prop_assert_eq!(frames(&line(seq, &message)), vec![(seq, message)]);
    }

    /// A boot log has no zero byte; whatever it says, the frames around and in it are found.
    #[test]
    fn frames_are_found_between_noise(
        parts in vec((vec(1u8.., 0..300), any::<u16>(), vec(any::<u8>(), 0..80)), 1..6),
        tail in vec(1u8.., 0..6_000),
    ) {
        let mut bytes = Vec::new();
        for (noise, seq, message) in &parts {
            bytes.extend_from_slice(noise);
            bytes.extend(line(*seq, message));
        }
        bytes.extend(tail);
        bytes.extend(line(9, b"last"));
        let mut expected: Vec<_> = parts.into_iter().map(|(_, seq, m)| (seq, m)).collect();
        expected.push((9, b"last".to_vec()));
        prop_assert_eq!(frames(&bytes), expected);
    }

    /// Nothing that arrives is a panic or a loop, and a whole frame after it is still found.
    #[test]
    fn decoders_survive_anything(
        bytes in vec(prop_oneof![3 => any::<u8>(), 1 => Just(0u8)], 0..9_000),
    ) {
        let _ = (Request::decode(&bytes).is_some(), Reply::decode(&bytes).is_some());
        let mut after = bytes.clone();
        after.extend(line(7, b"whole"));
        prop_assert_eq!(frames(&after).pop(), Some((7, b"whole".to_vec())));

        let mut link = Link::new(1);
        prop_assert!(link.decode(&bytes).is_empty());
        let mut bench = Bench::with(MemFlash::new(), crate::bench::DEVICE);
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        prop_assert!(unit.handle(&bytes, &mut |_| panic!("noise is not answered")).is_none());
    }

    /// A frame with any byte changed, cut or added is skipped or the same, never another.
    #[test]
    fn a_broken_frame_is_no_frame(message in request(), at: prop::sample::Index, mask in 1u8..) {
        let mut bytes = line(7, &message);
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        for (_, found) in frames(&bytes) {
            prop_assert_eq!(&found, &message);
        }
    }

    /// Readable frames with unreadable content: refused, never a panic and never a write.
    #[test]
    fn a_unit_refuses_what_it_cannot_read(
        mut message in request(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let at = at.index(message.len());
        message[at] = byte;
        message.truncate(cut.index(message.len()) + 1);
        // Whatever reads as a reply is the unit's own echo, and is not answered.
        prop_assume!(Reply::decode(&message).is_none());
        let mut bench = Bench::new();
        let unit = bench.unit.as_mut().expect("a unit is in the slot");
        let mut answers = 0;
        unit.handle(&line(7, &message), &mut |_| answers += 1);
        prop_assert_eq!(answers, 1);
        prop_assert_eq!(bench.with_flash(|flash| flash.operations), 0);
    }

    #[test]
    fn replies_survive_a_changed_byte(at: prop::sample::Index, byte: u8) {
        let proved = Reply::Booted { device_id: &[1, 2, 3, 4], boots: 7, installed: None };
        let mut message = encoded(|out| proved.encode(out));
        let at = at.index(message.len());
        message[at] = byte;
        let _ = Reply::decode(&message).is_some();
    }
}

#[test]
fn a_later_version_may_add_a_field() {
    // As Booted, with key 3 an array and key 99 a text that this version does not know.
    let message = b"\xa5\x00\x17\x01\x44\x01\x02\x03\x04\x02\x05\x03\x82\x01\x02\x18\x63\x61x";
    assert!(matches!(
        Reply::decode(message),
        Some(Reply::Booted { boots: 5, .. })
    ));
}

#[test]
fn fields_out_of_order_twice_or_beyond_are_refused() {
    for message in [
        &b"\xa2\x01\x05\x00\x17"[..],
        b"\xa2\x00\x03\x00\x03",
        b"\xa1\x00\x03\x00",
        b"\xbf\x00\x03\xff",
        b"\xa2\x00\x03",
        b"",
    ] {
        assert!(Request::decode(message).is_none(), "{message:02x?}");
    }
    assert!(matches!(
        Request::decode(b"\xa1\x00\x03"),
        Some(Request::Reset)
    ));
}
