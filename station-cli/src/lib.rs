//! The station: ports, driver, journal, and what an operator is told.

mod calls;
mod connect;
mod drive;
mod durable;
mod enroll;
mod failure;
mod home;
mod journal;
mod log;
mod port;
mod report;
mod seams;
mod token;
mod trust;

pub use calls::{CallError, Patience, Provisioning, Server, ServerError};
pub use connect::AddressError;
pub use drive::UnitError;
pub use enroll::{EnrolError, enroll};
pub use failure::{Advice, Failure, Outcome};
pub use home::{Home, HomeError};
pub use journal::{Claim, Issued, Journal, JournalError, Open, Reached, Ticket, Withdraw};
pub use log::LogError;
pub use port::{Port, PortError, PortFacts, SerialPort, ports};
pub use report::Report;
pub use seams::{LabelFolder, Labels, Progress, Scanner, Stage, StdinScanner};
pub use token::{Token, TokenError};
pub use trust::TrustError;
