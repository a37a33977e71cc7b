//! The station: ports, driver, journal, and what an operator is told.
//!
//! [`provision`] is the life of one unit, written so that a crash at any point is gone on from by
//! running it again: the journal is ahead of every effect, and unit and server are asked where they
//! stand before anything is done. Everything it touches is behind a seam: [`Provisioning`],
//! [`Port`], [`Scanner`], [`Labels`], [`Progress`]; the simulated line and the tests run the same
//! code in one process, several slots at a time.
//!
//! Deliberately absent: minting, the ledger, any HSM; the protocol to the unit (`wire`, without
//! I/O); choosing a port. A secret passes through here in memory
//! and on the label, and nowhere else.

mod as_base64;
mod begin;
mod calls;
mod cli;
mod close;
mod connect;
mod console;
mod damaged;
mod doctor;
mod drive;
mod durable;
mod enroll;
mod exec;
mod failure;
mod greet;
mod handover;
mod hold;
mod home;
mod journal;
mod lease;
mod link;
mod load;
mod locked;
mod log;
mod memory;
mod offline;
mod outbox;
mod output;
mod plug;
mod port;
mod ports;
mod printer;
mod printout;
mod profile;
mod proven;
mod provision;
mod recovery;
mod release;
mod remembered;
mod reopen;
mod report;
mod reprint;
mod screen;
mod seams;
mod settle;
mod shift;
mod steps;
mod sync;
mod together;
mod token;
mod told;
mod tools;
mod trust;
mod unit;
mod usb;
mod way;

pub use calls::{CallError, Patience, Provisioning, Server, ServerError};
pub use cli::run;
pub use connect::AddressError;
pub use drive::UnitError;
pub use enroll::{EnrolError, enroll};
pub use exec::ToolError;
pub use failure::{Advice, Failure, Outcome};
pub use greet::greet;
pub use hold::{Decided, settle};
pub use home::{Home, HomeError};
pub use journal::{Claim, Issued, Journal, JournalError, Open, Reached, Ticket, Withdraw};
pub use lease::{Ask, give_back, lease};
pub use log::LogError;
pub use memory::keep_to_itself;
pub use outbox::Hold;
pub use plug::{UnitPort, UnitStream};
pub use port::{Port, PortError, PortFacts, SerialPort};
pub use ports::{PortChange, PortWatch, PortsError, ports};
pub use printer::{LabelFolder, Labels, Printer, PrinterError, Printout, Taken};
pub use provision::{Bench, Job, provision};
pub use reopen::{Broken, break_seal};
pub use report::{ReadBack, Report, Used};
pub use reprint::{Again, Reprinted, reprint};
pub use screen::Screen;
pub use seams::{Progress, Scanner, Stage, StdinScanner};
pub use sync::{SyncState, Synced, sync};
pub use token::{Token, TokenError};
pub use trust::TrustError;
pub use usb::{NoPlace, UsbPlace, UsbPort, UsbStream};
