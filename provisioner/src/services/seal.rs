//! The two calls that break a seal: the same but for what becomes of the unit.

use api::{BadRequest, BreakSealCall, v1};
use ledger::Proof;
use tonic::{Request, Response};

use super::{Reply, Services, open, parsed, proven};
use crate::auth::Caller;
use crate::close::CloseError;
use crate::line::Line;

/// What the line does when it breaks a seal.
type Break = fn(&Line, &Caller, &BreakSealCall) -> Result<Proof, CloseError>;

impl Services {
    pub(super) async fn break_seal<M>(
        &self,
        request: Request<M>,
        work: Break,
    ) -> Reply<v1::ProofResponse>
    where
        BreakSealCall: TryFrom<M, Error = BadRequest>,
    {
        let (caller, message) = open(request)?;
        let call = parsed(BreakSealCall::try_from(message))?;
        let (serial, [lead, second]) = (call.target.serial.clone(), call.by.clone());
        let proof = self.run(move |line| work(line, &caller, &call)).await?;
        tracing::info!(%serial, %lead, %second, index = proof.index, "seal broken");
        Ok(Response::new(proven(&self.0, proof)))
    }
}
