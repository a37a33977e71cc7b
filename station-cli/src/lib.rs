//! The station: ports, driver, journal, and what an operator is told.

mod calls;
mod connect;
mod durable;
mod enroll;
mod home;
mod journal;
mod log;
mod token;
mod trust;

pub use calls::{CallError, Patience, Provisioning, Server, ServerError};
pub use connect::AddressError;
pub use enroll::{EnrolError, enroll};
pub use home::{Home, HomeError};
pub use journal::{Claim, Issued, Journal, JournalError, Open, Reached, Ticket, Withdraw};
pub use log::LogError;
pub use token::{Token, TokenError};
pub use trust::TrustError;
