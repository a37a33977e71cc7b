//! An honest server in memory: the rules of the ledger, a real log with real proofs, and a wire to
//! it that loses requests or replies.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use api::{Reason, v1};
use credential::{Bundle, BundleBytes, Policy, Salt, mint, mint_key, receipt};
use ring::rand::SecureRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::json;
use station_cli::{CallError, Provisioning};
use tlog::{Checkpoint, CheckpointSigner, Hash, SignError, VerifierKey};
use traveler::{
    Attempt, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, KeyId, LabelProof,
    OperatorId, OrderId, Serial, Sku, State, StationName, Step, Timestamp, VoidCause,
};

use super::leases::{LeaseRow, LeaseState};
use super::unit::{MODEL, random};

/// Which call, for faults and counts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Call {
    OpenOrder,
    Issue,
    Resume,
    Confirm,
    Reprint,
    Seal,
    Void,
    Rework,
    Scrap,
    Lease,
    Spend,
    ReturnLease,
    UnitState,
}

/// The two ways in which a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lose {
    /// Not done.
    Request,
    /// Done, but the reply is lost.
    Reply,
}

/// One credential that left the server.
pub struct Given {
    pub serial: Serial,
    pub attempt: Attempt,
    pub password: Vec<u8>,
    pub bundle: Vec<u8>,
    spki: Vec<u8>,
}

/// A unit as the ledger knows it.
#[derive(Clone)]
pub struct Row {
    pub step: Step,
    pub state: State,
    bundle_sha256: Digest,
}

/// What the server holds.
pub struct Books {
    signer: LogKey,
    pub entries: Vec<Vec<u8>>,
    hashes: Vec<Hash>,
    pub units: HashMap<Serial, Row>,
    pub given: Vec<Given>,
    pub tickets: HashMap<Vec<u8>, usize>,
    /// Calls to lose, each once.
    pub faults: Vec<(Call, Lose)>,
    pub calls: Vec<Call>,
    pub label: bool,
    pub revisions: Vec<String>,
    /// The device profile's text; empty: its units prove themselves what they hold.
    pub profile: String,
    /// Refuses every issue with this.
    pub refuse_issue: Option<Reason>,
    /// The same of every leased one that is spent.
    pub refuse_spend: Option<Reason>,
    pub leases: HashMap<Serial, LeaseRow>,
    /// Answers a lease with what it answered the first time for a serial.
    pub replay_leases: bool,
    pub leased_before: HashMap<String, v1::LeasedCredential>,
    /// Every call is refused: the station was revoked.
    pub revoked: bool,
    /// No call comes through.
    pub away: bool,
    /// Shows the proof of its first entry, whatever it is asked to prove.
    pub lies: bool,
    /// Records issues under another definition than the order's, and proves them.
    pub other_definition: bool,
    pub station: StationName,
}

struct LogKey {
    key: Ed25519KeyPair,
    vkey: VerifierKey,
}

impl CheckpointSigner for LogKey {
    fn sign(&self, note: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.key.sign(note).as_ref().try_into().unwrap())
    }

    fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }
}

/// A handle to it; clones share the books.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<Books>>);

/// What the order builds.
const DEFINITION: &str = "sku = \"CAM-2\"\n";

fn sha256(text: &str) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    Digest(digest.as_ref().try_into().unwrap())
}

pub fn refused(reason: Reason) -> CallError {
    CallError::Refused {
        reason,
        message: reason.to_string(),
        in_use: None,
    }
}

fn lost() -> CallError {
    CallError::Unavailable {
        reason: None,
        message: "lost".into(),
    }
}

impl Memory {
    pub fn new(station: &str) -> Memory {
        let document = Ed25519KeyPair::generate_pkcs8(&random()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let public = key.public_key().as_ref().try_into().unwrap();
        let vkey = tlog::vkey("line.test/log", &public).unwrap();
        Memory(Arc::new(Mutex::new(Books {
            signer: LogKey { key, vkey },
            entries: Vec::new(),
            hashes: Vec::new(),
            units: HashMap::new(),
            given: Vec::new(),
            tickets: HashMap::new(),
            faults: Vec::new(),
            calls: Vec::new(),
            label: true,
            revisions: Vec::new(),
            refuse_issue: None,
            refuse_spend: None,
            leases: HashMap::new(),
            replay_leases: false,
            leased_before: HashMap::new(),
            revoked: false,
            away: false,
            lies: false,
            profile: String::new(),
            other_definition: false,
            station: StationName::parse(station).unwrap(),
        })))
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    /// A call, with a chance to stop before it takes effect and after; and to lose it.
    async fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Books) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        tokio::task::yield_now().await;
        let answer = {
            let mut books = self.books();
            books.calls.push(call);
            let fault = books.faults.iter().position(|(of, _)| *of == call);
            match fault.map(|at| books.faults.remove(at).1) {
                _ if books.away => Err(lost()),
                _ if books.revoked => Err(refused(Reason::StationRevoked)),
                Some(Lose::Request) => Err(lost()),
                Some(Lose::Reply) => work(&mut books).and(Err(lost())),
                None => work(&mut books),
            }
        };
        tokio::task::yield_now().await;
        answer
    }
}

impl Books {
    pub fn vkey(&self) -> String {
        self.signer.vkey.to_string()
    }

    /// Restores the log as it was when it had so many entries, with all that followed forgotten.
    pub fn restore(&mut self, size: usize) {
        self.entries.truncate(size);
        let entries = std::mem::take(&mut self.entries);
        self.hashes.clear();
        self.units.clear();
        for bytes in entries {
            self.record(Entry::from_bytes(&bytes).unwrap().event);
        }
    }

    pub fn record(&mut self, event: Event) -> u64 {
        let seq = self.entries.len() as u64;
        if let Some((step, state)) = event.step() {
            let step = step.clone();
            let from = self.units.get(&step.serial).map(|row| row.state);
            let again = matches!(event, Event::Reprinted { .. }) && from == Some(State::Loaded);
            assert!(again || state.may_follow(from), "{from:?} -> {state}");
            let bundle_sha256 = match &event {
                Event::Issued(issued) => issued.bundle_sha256,
                Event::Spent(spent) => self.leases[&spent.step.serial].bundle_sha256,
                _ => self.units[&step.serial].bundle_sha256,
            };
            let row = Row {
                state,
                bundle_sha256,
                step: step.clone(),
            };
            self.units.insert(step.serial, row);
        }
        let entry = Entry {
            seq,
            time: Timestamp::from_unix_ms(0),
            simulated_hsm: true,
            event,
        };
        let bytes = entry.to_bytes();
        let hashes = &self.hashes;
        let mut read = |at: u64| Ok::<Hash, ()>(hashes[at as usize]);
        let new = tlog::append_hashes(seq, tlog::leaf_hash(&bytes), &mut read).unwrap();
        self.hashes.extend(new);
        self.entries.push(bytes);
        seq
    }

    /// The newest checkpoint.
    fn checkpoint(&self) -> String {
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        let checkpoint = Checkpoint {
            origin: "line.test/log".into(),
            size,
            root: tlog::root(size, &mut read).unwrap(),
        };
        tlog::sign_note(&checkpoint.to_text(), &self.signer).unwrap()
    }

    /// That the log of `seen` entries is a beginning of this one, if it is.
    fn consistency(&self, seen: u64) -> Vec<Vec<u8>> {
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        if seen > size {
            return vec![];
        }
        let path = tlog::consistency(seen, size, &mut read).unwrap();
        path.iter().map(|hash| hash.to_vec()).collect()
    }

    pub fn prove(&self, index: u64) -> v1::ProofResponse {
        let index = if self.lies { 0 } else { index };
        let size = self.entries.len() as u64;
        let mut read = |at: u64| Ok::<Hash, ()>(self.hashes[at as usize]);
        let inclusion = tlog::inclusion(index, size, &mut read).unwrap();
        v1::ProofResponse {
            index,
            entry: self.entries[index as usize].clone(),
            checkpoint: self.checkpoint(),
            inclusion: inclusion.iter().map(|hash| hash.to_vec()).collect(),
            ..v1::ProofResponse::default()
        }
    }

    /// The entry that brought an attempt to a state.
    pub fn find(&self, step: &Step, state: State) -> Option<u64> {
        let at = self.entries.iter().rposition(|bytes| {
            let entry = Entry::from_bytes(bytes).unwrap();
            let reprint = matches!(entry.event, Event::Reprinted { .. });
            !reprint
                && entry.event.step().is_some_and(|(found, reached)| {
                    reached == state
                        && (&found.serial, found.attempt) == (&step.serial, step.attempt)
                })
        });
        at.map(|at| at as u64)
    }

    fn open_attempt(&self, serial: &str, attempt: u32, device_id: &[u8]) -> Result<Row, CallError> {
        let serial = Serial::parse(serial).unwrap();
        let row = self
            .units
            .get(&serial)
            .ok_or(refused(Reason::UnknownUnit))?;
        if row.step.station != self.station {
            return Err(refused(Reason::OtherStation));
        }
        let device_id = DeviceId::from_bytes(device_id).unwrap();
        if (row.step.attempt.0, &row.step.device_id) != (attempt, &device_id) {
            return Err(refused(Reason::WrongState));
        }
        Ok(row.clone())
    }

    /// Does a step once; a repeat answers the same.
    fn step(
        &mut self,
        row: &Row,
        state: State,
        event: impl FnOnce(Step) -> Event,
    ) -> Result<v1::ProofResponse, CallError> {
        if let Some(index) = self.find(&row.step, state) {
            return Ok(self.prove(index));
        }
        if !state.may_follow(Some(row.state)) {
            return Err(refused(Reason::WrongState));
        }
        let index = self.record(event(row.step.clone()));
        Ok(self.prove(index))
    }

    fn issue(&mut self, request: &v1::IssueRequest) -> Result<v1::IssueResponse, CallError> {
        if let Some(reason) = self.refuse_issue {
            return Err(refused(reason));
        }
        let serial = Serial::parse(&request.serial).unwrap();
        let device_id = DeviceId::from_bytes(&request.device_id).unwrap();
        let in_use = self.units.values().any(|row| {
            row.step.device_id == device_id
                && row.step.serial != serial
                && row.state != State::Voided
        });
        if in_use {
            return Err(refused(Reason::UnitInUse));
        }
        if let Some(lease) = self.leases.get(&serial)
            && lease.state == LeaseState::Unspent
        {
            return Err(refused(Reason::Leased));
        }
        let before = self.units.get(&serial).cloned();
        let mut attempt = Attempt::FIRST;
        if let Some(row) = before {
            let same = (&row.step.device_id, &row.step.station) == (&device_id, &self.station);
            match row.state {
                State::Loaded if same => return Err(refused(Reason::WrongState)),
                State::Issued if same => {
                    self.record(Event::Voided {
                        step: row.step.clone(),
                        cause: VoidCause::ReplyLost,
                    });
                }
                State::Voided => {}
                _ => return Err(refused(Reason::DuplicateUnit)),
            }
            attempt = row.step.attempt.next();
        }
        Ok(self.mint(request, serial, device_id, attempt))
    }

    fn mint(
        &mut self,
        request: &v1::IssueRequest,
        serial: Serial,
        device_id: DeviceId,
        attempt: Attempt,
    ) -> v1::IssueResponse {
        let csr = Some(request.csr.as_slice()).filter(|csr| !csr.is_empty());
        let bytes = self.make_bundle(&serial, attempt, csr);
        let step = Step {
            serial: serial.clone(),
            device_id,
            order: OrderId::parse(&request.order).unwrap(),
            station: self.station.clone(),
            attempt,
            operator: None,
        };
        let index = self.record(issued(step, bytes.digest(), self.definition_sha256()));
        let mut ticket = vec![0; 48];
        random().fill(&mut ticket).unwrap();
        self.tickets.insert(ticket.clone(), self.given.len() - 1);
        v1::IssueResponse {
            proof: self.other_definition.then(|| self.prove(index)),
            attempt: attempt.0,
            bundle: bytes.expose(<[u8]>::to_vec),
            ticket,
            index,
        }
    }

    /// The definition that it says it builds by.
    pub fn definition_sha256(&self) -> Digest {
        match self.other_definition {
            true => sha256("another"),
            false => sha256(&self.definition()),
        }
    }

    fn definition(&self) -> String {
        match self.profile.as_str() {
            "" => DEFINITION.to_owned(),
            text => format!("{DEFINITION}device_profile.text = {}\n", json!(text)),
        }
    }

    /// The device profile's digest; none for a native unit.
    fn profile_sha256(&self) -> Option<Digest> {
        (!self.profile.is_empty()).then(|| sha256(&self.profile))
    }

    /// A bundle that is on the books, whoever it goes to.
    pub fn make_bundle(
        &mut self,
        serial: &Serial,
        attempt: Attempt,
        csr: Option<&[u8]>,
    ) -> BundleBytes {
        let mut fill = |out: &mut [u8]| random().fill(out).map_err(|_| std::io::Error::other("?"));
        let policy = Policy::named("uk-psti", None).unwrap();
        let password = mint(&policy, &mut fill).unwrap();
        let (key, spki) = match csr {
            None => {
                let minted = mint_key(&random()).unwrap();
                (Some(minted.private), minted.spki)
            }
            Some(csr) => (None, spki_of(csr)),
        };
        let mut salt = [0; 16];
        fill(&mut salt).unwrap();
        let clear = password.expose(<[u8]>::to_vec);
        let bundle = Bundle {
            serial: serial.clone(),
            attempt,
            password,
            salt: Salt::from_bytes(salt),
            chain: vec![vec![0x30; 420], vec![0x31; 400]],
            key,
        };
        let bytes = bundle.encode().unwrap();
        self.given.push(Given {
            serial: serial.clone(),
            attempt,
            password: clear,
            bundle: bytes.expose(<[u8]>::to_vec),
            spki,
        });
        bytes
    }

    fn resume(&mut self, request: &v1::ResumeRequest) -> Result<v1::IssueResponse, CallError> {
        let row = self.open_attempt(&request.serial, request.attempt, &request.device_id)?;
        if !row.state.is_open() {
            return Err(refused(Reason::WrongState));
        }
        let given = self.tickets.get(&request.ticket).map(|at| &self.given[*at]);
        let given = given
            .filter(|given| (&given.serial, given.attempt) == (&row.step.serial, row.step.attempt));
        let given = given.ok_or(refused(Reason::TicketRefused))?;
        Ok(v1::IssueResponse {
            proof: None,
            attempt: given.attempt.0,
            bundle: given.bundle.clone(),
            ticket: request.ticket.clone(),
            index: self.find(&row.step, State::Issued).unwrap(),
        })
    }

    fn confirm(&mut self, request: &v1::ConfirmRequest) -> Result<v1::ProofResponse, CallError> {
        let row = self.open_attempt(&request.serial, request.attempt, &request.device_id)?;
        let digest = Digest(request.bundle_sha256.as_slice().try_into().unwrap());
        let given = self
            .given
            .iter()
            .rfind(|given| given.serial == row.step.serial);
        let (id, spki) = (&row.step.device_id, &given.unwrap().spki);
        let signed = receipt(&row.step.serial, row.step.attempt, id, &digest);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[26..]);
        let profile_sha256 = self.profile_sha256();
        let read_back = profile_sha256.is_some_and(|digest| request.profile_sha256 == digest.0);
        let signed = request.public_key == *spki && key.verify(&signed, &request.signature).is_ok();
        if !(signed || read_back) || digest != row.bundle_sha256 {
            return Err(refused(Reason::ReceiptMismatch));
        }
        self.step(&row, State::Loaded, |step| Event::Loaded {
            step,
            bundle_sha256: digest,
            receipt_signed: signed,
            profile_sha256: profile_sha256.filter(|_| read_back),
        })
    }

    /// The number of the label that counts, and its entry.
    fn newest_label(&self, step: &Step) -> Option<(u32, u64)> {
        self.entries
            .iter()
            .enumerate()
            .rev()
            .find_map(
                |(at, bytes)| match Entry::from_bytes(bytes).unwrap().event {
                    Event::Reprinted {
                        step: of, reprint, ..
                    } if (&of.serial, of.attempt) == (&step.serial, step.attempt) => {
                        Some((reprint, at as u64))
                    }
                    _ => None,
                },
            )
    }

    fn asked_alike(&self, index: u64, request: &v1::ReprintRequest) -> bool {
        let at = usize::try_from(index).unwrap();
        match Entry::from_bytes(&self.entries[at]).unwrap().event {
            Event::Reprinted { reason, .. } => reason == request.reason,
            _ => false,
        }
    }

    fn reprint(&mut self, request: &v1::ReprintRequest) -> Result<v1::ProofResponse, CallError> {
        let row = self.open_attempt(&request.serial, request.attempt, &request.device_id)?;
        let newest = self.newest_label(&row.step);
        if let Some((number, index)) = newest
            && number == request.reprint
            && self.asked_alike(index, request)
        {
            return Ok(self.prove(index));
        }
        if row.state != State::Loaded {
            return Err(refused(Reason::WrongState));
        }
        if newest.is_some_and(|(n, _)| n >= request.reprint) {
            return Err(refused(Reason::VoidLabel));
        }
        let step = Step {
            operator: Some(OperatorId::parse(&request.operator).unwrap()),
            ..row.step
        };
        let index = self.record(Event::Reprinted {
            step,
            reprint: request.reprint,
            reason: request.reason.clone(),
        });
        Ok(self.prove(index))
    }

    fn seal(&mut self, request: &v1::SealRequest) -> Result<v1::ProofResponse, CallError> {
        let row = self.open_attempt(&request.serial, request.attempt, &request.device_id)?;
        let newest = self.newest_label(&row.step).map_or(0, |(number, _)| number);
        if self.label && row.state == State::Loaded && request.reprint != newest {
            return Err(refused(Reason::VoidLabel));
        }
        if self.label && !request.label_scanned {
            return Err(refused(Reason::WrongState));
        }
        let label = match self.label {
            true => LabelProof::Scanned,
            false => LabelProof::NoLabel,
        };
        self.step(&row, State::Sealed, |step| Event::Sealed {
            step,
            label,
            reprint: newest,
        })
    }

    fn void(&mut self, request: &v1::VoidRequest) -> Result<v1::ProofResponse, CallError> {
        let row = self.open_attempt(&request.serial, request.attempt, &request.device_id)?;
        let cause = VoidCause::parse(&request.cause).unwrap();
        let proof = self.step(&row, State::Voided, |step| Event::Voided { step, cause })?;
        if !request.scrap {
            return Ok(proof);
        }
        let row = Row {
            state: State::Voided,
            ..row
        };
        self.step(&row, State::Scrapped, |step| Event::Scrapped {
            step,
            reason: cause.as_str().to_owned(),
            by: Vec::new(),
        })
    }
}

fn issued(step: Step, bundle_sha256: Digest, product_sha256: Digest) -> Event {
    Event::Issued(Box::new(traveler::Issued {
        step,
        slot: None,
        macs: vec![],
        product: Sku::parse("CAM-2").unwrap(),
        product_sha256,
        policy_sha256: Digest([2; 32]),
        fingerprint: Fingerprint([3; 16]),
        fingerprint_key: KeyId([4; 8]),
        certificate_sha256: Digest([5; 32]),
        public_key_sha256: Digest([6; 32]),
        bundle_sha256,
        key_made_on_unit: true,
        gate: GateRecord {
            detectors: "1".into(),
            redraws: 0,
            collisions: 0,
        },
    }))
}

/// SubjectPublicKeyInfo of a P-256 key within a PKCS#10 request.
fn spki_of(csr: &[u8]) -> Vec<u8> {
    const START: [u8; 4] = [0x30, 0x59, 0x30, 0x13];
    let at = csr.windows(4).position(|bytes| bytes == START).unwrap();
    csr[at..at + 91].to_vec()
}

macro_rules! answer {
    ($($call:ident($request:ident) -> $reply:ident, $kind:expr, $work:expr;)*) => {
        $(
            fn $call(
                &self,
                request: v1::$request,
            ) -> impl Future<Output = Result<v1::$reply, CallError>> + Send {
                let work: fn(&mut Books, &v1::$request) -> Result<v1::$reply, CallError> = $work;
                self.call($kind, move |books| work(books, &request))
            }
        )*
    };
}

impl Provisioning for Memory {
    answer! {
        open_order(OpenOrderRequest) -> OpenOrderResponse, Call::OpenOrder, |books, request| {
            match request.order.as_str() {
                "WO-1" => Ok(v1::OpenOrderResponse {
                    product: "CAM-2".into(),
                    product_sha256: sha256(&books.definition()).0.to_vec(),
                    definition: books.definition(),
                    profile: books.profile.clone(),
                    profile_sha256: books.profile_sha256().map_or_else(Vec::new, |of| of.0.to_vec()),
                    model: MODEL.into(),
                    revisions: books.revisions.clone(),
                    label: books.label,
                    not_started: 1,
                    checkpoint: books.checkpoint(),
                    consistency: books.consistency(request.seen_size),
                    ..Default::default()
                }),
                _ => Err(refused(Reason::UnknownOrder)),
            }
        };
        issue(IssueRequest) -> IssueResponse, Call::Issue, Books::issue;
        resume(ResumeRequest) -> IssueResponse, Call::Resume, Books::resume;
        confirm(ConfirmRequest) -> ProofResponse, Call::Confirm, Books::confirm;
        reprint(ReprintRequest) -> ProofResponse, Call::Reprint, Books::reprint;
        seal(SealRequest) -> ProofResponse, Call::Seal, Books::seal;
        void(VoidRequest) -> ProofResponse, Call::Void, Books::void;
        rework(ReworkRequest) -> ProofResponse, Call::Rework, |books, request| {
            let r = request;
            let row = books.open_attempt(&r.serial, r.attempt, &r.device_id)?;
            let (reason, by) = (r.reason.clone(), r.operators.clone());
            books.step(&row, State::Rework, |step| Event::Rework { step, reason, by })
        };
        scrap(ScrapRequest) -> ProofResponse, Call::Scrap, |books, request| {
            let r = request;
            let row = books.open_attempt(&r.serial, r.attempt, &r.device_id)?;
            let (reason, by) = (r.reason.clone(), r.operators.clone());
            books.step(&row, State::Scrapped, |step| Event::Scrapped { step, reason, by })
        };
        lease(LeaseRequest) -> LeaseResponse, Call::Lease, Books::lease;
        spend(SpendRequest) -> ProofResponse, Call::Spend, Books::spend;
        return_lease(ReturnLeaseRequest) -> ReturnLeaseResponse, Call::ReturnLease,
            Books::return_lease;
        unit_state(UnitStateRequest) -> UnitStateResponse, Call::UnitState, |books, request| {
            let Some(row) = books.units.get(&Serial::parse(&request.serial).unwrap()) else {
                return Ok(v1::UnitStateResponse::default());
            };
            Ok(v1::UnitStateResponse {
                state: row.state.to_string(),
                attempt: row.step.attempt.0,
                device_id: row.step.device_id.to_string(),
                order: row.step.order.to_string(),
                station: row.step.station.to_string(),
            })
        };
    }
}
