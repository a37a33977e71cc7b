//! The path a secret travels: mint, gate, fingerprint, certify, record, reply.
//!
//! Nothing leaves before its entry is durable, and the transaction that writes the entry is the
//! one that refuses a serial, a key or a password that was there before. There is no look
//! beforehand whose answer could be old.

use std::thread::sleep;
use std::time::{Duration, Instant};

use compliance::Product;
use credential::{BundleBytes, BundleError, KeyError, LeaseError, PolicyError, Unfit};
use hsm::HsmError;
use ledger::{AppendError, LeaseRow, OrderRow, Proof, Refused, UnitRow};
use thiserror::Error;
use traveler::{Attempt, Event, OrderId, Serial, Sku, State, StationName, Step, VoidCause};

use api::IssueCall;

use crate::auth::Caller;
use crate::authority::AuthorityError;
use crate::draw::{Wanted, policy_of};
use crate::labels;
use crate::lease::held;
use crate::line::{BenchError, Line};

/// How long an issue waits for its checkpoint: some looks at the token, which come each 100 ms while it
/// is lost, and well within the time that a station gives a call.
const PROOF_WITHIN: Duration = Duration::from_secs(2);

/// How often it asks meanwhile. A token that is lost is not reached by this: its breaker refuses.
const PROOF_LOOK: Duration = Duration::from_millis(50);

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
    /// The proof of that entry, for the station to keep; none while its checkpoint is due.
    pub(crate) proof: Option<Proof>,
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
    /// The product's label was judged for shorter ones.
    #[error(
        "serial {serial} is longer than the {longest} characters that its product's label holds"
    )]
    LongSerial {
        /// The serial.
        serial: Serial,
        /// The most characters it may have.
        longest: usize,
    },
    /// A product definition in the ledger cannot be read by this version.
    #[error("product {0} cannot be used by this version: apply it again")]
    Product(Sku),
    /// The unit's key request cannot be used.
    #[error("the unit's key request cannot be used")]
    BadKey(#[from] identity::CsrError),
    /// The generator makes what somebody could guess: the line is stopped.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The unit and its product leave the policy no password that passes the gate.
    #[error(
        "policy `{policy}` leaves this unit no password: {refused} of {draws} draws of the system's \
         own generator are refused by the gate ({detector}): choose a longer one"
    )]
    NoRoom {
        /// The policy.
        policy: String,
        /// How many were refused.
        refused: u32,
        /// Of how many.
        draws: u32,
        /// What refused most of them.
        detector: &'static str,
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
    /// No key could be made for the unit.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The product names a policy that this version refuses.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The bundle does not fit the unit.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The station's key for its lease is none.
    #[error("a leased credential cannot be encrypted to the station: {0}")]
    Lease(#[from] LeaseError),
    /// The entries are on record, their proofs cannot be had yet.
    #[error("the lease is on record, its checkpoint is not signed yet: ask again")]
    NoProofYet,
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
    /// For one serial, one call at a time: see [`crate::turns`].
    ///
    /// # Errors
    /// [`IssueError`]; whatever it is, no secret was released. After [`IssueError::Unfit`] nothing
    /// is issued any more until an administrator resumes the line.
    pub(crate) fn issue(&self, caller: &Caller, call: &IssueCall) -> Result<Minted, IssueError> {
        let station = self.bench(caller)?;
        self.running()?;
        match self.issue_at(station.clone(), call) {
            Err(IssueError::Unfit(unfit)) => {
                Err(self.stop(station, &call.order, &call.serial, unfit))
            }
            answer => answer,
        }
    }

    fn issue_at(&self, station: StationName, call: &IssueCall) -> Result<Minted, IssueError> {
        let (order, product) = self.order_to_build(&call.order)?;
        builds(&order, &product, call)?;
        fits_label(&product, &call.serial)?;
        let lease = self.read(|ledger| ledger.lease(&call.serial))?;
        if let Some(row) = lease.clone().filter(LeaseRow::is_held) {
            return Err(AppendError::Refused(held(row)).into()); // this only spares the draw
        }
        let before = self.read(|ledger| ledger.unit(&call.serial))?;
        let (step, lost) = next_attempt(call, station, before, lease.map(|row| row.attempt));
        let policy = policy_of(&product)?;

        let mut collisions = 0;
        loop {
            let drawn = self.draw(&Wanted::of(call, step.attempt), &product, &policy)?;
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
                    self.watch.remember(&call.order, &policy, drawn.folded);
                    let (attempt, index) = (step.attempt, appended.last);
                    let proof = self.proof_soon(index);
                    return Ok(Minted {
                        attempt,
                        bundle: drawn.bundle,
                        ticket,
                        index,
                        proof,
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

    /// The proof of what was just recorded. A token that fell silent between the last command and the
    /// checkpoint is usually back with the next look at it, and an issue without a proof costs a unit
    /// with a device profile its attempt.
    fn proof_soon(&self, index: u64) -> Option<Proof> {
        let asked = Instant::now();
        loop {
            match self.proof(index) {
                Ok(proof) => return Some(proof),
                Err(_) if asked.elapsed() < PROOF_WITHIN => sleep(PROOF_LOOK),
                Err(_) => return None,
            }
        }
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
}

/// The attempt an issue opens, and the void of a lost one that must come first. Leases count as
/// tries, whatever became of them.
///
/// An open attempt of the same station and the same silicon means that its reply was lost: nobody
/// can say where that secret is, so it is burnt in the transaction that records the fresh one.
/// Anybody else's open attempt is left alone, and the ledger refuses this one. It refuses too when
/// the unit has shown that it holds the attempt: then this is a call that came late, for a station
/// that died in it, and the attempt is in the hands of the one that runs now.
fn next_attempt(
    call: &IssueCall,
    station: StationName,
    before: Option<UnitRow>,
    leased: Option<Attempt>,
) -> (Step, Option<Event>) {
    let newest = leased.max(before.as_ref().map(|row| row.attempt));
    let attempt = newest.map_or(Attempt::FIRST, Attempt::next);
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

/// Before anything is spent: behind an issue it would be a unit without a label.
pub(crate) fn fits_label(product: &Product, serial: &Serial) -> Result<(), IssueError> {
    let longest = labels::serial_max(product);
    match serial.as_str().len() <= longest {
        true => Ok(()),
        false => Err(IssueError::LongSerial {
            serial: serial.clone(),
            longest,
        }),
    }
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
