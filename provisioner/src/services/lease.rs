//! The call that mints for many serials at once.

use api::{LeaseCall, v1};
use tonic::{Request, Response};

use super::{Reply, Services, open, parsed, proven};
use crate::lease::Granted;

impl Services {
    /// Mints ahead for all of the serials, when it is their turn.
    pub(super) async fn grant(
        &self,
        request: Request<v1::LeaseRequest>,
    ) -> Reply<v1::LeaseResponse> {
        let (caller, message) = open(request)?;
        let call = parsed(LeaseCall::try_from(message))?;
        let (order, asked) = (call.order.clone(), call.serials.len());
        // In one order for all callers: two that want the same serials do not wait for each other.
        let mut sorted = call.serials.clone();
        sorted.sort_unstable();
        let mut turns = Vec::with_capacity(asked);
        for serial in &sorted {
            turns.push(self.0.turns.take(serial).await);
        }
        let granted = self.run(move |line| {
            let granted = line.lease(&caller, &call);
            drop(turns); // here, not in the caller's task: that one may be gone long before
            granted
        });
        let granted = granted.await;
        match &granted {
            Ok(granted) => {
                tracing::info!(%order, asked, expires = %granted.expires, "leased");
            }
            Err(status) => tracing::warn!(%order, asked, reason = status.message(), "not leased"),
        }
        let Granted { leased, expires } = granted?;
        let leased =
            leased
                .into_iter()
                .map(|(serial, attempt, bundle, proof)| v1::LeasedCredential {
                    serial: serial.to_string(),
                    attempt: attempt.0,
                    encapped: bundle.encapped,
                    wrapped: bundle.wrapped,
                    proof: Some(proven(&self.0, proof)),
                });
        Ok(Response::new(v1::LeaseResponse {
            leased: leased.collect(),
            expires_unix_ms: expires.unix_ms(),
            now_unix_ms: self.0.now().unix_ms(),
        }))
    }
}
