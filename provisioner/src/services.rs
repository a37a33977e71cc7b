//! The gRPC face: parse, call the line on a blocking thread, answer. No decisions here.

mod audit;
mod lease;
mod seal;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use api::v1::administration_server::Administration;
use api::v1::enrolment_server::Enrolment;
use api::v1::provisioning_server::Provisioning;
use api::{
    BadRequest, ConfirmCall, IssueCall, ReprintCall, ResumeCall, ReturnLeaseCall, SealCall,
    SpendCall, VoidCall, v1,
};
use ledger::{Proof, Refused};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{block_in_place, spawn_blocking};
use tonic::{Request, Response, Status};
use traveler::{OrderId, Serial, Sku, StationName};

use crate::auth::Caller;
use crate::backwards::Recovery;
use crate::figures::order_record;
use crate::issue::{IssueError, Minted};
use crate::line::{BenchError, Line};
use crate::records::{order_reply, product_record, revoked_record};
use crate::status::{Denied, bad_request, failed_inside, refusal, unreadable};

/// Every service of the server, over one line.
#[derive(Clone)]
pub(crate) struct Services(pub(crate) Arc<Line>);

type Reply<T> = Result<Response<T>, Status>;

impl Services {
    /// Runs `work` where it may block for an fsync or an HSM command.
    async fn run<T, E>(
        &self,
        work: impl FnOnce(&Line) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Status>
    where
        T: Send + 'static,
        E: Into<Status> + Send + 'static,
    {
        let line = Arc::clone(&self.0);
        let work = AssertUnwindSafe(move || work(&line));
        let ended = match Handle::current().runtime_flavor() {
            // In this thread, while another takes its place: a call is waited for by a unit in a
            // fixture, and two hand-overs are a tenth of it.
            RuntimeFlavor::MultiThread => block_in_place(|| catch_unwind(work)).ok(),
            _ => spawn_blocking(work).await.ok(),
        };
        match ended {
            Some(answer) => answer.map_err(Into::into),
            None => Err(failed_inside()), // it panicked
        }
    }
}

/// The caller that the service's gate let through, and the message.
fn open<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    let caller = caller.ok_or(Denied::NoCertificate)?;
    Ok((caller, request.into_inner()))
}

fn parsed<T>(value: Result<T, impl Into<BadRequest>>) -> Result<T, Status> {
    value.map_err(|error| bad_request(&error.into()))
}

#[tonic::async_trait]
impl Enrolment for Services {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Reply<v1::EnrolResponse> {
        let v1::EnrolRequest { token, csr } = request.into_inner();
        let token = zeroize::Zeroizing::new(token);
        let enrolled = self.run(move |line| line.enrol(&token, &csr)).await?;
        tracing::info!(station = %enrolled.station, "station enrolled");
        Ok(Response::new(v1::EnrolResponse {
            station: enrolled.station.to_string(),
            certificate: enrolled.certificate,
            site_root: self.0.authority.site_root().to_vec(),
            vkey: self.0.vkey.clone(),
        }))
    }
}

#[tonic::async_trait]
impl Provisioning for Services {
    async fn open_order(
        &self,
        request: Request<v1::OpenOrderRequest>,
    ) -> Reply<v1::OpenOrderResponse> {
        let (caller, message) = open(request)?;
        let id = parsed(OrderId::parse(&message.order))?;
        let answer = self.run(move |line| {
            line.bench(&caller)?;
            line.hold_against(&message.seen_checkpoint)?;
            let (order, product) = line.order_to_build(&id)?;
            let log = line.read(|ledger| ledger.consistency(message.seen_size))?;
            Ok::<_, IssueError>((order, product, log))
        });
        let (order, product, log) = answer.await?;
        if order.closed {
            return Err(refusal(&Refused::OrderClosed(order.order)));
        }
        let rotations = self.0.rotations.clone();
        Ok(Response::new(order_reply(order, product, log, rotations)))
    }

    async fn issue(&self, request: Request<v1::IssueRequest>) -> Reply<v1::IssueResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(IssueCall::try_from(message))?;
        let (serial, order) = (call.serial.clone(), call.order.clone());
        // A caller that hangs up while it waits here leaves nothing behind.
        let turn = self.0.turns.take(&serial).await;
        let minted = self.run(move |line| {
            let minted = line.issue(&caller, &call);
            drop(turn); // here, not in the caller's task: that one may be gone long before
            minted
        });
        let minted = minted.await;
        match &minted {
            Ok(minted) => {
                let (attempt, index) = (minted.attempt, minted.index);
                tracing::info!(%serial, %order, %attempt, index, "issued");
            }
            Err(status) => tracing::warn!(%serial, %order, reason = status.message(), "not issued"),
        }
        Ok(Response::new(released(&self.0, minted?)))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Reply<v1::IssueResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(ResumeCall::try_from(message))?;
        let serial = call.target.serial.clone();
        let minted = self.run(move |line| line.resume(&caller, &call)).await?;
        tracing::info!(%serial, attempt = %minted.attempt, "resumed");
        Ok(Response::new(released(&self.0, minted)))
    }

    async fn confirm(&self, request: Request<v1::ConfirmRequest>) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(ConfirmCall::try_from(message))?;
        let proof = self.run(move |line| line.confirm(&caller, &call)).await?;
        Ok(Response::new(proven(&self.0, proof)))
    }

    async fn reprint(&self, request: Request<v1::ReprintRequest>) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(ReprintCall::try_from(message))?;
        let (serial, reprint) = (call.target.serial.clone(), call.reprint);
        let proof = self.run(move |line| line.reprint(&caller, &call)).await?;
        tracing::info!(%serial, reprint, index = proof.index, "label reprinted");
        Ok(Response::new(proven(&self.0, proof)))
    }

    async fn seal(&self, request: Request<v1::SealRequest>) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(SealCall::try_from(message))?;
        let serial = call.target.serial.clone();
        let proof = self.run(move |line| line.seal(&caller, &call)).await?;
        tracing::info!(%serial, index = proof.index, "sealed");
        Ok(Response::new(proven(&self.0, proof)))
    }

    async fn rework(&self, request: Request<v1::ReworkRequest>) -> Reply<v1::ProofResponse> {
        self.break_seal(request, Line::rework).await
    }

    async fn scrap(&self, request: Request<v1::ScrapRequest>) -> Reply<v1::ProofResponse> {
        self.break_seal(request, Line::scrap).await
    }

    async fn void(&self, request: Request<v1::VoidRequest>) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(VoidCall::try_from(message))?;
        let (serial, cause) = (call.target.serial.clone(), call.cause.as_str());
        let proof = self.run(move |line| line.void(&caller, &call)).await?;
        tracing::info!(%serial, cause, index = proof.index, "voided");
        Ok(Response::new(proven(&self.0, proof)))
    }

    async fn unit_state(
        &self,
        request: Request<v1::UnitStateRequest>,
    ) -> Reply<v1::UnitStateResponse> {
        let (caller, message) = open(request)?;
        let serial = parsed(Serial::parse(&message.serial))?;
        let answer = self.run(move |line| {
            line.bench(&caller)?;
            Ok::<_, crate::line::BenchError>(line.read(|ledger| ledger.unit(&serial))?)
        });
        let answer = answer.await?.map(|row| v1::UnitStateResponse {
            state: row.state.as_str().to_owned(),
            attempt: row.attempt.0,
            device_id: row.device_id.to_string(),
            order: row.order.to_string(),
            station: row.station.to_string(),
        });
        Ok(Response::new(answer.unwrap_or_default()))
    }

    async fn lease(&self, request: Request<v1::LeaseRequest>) -> Reply<v1::LeaseResponse> {
        self.grant(request).await
    }

    async fn spend(&self, request: Request<v1::SpendRequest>) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(SpendCall::try_from(message))?;
        let serial = call.target.serial.clone();
        let proof = self.run(move |line| line.spend(&caller, &call)).await?;
        tracing::info!(%serial, index = proof.index, "spent");
        Ok(Response::new(proven(&self.0, proof)))
    }

    async fn return_lease(
        &self,
        request: Request<v1::ReturnLeaseRequest>,
    ) -> Reply<v1::ReturnLeaseResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(ReturnLeaseCall::try_from(message))?;
        let named = call.leases.len();
        let voided = self.run(move |line| line.return_lease(&caller, &call));
        let voided = voided.await?;
        tracing::info!(named, voided, "leases returned");
        Ok(Response::new(v1::ReturnLeaseResponse { voided }))
    }

    async fn show_clock(
        &self,
        request: Request<v1::ShowClockRequest>,
    ) -> Reply<v1::ShowClockResponse> {
        let (caller, _) = open(request)?;
        let stop = self.run(move |line| {
            line.bench(&caller)?;
            Ok::<_, BenchError>(line.read(|ledger| ledger.stop())?)
        });
        let stop = stop.await?;
        Ok(Response::new(v1::ShowClockResponse {
            unix_ms: self.0.now().unix_ms(),
            stopped_since: stop.map(|row| row.since.to_string()).unwrap_or_default(),
        }))
    }

    async fn show_recovery(
        &self,
        request: Request<v1::ShowRecoveryRequest>,
    ) -> Reply<v1::ProofResponse> {
        let (caller, message) = open(request)?;
        let recovery = self
            .run(move |line| line.recovery(&caller, &message.checkpoint))
            .await?;
        Ok(Response::new(match recovery {
            Recovery::Lost(proof) => proven(&self.0, proof),
            Recovery::NothingLost(log) => v1::ProofResponse {
                rotations: self.0.rotations.clone(),
                checkpoint: log.checkpoint,
                consistency: log.proof.iter().map(|hash| hash.to_vec()).collect(),
                ..v1::ProofResponse::default()
            },
        }))
    }
}

#[tonic::async_trait]
impl Administration for Services {
    async fn apply_product(
        &self,
        request: Request<v1::ApplyProductRequest>,
    ) -> Reply<v1::ProductRecord> {
        let (caller, message) = open(request)?;
        let by = caller.name();
        let row = self
            .run(move |line| line.apply_product(&caller, &message.definition))
            .await?;
        tracing::info!(product = %row.product, sha256 = %row.product_sha256, by, "product applied");
        Ok(Response::new(product_record(row)))
    }

    async fn list_products(
        &self,
        _: Request<v1::ListProductsRequest>,
    ) -> Reply<v1::ListProductsResponse> {
        let rows = self
            .run(|line| line.read(|l| l.products()).map_err(|e| unreadable(&e)))
            .await?;
        let products = rows.into_iter().map(product_record).collect();
        Ok(Response::new(v1::ListProductsResponse { products }))
    }

    async fn create_order(
        &self,
        request: Request<v1::CreateOrderRequest>,
    ) -> Reply<v1::OrderRecord> {
        let (caller, message) = open(request)?;
        let v1::CreateOrderRequest {
            product,
            quantity,
            order,
            allowance,
        } = message;
        let product = parsed(Sku::parse(&product))?;
        let name = match order.as_str() {
            "" => None,
            name => Some(parsed(OrderId::parse(name))?),
        };
        let row = self
            .run(move |line| line.create_order(&caller, name, &product, quantity, allowance))
            .await?;
        tracing::info!(order = %row.0.order, product = %row.0.product, quantity, "order created");
        Ok(Response::new(order_record(row)))
    }

    async fn close_order(&self, request: Request<v1::CloseOrderRequest>) -> Reply<v1::OrderRecord> {
        let (caller, message) = open(request)?;
        let order = parsed(OrderId::parse(&message.order))?;
        let row = self
            .run(move |line| line.close_order(&caller, &order))
            .await?;
        tracing::info!(order = %row.0.order, "order closed");
        Ok(Response::new(order_record(row)))
    }

    async fn invite_station(
        &self,
        request: Request<v1::InviteStationRequest>,
    ) -> Reply<v1::InviteStationResponse> {
        let (caller, message) = open(request)?;
        let station = parsed(StationName::parse(&message.station))?;
        tracing::info!(%station, "token asked for");
        let token = self
            .run(move |line| line.invite_station(&caller, &station, message.valid_s))
            .await?;
        Ok(Response::new(v1::InviteStationResponse {
            token: token.as_str().to_owned(),
        }))
    }

    async fn revoke_station(
        &self,
        request: Request<v1::RevokeStationRequest>,
    ) -> Reply<v1::StationRecord> {
        let (caller, message) = open(request)?;
        let station = parsed(StationName::parse(&message.station))?;
        let revoked = self
            .run(move |line| line.revoke_station(&caller, &station))
            .await?;
        let (attempts, leases) = (revoked.attempts, revoked.leases);
        tracing::info!(station = %revoked.bench.row.station, attempts, leases, "station revoked");
        Ok(Response::new(revoked_record(revoked)))
    }

    async fn resume_line(&self, request: Request<v1::ResumeLineRequest>) -> Reply<v1::LineRecord> {
        let (caller, message) = open(request)?;
        let seq = message.stopped_seq;
        self.run(move |line| line.resume_line(&caller, seq, &message.reason))
            .await?;
        tracing::info!(entry = seq, "line resumed");
        Ok(Response::new(v1::LineRecord::default()))
    }
}

/// The one place where a secret is put into a reply.
fn released(line: &Line, minted: Minted) -> v1::IssueResponse {
    v1::IssueResponse {
        attempt: minted.attempt.0,
        bundle: minted.bundle.expose(<[u8]>::to_vec),
        ticket: minted.ticket,
        index: minted.index,
        proof: minted.proof.map(|proof| proven(line, proof)),
    }
}

fn proven(line: &Line, proof: Proof) -> v1::ProofResponse {
    v1::ProofResponse {
        rotations: line.rotations.clone(),
        index: proof.index,
        entry: proof.entry,
        checkpoint: proof.checkpoint,
        inclusion: proof
            .inclusion
            .into_iter()
            .map(|hash| hash.to_vec())
            .collect(),
        consistency: Vec::new(),
    }
}
