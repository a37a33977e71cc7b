//! Asking for a lease, and giving back what no unit got.
//!
//! A credential counts as held only when the server's log has proven its entry and it is on disk
//! here. A crash, or a reply that was lost, leaves it with the server alone: asked for again it is
//! voided there and leased anew, and not asked for again it expires.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use api::{LEASES_PER_CALL, RETURNS_PER_CALL, Reason, v1};
use credential::LeaseKey;
use traveler::{Attempt, Digest, Event, OperatorId, OrderId, Serial, Timestamp};

use super::order::KeptOrder;
use super::{Leased, Leases};
use crate::calls::{CallError, Patience, Patient, Provisioning};
use crate::durable;
use crate::failure::Failure;
use crate::home::Home;
use crate::journal::{Claim, JournalError, io_error};
use crate::log::Seen;
use crate::offline::{is_away, is_revoked};
use crate::settle::Desk;
use crate::told::is_of_the_station;
use crate::way::way;

/// One call mints and signs for 32 units. It is not repeated: that would void what it has just brought.
const LEASE_WITHIN: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The order that permits it.
    pub order: &'a OrderId,
    /// The units, at most 256.
    pub serials: &'a [Serial],
    /// How long each may wait for its unit, in seconds; 0: as long as the server says.
    pub valid_s: u32,
    /// Who asks.
    pub operator: Option<&'a OperatorId>,
    /// How long to wait for a server that is away.
    pub patience: Patience,
}

/// Leases a credential for each serial, after the server has heard what happened here; how many.
///
/// # Errors
/// What failed; what was leased before that is held.
pub async fn lease<S: Provisioning>(
    home: &Home,
    server: &S,
    ask: &Ask<'_>,
) -> Result<usize, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, ask.patience),
        operator: ask.operator,
    };
    let leased = async {
        desk.hears_first().await?;
        desk.give_all_back(true).await?;
        desk.lease(ask.order, ask.serials, ask.valid_s).await
    };
    desk.unless_revoked(leased.await)
}

/// Gives back what no unit got, after the server has heard what happened here; how many it voided.
///
/// # Errors
/// What failed; then nothing was erased, and it can be given back again.
pub async fn give_back<S: Provisioning>(
    home: &Home,
    server: &S,
    patience: Patience,
    operator: Option<&OperatorId>,
) -> Result<u32, Failure> {
    let desk = Desk {
        home,
        calls: Patient::new(server, patience),
        operator,
    };
    let voided = async {
        desk.hears_first().await?;
        let voided = desk.give_all_back(false).await?;
        desk.home.leases().forget_orders()?;
        Ok(voided)
    };
    desk.unless_revoked(voided.await)
}

impl<S: Provisioning> Desk<'_, S> {
    /// A station that was revoked holds nothing from then on.
    fn unless_revoked<T>(&self, done: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &done
            && is_revoked(failure)
        {
            self.revoked(&failure.to_string())?;
        }
        done
    }

    /// Tells the server what happened here. A record that it makes nothing of stays for `sync`; it is
    /// no reason to hold more, or less.
    async fn hears_first(&self) -> Result<(), Failure> {
        match self.drain_all().await {
            Err(failure) if is_away(&failure) || is_revoked(&failure) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Leases a credential for each of these serials; `valid_s` seconds long, 0 for as long as the
    /// server says.
    ///
    /// # Errors
    /// What was leased before a failure is held.
    async fn lease(
        &self,
        order: &OrderId,
        serials: &[Serial],
        valid_s: u32,
    ) -> Result<usize, Failure> {
        let leases = self.home.leases();
        let said = self.order(order, false).await?;
        way(&said)?;
        let kept = KeptOrder::new(&said)?;
        let of = (order, kept.product_sha256());
        let _alone = leases.ask()?;
        let key = leases.new_key()?;
        leases.keep_order(order, &kept)?;
        let mut held = 0;
        for some in serials.chunks(LEASES_PER_CALL) {
            // In hand, so that none of them is given to a unit meanwhile.
            let claims = some.iter().map(|serial| self.not_under_way(serial));
            let _claims: Vec<Claim> = claims.collect::<Result<_, _>>()?;
            self.lease_some(&key, of, some, valid_s).await?;
            held += some.len();
        }
        Ok(held)
    }

    async fn lease_some(
        &self,
        (number, key): &(u32, LeaseKey),
        of: (&OrderId, Digest),
        serials: &[Serial],
        valid_s: u32,
    ) -> Result<(), Failure> {
        let (seen, leases) = (self.home.seen(), self.home.leases());
        let before = seen.size()?;
        let recipient = key.recipient();
        let recipient = recipient.map_err(|error| Failure::BadReply(error.to_string()))?;
        let request = v1::LeaseRequest {
            order: of.0.to_string(),
            serials: serials.iter().map(ToString::to_string).collect(),
            recipient: recipient.to_bytes().to_vec(),
            valid_s,
            operator: self.badge(),
            // Read late, behind another try at one of these, this call must void nothing.
            seen_size: before,
        };
        // From here on what is held of them may be void.
        for serial in serials {
            if let Some(before) = leases.of(serial)? {
                leases.suspend(&before)?;
            }
        }
        let once = Patient::once(self.calls.server, LEASE_WITHIN);
        let reply = once.lease(request).await?;
        if reply.leased.len() != serials.len() {
            let what = "it leased another number than it was asked for";
            return Err(Failure::BadReply(what.to_owned()));
        }
        leases.saw(Timestamp::from_unix_ms(reply.now_unix_ms))?;
        for (serial, one) in serials.iter().zip(reply.leased) {
            let leased = self.proven_lease(before, of, serial, one)?;
            leases.keep(&Leased {
                key: *number,
                ..leased
            })?;
        }
        Ok(())
    }

    /// What the log has of a credential that the server says is leased.
    fn proven_lease(
        &self,
        before: u64,
        (order, product_sha256): (&OrderId, Digest),
        serial: &Serial,
        one: v1::LeasedCredential,
    ) -> Result<Leased, Failure> {
        let attempt = Attempt(one.attempt);
        let ours = |event: &Event| match event.happened() {
            Event::Leased(leased) => {
                let lease = &leased.lease;
                (&lease.serial, &lease.order, lease.attempt) == (serial, order, attempt)
                    && lease.station == *self.home.station()
                    && leased.product_sha256 == product_sha256
            }
            _ => false,
        };
        let proof = one.proof.unwrap_or_default();
        let proven = self.home.seen().take(before, &proof, ours)?;
        // One of before would be a credential that a unit may hold already.
        Seen::check_new(before, proven.index)?;
        let Event::Leased(entry) = proven.event.happened() else {
            unreachable!("it was looked at just now");
        };
        Ok(Leased {
            serial: serial.clone(),
            order: order.clone(),
            attempt,
            product_sha256: entry.product_sha256,
            bundle_sha256: entry.bundle_sha256,
            certificate_sha256: entry.certificate_sha256,
            expires: entry.expires,
            key: 0,
            released: None,
            encapped: one.encapped,
            wrapped: one.wrapped,
        })
    }

    fn not_under_way(&self, serial: &Serial) -> Result<Claim, Failure> {
        let claim = self.home.journal().claim(serial)?;
        let released = self.home.leases().of(serial)?;
        let released = released.is_some_and(|leased| leased.released.is_some());
        let told = self.home.outbox().of(serial)?.is_some();
        match claim.open().is_some() || released || told {
            true => Err(JournalError::InHand {
                serial: serial.clone(),
            }
            .into()),
            false => Ok(claim),
        }
    }

    /// Gives back all that no unit got, or what is too old for one, and erases it; how many the server
    /// voided.
    ///
    /// # Errors
    /// When the server does not answer: they are given to nobody, and can be given back again.
    async fn give_all_back(&self, too_old_alone: bool) -> Result<u32, Failure> {
        let leases = self.home.leases();
        let unspent = leases.unspent()?.into_iter();
        let wanted = unspent.filter(|(_, valid)| !(too_old_alone && *valid));
        let serials: Vec<Serial> = wanted.map(|(leased, _)| leased.serial).collect();
        let mut voided = 0;
        for some in serials.chunks(RETURNS_PER_CALL) {
            let (mut back, mut claims) = (Vec::new(), Vec::new());
            for serial in some {
                // Whatever is in work, or was begun since it was listed, stays.
                let Ok(claim) = self.not_under_way(serial) else {
                    continue;
                };
                if let Some(leased) = leases.of(serial)? {
                    leases.suspend(&leased)?;
                    claims.push(claim);
                    back.push(leased);
                }
            }
            voided += self.give_some_back(&back).await?;
            // Crash here: they are given back again, which changes nothing.
            for leased in &back {
                leases.erase(&leased.serial)?;
            }
        }
        Ok(voided)
    }

    /// One that is refused for its own sake must not keep the others: no unit here has it.
    async fn give_some_back(&self, back: &[Leased]) -> Result<u32, Failure> {
        if back.is_empty() {
            return Ok(0);
        }
        let together = self.give_back(back).await;
        if !together.as_ref().is_err_and(is_refused_for_itself) {
            return together;
        }
        let mut voided = 0;
        for one in back {
            match self.give_back(std::slice::from_ref(one)).await {
                Ok(number) => voided += number,
                Err(failure) if is_refused_for_itself(&failure) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(voided)
    }

    /// Tells the server that no unit gets these; how many it voided just now.
    pub(crate) async fn give_back(&self, leased: &[Leased]) -> Result<u32, Failure> {
        let target = |leased: &Leased| v1::LeaseTarget {
            serial: leased.serial.to_string(),
            attempt: leased.attempt.0,
        };
        let request = v1::ReturnLeaseRequest {
            leases: leased.iter().map(target).collect(),
            operator: self.badge(),
            unit_lost: false,
        };
        Ok(self.calls.return_lease(request).await?.voided)
    }
}

/// Whether the server has something against these credentials, and not against this station.
pub(crate) fn is_refused_for_itself(failure: &Failure) -> bool {
    match failure {
        Failure::Call(CallError::Refused { reason, .. }) => {
            !is_of_the_station(*reason) && *reason != Reason::StationRevoked
        }
        _ => false,
    }
}

impl Leases {
    /// One process asks at a time, and the key stays meanwhile.
    fn ask(&self) -> Result<File, JournalError> {
        self.make()?;
        let busy = || io::Error::other("another lease is being asked for here");
        self.try_lock("asking")?
            .ok_or_else(busy)
            .map_err(io_error(&self.dir))
    }

    /// Erases what orders build, once nothing is held or in work for them, and nobody asks for more.
    fn forget_orders(&self) -> Result<(), JournalError> {
        let Some(_nobody_asks) = self.try_lock("asking")? else {
            return Ok(());
        };
        if !self.all()?.is_empty() || !self.damaged()?.is_empty() {
            return Ok(());
        }
        let entries = fs::read_dir(&self.dir).map_err(io_error(&self.dir))?;
        for entry in entries {
            let path = entry.map_err(io_error(&self.dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.ends_with(".order.json")) {
                durable::remove(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }
}
