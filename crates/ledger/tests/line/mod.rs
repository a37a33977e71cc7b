//! A small line for the ledger's tests: one product, one order, two benches, a known log key.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test file uses its part

pub mod lease;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{Appended, Ledger, Refused, Report, verify};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tempfile::TempDir;
use tlog::{CheckpointSigner, Rotation, SignError, VerifierKey};
use traveler::{
    Attempt, Change, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, Issued, KeyId,
    LabelProof, OrderId, Serial, Sku, StationName, Step, Timestamp, VoidCause,
};

pub const ORIGIN: &str = "birthmark.example/log";
pub const NOW_MS: i64 = 1_700_000_000_000;
pub const FINGERPRINT_KEY: KeyId = KeyId([9; 8]);
pub const DEFINITION: &str = "sku = \"CAM-2\"\n";

/// A log key that anyone can know and that can be away.
pub struct Key {
    pair: Ed25519KeyPair,
    vkey: VerifierKey,
    pub away: AtomicBool,
}

impl Key {
    pub fn new(seed: u8) -> Arc<Key> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        let vkey = tlog::vkey(ORIGIN, &public).unwrap();
        Arc::new(Key {
            pair,
            vkey,
            away: AtomicBool::new(false),
        })
    }
}

impl CheckpointSigner for Key {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SignError {
                reason: "away".into(),
            });
        }
        Ok(self.pair.sign(note).as_ref().try_into().unwrap())
    }

    fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(NOW_MS + seconds * 1_000)
}

pub fn sha256(text: &str) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    Digest(digest.as_ref().try_into().unwrap())
}

pub fn serial(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

pub fn order(text: &str) -> OrderId {
    OrderId::parse(text).unwrap()
}

pub fn station(text: &str) -> StationName {
    StationName::parse(text).unwrap()
}

pub fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

/// The silicon called `name`, whatever that is.
pub fn device(name: &str) -> DeviceId {
    DeviceId::from_bytes(&sha256(name).0[..8]).unwrap()
}

pub fn change(events: Vec<Event>) -> Change {
    Change {
        time: at(0),
        simulated_hsm: true,
        events,
    }
}

pub fn log_opened(key: &Key) -> Event {
    Event::LogOpened {
        origin: ORIGIN.into(),
        vkey: key.vkey.to_string(),
        hsm: "test".into(),
        fingerprint_key: FINGERPRINT_KEY,
        device_root_sha256: sha256("device root"),
        site_root_sha256: sha256("site root"),
        ceremony: None,
    }
}

pub fn product_applied(definition: &str) -> Event {
    Event::ProductApplied {
        product: sku("CAM-2"),
        product_sha256: sha256(definition),
        definition: definition.into(),
        by: "admin".into(),
    }
}

pub fn order_created(name: &str, quantity: u32, allowance: u32) -> Event {
    Event::OrderCreated {
        order: order(name),
        product: sku("CAM-2"),
        product_sha256: sha256(DEFINITION),
        quantity,
        allowance,
        by: "admin".into(),
    }
}

pub fn order_closed(name: &str) -> Event {
    Event::OrderClosed {
        order: order(name),
        by: "admin".into(),
    }
}

pub fn invited(name: &str, token: &str) -> Event {
    Event::StationInvited {
        station: station(name),
        token_sha256: sha256(token),
        expires: at(60),
        by: "admin".into(),
    }
}

pub fn enrolled(name: &str, token: &str) -> Event {
    Event::StationEnrolled {
        station: station(name),
        token_sha256: sha256(token),
        certificate_sha256: sha256(&format!("certificate for {token}")),
    }
}

pub fn revoked(name: &str) -> Event {
    Event::StationRevoked {
        station: station(name),
        by: "admin".into(),
    }
}

/// What an issue or step is about; the silicon is called like the serial unless said otherwise.
pub fn step(unit: &str, attempt: u32) -> Step {
    Step {
        serial: serial(unit),
        device_id: device(unit),
        order: order("WO-1"),
        station: station("bench-1"),
        attempt: Attempt(attempt),
        operator: None,
    }
}

/// An issue whose password, key and bundle follow from its step.
pub fn issue_of(step: Step) -> Issued {
    let name = format!("{} {} {}", step.serial, step.attempt, step.device_id);
    let fingerprint = sha256(&format!("password {name}")).0[..16]
        .try_into()
        .unwrap();
    Issued {
        public_key_sha256: sha256(&format!("key of {}", step.device_id)),
        bundle_sha256: sha256(&format!("bundle {name}")),
        certificate_sha256: sha256(&format!("certificate {name}")),
        step,
        slot: None,
        macs: Vec::new(),
        product: sku("CAM-2"),
        product_sha256: sha256(DEFINITION),
        policy_sha256: sha256("policy"),
        fingerprint: Fingerprint(fingerprint),
        fingerprint_key: FINGERPRINT_KEY,
        key_made_on_unit: true,
        gate: GateRecord {
            detectors: "1".into(),
            redraws: 0,
            collisions: 0,
        },
    }
}

pub fn issue(unit: &str, attempt: u32) -> Event {
    Event::Issued(Box::new(issue_of(step(unit, attempt))))
}

/// An issue with something about it changed.
pub fn issue_with(unit: &str, attempt: u32, edit: impl FnOnce(&mut Issued)) -> Event {
    let mut issued = issue_of(step(unit, attempt));
    edit(&mut issued);
    Event::Issued(Box::new(issued))
}

pub fn loaded_of(step: Step) -> Event {
    let bundle_sha256 = issue_of(step.clone()).bundle_sha256;
    Event::Loaded {
        step,
        bundle_sha256,
        receipt_signed: true,
        profile_sha256: None,
    }
}

pub fn loaded(unit: &str, attempt: u32) -> Event {
    loaded_of(step(unit, attempt))
}

pub fn sealed(unit: &str, attempt: u32) -> Event {
    sealed_by(unit, attempt, 0)
}

/// A seal by the label of this number.
pub fn sealed_by(unit: &str, attempt: u32, reprint: u32) -> Event {
    Event::Sealed {
        step: step(unit, attempt),
        label: LabelProof::Scanned,
        reprint,
    }
}

pub fn voided(unit: &str, attempt: u32) -> Event {
    Event::Voided {
        step: step(unit, attempt),
        cause: VoidCause::ReplyLost,
    }
}

pub fn rework(unit: &str, attempt: u32) -> Event {
    let by = vec!["QA-1".into(), "QA-2".into()];
    Event::Rework {
        step: step(unit, attempt),
        reason: "dead pixel".into(),
        by,
    }
}

pub fn scrapped(unit: &str, attempt: u32) -> Event {
    scrapped_by(unit, attempt, &["QA-1", "QA-2"])
}

pub fn scrapped_by(unit: &str, attempt: u32, by: &[&str]) -> Event {
    Event::Scrapped {
        step: step(unit, attempt),
        reason: "cracked".into(),
        by: by.iter().map(|&person| person.to_owned()).collect(),
    }
}

/// Writes an entry with its hashes as somebody can who may do anything to the file but sign.
pub fn forge(db: &rusqlite::Connection, event: Event) -> u64 {
    let newest = "SELECT max(seq) FROM entries";
    let newest: i64 = db.query_row(newest, [], |row| row.get(0)).unwrap();
    let seq = newest as u64 + 1;
    let entry = Entry {
        seq,
        time: at(0),
        simulated_hsm: true,
        event,
    };
    let bytes = entry.to_bytes();
    db.execute("INSERT INTO entries VALUES (?1, ?2)", (seq as i64, &bytes))
        .unwrap();
    let mut read = |at: u64| {
        let sql = "SELECT hash FROM hashes WHERE position = ?1";
        db.query_row(sql, [at as i64], |row| row.get::<_, tlog::Hash>(0))
    };
    let added = tlog::append_hashes(seq, tlog::leaf_hash(&bytes), &mut read).unwrap();
    for (position, hash) in (tlog::stored_count(seq)..).zip(added) {
        let sql = "INSERT INTO hashes VALUES (?1, ?2)";
        db.execute(sql, (position as i64, hash)).unwrap();
    }
    seq
}

/// A log with a product, order WO-1 (10 units, 3 allowed voids) and two benches.
pub struct Line {
    pub folder: TempDir,
    pub path: PathBuf,
    pub key: Arc<Key>,
    pub ledger: Ledger,
}

impl Line {
    /// Only the first entry.
    pub fn bare() -> Line {
        let key = Key::new(1);
        let first = log_opened(&key);
        Line::opened(key, first)
    }

    /// Only this as the first entry.
    pub fn opened(key: Arc<Key>, first: Event) -> Line {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let ledger = Ledger::create(&path, key.as_ref(), change(vec![first])).unwrap();
        Line {
            folder,
            path,
            key,
            ledger,
        }
    }

    pub fn new() -> Line {
        let mut line = Line::bare();
        for event in [
            product_applied(DEFINITION),
            order_created("WO-1", 10, 3),
            invited("bench-1", "token 1"),
            enrolled("bench-1", "token 1"),
            invited("bench-2", "token 2"),
            enrolled("bench-2", "token 2"),
        ] {
            line.ok(event);
        }
        line
    }

    /// One change, and the pause behind it in which the ledger tidies up.
    pub fn append(&mut self, change: Change) -> Result<Appended, Refused> {
        let outcome = self.ledger.append(&[change], self.key.as_ref()).unwrap();
        self.ledger.maintain(true).unwrap();
        outcome.into_iter().next().unwrap()
    }

    pub fn try_one(&mut self, event: Event) -> Result<Appended, Refused> {
        self.append(change(vec![event]))
    }

    #[track_caller]
    pub fn ok(&mut self, event: Event) -> u64 {
        self.try_one(event).unwrap().last
    }

    /// Issued, loaded and sealed.
    pub fn seal(&mut self, unit: &str) {
        for event in [issue(unit, 1), loaded(unit, 1), sealed(unit, 1)] {
            self.ok(event);
        }
    }

    pub fn verify(&self) -> Report {
        verify(&self.path, self.key.vkey(), &mut |_, _| {}).unwrap()
    }

    #[track_caller]
    pub fn check(&self) {
        let report = self.verify();
        assert_eq!(report.findings, []);
        for row in self.ledger.reader().unwrap().orders().unwrap() {
            assert_eq!(
                row.quantity,
                row.sealed + row.scrapped + row.open + row.not_started
            );
        }
    }
}

pub fn rotated(rotation: String, new: &Key) -> Event {
    Event::LogKeyRotated {
        vkey: new.vkey().to_string(),
        rotation,
        reason: "one year".into(),
        by: "officer 1, officer 2".into(),
    }
}

pub fn note(line: &Line, old: &Key, new: &Key) -> String {
    Rotation::sign(line.ledger.next_seq(), old, new).unwrap()
}

/// Hands the log over to another key, in the middle of an order.
pub fn rotate(line: &mut Line, seed: u8) {
    let new = Key::new(seed);
    let event = rotated(note(line, &line.key, &new), &new);
    let written = line
        .ledger
        .rotate(&change(vec![event]), line.key.as_ref(), new.as_ref());
    written.unwrap().unwrap();
    line.key = new;
}
