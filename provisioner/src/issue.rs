//! The path a secret travels: mint, gate, fingerprint, certify, record, reply.
//!
//! Nothing leaves before its entry is durable, and the transaction that writes the entry is the
//! one that refuses a serial, a key or a password that was there before. There is no look
//! beforehand whose answer could be old.

use compliance::Product;
use credential::{
    Bundle, BundleBytes, BundleError, KeyError, MintError, Password, Policy, PolicyError,
    PrivateKey, Salt,
};
use guess::{Facts, Verdict};
use hsm::{HsmError, Key};
use ledger::{AppendError, OrderRow, Refused, UnitRow};
use thiserror::Error;
use traveler::{
    Attempt, Digest, Event, Fingerprint, GateRecord, Issued, OrderId, Serial, Sku, State,
    StationName, Step, VoidCause,
};
use zeroize::Zeroizing;

use api::{IssueCall, ResumeCall};

use crate::auth::{Caller, sha256};
use crate::authority::AuthorityError;
use crate::line::{BenchError, Line};

/// Draws the gate may refuse in a row before the generator is called unfit.
///
/// A fair draw is refused with at most 4 % (GUESS.md, minting), so 16 in a row with 4e-23.
const REDRAWS_TOLERATED: u32 = 16;

/// A credential that is on record and may leave.
pub(crate) struct Minted {
    /// The try it belongs to.
    pub(crate) attempt: Attempt,
    /// The bundle as the unit must hold it.
    pub(crate) bundle: BundleBytes,
    /// The bundle wrapped under the HSM's ticket key, for the station to keep.
    pub(crate) ticket: Vec<u8>,
    /// Leaf index of its entry.
    pub(crate) index: u64,
}

/// Why nothing was issued.
#[derive(Debug, Error)]
pub(crate) enum IssueError {
    /// The station may not call.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// There is no such order.
    #[error("there is no order {0}: check the work order")]
    UnknownOrder(OrderId),
    /// The unit is not what the order builds.
    #[error("order {order} builds {expected}, the unit says it is {got}")]
    WrongProduct {
        /// The order.
        order: OrderId,
        /// The model and revisions it builds.
        expected: String,
        /// What the unit says.
        got: String,
    },
    /// A product definition in the ledger cannot be read by this version.
    #[error("product {0} cannot be used by this version: apply it again")]
    Product(Sku),
    /// The unit's key request cannot be used.
    #[error("the unit's key request cannot be used")]
    BadKey(#[from] identity::CsrError),
    /// The generator makes what somebody could guess.
    #[error("generator unfit: {detector}, clause {clause}, in {draws} draws in a row")]
    Guessable {
        /// What saw it.
        detector: &'static str,
        /// The paragraph of Schedule 1 it offends.
        clause: guess::Clause,
        /// How many draws it was seen in.
        draws: u32,
    },
    /// The generator repeats itself more than chance allows.
    #[error("generator unfit: {collisions} passwords were issued before, clause 1(3)(d)")]
    Repeating {
        /// Draws that were in the duplicate index.
        collisions: u32,
    },
    /// A ticket that does not open, or is for another unit.
    #[error("the resume ticket of {0} does not open: issue anew")]
    Ticket(Serial),
    /// The attempt of a ticket is over.
    #[error("attempt {attempt} of {serial} is {state}: its secret is not given again")]
    Over {
        /// The unit.
        serial: Serial,
        /// The try.
        attempt: Attempt,
        /// Where it stands.
        state: State,
    },
    /// The keys cannot be reached.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// A certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// No password could be drawn.
    #[error(transparent)]
    Mint(#[from] MintError<HsmError>),
    /// No key could be made for the unit.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The product names a policy that this version refuses.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The bundle does not fit the unit.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The ledger's rules refuse, or it cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl Line {
    /// Mints for one unit and records it; the reply may leave when this returns.
    ///
    /// # Errors
    /// [`IssueError`]; whatever it is, no secret was released.
    pub(crate) fn issue(&self, caller: &Caller, call: &IssueCall) -> Result<Minted, IssueError> {
        let station = self.bench(caller)?;
        let (order, product) = self.order_to_build(&call.order)?;
        builds(&order, &product, call)?;
        let before = self.read(|ledger| ledger.unit(&call.serial))?;
        let (step, lost) = next_attempt(call, station, before);
        let policy = policy_of(&product)?;

        let mut collisions = 0;
        loop {
            let drawn = self.draw(call, &step, &order, &policy)?;
            let ticket = self.wrap(&step, &drawn.bundle)?;
            let issued = drawn.record(self, call, &step, &order, &policy, collisions);
            let events = lost
                .iter()
                .cloned()
                .chain([Event::Issued(Box::new(issued))])
                .collect();

            // Crash before this line: nothing happened, the station asks again.
            match self.append(events) {
                // Crash after it: an entry without a delivery. The station asks again with the
                // same serial and device id; this attempt is voided and a fresh one minted.
                Ok(appended) => {
                    self.remember(&call.order, drawn.folded);
                    let (attempt, index) = (step.attempt, appended.last);
                    return Ok(Minted {
                        attempt,
                        bundle: drawn.bundle,
                        ticket,
                        index,
                    });
                }
                Err(AppendError::Refused(Refused::FingerprintUsed)) => {
                    collisions += 1;
                    self.tolerate(&policy, collisions)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the bundle of an open attempt again, to the station it was issued to.
    ///
    /// # Errors
    /// [`IssueError`] unless ticket, unit and attempt belong together and the attempt is open.
    pub(crate) fn resume(&self, caller: &Caller, call: &ResumeCall) -> Result<Minted, IssueError> {
        let station = self.bench(caller)?;
        let target = &call.target;
        let row = self
            .read(|ledger| ledger.unit(&target.serial))?
            .ok_or_else(|| IssueError::Ticket(target.serial.clone()))?;
        if row.station != station {
            let UnitRow {
                serial,
                state,
                station,
                since,
                ..
            } = row;
            let refused = Refused::OtherStation {
                serial,
                state,
                station,
                since,
            };
            return Err(AppendError::Refused(refused).into());
        }
        if row.attempt != target.attempt || !row.state.is_open() {
            let (serial, attempt) = (target.serial.clone(), target.attempt);
            let state = if row.attempt == attempt {
                row.state
            } else {
                State::Voided
            };
            return Err(IssueError::Over {
                serial,
                attempt,
                state,
            });
        }
        // The ticket binds serial, attempt and device id, so a wrong unit cannot open it.
        let bound = ticket_binding(&target.serial, target.attempt, target.device_id.as_str());
        let clear = self
            .hsm
            .unwrap(Key::Ticket, &bound, &call.ticket)
            .map_err(|e| match e {
                HsmError::Unavailable { .. } => IssueError::Hsm(e),
                _ => IssueError::Ticket(target.serial.clone()),
            })?;
        let bundle = BundleBytes::from_bytes(&clear)?;
        if bundle.digest() != row.bundle_sha256 {
            return Err(IssueError::Ticket(target.serial.clone()));
        }
        let (attempt, ticket) = (target.attempt, call.ticket.clone());
        Ok(Minted {
            attempt,
            bundle,
            ticket,
            index: row.issued_seq,
        })
    }

    /// The order and the product definition it was created under.
    pub(crate) fn order_to_build(
        &self,
        order: &OrderId,
    ) -> Result<(OrderRow, Product), IssueError> {
        let row = self
            .read(|ledger| ledger.order(order))?
            .ok_or_else(|| IssueError::UnknownOrder(order.clone()))?;
        let definition = self.read(|ledger| ledger.definition(&row.product_sha256))?;
        let product = definition
            .and_then(|row| Product::parse(&row.definition).ok())
            .ok_or_else(|| IssueError::Product(row.product.clone()))?;
        Ok((row, product))
    }

    /// Draws a password, a key where the unit has none, and the certificate, as one bundle.
    fn draw(
        &self,
        call: &IssueCall,
        step: &Step,
        order: &OrderRow,
        policy: &Policy,
    ) -> Result<Drawn, IssueError> {
        let (password, redraws) = self.mint(policy, call)?;
        let fingerprint = password.folded(|clear| self.hsm.mac(Key::Fingerprint, clear))?;
        let folded = password.folded(|clear| Zeroizing::new(clear.to_vec()));
        let (spki, key) = unit_key(call)?;
        let chain = self
            .authority
            .device(&spki, &step.serial, &order.product, self.now())?;
        let mut salt = [0; 16];
        self.hsm.random(&mut salt)?;

        let certificate_sha256 = sha256(&chain[0]);
        let bundle = Bundle {
            serial: step.serial.clone(),
            attempt: step.attempt,
            password,
            salt: Salt::from_bytes(salt),
            chain,
            key,
        };
        Ok(Drawn {
            bundle: bundle.encode()?,
            folded,
            fingerprint: cut(&fingerprint),
            certificate_sha256,
            public_key_sha256: sha256(&spki),
            redraws,
        })
    }

    /// Draws until the gate lets a password through.
    fn mint(&self, policy: &Policy, call: &IssueCall) -> Result<(Password, u32), IssueError> {
        let macs: Vec<String> = call.macs.iter().map(ToString::to_string).collect();
        let facts = Facts {
            serial: call.serial.as_str(),
            device_id: call.device_id.as_str(),
            macs: &macs,
            model: &call.model,
            ssid: None,
            public: &[],
        };
        let mut redraws = 0;
        loop {
            let password = credential::mint(policy, &mut |out| self.hsm.random(out))?;
            let verdict = self.with_recent(&call.order, |recent| {
                password.folded(|clear| guess::judge(clear, &facts, recent))
            });
            match verdict {
                Verdict::Pass => return Ok((password, redraws)),
                Verdict::Refused {
                    detector, clause, ..
                } if redraws == REDRAWS_TOLERATED => {
                    return Err(IssueError::Guessable {
                        detector,
                        clause,
                        draws: redraws + 1,
                    });
                }
                Verdict::Refused { .. } => redraws += 1,
            }
        }
    }

    fn wrap(&self, step: &Step, bundle: &BundleBytes) -> Result<Vec<u8>, HsmError> {
        let bound = ticket_binding(&step.serial, step.attempt, step.device_id.as_str());
        bundle.expose(|clear| self.hsm.wrap(Key::Ticket, &bound, clear))
    }

    /// A chance collision is drawn again; more than the policy's arithmetic allows is a fault.
    fn tolerate(&self, policy: &Policy, collisions: u32) -> Result<(), IssueError> {
        let issued = self.read(|ledger| ledger.size())?; // entries: no fewer than issues
        if collisions > credential::collisions_tolerated(policy.bits(), issued) {
            return Err(IssueError::Repeating { collisions });
        }
        Ok(())
    }
}

/// A bundle that nobody has seen yet, and what the ledger will say of it.
struct Drawn {
    bundle: BundleBytes,
    folded: Zeroizing<Vec<u8>>,
    fingerprint: Fingerprint,
    certificate_sha256: Digest,
    public_key_sha256: Digest,
    redraws: u32,
}

impl Drawn {
    fn record(
        &self,
        line: &Line,
        call: &IssueCall,
        step: &Step,
        order: &OrderRow,
        policy: &Policy,
        collisions: u32,
    ) -> Issued {
        let detectors = guess::DETECTORS.to_owned();
        Issued {
            step: step.clone(),
            slot: call.slot.clone(),
            macs: call.macs.clone(),
            product: order.product.clone(),
            product_sha256: order.product_sha256,
            policy_sha256: policy.hash(),
            fingerprint: self.fingerprint,
            fingerprint_key: line.fingerprint_key,
            certificate_sha256: self.certificate_sha256,
            public_key_sha256: self.public_key_sha256,
            bundle_sha256: self.bundle.digest(),
            key_made_on_unit: call.csr.is_some(),
            gate: GateRecord {
                detectors,
                redraws: self.redraws,
                collisions,
            },
        }
    }
}

/// The key a unit's certificate is for: its own, or one made for it.
fn unit_key(call: &IssueCall) -> Result<(Vec<u8>, Option<PrivateKey>), IssueError> {
    if let Some(csr) = &call.csr {
        return Ok((identity::check_csr(csr)?, None));
    }
    let minted = credential::mint_key(&ring::rand::SystemRandom::new())?;
    Ok((minted.spki, Some(minted.private)))
}

/// The attempt an issue opens, and the void of a lost one that must come first.
///
/// An open attempt of the same station and the same silicon means that its reply was lost: nobody
/// can say where that secret is, so it is burnt in the transaction that records the fresh one.
/// Anybody else's open attempt is left alone, and the ledger refuses this one.
fn next_attempt(
    call: &IssueCall,
    station: StationName,
    before: Option<UnitRow>,
) -> (Step, Option<Event>) {
    let attempt = before
        .as_ref()
        .map_or(Attempt::FIRST, |row| row.attempt.next());
    let step = Step {
        serial: call.serial.clone(),
        device_id: call.device_id.clone(),
        order: call.order.clone(),
        station,
        attempt,
        operator: call.operator.clone(),
    };
    let lost = before.filter(|row| {
        row.state.is_open() && row.station == step.station && row.device_id == step.device_id
    });
    let void = lost.map(|row| Event::Voided {
        step: Step {
            attempt: row.attempt,
            order: row.order,
            ..step.clone()
        },
        cause: VoidCause::ReplyLost,
    });
    (step, void)
}

fn builds(order: &OrderRow, product: &Product, call: &IssueCall) -> Result<(), IssueError> {
    if product.builds(&call.model, &call.revision) {
        return Ok(());
    }
    Err(IssueError::WrongProduct {
        order: order.order.clone(),
        expected: format!("{} {}", product.model, product.revisions.join(" or "))
            .trim_end()
            .to_owned(),
        got: format!("{} {}", call.model, call.revision)
            .trim_end()
            .escape_debug()
            .to_string(),
    })
}

/// The password policy of a product.
pub(crate) fn policy_of(product: &Product) -> Result<Policy, PolicyError> {
    Policy::named(&product.password.policy, product.password.length)
}

/// What a ticket is bound to: it opens for this serial, this attempt and this silicon alone.
fn ticket_binding(serial: &Serial, attempt: Attempt, device_id: &str) -> Vec<u8> {
    format!("birthmark ticket v1\n{serial}\n{attempt}\n{device_id}\n").into_bytes()
}

/// The fingerprint an entry keeps of a MAC.
fn cut(mac: &[u8; 32]) -> Fingerprint {
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&mac[..16]);
    Fingerprint(fingerprint)
}
