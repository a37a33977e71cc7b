//! An honest server in memory: the rules of the ledger, a real log with real proofs, and a wire to
//! it that loses requests or replies.

mod log;
mod steps;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use api::{Reason, v1};
use ring::signature::{Ed25519KeyPair, KeyPair};
use station_cli::{CallError, Provisioning};
use tlog::{CheckpointSigner, Hash, SignError, VerifierKey};
use traveler::{Attempt, Digest, Event, Serial, State, StationName, Step};

use super::leases::LeaseRow;
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
    /// A byte of the certificate above every unit's own.
    pub issuer: u8,
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
    /// Proves no issue.
    pub unproven: bool,
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
            issuer: 0x31,
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
            unproven: false,
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
