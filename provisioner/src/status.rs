//! The one map from errors to gRPC codes and reasons.
//!
//! No `_` arm: a new variant must choose how a station or a person is to act on it.

use api::{BadRequest, DOMAIN, InUse, Reason};
use ledger::{AppendError, Refused};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use traveler::StationName;

use crate::close::CloseError;
use crate::enrol::EnrolError;
use crate::issue::IssueError;
use crate::line::BenchError;
use crate::orders::OrderError;

/// Why a caller is turned away before its request is looked at.
#[derive(Debug, Error)]
pub(crate) enum Denied {
    /// TLS without a client certificate.
    #[error("no client certificate was shown: enrol first")]
    NoCertificate,
    /// A certificate of this site that names no role.
    #[error("the client certificate names no role here: enrol again")]
    ForeignCertificate,
    /// The certificate has expired since the connection began.
    #[error("the client certificate has expired: enrol again")]
    Expired,
    /// The role may not do this.
    #[error("this certificate's role may not do this")]
    Role,
    /// The station's right to work has ended.
    #[error("station {0} is revoked and its name is not used again: enrol under another name")]
    Revoked(StationName),
    /// The certificate is this site's and not the newest on record: the name was enrolled again
    /// since, or the log was put back from before the enrolment.
    #[error(
        "this certificate of station {0} is not on record as its newest: use the folder that was \
         enrolled last, or enrol this one"
    )]
    NotOnRecord(StationName),
}

impl From<Denied> for Status {
    fn from(error: Denied) -> Status {
        let (code, reason) = match &error {
            Denied::NoCertificate | Denied::ForeignCertificate | Denied::Expired => {
                (Code::Unauthenticated, Reason::NotPermitted)
            }
            Denied::Role => (Code::PermissionDenied, Reason::NotPermitted),
            Denied::Revoked(_) => (Code::PermissionDenied, Reason::StationRevoked),
            Denied::NotOnRecord(_) => (Code::PermissionDenied, Reason::UnknownStation),
        };
        status(code, reason, &error)
    }
}

/// A defect of the server's own: the call's thread panicked.
pub(crate) fn failed_inside() -> Status {
    Status::internal("the call failed inside the server: see its log")
}

/// A request with a field that cannot be used.
pub(crate) fn bad_request(error: &BadRequest) -> Status {
    status(Code::InvalidArgument, Reason::BadRequest, error)
}

impl From<BenchError> for Status {
    fn from(error: BenchError) -> Status {
        match error {
            BenchError::Denied(denied) => denied.into(),
            BenchError::Ledger(error) => unreadable(&error),
        }
    }
}

impl From<IssueError> for Status {
    fn from(error: IssueError) -> Status {
        use IssueError as E;
        let (code, reason) = match error {
            E::Bench(error) => return error.into(),
            E::Append(error) => return not_appended(&error),
            E::Ledger(error) => return unreadable(&error),
            E::Hsm(_) | E::Authority(_) => (Code::Unavailable, Reason::HsmUnavailable),
            E::UnknownOrder(_) => (Code::NotFound, Reason::UnknownOrder),
            E::WrongProduct { .. } => (Code::FailedPrecondition, Reason::WrongProduct),
            E::Product(_) | E::Policy(_) | E::NoRoom { .. } => {
                (Code::FailedPrecondition, Reason::UnknownProduct)
            }
            E::LongSerial { .. } => (Code::InvalidArgument, Reason::BadRequest),
            E::BadKey(_) => (Code::InvalidArgument, Reason::BadKey),
            E::Unfit(_) => (Code::Internal, Reason::GeneratorUnfit),
            E::Ticket(_) => (Code::FailedPrecondition, Reason::TicketRefused),
            E::Over { .. } => (Code::FailedPrecondition, Reason::WrongState),
            E::Lease(_) => (Code::InvalidArgument, Reason::BadKey),
            E::NoProofYet => (Code::Unavailable, Reason::HsmUnavailable),
            E::Key(_) | E::Bundle(_) => (Code::Internal, Reason::BadKey),
        };
        status(code, reason, &error)
    }
}

impl From<CloseError> for Status {
    fn from(error: CloseError) -> Status {
        let (code, reason) = match error {
            CloseError::Bench(error) => return error.into(),
            CloseError::Append(error) => return not_appended(&error),
            CloseError::Ledger(error) => return unreadable(&error),
            CloseError::UnknownUnit(_) | CloseError::NoRecovery => {
                (Code::NotFound, Reason::UnknownUnit)
            }
            CloseError::Signature(_) | CloseError::Unsigned(_) | CloseError::OtherProfile(_) => {
                (Code::FailedPrecondition, Reason::ReceiptMismatch)
            }
            CloseError::Product(_) => (Code::FailedPrecondition, Reason::UnknownProduct),
            CloseError::LabelNotScanned(_) | CloseError::NoLabel(_) => {
                (Code::FailedPrecondition, Reason::WrongState)
            }
            CloseError::WrongProduct { .. } => (Code::FailedPrecondition, Reason::WrongProduct),
            CloseError::NoProofYet => (Code::Unavailable, Reason::HsmUnavailable),
        };
        status(code, reason, &error)
    }
}

impl From<OrderError> for Status {
    fn from(error: OrderError) -> Status {
        let (code, reason) = match error {
            OrderError::Append(error) => return not_appended(&error),
            OrderError::Ledger(error) => return unreadable(&error),
            OrderError::Id(_)
            | OrderError::Product(_)
            | OrderError::Policy(_)
            | OrderError::Label(_)
            | OrderError::Spoken(_)
            | OrderError::Reason { .. }
            | OrderError::Bounds { .. } => (Code::InvalidArgument, Reason::BadRequest),
            OrderError::UnknownProduct(_) => (Code::NotFound, Reason::UnknownProduct),
            OrderError::UnknownOrder(_) => (Code::NotFound, Reason::UnknownOrder),
            OrderError::UnknownStation(_) => (Code::NotFound, Reason::UnknownStation),
            OrderError::Randomness => (Code::Unavailable, Reason::HsmUnavailable),
            OrderError::StillOpen(_) => (Code::Unavailable, Reason::LedgerUnavailable),
        };
        status(code, reason, &error)
    }
}

impl From<EnrolError> for Status {
    fn from(error: EnrolError) -> Status {
        let (code, reason) = match error {
            EnrolError::Append(error) => return not_appended(&error),
            EnrolError::Ledger(error) => return unreadable(&error),
            EnrolError::Token => (Code::PermissionDenied, Reason::TokenRefused),
            EnrolError::BadKey(_) => (Code::InvalidArgument, Reason::BadKey),
            EnrolError::Authority(_) => (Code::Unavailable, Reason::HsmUnavailable),
        };
        status(code, reason, &error)
    }
}

/// The ledger could not be asked.
pub(crate) fn unreadable(error: &ledger::Error) -> Status {
    tracing::error!(%error, "the ledger cannot be used");
    status(Code::Unavailable, Reason::LedgerUnavailable, error)
}

fn not_appended(error: &AppendError) -> Status {
    match error {
        AppendError::Refused(refused) => refusal(refused),
        AppendError::Io(_) | AppendError::Closed => {
            tracing::error!(%error, "the ledger cannot be written");
            status(Code::Unavailable, Reason::LedgerUnavailable, error)
        }
    }
}

/// What the ledger's rules refuse.
pub(crate) fn refusal(refused: &Refused) -> Status {
    use Refused as R;
    let (code, reason) = match refused {
        R::UnknownOrder(_) => (Code::NotFound, Reason::UnknownOrder),
        R::OrderClosed(_) => (Code::FailedPrecondition, Reason::WorkOrderClosed),
        R::QuotaSpent { .. } => (Code::ResourceExhausted, Reason::QuotaSpent),
        R::AllowanceSpent { .. } => (Code::ResourceExhausted, Reason::AllowanceSpent),
        R::UnitsOpen { .. } => (Code::FailedPrecondition, Reason::UnitsOpen),
        R::OrderExists(_) => (Code::AlreadyExists, Reason::AlreadyExists),
        R::UnknownProduct(_) => (Code::NotFound, Reason::UnknownProduct),
        R::ProductChanged(_) => (Code::Aborted, Reason::UnknownProduct),
        R::WrongProduct { .. } => (Code::FailedPrecondition, Reason::WrongProduct),
        R::NoQuantity(_) | R::DefinitionDigest(_) | R::TooLong { .. } => {
            (Code::InvalidArgument, Reason::BadRequest)
        }
        R::UnknownStation(_) => (Code::NotFound, Reason::UnknownStation),
        R::NotEnrolled(_) => (Code::PermissionDenied, Reason::UnknownStation),
        R::StationRevoked(_) => (Code::PermissionDenied, Reason::StationRevoked),
        R::NotRevoked(_) => (Code::FailedPrecondition, Reason::WrongState),
        R::TokenUnknown(_) | R::TokenSpent(_) | R::TokenExpired { .. } | R::TokenRepeated(_) => {
            (Code::PermissionDenied, Reason::TokenRefused)
        }
        R::SerialInUse { .. } => (Code::AlreadyExists, Reason::DuplicateUnit),
        R::DeviceInUse { .. } | R::KeyInUse { .. } | R::OtherDevice { .. } => {
            (Code::AlreadyExists, Reason::UnitInUse)
        }
        R::FingerprintUsed | R::OtherFingerprintKey { .. } | R::LineStopped { .. } => {
            (Code::Internal, Reason::GeneratorUnfit)
        }
        R::Leased { .. } => (Code::AlreadyExists, Reason::Leased),
        R::LeaseBounds { .. } => (Code::InvalidArgument, Reason::BadRequest),
        R::LeasesHeld { .. } | R::LeasesReturned { .. } => {
            (Code::ResourceExhausted, Reason::LeaseRefused)
        }
        R::LeaseOver { .. } | R::LeaseRuns { .. } | R::WrongCause(_) => {
            (Code::FailedPrecondition, Reason::WrongState)
        }
        R::Overtaken(_) => (Code::Aborted, Reason::WrongState),
        R::LeasedKey(_) => (Code::AlreadyExists, Reason::UnitInUse),
        R::UnknownUnit(_) | R::UnknownLease(_) => (Code::NotFound, Reason::UnknownUnit),
        R::WrongState { .. } | R::WrongAttempt { .. } | R::OtherOrder { .. } | R::OnePerson(_) => {
            (Code::FailedPrecondition, Reason::WrongState)
        }
        R::NoReprint { .. } => (Code::FailedPrecondition, Reason::WrongState),
        R::ReprintNumber { .. } | R::VoidLabel { .. } => {
            (Code::FailedPrecondition, Reason::VoidLabel)
        }
        R::NoBadge(_) | R::NoReason(_) => (Code::InvalidArgument, Reason::BadRequest),
        R::NotStopped(_) | R::NotAuthorised { .. } | R::RotatesAlone => {
            (Code::FailedPrecondition, Reason::WrongState)
        }
        R::Blocked { .. } | R::UnitMayExist(_) => (Code::AlreadyExists, Reason::DuplicateUnit),
        R::Recovery(_) | R::Unproven { .. } => (Code::FailedPrecondition, Reason::WrongState),
        R::OtherStation { .. } => (Code::FailedPrecondition, Reason::OtherStation),
        R::BundleMismatch { .. } => (Code::FailedPrecondition, Reason::ReceiptMismatch),
        R::NoRoom { .. } => (Code::ResourceExhausted, Reason::LedgerUnavailable),
        R::LogOpening | R::Empty => (Code::Internal, Reason::LedgerUnavailable),
    };
    match in_use(refused) {
        Some(in_use) => status_with(code, reason, refused, in_use.to_metadata()),
        None => status(code, reason, refused),
    }
}

/// Where a serial is that is not to be had here: what an operator goes and looks for.
fn in_use(refused: &Refused) -> Option<InUse> {
    match refused {
        Refused::SerialInUse { station, since, .. }
        | Refused::OtherStation { station, since, .. } => Some(InUse {
            station: station.clone(),
            since: *since,
        }),
        _ => None,
    }
}

fn status(code: Code, reason: Reason, error: &dyn std::fmt::Display) -> Status {
    status_with(code, reason, error, [])
}

fn status_with(
    code: Code,
    reason: Reason,
    error: &dyn std::fmt::Display,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Status {
    let metadata: std::collections::HashMap<_, _> = metadata.into_iter().collect();
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
    Status::with_error_details(code, error.to_string(), details)
}
