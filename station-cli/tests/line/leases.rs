//! The server's part of a lease: minted ahead, spent on one unit or voided.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::{Reason, v1};
use credential::{BundleBytes, LeaseFor, Recipient, wrap_to};
use station_cli::{CallError, Failure, Patience, Synced, sync};
use traveler::{
    Attempt, DeviceId, Digest, Event, Fingerprint, GateRecord, KeyId, LeaseStep, Leased, OrderId,
    Serial, Sku, Spent, State, Step, Timestamp, VoidCause,
};

use super::Line;
use super::server::{Books, refused};
use super::unit::random;

/// One lease.
#[derive(Clone)]
pub struct LeaseRow {
    pub step: LeaseStep,
    pub bundle_sha256: Digest,
    pub state: LeaseState,
}

/// Where it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeaseState {
    Unspent,
    Spent,
    Void,
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

impl Books {
    pub fn lease(&mut self, request: &v1::LeaseRequest) -> Result<v1::LeaseResponse, CallError> {
        assert!((1..=32).contains(&request.serials.len()));
        if let Some(reason) = self.refuse_issue {
            return Err(refused(reason));
        }
        let recipient =
            Recipient::from(<[u8; 32]>::try_from(request.recipient.as_slice()).unwrap());
        let valid = match request.valid_s {
            0 => 7_200,
            seconds => i64::from(seconds),
        };
        let expires = now_ms() + valid * 1_000;
        let mut leased = Vec::new();
        for name in &request.serials {
            let serial = Serial::parse(name).unwrap();
            let order = OrderId::parse(&request.order).unwrap();
            if let Some(before) = self.leased_before.get(name).filter(|_| self.replay_leases) {
                leased.push(before.clone());
                continue;
            }
            let one = self.lease_one(&recipient, serial, order, expires)?;
            self.leased_before.insert(name.clone(), one.clone());
            leased.push(one);
        }
        Ok(v1::LeaseResponse {
            leased,
            expires_unix_ms: expires,
            now_unix_ms: now_ms(),
        })
    }

    fn lease_one(
        &mut self,
        recipient: &Recipient,
        serial: Serial,
        order: OrderId,
        expires: i64,
    ) -> Result<v1::LeasedCredential, CallError> {
        let row = self.units.get(&serial).cloned();
        if row.as_ref().is_some_and(|row| row.state != State::Voided) {
            return Err(refused(Reason::DuplicateUnit));
        }
        let before = self.leases.get(&serial).cloned();
        if let Some(lost) = before.clone().filter(|it| it.state == LeaseState::Unspent) {
            self.void_lease(&lost, VoidCause::ReplyLost);
        }
        let tries = [
            row.map(|it| it.step.attempt),
            before.map(|it| it.step.attempt),
        ];
        let last = tries.into_iter().flatten().max();
        let attempt = last.map_or(Attempt::FIRST, Attempt::next);
        let bytes = self.make_bundle(&serial, attempt, None);
        let step = LeaseStep {
            serial: serial.clone(),
            order,
            station: self.station.clone(),
            attempt,
            operator: None,
        };
        let digests = (bytes.digest(), self.definition_sha256());
        let index = self.record(leased(step.clone(), digests, expires));
        let wrapped = wrap(recipient, &step, &bytes);
        self.leases.insert(
            serial.clone(),
            LeaseRow {
                step,
                bundle_sha256: bytes.digest(),
                state: LeaseState::Unspent,
            },
        );
        Ok(v1::LeasedCredential {
            serial: serial.to_string(),
            attempt: attempt.0,
            encapped: wrapped.0,
            wrapped: wrapped.1,
            proof: Some(self.prove(index)),
        })
    }

    fn void_lease(&mut self, row: &LeaseRow, cause: VoidCause) {
        let lease = row.step.clone();
        self.record(Event::LeaseVoided { lease, cause });
        self.leases.get_mut(&row.step.serial).unwrap().state = LeaseState::Void;
    }

    pub fn spend(&mut self, request: &v1::SpendRequest) -> Result<v1::ProofResponse, CallError> {
        if let Some(reason) = self.refuse_spend {
            return Err(refused(reason));
        }
        let serial = Serial::parse(&request.serial).unwrap();
        let device_id = DeviceId::from_bytes(&request.device_id).unwrap();
        let row = self.leases.get(&serial).cloned();
        let row = row.ok_or(refused(Reason::UnknownUnit))?;
        if row.step.attempt.0 != request.attempt || row.state == LeaseState::Void {
            return Err(refused(Reason::WrongState));
        }
        let step = Step {
            serial: serial.clone(),
            device_id: device_id.clone(),
            order: row.step.order.clone(),
            station: self.station.clone(),
            attempt: row.step.attempt,
            operator: None,
        };
        if row.state == LeaseState::Spent {
            let same = self.units[&serial].step.device_id == device_id;
            let index = self.find(&step, State::Issued).filter(|_| same);
            return index
                .map(|at| self.prove(at))
                .ok_or(refused(Reason::WrongState));
        }
        let in_use = |of: &super::server::Row| {
            of.step.device_id == device_id && of.step.serial != serial && of.state != State::Voided
        };
        if self.units.values().any(in_use) {
            return Err(refused(Reason::UnitInUse));
        }
        self.leases.get_mut(&serial).unwrap().state = LeaseState::Spent;
        let index = self.record(Event::Spent(Box::new(Spent {
            step,
            slot: None,
            macs: vec![],
            released: Timestamp::from_unix_ms(request.released_unix_ms),
        })));
        Ok(self.prove(index))
    }

    pub fn return_lease(
        &mut self,
        request: &v1::ReturnLeaseRequest,
    ) -> Result<v1::ReturnLeaseResponse, CallError> {
        let mut voided = 0;
        // All or none.
        for target in &request.leases {
            let serial = Serial::parse(&target.serial).unwrap();
            if !self.leases.contains_key(&serial) {
                return Err(refused(Reason::UnknownUnit));
            }
        }
        for target in &request.leases {
            let serial = Serial::parse(&target.serial).unwrap();
            let row = self.leases.get(&serial).cloned();
            let row = row.ok_or(refused(Reason::UnknownUnit))?;
            match row.state {
                LeaseState::Void | LeaseState::Spent => {}
                LeaseState::Unspent => {
                    self.void_lease(
                        &row,
                        match request.unit_lost {
                            true => VoidCause::UnitLost,
                            false => VoidCause::LeaseReturned,
                        },
                    );
                    voided += 1;
                }
            }
        }
        Ok(v1::ReturnLeaseResponse { voided })
    }
}

fn wrap(recipient: &Recipient, step: &LeaseStep, bytes: &BundleBytes) -> (Vec<u8>, Vec<u8>) {
    let lease = LeaseFor {
        station: &step.station,
        order: &step.order,
        serial: &step.serial,
        attempt: step.attempt,
    };
    let made = wrap_to(recipient, &lease, bytes, &random()).unwrap();
    (made.encapped, made.wrapped)
}

fn leased(
    lease: LeaseStep,
    (bundle_sha256, product_sha256): (Digest, Digest),
    expires: i64,
) -> Event {
    Event::Leased(Box::new(Leased {
        lease,
        seen: None,
        expires: Timestamp::from_unix_ms(expires),
        product: Sku::parse("CAM-2").unwrap(),
        product_sha256,
        policy_sha256: Digest([2; 32]),
        fingerprint: Fingerprint([3; 16]),
        fingerprint_key: KeyId([4; 8]),
        certificate_sha256: Digest([5; 32]),
        public_key_sha256: Digest([6; 32]),
        bundle_sha256,
        gate: GateRecord {
            detectors: "1".into(),
            redraws: 0,
            collisions: 0,
        },
    }))
}

pub const NO_PATIENCE: Patience = Patience(Duration::ZERO);

/// A line with a lease of these, and a server that is gone.
pub async fn offline(serials: &[&str]) -> Line {
    let line = Line::new();
    line.lease(serials).await.unwrap();
    line.server.books().away = true;
    line
}

pub async fn upload(line: &Line) -> Result<Vec<Synced>, Failure> {
    sync(&line.home, &line.server, NO_PATIENCE, None).await
}

/// Polls that one whole run takes.
pub async fn polls_of_a_run(away: bool) -> usize {
    for polls in 1.. {
        let mut line = offline(&["A47"]).await;
        line.server.books().away = away;
        if line.run_until("A47", polls).await.is_some() {
            assert!(polls > 15, "a sweep stops at every await: {polls}");
            return polls;
        }
    }
    unreachable!("a run ends")
}
