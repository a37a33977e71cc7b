//! A ledger to measure: a log key anybody may know, one order, one station, made-up units.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ledger::Ledger;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tlog::{CheckpointSigner, SignError, VerifierKey};
use traveler::{
    Attempt, Change, DeviceId, Digest, Event, Fingerprint, GateRecord, Issued, KeyId, LabelProof,
    OrderId, Serial, Sku, StationName, Step, Timestamp,
};

const ORIGIN: &str = "bench.birthmark.example/log";
const DEFINITION: &str = "sku = \"BENCH\"\n";
/// When everything happens.
const NOW_MS: i64 = 1_700_000_000_000;
/// Units the order permits: more than any history.
const QUANTITY: u32 = 1_000_000_000;
/// Units under way at a time, as on a line with that many slots.
const UNDER_WAY: usize = 100;

/// A log key in the open.
pub(super) struct Key {
    pair: Ed25519KeyPair,
    vkey: VerifierKey,
}

impl Key {
    pub(super) fn new() -> Result<Key> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]);
        let pair = pair.map_err(|_| anyhow::anyhow!("a seed was refused"))?;
        let public = pair.public_key().as_ref().try_into()?;
        let vkey = tlog::vkey(ORIGIN, &public)?;
        Ok(Key { pair, vkey })
    }
}

impl CheckpointSigner for Key {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.pair.sign(note);
        signature.as_ref().try_into().map_err(|_| SignError {
            reason: "a signature of another length".into(),
        })
    }

    fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }
}

/// A ledger with some history behind it.
pub(crate) struct Store {
    pub(super) path: PathBuf,
    pub(crate) ledger: Ledger,
    key: Key,
    /// The next unit's number.
    next: u64,
}

impl Store {
    /// A log of about `entries` entries in `folder`.
    pub(crate) fn make(folder: &Path, entries: u64) -> Result<Store> {
        std::fs::create_dir_all(folder)?;
        let key = Key::new()?;
        let path = folder.join("log.db");
        let opened = Event::LogOpened {
            origin: ORIGIN.into(),
            vkey: key.vkey.to_string(),
            hsm: "none: for measuring".into(),
            fingerprint_key: KeyId([1; 8]),
            device_root_sha256: sha256(b"units' root"),
            site_root_sha256: sha256(b"site root"),
            ceremony: None,
        };
        let ledger = Ledger::create(&path, &key, change(vec![opened]))?;
        let mut store = Store {
            path,
            ledger,
            key,
            next: 0,
        };
        store.append(&[change(beginning()?)])?;
        let units = entries.saturating_sub(store.next) / 3;
        let from = store.next;
        let lives = (from..from + units).filter_map(|n| issued(n).ok());
        store.next += units;
        let time = Timestamp::from_unix_ms(NOW_MS);
        store
            .ledger
            .measure_history(&order()?, time, lives, &store.key)?;
        Ok(store)
    }

    /// Batches of `size` entries each that a line would ask for next: units issued, loaded and
    /// sealed, many of them under way at a time.
    pub(crate) fn batches(&mut self, size: usize, count: usize) -> Result<Vec<Vec<Change>>> {
        let group = UNDER_WAY.max(size);
        let mut changes = Vec::new();
        while changes.len() < size * count {
            let units = (self.next..).take(group).map(issued);
            let units: Vec<Issued> = units.collect::<Result<_>>()?;
            self.next += group as u64;
            let issue = |unit: &Issued| Event::Issued(Box::new(unit.clone()));
            changes.extend(units.iter().map(|unit| change(vec![issue(unit)])));
            let load = |unit: &Issued| Event::Loaded {
                step: unit.step.clone(),
                bundle_sha256: unit.bundle_sha256,
                receipt_signed: true,
                profile_sha256: None,
            };
            changes.extend(units.iter().map(|unit| change(vec![load(unit)])));
            let seal = |unit: &Issued| Event::Sealed {
                step: unit.step.clone(),
                label: LabelProof::Scanned,
                reprint: 0,
            };
            changes.extend(units.iter().map(|unit| change(vec![seal(unit)])));
        }
        Ok(changes.chunks_exact(size).map(<[Change]>::to_vec).collect())
    }

    /// Writes one batch, all of which must be accepted, and tidies up as the server does.
    pub(crate) fn append(&mut self, batch: &[Change]) -> Result<()> {
        for outcome in self.ledger.append(batch, &self.key)? {
            outcome.context("a change of the bench was refused")?;
        }
        self.ledger.maintain(false)?;
        Ok(())
    }

    /// Lets the merges of the key index that are under way end, as a pause of the line does.
    pub(crate) fn settle(&mut self) -> Result<()> {
        while self.ledger.maintain(true)? {}
        Ok(())
    }
}

/// What is on record before the first unit.
pub(crate) fn beginning() -> Result<Vec<Event>> {
    let (product, product_sha256) = (Sku::parse("BENCH")?, sha256(DEFINITION.as_bytes()));
    Ok(vec![
        Event::ProductApplied {
            product: product.clone(),
            product_sha256,
            definition: DEFINITION.into(),
            by: "bench".into(),
        },
        Event::OrderCreated {
            order: order()?,
            product,
            product_sha256,
            quantity: QUANTITY,
            allowance: 0,
            by: "bench".into(),
        },
        Event::StationInvited {
            station: StationName::parse("bench-1")?,
            token_sha256: sha256(b"token"),
            expires: Timestamp::from_unix_ms(NOW_MS + 1),
            by: "bench".into(),
        },
        Event::StationEnrolled {
            station: StationName::parse("bench-1")?,
            token_sha256: sha256(b"token"),
            certificate_sha256: sha256(b"certificate"),
        },
    ])
}

fn order() -> Result<OrderId> {
    Ok(OrderId::parse("WO-BENCH")?)
}

fn change(events: Vec<Event>) -> Change {
    Change {
        time: Timestamp::from_unix_ms(NOW_MS),
        simulated_hsm: true,
        events,
    }
}

/// Unit number `n`, with everything about it spread over its whole range.
fn issued(n: u64) -> Result<Issued> {
    let spread = sha256(&n.to_be_bytes());
    let other = |salt: u8| {
        let mut bytes = spread;
        bytes.0[0] ^= salt;
        bytes
    };
    Ok(Issued {
        step: Step {
            serial: Serial::parse(&format!("BM{n:012}"))?,
            device_id: DeviceId::from_bytes(&spread.0[..8])?,
            order: order()?,
            station: StationName::parse("bench-1")?,
            attempt: Attempt::FIRST,
            operator: None,
        },
        slot: None,
        macs: Vec::new(),
        product: Sku::parse("BENCH")?,
        product_sha256: sha256(DEFINITION.as_bytes()),
        policy_sha256: sha256(b"policy"),
        fingerprint: fingerprint(n),
        fingerprint_key: KeyId([1; 8]),
        public_key_sha256: other(1),
        bundle_sha256: other(2),
        certificate_sha256: other(3),
        key_made_on_unit: true,
        gate: GateRecord {
            detectors: "1".into(),
            redraws: 0,
            collisions: 0,
        },
    })
}

/// The fingerprint of unit number `n`.
pub(super) fn fingerprint(n: u64) -> Fingerprint {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256(&(!n).to_be_bytes()).0[..16]);
    Fingerprint(bytes)
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest(sum)
}
