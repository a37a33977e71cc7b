//! Why a call was refused, in a form machines act on (google.rpc.ErrorInfo).

use tonic::Status;
use tonic_types::StatusExt;

/// The domain under which the reasons are unique (google.rpc.ErrorInfo).
pub const DOMAIN: &str = "birthmark";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a call was refused. A reason exists when a station or a person acts differently.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The word that crosses the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => $word,)*
                }
            }
        }
    };
}

reasons! {
    /// A field could not be parsed; the message says which and what was expected.
    BadRequest = "BAD_REQUEST",
    /// The caller has no certificate of this site, or its role may not do this.
    NotPermitted = "NOT_PERMITTED",
    /// The station was revoked, and that is on record: it erases what it holds.
    StationRevoked = "STATION_REVOKED",
    /// The enrolment token is unknown, used or too old.
    TokenRefused = "TOKEN_REFUSED",
    /// No such station, or its certificate is not the newest on record.
    UnknownStation = "UNKNOWN_STATION",
    /// No such order.
    UnknownOrder = "UNKNOWN_ORDER",
    /// The order takes no more units.
    WorkOrderClosed = "WORK_ORDER_CLOSED",
    /// Every unit of the order is sealed, scrapped or under way.
    QuotaSpent = "QUOTA_SPENT",
    /// Too many attempts of this order were withdrawn; a person has to look.
    AllowanceSpent = "ALLOWANCE_SPENT",
    /// No such product, or none applied yet.
    UnknownProduct = "UNKNOWN_PRODUCT",
    /// The unit is not what the order builds.
    WrongProduct = "WRONG_PRODUCT",
    /// The unit's key or certificate request cannot be used.
    BadKey = "BAD_KEY",
    /// The serial is sealed, scrapped or under way elsewhere.
    DuplicateUnit = "DUPLICATE_UNIT",
    /// The silicon or its key already carries another serial.
    UnitInUse = "UNIT_IN_USE",
    /// A station holds a leased credential for the serial: it alone gives it to a unit, or returns it.
    Leased = "LEASED",
    /// No more may be leased: the station holds as many as it may, or too many came back unspent.
    LeaseRefused = "LEASE_REFUSED",
    /// The serial was never issued.
    UnknownUnit = "UNKNOWN_UNIT",
    /// The attempt is not in the state this step needs.
    WrongState = "WRONG_STATE",
    /// A label with a newer number is on record: it alone counts, and the next takes the next number.
    VoidLabel = "VOID_LABEL",
    /// The attempt belongs to another station.
    OtherStation = "OTHER_STATION",
    /// The receipt is not for what was issued.
    ReceiptMismatch = "RECEIPT_MISMATCH",
    /// The resume ticket does not open, or is for another unit.
    TicketRefused = "TICKET_REFUSED",
    /// The generator's output is guessable or repeats: stop the line.
    GeneratorUnfit = "GENERATOR_UNFIT",
    /// The keys cannot be reached; nothing was issued.
    HsmUnavailable = "HSM_UNAVAILABLE",
    /// The log cannot be written; nothing was issued.
    LedgerUnavailable = "LEDGER_UNAVAILABLE",
    /// Exists already under this name.
    AlreadyExists = "ALREADY_EXISTS",
    /// The order still has units under way.
    UnitsOpen = "UNITS_OPEN",
}

impl Reason {
    /// The reason a status carries, if it is one of ours.
    #[must_use]
    pub fn of(status: &Status) -> Option<Reason> {
        let info = status.get_details_error_info()?;
        (info.domain == DOMAIN)
            .then(|| Reason::parse(&info.reason))
            .flatten()
    }

    /// The reason a word stands for, or `None` for a word of a newer server.
    #[must_use]
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == word)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_reason_crosses_the_wire() {
        for &reason in Reason::ALL {
            let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, []);
            let status = Status::with_error_details(tonic::Code::Internal, "no", details);
            assert_eq!(Reason::of(&status), Some(reason));
        }
    }

    #[test]
    fn somebody_elses_reason_is_not_ours() {
        let details = ErrorDetails::with_error_info("QUOTA_SPENT", "example.com", []);
        let status = Status::with_error_details(tonic::Code::Internal, "no", details);
        assert_eq!(Reason::of(&status), None);
        assert_eq!(Reason::of(&Status::internal("no")), None);
    }
}
