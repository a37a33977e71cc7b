//! Why an attempt ends without a unit.

use serde::{Deserialize, Serialize};

/// Why an attempt was withdrawn.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidCause {
    /// The reply was lost and no ticket was kept: nobody can say where the secret went.
    ReplyLost,
    /// What the unit read back was not what was written.
    ReadBack,
    /// Another unit stood in the slot at the end than at the start.
    Swapped,
    /// The unit will not come back to its slot. Of a lease: it was given to a unit that counts for
    /// nothing, and that may exist with its label; the serial is not given out again.
    UnitLost,
    /// The station that held it may do nothing any more.
    StationRevoked,
    /// The entry that withdrew it was lost; a later attempt is proven, so it was withdrawn.
    RecordLost,
    /// The station gave its lease back unused.
    LeaseReturned,
    /// Nobody spent the lease in its time.
    LeaseExpired,
}

impl VoidCause {
    /// Every cause.
    pub const ALL: [VoidCause; 8] = [
        VoidCause::ReplyLost,
        VoidCause::ReadBack,
        VoidCause::Swapped,
        VoidCause::UnitLost,
        VoidCause::StationRevoked,
        VoidCause::RecordLost,
        VoidCause::LeaseReturned,
        VoidCause::LeaseExpired,
    ];

    /// The word used in entries and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            VoidCause::ReplyLost => "reply_lost",
            VoidCause::ReadBack => "read_back",
            VoidCause::Swapped => "swapped",
            VoidCause::UnitLost => "unit_lost",
            VoidCause::StationRevoked => "station_revoked",
            VoidCause::RecordLost => "record_lost",
            VoidCause::LeaseReturned => "lease_returned",
            VoidCause::LeaseExpired => "lease_expired",
        }
    }

    /// Whether it is one that ends a lease: a credential that has met no unit yet.
    #[must_use]
    pub fn ends_a_lease(self) -> bool {
        use VoidCause::{
            LeaseExpired, LeaseReturned, RecordLost, ReplyLost, StationRevoked, UnitLost,
        };
        matches!(
            self,
            LeaseReturned | LeaseExpired | StationRevoked | ReplyLost | RecordLost | UnitLost
        )
    }

    /// Whether it is one that withdraws an attempt at a unit.
    #[must_use]
    pub fn ends_an_attempt(self) -> bool {
        !matches!(self, VoidCause::LeaseReturned | VoidCause::LeaseExpired)
    }

    /// The cause a word stands for, or `None` for a word of no cause.
    #[must_use]
    pub fn parse(word: &str) -> Option<VoidCause> {
        VoidCause::ALL
            .into_iter()
            .find(|cause| cause.as_str() == word)
    }
}
