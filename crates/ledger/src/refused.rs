//! Why a change was not written: one variant per rule, with what an operator needs to act.

use crate::SignerName;
use traveler::{
    Attempt, DeviceId, KeyId, OrderId, Serial, Sku, State, StationName, Timestamp, VoidCause,
};

/// A rule of the line that a change would have broken. Nothing of the change was written.
///
/// Deliberately absent: which unit a password fingerprint was seen on. Nobody may ask that.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Entry 0, and only entry 0, opens the log.
    #[error("the log is opened by its first entry and by no other")]
    LogOpening,
    /// A change without events.
    #[error("the change holds no event")]
    Empty,
    /// The entry does not fit a C2SP entry bundle.
    #[error(
        "the entry would be {bytes} bytes, {} at most",
        traveler::Entry::MAX_BYTES
    )]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// The disk is nearly full.
    #[error(
        "the server's disk has {free_mb} MB left: units under way are finished, no new one begins"
    )]
    NoRoom {
        /// What is free, in millions of bytes.
        free_mb: u64,
    },
    /// The definition's digest is another one.
    #[error("the digest given for product {0} is not that of its definition")]
    DefinitionDigest(Sku),
    /// No definition of that product was applied.
    #[error("product {0} is not known: apply its definition first")]
    UnknownProduct(Sku),
    /// The product's definition changed since the order was prepared.
    #[error("the definition of product {0} was replaced in the meantime: try again")]
    ProductChanged(Sku),
    /// The unit is not what the order builds.
    #[error("order {order} builds {builds} under another definition than the unit was minted for")]
    WrongProduct {
        /// The order.
        order: OrderId,
        /// What it builds.
        builds: Sku,
    },
    /// No such order.
    #[error("order {0} is not known")]
    UnknownOrder(OrderId),
    /// The name is taken.
    #[error("order {0} exists already: choose another name")]
    OrderExists(OrderId),
    /// An order of no units.
    #[error("order {0} is for 0 units")]
    NoQuantity(OrderId),
    /// The order takes no more units.
    #[error("order {0} is closed")]
    OrderClosed(OrderId),
    /// Closing would leave units without an end.
    #[error("order {order} has {open} units under way: seal, void or scrap them, return leases")]
    UnitsOpen {
        /// The order.
        order: OrderId,
        /// Attempts under way, and units in rework.
        open: u32,
    },
    /// Every place of the order is taken.
    #[error("all {quantity} units of order {order} are sealed, scrapped or under way")]
    QuotaSpent {
        /// The order.
        order: OrderId,
        /// How many it permits.
        quantity: u32,
    },
    /// Too many attempts were withdrawn or redone.
    #[error(
        "order {order} had {voided} attempts voided and {reworked} reworked, {allowance} together \
         are allowed: a person has to look why"
    )]
    AllowanceSpent {
        /// The order.
        order: OrderId,
        /// How many voids and reworks it permits.
        allowance: u32,
        /// Attempts voided.
        voided: u32,
        /// Attempts reworked.
        reworked: u32,
    },

    /// The station was never invited.
    #[error("station {0} is not known: invite it first")]
    UnknownStation(StationName),
    /// The station was invited and has not used its token.
    #[error("station {0} has not enrolled yet: use its token there")]
    NotEnrolled(StationName),
    /// The station may do nothing, and its name is spent.
    #[error("station {0} was revoked; its name is not used again")]
    StationRevoked(StationName),
    /// A void blamed on a revocation that did not happen.
    #[error("station {0} is not revoked, so that cannot be the cause")]
    NotRevoked(StationName),
    /// The enrolment token was never given out, or not for this station.
    #[error("the enrolment token is not one given out for station {0}")]
    TokenUnknown(StationName),
    /// The enrolment token was used, or a newer one was given out.
    #[error("the enrolment token of station {0} was used or replaced: ask for a new one")]
    TokenSpent(StationName),
    /// The enrolment token is too old.
    #[error("the enrolment token of station {station} stopped working at {expires}")]
    TokenExpired {
        /// The station.
        station: StationName,
        /// When it stopped working.
        expires: Timestamp,
    },
    /// The token was given out before.
    #[error("the new token for station {0} was given out before: its generator repeats")]
    TokenRepeated(StationName),

    /// The serial, or the silicon, may be in the field without a record.
    #[error(
        "serial {serial} is blocked since entry {seq}: a unit of that name or silicon may be in the \
         field that the log has lost; use another serial and another unit"
    )]
    Blocked {
        /// The serial that was blocked.
        serial: Serial,
        /// The entry that blocked it.
        seq: u64,
    },
    /// A recovery that says less than a recovery must.
    #[error("the recovery cannot be recorded: {0}")]
    Recovery(&'static str),
    /// A lost entry that is not shown to have been one.
    #[error("what is said to be entry {was} of the lost log is not shown to be: {why}")]
    Unproven {
        /// Its number in the lost log.
        was: u64,
        /// What does not hold.
        why: String,
    },

    /// The serial is under way, sealed or scrapped.
    #[error("serial {serial} is {state} since {since} (order {order}, station {station})")]
    SerialInUse {
        /// The serial.
        serial: Serial,
        /// Where its newest attempt stands.
        state: State,
        /// Which station issued it.
        station: StationName,
        /// Under which order.
        order: OrderId,
        /// When it got there.
        since: Timestamp,
    },
    /// A station holds a credential for the serial.
    #[error(
        "serial {serial} is leased to station {station} until {expires}: it alone gives it to a \
         unit, or returns it"
    )]
    Leased {
        /// The serial.
        serial: Serial,
        /// Who holds it.
        station: StationName,
        /// Until when.
        expires: Timestamp,
    },
    /// A lease that would end too soon or too late.
    #[error("serial {serial}: a lease lasts 60 to 43200 seconds, this one would end at {expires}")]
    LeaseBounds {
        /// The serial.
        serial: Serial,
        /// When it would end.
        expires: Timestamp,
    },
    /// The station holds as many as it may.
    #[error("station {station} holds {held} leases, the most there may be: return some")]
    LeasesHeld {
        /// The station.
        station: StationName,
        /// How many it holds.
        held: u32,
    },
    /// Too many of the order ended without a unit.
    #[error("{returned} leases of order {order} ended without a unit, {most} at most: look why")]
    LeasesReturned {
        /// The order.
        order: OrderId,
        /// How many: of those that nobody gave back, or of all.
        returned: u32,
        /// Its quantity and allowance together, for all a thousand times as many.
        most: u32,
    },
    /// A call that was sent before the newest try at the serial began, and came in after it.
    #[error("serial {0}: a newer try began since the station asked: ask again")]
    Overtaken(Serial),
    /// A unit with the serial may exist that no record is good for.
    #[error("serial {0} may be on a unit that was put aside without a record: use another serial")]
    UnitMayExist(Serial),
    /// The serial was never leased.
    #[error("serial {0} was never leased")]
    UnknownLease(Serial),
    /// The lease ended before.
    #[error("serial {serial}: the lease of attempt {attempt} is over ({how})")]
    LeaseOver {
        /// The serial.
        serial: Serial,
        /// The try.
        attempt: Attempt,
        /// `spent`, or the cause that voided it.
        how: &'static str,
    },
    /// The lease is not over yet.
    #[error("serial {serial}: its lease runs until {expires}")]
    LeaseRuns {
        /// The serial.
        serial: Serial,
        /// Until when.
        expires: Timestamp,
    },
    /// The key was minted for another unit.
    #[error("the public key was minted for a lease of serial {0}")]
    LeasedKey(Serial),
    /// What ends a lease withdraws no attempt, and the other way round.
    #[error("{} is no cause for that", .0.as_str())]
    WrongCause(VoidCause),
    /// The silicon carries another serial.
    #[error("the unit with device id {device_id} already is serial {serial}")]
    DeviceInUse {
        /// The silicon.
        device_id: DeviceId,
        /// What it is.
        serial: Serial,
    },
    /// The public key belongs to other silicon.
    #[error("the unit's public key was seen on the unit with device id {device_id}")]
    KeyInUse {
        /// Where it was seen.
        device_id: DeviceId,
    },
    /// The generator was found unfit, and nobody said that it is well again.
    #[error(
        "the line is stopped since {since}: {detector}, clause {clause}, seen in order {order} \
         (entry {seq})"
    )]
    LineStopped {
        /// The entry that stopped it.
        seq: u64,
        /// The order it was seen in.
        order: OrderId,
        /// The limb of Schedule 1 paragraph 1(3).
        clause: String,
        /// What saw it.
        detector: String,
        /// The server's clock then.
        since: Timestamp,
    },
    /// There is no stop to end, or another one than was named.
    #[error("the line is not stopped by entry {0}: look again with `provisioner line status`")]
    NotStopped(u64),
    /// The key in force did not say that another takes over.
    #[error("the rotation of the {key} key is not authorised: {why}")]
    NotAuthorised {
        /// Which key.
        key: SignerName,
        /// What is wrong.
        why: String,
    },
    /// The checkpoint over a rotation is signed by both keys, so it goes alone.
    #[error("a log key is rotated by itself, while no server runs: `provisioner rotate`")]
    RotatesAlone,
    /// The password was issued before, somewhere.
    #[error("this password's fingerprint was recorded before: mint another one")]
    FingerprintUsed,
    /// The fingerprint was made with another key, so it proves nothing about uniqueness.
    #[error("the fingerprint was made with key {given}, this log's is {expected}")]
    OtherFingerprintKey {
        /// The key of the log.
        expected: KeyId,
        /// The key of the event.
        given: KeyId,
    },

    /// The serial was never issued.
    #[error("serial {0} was never issued")]
    UnknownUnit(Serial),
    /// The step may not follow where the unit stands.
    #[error("serial {serial} is {state} at attempt {attempt}: it cannot become {wanted}")]
    WrongState {
        /// The unit.
        serial: Serial,
        /// Where it stands.
        state: State,
        /// Its newest attempt.
        attempt: Attempt,
        /// Where the step would have led.
        wanted: State,
    },
    /// The attempt is not the newest, or not the next.
    #[error("serial {serial}: attempt {given} was named, {expected} is due")]
    WrongAttempt {
        /// The unit.
        serial: Serial,
        /// The attempt the rules ask for.
        expected: Attempt,
        /// The attempt of the event.
        given: Attempt,
    },
    /// The silicon is not that of the attempt.
    #[error("serial {serial} is the unit with device id {expected}, not {given}")]
    OtherDevice {
        /// The unit.
        serial: Serial,
        /// The silicon it was issued to.
        expected: DeviceId,
        /// The silicon of the event.
        given: DeviceId,
    },
    /// The unit belongs to another order.
    #[error("serial {serial} belongs to order {order}")]
    OtherOrder {
        /// The unit.
        serial: Serial,
        /// Its order.
        order: OrderId,
    },
    /// The attempt belongs to another station.
    #[error("serial {serial} is {state} at station {station} since {since}")]
    OtherStation {
        /// The unit.
        serial: Serial,
        /// Where it stands.
        state: State,
        /// Whose attempt it is.
        station: StationName,
        /// Since when.
        since: Timestamp,
    },
    /// The unit holds something else than what was issued.
    #[error(
        "serial {serial}: the receipt of attempt {attempt} is not for the bundle that was issued"
    )]
    BundleMismatch {
        /// The unit.
        serial: Serial,
        /// The attempt.
        attempt: Attempt,
    },
    /// There is no label to print again, or it would give a secret again.
    #[error(
        "serial {serial} is {state} at attempt {attempt}: a label is printed again only between load \
         and seal; a sealed unit gets another label by rework, with another password"
    )]
    NoReprint {
        /// The unit.
        serial: Serial,
        /// Where it stands.
        state: State,
        /// Its newest attempt.
        attempt: Attempt,
    },
    /// The number is not above those before it.
    #[error("serial {serial}: label R{given} was named, R{newest} was printed already")]
    ReprintNumber {
        /// The unit.
        serial: Serial,
        /// The newest number on record.
        newest: u32,
        /// The number of the event.
        given: u32,
    },
    /// The label that was scanned is not the one that counts.
    #[error("serial {serial}: label R{scanned} was scanned and is void, R{newest} counts")]
    VoidLabel {
        /// The unit.
        serial: Serial,
        /// The number of the event; 0 is the first print.
        scanned: u32,
        /// The newest number on record.
        newest: u32,
    },
    /// Somebody has to have asked for it.
    #[error("serial {0}: a reprint takes the badge of who asks for it")]
    NoBadge(Serial),
    /// Somebody has to have said why.
    #[error("serial {0}: say in 1 to 500 bytes of one line why")]
    NoReason(Serial),
    /// Breaking a seal takes two people.
    #[error("serial {0}: rework takes two different people")]
    OnePerson(Serial),
}
