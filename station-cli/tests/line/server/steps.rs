//! Its work: each call as the real server answers it, repeats included.

use api::{Reason, v1};
use credential::{Bundle, BundleBytes, Policy, Salt, mint, mint_key, receipt};
use ring::rand::SecureRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::json;
use station_cli::CallError;
use traveler::{
    Attempt, DeviceId, Digest, Entry, Event, Fingerprint, GateRecord, KeyId, LabelProof,
    OperatorId, OrderId, Serial, Sku, State, Step, VoidCause,
};

use super::super::leases::LeaseState;
use super::super::unit::random;
use super::{Books, DEFINITION, Given, Row, refused, sha256};

impl Books {
    pub(super) fn open_attempt(
        &self,
        serial: &str,
        attempt: u32,
        device_id: &[u8],
    ) -> Result<Row, CallError> {
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
    pub(super) fn step(
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

    pub(super) fn issue(
        &mut self,
        request: &v1::IssueRequest,
    ) -> Result<v1::IssueResponse, CallError> {
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

    pub(super) fn mint(
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
            proof: (!self.unproven).then(|| self.prove(index)),
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

    pub fn definition(&self) -> String {
        match self.profile.as_str() {
            "" => DEFINITION.to_owned(),
            text => format!("{DEFINITION}device_profile.text = {}\n", json!(text)),
        }
    }

    /// The device profile's digest; none for a native unit.
    pub fn profile_sha256(&self) -> Option<Digest> {
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
            chain: vec![vec![0x30; 420], vec![self.issuer; 400]],
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

    pub(super) fn resume(
        &mut self,
        request: &v1::ResumeRequest,
    ) -> Result<v1::IssueResponse, CallError> {
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

    pub(super) fn confirm(
        &mut self,
        request: &v1::ConfirmRequest,
    ) -> Result<v1::ProofResponse, CallError> {
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
    pub(super) fn newest_label(&self, step: &Step) -> Option<(u32, u64)> {
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

    pub(super) fn asked_alike(&self, index: u64, request: &v1::ReprintRequest) -> bool {
        let at = usize::try_from(index).unwrap();
        match Entry::from_bytes(&self.entries[at]).unwrap().event {
            Event::Reprinted { reason, .. } => reason == request.reason,
            _ => false,
        }
    }

    pub(super) fn reprint(
        &mut self,
        request: &v1::ReprintRequest,
    ) -> Result<v1::ProofResponse, CallError> {
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

    pub(super) fn seal(
        &mut self,
        request: &v1::SealRequest,
    ) -> Result<v1::ProofResponse, CallError> {
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

    pub(super) fn void(
        &mut self,
        request: &v1::VoidRequest,
    ) -> Result<v1::ProofResponse, CallError> {
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
