//! A server that answers at once, out of memory and in the station's own process: what a cycle takes
//! without the server, its token, its disk and the network. The log is real, since a station takes
//! no word without proof. Deliberately absent: every rule of the ledger, and all checks.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use api::{Reason, v1};
use credential::{Bundle, Policy, Salt, mint};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use station_cli::{CallError, Home, Provisioning};
use tlog::{Checkpoint, CheckpointSigner, Hash, SignError, VerifierKey};
use traveler::{
    Attempt, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, Issued, KeyId, LabelProof,
    OrderId, Serial, Sku, StationName, Step, Timestamp,
};

use super::MODEL;

/// What it says that it builds by.
const DEFINITION: Digest = Digest([1; 32]);

/// Name of the log.
const ORIGIN: &str = "bench.invalid/memory";
/// Bytes of the unit's certificate and of the one above it, as the server of this bench makes them.
const CHAIN: [usize; 2] = [480, 420];

/// It answers every slot.
#[derive(Clone)]
pub(super) struct Memory(Arc<Mutex<Log>>);

struct Log {
    key: Ed25519KeyPair,
    vkey: VerifierKey,
    station: StationName,
    hashes: Vec<Hash>,
    size: u64,
}

impl CheckpointSigner for Log {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.key.sign(note).as_ref());
        Ok(signature)
    }

    fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }
}

impl Memory {
    /// A server, and a station enrolled with it: a copy of `home` in `folder` that believes another
    /// log.
    pub(super) fn found(home: &Home, folder: &Path) -> Result<(Memory, Home)> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let document = document.ok().context("the system gave no randomness")?;
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).ok();
        let key = key.context("the log has no key")?;
        let public = key.public_key().as_ref().try_into()?;
        let vkey = tlog::vkey(ORIGIN, &public)?;

        std::fs::create_dir_all(folder)?;
        let own = std::fs::read_to_string(home.dir().join("station.toml"))?;
        let lines = own.lines().filter(|line| !line.starts_with("vkey ="));
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        let text = format!("{lines}vkey = \"{vkey}\"\n");
        std::fs::write(folder.join("station.toml"), text)?;
        let log = Log {
            key,
            vkey,
            station: home.station().clone(),
            hashes: Vec::new(),
            size: 0,
        };
        Ok((Memory(Arc::new(Mutex::new(log))), Home::open(folder)?))
    }

    fn ask<T>(&self, answer: impl FnOnce(&mut Log) -> Option<T>) -> Result<T, CallError> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answer(&mut log).ok_or(CallError::Refused {
            reason: Reason::WrongState,
            message: "the bench asked what it never asks".to_owned(),
            in_use: None,
        })
    }
}

impl Log {
    fn hash(&self) -> impl FnMut(u64) -> Result<Hash, ()> {
        |at| {
            let at = usize::try_from(at).ok();
            at.and_then(|at| self.hashes.get(at)).copied().ok_or(())
        }
    }

    /// Appends an entry, and proves it.
    fn record(&mut self, event: Event) -> Option<v1::ProofResponse> {
        let index = self.size;
        let entry = Entry {
            seq: index,
            time: Timestamp::from_unix_ms(0),
            simulated_hsm: true,
            event,
        };
        let entry = entry.to_bytes();
        let new = tlog::append_hashes(index, tlog::leaf_hash(&entry), &mut self.hash()).ok()?;
        self.hashes.extend(new);
        self.size += 1;
        let inclusion = tlog::inclusion(index, self.size, &mut self.hash()).ok()?;
        Some(v1::ProofResponse {
            index,
            entry,
            checkpoint: self.checkpoint()?,
            inclusion: inclusion.iter().map(|hash| hash.to_vec()).collect(),
            ..v1::ProofResponse::default()
        })
    }

    fn checkpoint(&self) -> Option<String> {
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: self.size,
            root: tlog::root(self.size, &mut self.hash()).ok()?,
        };
        tlog::sign_note(&checkpoint.to_text(), self).ok()
    }

    fn step(&self, serial: &str, attempt: u32, device_id: &[u8]) -> Option<Step> {
        Some(Step {
            serial: Serial::parse(serial).ok()?,
            device_id: DeviceId::from_bytes(device_id).ok()?,
            order: OrderId::parse(super::MEMORY_ORDER).ok()?,
            station: self.station.clone(),
            attempt: Attempt(attempt),
            operator: None,
        })
    }

    fn open_order(&self, request: &v1::OpenOrderRequest) -> Option<v1::OpenOrderResponse> {
        let consistency = tlog::consistency(request.seen_size, self.size, &mut self.hash()).ok()?;
        Some(v1::OpenOrderResponse {
            model: MODEL.to_owned(),
            product_sha256: DEFINITION.0.to_vec(),
            checkpoint: self.checkpoint()?,
            consistency: consistency.iter().map(|hash| hash.to_vec()).collect(),
            ..Default::default()
        })
    }

    fn issue(&mut self, request: &v1::IssueRequest) -> Option<v1::IssueResponse> {
        let mut fill = |out: &mut [u8]| {
            let filled = SystemRandom::new().fill(out);
            filled.map_err(|_| std::io::Error::other("no randomness"))
        };
        let password = mint(&Policy::named("uk-psti", None).ok()?, &mut fill).ok()?;
        let (mut salt, mut ticket) = ([0; 16], vec![0; 1_300]);
        fill(&mut salt).ok()?;
        fill(&mut ticket).ok()?;
        let step = self.step(&request.serial, 1, &request.device_id)?;
        let bundle = Bundle {
            serial: step.serial.clone(),
            attempt: step.attempt,
            password,
            salt: Salt::from_bytes(salt),
            chain: CHAIN.map(|length| vec![0x30; length]).to_vec(),
            key: None,
        };
        let bytes = bundle.encode().ok()?;
        let proof = self.record(issued(step, bytes.digest())?)?;
        Some(v1::IssueResponse {
            attempt: 1,
            bundle: bytes.expose(<[u8]>::to_vec),
            ticket,
            index: proof.index,
            proof: Some(proof),
        })
    }

    fn confirm(&mut self, request: &v1::ConfirmRequest) -> Option<v1::ProofResponse> {
        let step = self.step(&request.serial, request.attempt, &request.device_id)?;
        self.record(Event::Loaded {
            step,
            bundle_sha256: Digest(request.bundle_sha256.as_slice().try_into().ok()?),
            receipt_signed: true,
            profile_sha256: None,
        })
    }

    fn seal(&mut self, request: &v1::SealRequest) -> Option<v1::ProofResponse> {
        let step = self.step(&request.serial, request.attempt, &request.device_id)?;
        self.record(Event::Sealed {
            step,
            label: LabelProof::NoLabel,
            reprint: 0,
        })
    }
}

fn issued(step: Step, bundle_sha256: Digest) -> Option<Event> {
    Some(Event::Issued(Box::new(Issued {
        step,
        slot: None,
        macs: Vec::new(),
        product: Sku::parse("PLUG-1").ok()?,
        product_sha256: DEFINITION,
        policy_sha256: Digest([2; 32]),
        fingerprint: Fingerprint([3; 16]),
        fingerprint_key: KeyId([4; 8]),
        certificate_sha256: Digest([5; 32]),
        public_key_sha256: Digest([6; 32]),
        bundle_sha256,
        key_made_on_unit: true,
        gate: GateRecord {
            detectors: "1".to_owned(),
            redraws: 0,
            collisions: 0,
        },
    })))
}

impl Provisioning for Memory {
    async fn open_order(
        &self,
        request: v1::OpenOrderRequest,
    ) -> Result<v1::OpenOrderResponse, CallError> {
        self.ask(|log| log.open_order(&request))
    }

    async fn issue(&self, request: v1::IssueRequest) -> Result<v1::IssueResponse, CallError> {
        self.ask(|log| log.issue(&request))
    }

    async fn resume(&self, _: v1::ResumeRequest) -> Result<v1::IssueResponse, CallError> {
        self.ask(|_| None)
    }

    async fn confirm(&self, request: v1::ConfirmRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|log| log.confirm(&request))
    }

    async fn reprint(&self, _: v1::ReprintRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|_| None)
    }

    async fn seal(&self, request: v1::SealRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|log| log.seal(&request))
    }

    async fn void(&self, _: v1::VoidRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|_| None)
    }

    async fn rework(&self, _: v1::ReworkRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|_| None)
    }

    async fn scrap(&self, _: v1::ScrapRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|_| None)
    }

    async fn lease(&self, _: v1::LeaseRequest) -> Result<v1::LeaseResponse, CallError> {
        self.ask(|_| None)
    }

    async fn spend(&self, _: v1::SpendRequest) -> Result<v1::ProofResponse, CallError> {
        self.ask(|_| None)
    }

    async fn return_lease(
        &self,
        _: v1::ReturnLeaseRequest,
    ) -> Result<v1::ReturnLeaseResponse, CallError> {
        self.ask(|_| None)
    }

    async fn unit_state(
        &self,
        _: v1::UnitStateRequest,
    ) -> Result<v1::UnitStateResponse, CallError> {
        self.ask(|_| None)
    }
}
