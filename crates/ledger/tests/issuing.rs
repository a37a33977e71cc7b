//! Another issuing key takes over: only the one that the key in force named, for that place in the
//! log and that certificate. Whoever holds the server's disk can write an entry, and not this one.

#![allow(clippy::unwrap_used)] // a test may stop anywhere

mod line;

use ledger::{Refused, SignerName};
use line::{Key, Line, ORIGIN, forge, log_opened, sha256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use traveler::{Ceremony, CeremonyKey, Digest, Event, IssuingRotation};

/// An issuing key as a token holds it.
struct Issuing(EcdsaKeyPair);

impl Issuing {
    fn new() -> Issuing {
        let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Issuing(EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap())
    }

    /// SubjectPublicKeyInfo (RFC 5480) in hexadecimal digits.
    fn public(&self) -> String {
        let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        head.to_owned() + &digits(self.0.public_key().as_ref())
    }

    fn sign(&self, told: &IssuingRotation<'_>) -> String {
        let text = told.to_text();
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes());
        digits(signature.unwrap().as_ref())
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A log whose ceremony names the issuing key.
fn begun_with(issuing: &Issuing) -> Line {
    let key = Key::new(1);
    let mut first = log_opened(&key);
    let Event::LogOpened { ceremony, .. } = &mut first else {
        unreachable!()
    };
    *ceremony = Some(Box::new(Ceremony {
        model: "token".into(),
        serial: "1".into(),
        firmware: String::new(),
        operators: vec!["officer 1".into()],
        keys: vec![CeremonyKey {
            key: "device-issuing".into(),
            algorithm: "P-256".into(),
            id: None,
            public_key: Some(issuing.public()),
            made: true,
            sensitive: true,
            extractable: false,
            always_sensitive: true,
            never_extractable: true,
            made_inside: true,
        }],
    }));
    Line::opened(key, first)
}

fn entry(new: &Issuing, certificate: Digest, authorisation: String) -> Event {
    Event::IssuingKeyRotated {
        public_key: new.public(),
        certificate_sha256: certificate,
        authorisation,
        reason: "one year".into(),
        by: "officer 1".into(),
    }
}

#[test]
fn keys_take_over_one_from_the_other() {
    let keys = [Issuing::new(), Issuing::new(), Issuing::new()];
    let mut line = begun_with(&keys[0]);
    for pair in keys.windows(2) {
        let certificate = sha256("its certificate");
        let (old, new) = (pair[0].public(), pair[1].public());
        let authorisation = pair[0].sign(&IssuingRotation {
            origin: ORIGIN,
            seq: line.ledger.next_seq(),
            old: &old,
            new: &new,
            certificate_sha256: certificate,
        });
        line.ok(entry(&pair[1], certificate, authorisation));
    }
    line.check();
    // The first key has handed over and names nobody any more.
    let (old, new) = (keys[0].public(), keys[1].public());
    let certificate = sha256("its certificate");
    let told = IssuingRotation {
        origin: ORIGIN,
        seq: line.ledger.next_seq(),
        old: &old,
        new: &new,
        certificate_sha256: certificate,
    };
    let late = entry(&keys[1], certificate, keys[0].sign(&told));
    refused_and_found(line, late);
}

#[test]
fn nobody_issues_whom_the_key_in_force_did_not_name() {
    let (old, new, stranger) = (Issuing::new(), Issuing::new(), Issuing::new());
    let certificate = sha256("its certificate");
    let (from, to) = (old.public(), new.public());
    let seq = begun_with(&old).ledger.next_seq();
    let right = IssuingRotation {
        origin: ORIGIN,
        seq,
        old: &from,
        new: &to,
        certificate_sha256: certificate,
    };
    let other = |told: IssuingRotation<'_>| old.sign(&told);
    let strangers = stranger.public();
    let bad = [
        // By the new key itself, by a stranger, by nobody.
        entry(&new, certificate, new.sign(&right)),
        entry(&new, certificate, stranger.sign(&right)),
        entry(&new, certificate, String::new()),
        entry(&new, certificate, "no digits".into()),
        // Of another place, another log, another key, another certificate.
        entry(
            &new,
            certificate,
            other(IssuingRotation {
                seq: seq + 1,
                ..right.clone()
            }),
        ),
        entry(
            &new,
            certificate,
            other(IssuingRotation {
                origin: "elsewhere",
                ..right.clone()
            }),
        ),
        entry(
            &new,
            certificate,
            other(IssuingRotation {
                new: &strangers,
                ..right.clone()
            }),
        ),
        entry(&new, sha256("another"), old.sign(&right)),
        entry(&stranger, certificate, old.sign(&right)),
        // The key in force does not take over from itself.
        entry(
            &old,
            certificate,
            other(IssuingRotation {
                new: &from,
                ..right.clone()
            }),
        ),
    ];
    for event in bad {
        refused_and_found(begun_with(&old), event);
    }
    // What all of these differ from is taken.
    let mut line = begun_with(&old);
    line.ok(entry(&new, certificate, old.sign(&right)));
    line.check();
}

/// It is not written; forced into the file with good hashes, it is named.
#[track_caller]
fn refused_and_found(mut line: Line, event: Event) {
    let refused = line.try_one(event.clone());
    let issuing = |refused: &Refused| matches!(refused, Refused::NotAuthorised { key, .. } if *key == SignerName::Issuing);
    assert!(refused.as_ref().is_err_and(issuing), "{refused:?}");
    line.check();
    let seq = forge(&rusqlite::Connection::open(&line.path).unwrap(), event);
    let report = line.verify();
    let named = report.findings.iter().find(|found| found.seq == Some(seq));
    let what = named.map(|found| found.what.as_str());
    assert!(
        what.is_some_and(|what| what.contains("is not authorised")),
        "{report:?}"
    );
}
