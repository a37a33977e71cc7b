//! The station's side: what it asks, what it hears, and what can go wrong between.
//!
//! Parsed at this edge (`parse`): what a unit says becomes ids of the crate `traveler` or it is no reply.

mod exchange;
mod install;
mod link;
mod parse;

use core::time::Duration;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use thiserror::Error;
use traveler::{Attempt, DeviceId, Digest, Mac, Serial};
use zeroize::Zeroizing;

use crate::message::{self, Nonce, Refusal, UnitState};

pub use exchange::{
    BOOT_POLL, BOOT_POLLS, Check, Greet, LOAD_WITHIN, Load, Lock, Prove, REPLY_WITHIN, RESENDS,
    Reset,
};
pub use install::Install;
pub use link::Link;

/// Something that happened on the line, as the driver reports it.
pub enum Event {
    /// Once, first.
    Opened,
    /// A reply to the request under way, or a unit that says it booted.
    Received(Reply),
    /// Nothing for as long as the last action said.
    TimedOut,
}

/// What the driver does next.
pub enum Action<T> {
    /// Send this; an event within the time, or [`Event::TimedOut`].
    Send(Request, Duration),
    /// Send nothing; an event within the time, or [`Event::TimedOut`].
    Wait(Duration),
    /// The exchange is over.
    Finish(T),
}

/// One thing a station wants of a unit: events in, actions out. Ends by `Finish` or an error.
pub trait Exchange {
    /// What it was for.
    type Done;

    /// Takes an event and says what to do.
    ///
    /// # Errors
    /// Any [`WireError`]; the exchange is over.
    fn on(&mut self, event: Event) -> Result<Action<Self::Done>, WireError>;
}

/// Why an exchange did not end well.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum WireError {
    /// No answer, though the request was repeated.
    #[error("the unit does not answer ({request})")]
    Silent {
        /// What was asked.
        request: &'static str,
    },
    /// The proof or the digest is not that of the bundle: bad flash, or a unit that only repeats.
    #[error("the unit does not hold what was written")]
    Mismatch,
    /// A reply that belongs to another request.
    #[error("the unit answered {got} to {request}")]
    OutOfTurn {
        /// What was asked.
        request: &'static str,
        /// What came.
        got: &'static str,
    },
    /// The unit said no.
    #[error("the unit refuses: {0}")]
    Refused(Refusal),
    /// Not the unit that was greeted.
    #[error("the unit was swapped: expected {expected}{}", .found.as_ref().map_or_else(String::new, |id| std::format!(", found {id}")))]
    Swapped {
        /// The unit that was greeted.
        expected: DeviceId,
        /// The one that answers now, when it said who it is.
        found: Option<DeviceId>,
    },
    /// It answers, but has not booted since.
    #[error("the unit did not reset (boot {boots})")]
    NotReset {
        /// Its count of boots, before and after.
        boots: u32,
    },
}

/// What a station asks of a unit. No `Debug`: `Load` and `Check` carry secrets.
pub enum Request {
    /// Who are you, and what do you hold?
    Greet {
        /// Comes back in the facts.
        nonce: Nonce,
    },
    /// Write, persist, read back.
    Load {
        /// Goes into the proof.
        nonce: Nonce,
        /// The unit the bundle was issued to.
        device_id: DeviceId,
        /// Secret.
        bundle: Zeroizing<Vec<u8>>,
    },
    /// Forget everything but the flash.
    Reset,
    /// Prove what you hold.
    Prove {
        /// Goes into the proof.
        nonce: Nonce,
    },
    /// Never take another bundle.
    Lock {
        /// The bundle that must be there.
        digest: Digest,
    },
    /// Is this your password?
    Check {
        /// Secret.
        password: Zeroizing<Vec<u8>>,
    },
    /// Write, persist, read back, reset; then prove.
    Install {
        /// Goes into the proof.
        nonce: Nonce,
        /// The unit the bundle was issued to.
        device_id: DeviceId,
        /// Secret.
        bundle: Zeroizing<Vec<u8>>,
        /// So many bytes of its end go first; 0: it goes as it is.
        ending: usize,
    },
    /// Say once more what came of an install.
    Report {
        /// The install's.
        nonce: Nonce,
    },
}

impl Request {
    /// The request's name, for a log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Request::Greet { .. } => "greet",
            Request::Load { .. } => "load",
            Request::Reset => "reset",
            Request::Prove { .. } => "prove",
            Request::Lock { .. } => "lock",
            Request::Check { .. } => "check",
            Request::Install { .. } => "install",
            Request::Report { .. } => "report",
        }
    }

    /// Writes the message; `None` when it is longer than a frame.
    fn encode(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            Request::Greet { nonce } => message::Request::Greet { nonce: *nonce }.encode(out),
            Request::Load {
                nonce,
                device_id,
                bundle,
            } => message::Request::Load {
                nonce: *nonce,
                device_id: &device_id_bytes(device_id),
                bundle,
            }
            .encode(out),
            Request::Reset => message::Request::Reset.encode(out),
            Request::Prove { nonce } => message::Request::Prove { nonce: *nonce }.encode(out),
            Request::Lock { digest } => message::Request::Lock { digest: digest.0 }.encode(out),
            Request::Check { password } => message::Request::Check { password }.encode(out),
            Request::Install {
                nonce,
                device_id,
                bundle,
                ending,
            } => {
                let (nonce, device_id) = (*nonce, &device_id_bytes(device_id));
                let parts = bundle.split_at_checked(bundle.len().saturating_sub(*ending));
                let request = match parts {
                    Some((beginning, ending)) if !ending.is_empty() => {
                        message::Request::InstallParts {
                            nonce,
                            device_id,
                            ending,
                            beginning,
                        }
                    }
                    _ => message::Request::Install {
                        nonce,
                        device_id,
                        bundle,
                    },
                };
                request.encode(out)
            }
            Request::Report { nonce } => message::Request::Report { nonce: *nonce }.encode(out),
        }
    }
}

/// The silicon's bytes behind an id.
fn device_id_bytes(id: &DeviceId) -> Vec<u8> {
    let nibble = |digit: u8| match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0') & 0x0f,
    };
    let pairs = id.as_str().as_bytes().chunks_exact(2);
    pairs.map(|p| nibble(p[0]) << 4 | nibble(p[1])).collect()
}

/// What a unit said of itself, parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// From the greeting that asked.
    pub nonce: Nonce,
    /// The silicon's own id.
    pub device_id: DeviceId,
    /// At most eight.
    pub macs: Vec<Mac>,
    /// What it is.
    pub model: String,
    /// Its hardware revision, where it knows one.
    pub revision: Option<String>,
    /// Version of its firmware.
    pub firmware: String,
    /// What its flash holds.
    pub state: UnitState,
    /// How often it has booted; `None` where a console or a tool does not tell.
    pub boots: Option<u32>,
    /// What a whole bundle in its flash says it is for.
    pub held: Option<Held>,
    /// PKCS#10 (DER), when the unit has a key of its own. Not checked here.
    pub csr: Option<Vec<u8>>,
    /// SubjectPublicKeyInfo (DER) of that key. Not checked here.
    pub public_key: Option<Vec<u8>>,
    /// Which version of this protocol it speaks; the first where a console or a tool is spoken to.
    pub protocol: u32,
}

/// Whose bundle a unit holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The serial in the bundle.
    pub serial: Serial,
    /// The attempt in the bundle.
    pub attempt: Attempt,
}

/// A unit's word that it holds a bundle, given from flash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Which unit.
    pub device_id: DeviceId,
    /// How often it had booted by then.
    pub boots: u32,
    /// SHA-256 of the bundle as it is in flash; equal to the one issued.
    pub digest: Digest,
    /// ECDSA P-256 (DER) over `credential::receipt`. For the server to verify.
    pub signature: Option<Vec<u8>>,
    /// SubjectPublicKeyInfo (DER) of the key that signed.
    pub public_key: Option<Vec<u8>>,
}

/// A unit that has started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Booted {
    /// Which unit.
    pub device_id: DeviceId,
    /// How often it has booted.
    pub boots: u32,
    /// What it says of an install, in the boot after it or when it is asked.
    pub installed: Option<Installed>,
}

/// What a unit's flash holds after the reset of an install.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installed {
    /// The install's.
    pub nonce: Nonce,
    /// In which boot it was written.
    pub written_in: u32,
    /// Proof over nonce, both boots and flash.
    pub proof: [u8; 32],
    /// ECDSA P-256 (DER) over `credential::receipt`. For the server to verify.
    pub signature: Option<Vec<u8>>,
    /// SubjectPublicKeyInfo (DER) of the key that signed.
    pub public_key: Option<Vec<u8>>,
}

/// Whether a password is the unit's. No `Debug`, so that no log says how near a guess was.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What a unit answers, parsed. No `Debug`: see [`Answer`].
pub enum Reply {
    /// It did not do it.
    Refused(Refusal),
    /// To a greeting.
    Facts(Box<Facts>),
    /// To a load.
    Stored {
        /// Read-back proof over nonce and flash.
        proof: [u8; 32],
    },
    /// To a reset.
    Resetting,
    /// To a request for proof.
    Proved {
        /// What goes to the server when the proof is right.
        receipt: Receipt,
        /// Read-back proof over nonce and flash.
        proof: [u8; 32],
    },
    /// To a lock.
    Locked,
    /// To a check.
    Answer(Answer),
    /// Unasked.
    Booted(Booted),
}

impl Reply {
    /// The reply's name, for an error or a log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Reply::Refused(_) => "refused",
            Reply::Facts(_) => "facts",
            Reply::Stored { .. } => "stored",
            Reply::Resetting => "resetting",
            Reply::Proved { .. } => "proved",
            Reply::Locked => "locked",
            Reply::Answer(_) => "answer",
            Reply::Booted(_) => "booted",
        }
    }
}
