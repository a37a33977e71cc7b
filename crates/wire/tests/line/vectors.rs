//! Golden vectors of every message and frame. If one fails, change the code, not the vector.

use wire::Nonce;
use wire::frame::{self, Decoder, LINE_MAX};
use wire::message::{Facts, Installed, Proved, Refusal, Reply, Request, UnitState};
use wire::proof::{Boots, RECEIPT_MAX, ReadBack, receipt};
use wire::{PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS};

use crate::bench::DEVICE;

const VECTORS: &str = include_str!("../../../../tests/vectors/v1/wire.txt");
const MACS: [u8; 12] = [
    2, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e, 2, 0x1a, 0x2b, 0x3c, 0x4d, 0x5f,
];
const SIGNATURE: [u8; 8] = [0x30, 6, 2, 1, 1, 2, 1, 2];
const PUBLIC_KEY: [u8; 5] = [0x30, 0x59, 0x13, 0x13, 0x13];

fn nonce() -> Nonce {
    Nonce(std::array::from_fn(|i| 0xa0 + u8::try_from(i).unwrap()))
}

fn digest() -> [u8; 32] {
    std::array::from_fn(|i| u8::try_from(i).unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap())
        .collect()
}

/// The columns after the name.
fn vector(name: &str) -> (u16, Vec<u8>, String) {
    let mut lines = VECTORS
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let line = lines
        .find(|line| line[0] == name)
        .unwrap_or_else(|| panic!("no vector {name}"));
    (
        u16::from_str_radix(line[1], 16).unwrap(),
        unhex(line[2]),
        line[3].to_owned(),
    )
}

fn check(name: &str, encode: &dyn Fn(&mut [u8]) -> Option<usize>, reads: &dyn Fn(&[u8]) -> bool) {
    let (seq, message, line) = vector(name);
    let mut out = [0; LINE_MAX];
    let length = encode(&mut out).unwrap();
    assert_eq!(out[..length], message, "{name}: message");
    let length = frame::encode(seq, &mut out, encode).unwrap();
    assert_eq!(out[..length], unhex(&line), "{name}: frame");

    let mut decoder = Decoder::new();
    let mut found = 0;
    for byte in unhex(&line) {
        if let Some(frame) = decoder.push(byte) {
            assert_eq!((frame.seq, frame.message), (seq, &*message), "{name}");
            assert!(reads(frame.message), "{name} is read as something else");
            found += 1;
        }
    }
    assert_eq!(found, 1, "{name}");
}

fn request(name: &str, request: &Request<'_>) {
    check(name, &|out| request.encode(out), &|bytes| {
        let mut again = [0; LINE_MAX];
        let read = Request::decode(bytes).and_then(|read| read.encode(&mut again));
        read.is_some_and(|length| again[..length] == *bytes) && Reply::decode(bytes).is_none()
    });
}

fn reply(name: &str, reply: &Reply<'_>) {
    check(name, &|out| reply.encode(out), &|bytes| {
        let mut again = [0; LINE_MAX];
        let read = Reply::decode(bytes).and_then(|read| read.encode(&mut again));
        read.is_some_and(|length| again[..length] == *bytes) && Request::decode(bytes).is_none()
    });
}

#[test]
fn requests() {
    let bundle: Vec<u8> = (0..600).map(|i| u8::try_from(i % 251).unwrap()).collect();
    request("request.greet", &Request::Greet { nonce: nonce() });
    let load = Request::Load {
        nonce: nonce(),
        device_id: &DEVICE,
        bundle: &bundle,
    };
    request("request.load", &load);
    request("request.reset", &Request::Reset);
    request("request.prove", &Request::Prove { nonce: nonce() });
    request("request.lock", &Request::Lock { digest: digest() });
    request(
        "request.check",
        &Request::Check {
            password: b"k7qd-m2x9-tr4w",
        },
    );
    let install = Request::Install {
        nonce: nonce(),
        device_id: &DEVICE,
        bundle: &bundle,
    };
    request("request.install", &install);
    request("request.report", &Request::Report { nonce: nonce() });
    let (beginning, ending) = bundle.split_at(400);
    let parts = Request::InstallParts {
        nonce: nonce(),
        device_id: &DEVICE,
        ending,
        beginning,
    };
    request("request.install-parts", &parts);
}

#[test]
fn replies() {
    let proof = digest().map(|byte| 0xff - byte);
    let csr = [&[0x30, 0x82][..], &[0; 300]].concat();
    let facts = Facts {
        nonce: nonce(),
        device_id: &DEVICE,
        macs: &MACS,
        model: "BM-CAM",
        revision: Some("C"),
        firmware: "1.4.0",
        state: UnitState::Blank,
        boots: 1,
        held: None,
        csr: Some(&csr),
        public_key: Some(&PUBLIC_KEY),
        protocol: PROTOCOL_FIRST,
    };
    reply("reply.facts-blank", &Reply::Facts(facts));
    for (name, protocol) in [
        ("reply.facts-second", PROTOCOL_INSTALL),
        ("reply.facts-third", PROTOCOL_PARTS),
    ] {
        reply(name, &Reply::Facts(Facts { protocol, ..facts }));
    }
    let loaded = Facts {
        macs: &[],
        revision: None,
        state: UnitState::Loaded,
        boots: 70_000,
        held: Some(("BM-000047", 3)),
        csr: None,
        public_key: None,
        ..facts
    };
    reply("reply.facts-loaded", &Reply::Facts(loaded));
    reply("reply.refused", &Reply::Refused(Refusal::OtherBundle));
    reply(
        "reply.refused-unknown",
        &Reply::Refused(Refusal::Other(200)),
    );
    reply("reply.stored", &Reply::Stored { proof });
    reply("reply.resetting", &Reply::Resetting);
    let proved = Proved {
        device_id: &DEVICE,
        boots: 2,
        digest: digest(),
        proof,
        signature: Some(&SIGNATURE),
        public_key: Some(&PUBLIC_KEY),
    };
    reply("reply.proved", &Reply::Proved(proved));
    let unsigned = Proved {
        signature: None,
        public_key: None,
        ..proved
    };
    reply("reply.proved-unsigned", &Reply::Proved(unsigned));
    reply("reply.locked", &Reply::Locked);
    reply("reply.answer-yes", &Reply::Answer { yes: true });
    reply("reply.answer-no", &Reply::Answer { yes: false });
    reply(
        "reply.booted",
        &Reply::Booted {
            device_id: &DEVICE,
            boots: 2,
            installed: None,
        },
    );
}

#[test]
fn a_boot_after_an_install_is_a_boot_with_more_to_say() {
    let installed = Installed {
        nonce: nonce(),
        written_in: 69_999,
        proof: digest().map(|byte| 0xff - byte),
        signature: Some(&SIGNATURE),
        public_key: Some(&PUBLIC_KEY),
    };
    let booted = |boots, installed| Reply::Booted {
        device_id: &DEVICE,
        boots,
        installed: Some(installed),
    };
    reply("reply.booted-installed", &booted(70_000, installed));
    reply("reply.reported", &booted(70_000, installed));
    let unsigned = Installed {
        written_in: 1,
        signature: None,
        public_key: None,
        ..installed
    };
    reply("reply.booted-unsigned", &booted(2, unsigned));
    let refused = Reply::Refused(Refusal::NotInstalled);
    reply("reply.refused-not-installed", &refused);
}

#[test]
fn proofs() {
    let bundle: Vec<u8> = (0..200).collect();
    let (_, expected, proof) = vector("proof.read-back");
    assert_eq!(ReadBack::of(&nonce(), &bundle).0.to_vec(), expected);
    assert_eq!(ReadBack::of(&nonce(), &bundle).1.to_vec(), unhex(&proof));

    let (_, expected, proof) = vector("proof.installed");
    let boots = Boots {
        written_in: 6,
        proved_in: 7,
    };
    let installed = ReadBack::installed(&nonce(), boots).over(&bundle);
    assert_eq!(
        (installed.0.to_vec(), installed.1.to_vec()),
        (expected, unhex(&proof))
    );

    let (_, expected, _) = vector("proof.receipt");
    let mut out = [0; RECEIPT_MAX];
    assert_eq!(
        receipt("BM-000047", 3, &DEVICE, &digest(), &mut out).unwrap(),
        expected
    );
    let serial = traveler::Serial::parse("BM-000047").unwrap();
    let device_id = traveler::DeviceId::from_bytes(&DEVICE).unwrap();
    let digest = traveler::Digest(digest());
    let by_server = credential::receipt(&serial, traveler::Attempt(3), &device_id, &digest);
    assert_eq!(
        by_server, expected,
        "unit and server sign and verify the same bytes"
    );
}
