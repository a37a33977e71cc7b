//! What the entries add up to, row by row. Every row follows from the entries alone.

use traveler::{
    Attempt, DeviceId, Digest, Fingerprint, KeyId, OrderId, Serial, Sku, State, StationName,
    Timestamp, VoidCause,
};

/// A work order and its count: `quantity = sealed + scrapped + open + not_started`, always.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderRow {
    /// The order's name.
    pub order: OrderId,
    /// What it builds.
    pub product: Sku,
    /// The definition in force when it was created.
    pub product_sha256: Digest,
    /// Units that may be sealed or scrapped.
    pub quantity: u32,
    /// Voids and reworks that may be replaced.
    pub allowance: u32,
    /// Whether it takes no more units.
    pub closed: bool,
    /// Units sealed.
    pub sealed: u32,
    /// Units that will not ship.
    pub scrapped: u32,
    /// Attempts under way, and units in rework, which keep their place.
    pub open: u32,
    /// Places nobody has taken.
    pub not_started: u32,
    /// Attempts withdrawn.
    pub voided: u32,
    /// Attempts reworked.
    pub reworked: u32,
    /// The entry that changed the row last.
    pub seq: u64,
}

/// A unit at its newest attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnitRow {
    /// The unit.
    pub serial: Serial,
    /// The silicon it is.
    pub device_id: DeviceId,
    /// The order that permits it.
    pub order: OrderId,
    /// The station that the attempt was issued to.
    pub station: StationName,
    /// The newest attempt.
    pub attempt: Attempt,
    /// Where it stands.
    pub state: State,
    /// The entry that issued its first attempt.
    pub first_seq: u64,
    /// The entry that issued the newest attempt.
    pub issued_seq: u64,
    /// The unit's newest entry.
    pub last_seq: u64,
    /// SHA-256 of the bundle as the unit must hold it.
    pub bundle_sha256: Digest,
    /// SHA-256 of its certificate (DER).
    pub certificate_sha256: Digest,
    /// SHA-256 of its public key (SubjectPublicKeyInfo, DER).
    pub public_key_sha256: Digest,
    /// The server's clock at the newest entry.
    pub since: Timestamp,
}

/// Where a station stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StationState {
    /// A token was given out and not used.
    Invited,
    /// It has a certificate.
    Enrolled,
    /// It may do nothing any more.
    Revoked,
}

impl StationState {
    /// The word used in JSON and on screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StationState::Invited => "invited",
            StationState::Enrolled => "enrolled",
            StationState::Revoked => "revoked",
        }
    }

    /// The state a word stands for, or `None` for a word of no state.
    #[must_use]
    pub fn parse(word: &str) -> Option<StationState> {
        [
            StationState::Invited,
            StationState::Enrolled,
            StationState::Revoked,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// A station.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StationRow {
    /// Its name, which is its certificate's common name.
    pub station: StationName,
    /// Where it stands.
    pub state: StationState,
    /// SHA-256 of its newest certificate (DER); none before it enrolled.
    pub certificate_sha256: Option<Digest>,
    /// SHA-256 of the newest token given out for it; the older ones no longer work.
    pub token_sha256: Digest,
    /// The entry that changed the row last.
    pub seq: u64,
}

/// What a rotated key does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignerName {
    /// It signs the log.
    Log,
    /// It certifies units.
    Issuing,
}

impl SignerName {
    /// The word used in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SignerName::Log => "log",
            SignerName::Issuing => "issuing",
        }
    }

    /// The name a word stands for, or `None` for a word of no key.
    #[must_use]
    pub fn parse(word: &str) -> Option<SignerName> {
        [SignerName::Log, SignerName::Issuing]
            .into_iter()
            .find(|name| name.as_str() == word)
    }
}

impl std::fmt::Display for SignerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that signs the log or certifies units, from one entry on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKeyRow {
    /// The entry that brought it; it is in force behind it.
    pub seq: u64,
    /// What it does.
    pub key: SignerName,
    /// The log's verifier key, or SubjectPublicKeyInfo (DER) in hexadecimal digits.
    pub public: String,
    /// What the key before it signed; empty for the first.
    pub proof: String,
    /// SHA-256 of the certificate (DER) of an issuing key; none for the first, which `init` made.
    pub certificate_sha256: Option<Digest>,
}

/// A time at which the generator was found unfit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StopRow {
    /// The entry that stopped the line.
    pub seq: u64,
    /// The order it was seen in.
    pub order: OrderId,
    /// The limb of Schedule 1 paragraph 1(3).
    pub clause: String,
    /// What saw it.
    pub detector: String,
    /// What was seen.
    pub evidence: String,
    /// The server's clock at the stop.
    pub since: Timestamp,
    /// The entry that ended it; none while the line is stopped.
    pub resumed_seq: Option<u64>,
}

/// A log that was put back from a copy and goes on without what came after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecoveryRow {
    /// The entry that says so.
    pub seq: u64,
    /// Entries from 0 that are those of the lost log.
    pub kept: u64,
    /// Entries of the longest log that anybody remembered then.
    pub remembered: u64,
}

/// A serial that nothing is issued for any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockRow {
    /// The entry that blocked it.
    pub seq: u64,
    /// The serial.
    pub serial: Serial,
    /// The silicon it was, when somebody knew.
    pub device_id: Option<DeviceId>,
}

/// A label that was printed again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReprintRow {
    /// The entry that says so.
    pub seq: u64,
    /// The unit.
    pub serial: Serial,
    /// The try whose label it is.
    pub attempt: Attempt,
    /// The number on the label, from 1.
    pub reprint: u32,
}

/// A credential that a station holds, or held, for a unit it had not met yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseRow {
    /// The entry that says so.
    pub seq: u64,
    /// The unit that was to carry it.
    pub serial: Serial,
    /// The try; leases count as tries.
    pub attempt: Attempt,
    /// The order that permits it.
    pub order: OrderId,
    /// Who holds it.
    pub station: StationName,
    /// When the station stops giving it to a unit.
    pub expires: Timestamp,
    /// SHA-256 of the bundle as the unit must hold it.
    pub bundle_sha256: Digest,
    /// SHA-256 of its certificate (DER).
    pub certificate_sha256: Digest,
    /// SHA-256 of its public key (SubjectPublicKeyInfo, DER).
    pub public_key_sha256: Digest,
    /// Why it ended without a unit, when it did.
    pub voided: Option<VoidCause>,
    /// The entry that says so.
    pub voided_seq: Option<u64>,
    /// The entry that says which unit it met; it may come after one that voided it.
    pub spent_seq: Option<u64>,
}

impl LeaseRow {
    /// Whether it has met no unit and was not voided.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.voided.is_none() && self.spent_seq.is_none()
    }

    /// Whether its time ended it, and nobody has said since what became of it.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.voided == Some(VoidCause::LeaseExpired) && self.spent_seq.is_none()
    }

    /// Whether it met no unit and its holder did not give it back.
    pub(crate) fn lapsed(&self) -> bool {
        let given_back = self.voided == Some(VoidCause::LeaseReturned);
        self.voided.is_some() && !given_back && self.spent_seq.is_none()
    }
}

/// How many credentials of an order stations hold for units they have not met, and how many came
/// back. An order that never had one has no such row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseCountRow {
    /// The order.
    pub order: OrderId,
    /// Of the order's `open`: leases that are held.
    pub leased: u32,
    /// Leases that ended without a unit.
    pub returned: u32,
    /// The entry that changed the row last.
    pub seq: u64,
}

impl LeaseCountRow {
    /// Of an order that never had a lease.
    pub(crate) fn none(order: OrderId) -> LeaseCountRow {
        LeaseCountRow {
            order,
            leased: 0,
            returned: 0,
            seq: 0,
        }
    }
}

/// One applied product definition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProductRow {
    /// Which product.
    pub product: Sku,
    /// SHA-256 of `definition`.
    pub product_sha256: Digest,
    /// The TOML as it was applied.
    pub definition: String,
    /// The entry that applied it.
    pub seq: u64,
}

/// Which log this is; from entry 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRow {
    /// The checkpoint origin.
    pub origin: String,
    /// The log's verifier key (C2SP signed-note).
    pub vkey: String,
    /// The key that fingerprints passwords.
    pub fingerprint_key: KeyId,
    /// SHA-256 of the root certificate (DER) that signs units' certificates.
    pub device_root_sha256: Digest,
    /// SHA-256 of the certificate (DER) that signs stations and people.
    pub site_root_sha256: Digest,
}

/// A one-time token of a station.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TokenRow {
    pub(crate) token_sha256: Digest,
    pub(crate) station: StationName,
    pub(crate) expires: Timestamp,
    pub(crate) used: bool,
    pub(crate) seq: u64,
}

/// Which serial a piece of silicon is. Released: its newest attempt was voided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DeviceRow {
    pub(crate) device_id: DeviceId,
    /// The entry it was met with first.
    pub(crate) first_seq: u64,
    pub(crate) serial: Serial,
    pub(crate) released: bool,
    pub(crate) seq: u64,
}

/// Which silicon a public key was first seen on, for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeyRow {
    pub(crate) public_key_sha256: Digest,
    pub(crate) device_id: DeviceId,
    pub(crate) seq: u64,
}

/// One minted password, by its fingerprint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct IssueRow {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) serial: Serial,
    pub(crate) attempt: Attempt,
    pub(crate) seq: u64,
}

/// One entry of a unit's traveler.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StepRow {
    pub(crate) serial: Serial,
    pub(crate) seq: u64,
    pub(crate) state: State,
    /// The unit's step before this one.
    pub(crate) before: Option<u64>,
}

/// One row that an entry makes or replaces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Row {
    Log(LogRow),
    Product(ProductRow),
    Order(OrderRow),
    Station(StationRow),
    Token(TokenRow),
    Unit(UnitRow),
    Device(DeviceRow),
    Key(KeyRow),
    Issue(IssueRow),
    Step(StepRow),
    Stop(StopRow),
    SigningKey(SigningKeyRow),
    Recovery(RecoveryRow),
    Block(BlockRow),
    Reprint(ReprintRow),
    Lease(LeaseRow),
    LeaseCount(LeaseCountRow),
}
