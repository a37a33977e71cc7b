//! The life of one unit at a station, from greeting to seal, wherever it was left.
//!
//! One path for first runs and for runs after a crash: each step asks what is already done. The
//! order is the point. Nothing is asked of the server before the unit said who it is; the ticket is
//! on disk before the first byte goes to the unit; the server knows that the unit holds its bundle
//! before the unit is locked; a label is printed only for a unit that was proven to be in the log.
//!
//! Deliberately absent: any decision by the text of an error, and any second chance beyond the one
//! rewrite after a failed read-back. Spec: DESIGN.md sections 2 and 9.

use api::v1;
use tokio::time::{Duration, Instant};
use traveler::{OperatorId, OrderId, Serial};
use wire::{Facts, UnitState};

use crate::begin::Begin;
use crate::calls::{Patience, Patient, Provisioning};
use crate::drive::UnitError;
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::{Claim, Reached};
use crate::load::WRITES_MAX;
use crate::port::Port;
use crate::report::{Doubt, Report};
use crate::seams::{Labels, Progress, Scanner, Stage};
use crate::settle::Desk;
use crate::tools::allowed;
use crate::unit::{Unit, Way};
use crate::way::way;

/// One unit to provision.
#[derive(Clone, Debug)]
pub struct Job {
    /// The order that permits it.
    pub order: OrderId,
    /// The serial that was scanned.
    pub serial: Serial,
    /// Who stands here.
    pub operator: Option<OperatorId>,
    /// How long to wait for a server that is away.
    pub patience: Patience,
    /// How long to wait, in all, for a cable that was pulled.
    pub reconnect: Duration,
}

/// One slot of a station, and what belongs to it.
pub struct Bench<S, P, C, L, O> {
    /// The server.
    pub server: S,
    /// Where the unit is plugged in.
    pub port: P,
    /// What reads labels back.
    pub scanner: C,
    /// What prints them.
    pub labels: L,
    /// Who watches.
    pub progress: O,
}

/// Passes over one unit whose cable is pulled; one that drops each time at the same step would be
/// written for ever.
const PASSES: u32 = 8;

/// Takes one unit as far as it will go. Whatever happens, even a crash, running it again with the
/// same unit goes on from there.
pub async fn provision<S, P, C, L, O>(
    job: &Job,
    home: &Home,
    bench: &mut Bench<S, P, C, L, O>,
) -> Report
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    let started = Instant::now();
    let mut run = Run {
        job,
        desk: Desk {
            home,
            calls: Patient::new(&bench.server, job.patience),
            operator: job.operator.as_ref(),
        },
        port: &mut bench.port,
        scanner: &mut bench.scanner,
        labels: &mut bench.labels,
        progress: &mut bench.progress,
        report: Report::new(&job.serial, &job.order),
        reconnect_left: job.reconnect,
        writes_left: WRITES_MAX,
        way: None,
        product_sha256: Vec::new(),
    };
    let ended = run.unit().await;
    let report = run.report.end(ended, started.elapsed());
    bench.progress.ended(&report);
    report
}

pub(crate) struct Run<'a, S, P, C, L, O> {
    pub(crate) job: &'a Job,
    pub(crate) desk: Desk<'a, S>,
    pub(crate) port: &'a mut P,
    pub(crate) scanner: &'a mut C,
    pub(crate) labels: &'a mut L,
    pub(crate) progress: &'a mut O,
    pub(crate) report: Report,
    /// Of the time for pulled cables.
    pub(crate) reconnect_left: Duration,
    /// Of the writes of this job.
    pub(crate) writes_left: u32,
    /// How the units of the order are spoken to.
    pub(crate) way: Way,
    /// Digest of the definition that says so.
    pub(crate) product_sha256: Vec<u8>,
}

impl<S, P, C, L, O> Run<'_, S, P, C, L, O>
where
    S: Provisioning,
    P: Port,
    C: Scanner,
    L: Labels,
    O: Progress,
{
    async fn unit(&mut self) -> Result<(), Failure> {
        let mut claim = self.desk.home.journal().claim(&self.job.serial)?;
        let ended = self.in_hand(&mut claim).await;
        self.report.doubt = match claim.open() {
            None => Doubt::None,
            Some(open) => match &open.issued {
                Some(issued) if issued.reached >= Reached::Locked => Doubt::Loaded,
                _ => Doubt::Open,
            },
        };
        ended
    }

    async fn in_hand(&mut self, claim: &mut Claim) -> Result<(), Failure> {
        self.stage(Stage::Server);
        // First of all: a log that was rewritten settles nothing, and closes no record.
        // A server that is away stops only what this station has no lease for.
        let order = self.order(claim).await?;
        self.way = allowed(self.desk.home, way(&order)?)?;
        self.product_sha256.clone_from(&order.product_sha256);
        self.slot_is_free().await?;
        self.finish_withdrawal(claim).await?;
        for _ in 1..PASSES {
            match self.pass(claim, &order).await {
                Err(Failure::Unit(UnitError::Cable(error))) if self.writes_left > 0 => {
                    self.wait_for_cable(UnitError::Cable(error)).await?;
                }
                ended => return ended,
            }
        }
        self.pass(claim, &order).await
    }

    /// One pass over the unit, from wherever the last one ended.
    async fn pass(
        &mut self,
        claim: &mut Claim,
        order: &v1::OpenOrderResponse,
    ) -> Result<(), Failure> {
        self.stage(Stage::Greet);
        let mut unit = Unit::at(self.port, &self.way).await?;
        let facts = unit.greet().await?;
        self.report.device_id = Some(facts.device_id.clone());
        right_product(order, &facts)?;

        let credential = match self.begin(claim, &facts).await? {
            Begin::Issue => {
                // What any unit of this issuer is given is on its way meanwhile; the unit does nothing
                // before it has all, and most of the rest is secret.
                let ending = self.desk.home.ending(&self.job.order);
                let beginning = unit.begin_install(&facts.device_id, &ending);
                let ((), issued) = tokio::join!(beginning, self.issue(claim, &facts));
                issued?
            }
            Begin::GoOn(credential) => credential,
            Begin::Sealed(open, issued) => {
                return self
                    .close_sealed(claim, &mut unit, &facts, &open, &issued)
                    .await;
            }
        };
        self.report.attempt = Some(credential.attempt);
        self.report.certificate_sha256 = Some(credential.certificate_sha256());
        let ending = credential.bundle.shared_ending();
        self.desk.home.remember_ending(&self.job.order, ending);

        // Crash from here to the end of `write`: the ticket gets the same bundle again, and the
        // unit is written whole again.
        let written = match facts.state {
            UnitState::Locked => self.prove(&mut unit, &credential).await,
            _ => self.write(&mut unit, &credential).await,
        };
        let receipt = match written {
            Ok(receipt) => receipt,
            Err(failure) => return self.give_up(claim, failure).await,
        };
        // The lock is on its way meanwhile, but for its end: nobody locks before this is on record.
        let beginning = unit.begin_lock(credential.bundle_sha256);
        let ((), confirmed) = tokio::join!(beginning, self.confirm(&credential, receipt));
        confirmed?;
        // Crash here: the server (or the outbox) has it as loaded, the unit is not locked; it is written again,
        // proven again, and the server answers the same.
        self.stage(Stage::Lock);
        let device_id = &credential.open.device_id;
        unit.lock(device_id, credential.bundle_sha256).await?;
        if order.label {
            claim.reach(Reached::Locked)?;
            self.label(claim, &mut unit, order, &credential).await?;
        }
        self.seal(claim, &credential.open, credential.attempt, order.label)
            .await
    }

    pub(crate) fn stage(&mut self, stage: Stage) {
        self.progress.stage(&self.job.serial, stage);
    }
}

/// Refuses what the order does not build, before anything is spent.
fn right_product(order: &v1::OpenOrderResponse, facts: &Facts) -> Result<(), Failure> {
    let revision = facts.revision.as_deref().unwrap_or_default();
    let wanted = order.revisions.is_empty() || order.revisions.iter().any(|r| r == revision);
    if facts.model == order.model && wanted {
        return Ok(());
    }
    let any = || "any revision".to_owned();
    let revisions = Some(order.revisions.join(" or ")).filter(|text| !text.is_empty());
    let found = format!("{} {revision}", facts.model);
    Err(Failure::WrongProduct {
        found: found.trim_end().escape_debug().to_string(),
        expected: format!("{} {}", order.model, revisions.unwrap_or_else(any)),
    })
}
