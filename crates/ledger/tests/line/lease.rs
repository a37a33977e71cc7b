//! Leases of the tests' line: two hours, by bench-1, of what an issue to the same unit would hold.

use traveler::{Event, LeaseStep, Leased, Spent, Step, Timestamp, VoidCause};

use super::{at, issue_of, sha256, step};

/// How long they last, in seconds.
pub const LASTS: i64 = 7_200;

pub fn lease_step(step: Step) -> LeaseStep {
    spent_of(step).lease()
}

/// A lease whose password, bundle and key follow from its step.
pub fn leased_of(step: Step) -> Leased {
    let like = issue_of(step.clone());
    Leased {
        public_key_sha256: sha256(&format!("leased key {} {}", step.serial, step.attempt)),
        lease: lease_step(step),
        expires: at(LASTS),
        seen: None,
        product: like.product,
        product_sha256: like.product_sha256,
        policy_sha256: like.policy_sha256,
        fingerprint: like.fingerprint,
        fingerprint_key: like.fingerprint_key,
        certificate_sha256: like.certificate_sha256,
        bundle_sha256: like.bundle_sha256,
        gate: like.gate,
    }
}

pub fn spent_of(step: Step) -> Spent {
    Spent {
        step,
        slot: None,
        macs: Vec::new(),
        released: Timestamp::from_unix_ms(0),
    }
}

pub fn leased(unit: &str, attempt: u32) -> Event {
    Event::Leased(Box::new(leased_of(step(unit, attempt))))
}

/// A lease with something about it changed.
pub fn leased_with(unit: &str, attempt: u32, edit: impl FnOnce(&mut Leased)) -> Event {
    let mut leased = leased_of(step(unit, attempt));
    edit(&mut leased);
    Event::Leased(Box::new(leased))
}

/// A lease of a first attempt that ends when so many seconds are over.
pub fn leased_until(unit: &str, seconds: i64) -> Event {
    leased_with(unit, 1, |leased| leased.expires = at(seconds))
}

pub fn spent(unit: &str, attempt: u32) -> Event {
    spent_with(unit, attempt, |_| {})
}

/// The same at another unit, station or order.
pub fn spent_with(unit: &str, attempt: u32, edit: impl FnOnce(&mut Step)) -> Event {
    let mut step = step(unit, attempt);
    edit(&mut step);
    Event::Spent(Box::new(spent_of(step)))
}

pub fn lease_voided(unit: &str, attempt: u32, cause: VoidCause) -> Event {
    let lease = lease_step(step(unit, attempt));
    Event::LeaseVoided { lease, cause }
}
