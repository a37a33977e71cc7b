//! The exchanges. Each is one `match` over what was heard and where it stands, and one counter.
//!
//! Every request may be repeated: a unit treats a repeat as the same request. A unit that says it
//! booted in the middle has forgotten the request, so it is repeated at once and counted as such.

use core::time::Duration;
use std::vec::Vec;

use credential::{BundleBytes, Password};
use traveler::{DeviceId, Digest};
use zeroize::Zeroizing;

use super::{Action, Answer, Booted, Event, Exchange, Facts, Receipt, Reply, Request, WireError};
use crate::message::{Nonce, Refusal};
use crate::proof::ReadBack;

/// How often a request is repeated before the unit counts as silent.
pub const RESENDS: u8 = 2;
/// Answer to a small request: well above a frame at 9,600 baud (0.1 s) and a busy unit.
pub const REPLY_WITHIN: Duration = Duration::from_millis(500);
/// Answer to a load: 4,100 bytes at 9,600 baud take 4.3 s, then two page erases and writes.
pub const LOAD_WITHIN: Duration = Duration::from_secs(6);
/// After a reset, the silence before the unit is asked again; its own word usually comes first.
pub const BOOT_POLL: Duration = Duration::from_millis(250);
/// How often it is asked: 10 s in all, the slowest boot to put up with.
pub const BOOT_POLLS: u8 = 40;

/// What may be repeated, and how often still.
pub(super) struct Asking {
    request: &'static str,
    resends_left: u8,
}

impl Asking {
    pub(super) fn new(request: &'static str) -> Asking {
        Asking {
            request,
            resends_left: RESENDS,
        }
    }

    pub(super) fn again(&mut self) -> Result<(), WireError> {
        let silent = WireError::Silent {
            request: self.request,
        };
        self.resends_left = self.resends_left.checked_sub(1).ok_or(silent)?;
        Ok(())
    }

    pub(super) fn out_of_turn<T>(&self, reply: &Reply) -> Result<T, WireError> {
        Err(match reply {
            Reply::Refused(refusal) => WireError::Refused(*refusal),
            other => WireError::OutOfTurn {
                request: self.request,
                got: other.name(),
            },
        })
    }
}

/// Refuses to go on with another unit than the one that was greeted.
pub(super) fn same_unit(expected: &DeviceId, found: &DeviceId) -> Result<(), WireError> {
    if expected == found {
        return Ok(());
    }
    Err(WireError::Swapped {
        expected: expected.clone(),
        found: Some(found.clone()),
    })
}

/// Who is there, and what does it hold?
pub struct Greet {
    nonce: Nonce,
    asking: Asking,
}

impl Greet {
    /// A greeting with a fresh nonce.
    #[must_use]
    pub fn new(nonce: Nonce) -> Greet {
        Greet {
            nonce,
            asking: Asking::new("greet"),
        }
    }
}

impl Exchange for Greet {
    type Done = Facts;

    fn on(&mut self, event: Event) -> Result<Action<Facts>, WireError> {
        match event {
            Event::Opened => {}
            Event::Received(Reply::Facts(facts)) if facts.nonce == self.nonce => {
                return Ok(Action::Finish(*facts));
            }
            Event::Received(Reply::Facts(_)) => return Err(WireError::Mismatch),
            Event::Received(Reply::Booted(_)) | Event::TimedOut => self.asking.again()?,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        }
        let request = Request::Greet { nonce: self.nonce };
        Ok(Action::Send(request, REPLY_WITHIN))
    }
}

/// Write, persist, read back. Over when the unit's flash holds the bundle and has proved it.
pub struct Load {
    nonce: Nonce,
    device_id: DeviceId,
    bundle: Zeroizing<Vec<u8>>,
    proof: [u8; 32],
    asking: Asking,
}

impl Load {
    /// Loads `bundle` into the unit it was issued to.
    #[must_use]
    pub fn new(nonce: Nonce, device_id: DeviceId, bundle: &BundleBytes) -> Load {
        let (_, proof) = bundle.expose(|bytes| ReadBack::of(&nonce, bytes));
        Load {
            nonce,
            device_id,
            bundle: bundle.expose(|bytes| Zeroizing::new(bytes.to_vec())),
            proof,
            asking: Asking::new("load"),
        }
    }
}

impl Exchange for Load {
    type Done = ();

    fn on(&mut self, event: Event) -> Result<Action<()>, WireError> {
        match event {
            Event::Opened => {}
            Event::Received(Reply::Stored { proof }) if proof == self.proof => {
                return Ok(Action::Finish(()));
            }
            Event::Received(Reply::Stored { .. }) => return Err(WireError::Mismatch),
            Event::Received(Reply::Refused(Refusal::NotThisUnit)) => {
                return Err(WireError::Swapped {
                    expected: self.device_id.clone(),
                    found: None,
                });
            }
            // A cut or a brown-out in the middle: what is in flash is partial, rewrite it whole.
            Event::Received(Reply::Booted(booted)) => {
                same_unit(&self.device_id, &booted.device_id)?;
                self.asking.again()?;
            }
            Event::TimedOut => self.asking.again()?,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        }
        let request = Request::Load {
            nonce: self.nonce,
            device_id: self.device_id.clone(),
            bundle: self.bundle.clone(),
        };
        Ok(Action::Send(request, LOAD_WITHIN))
    }
}

/// Make the unit forget everything but its flash. Over when it has booted since.
pub struct Reset {
    nonce: Nonce,
    device_id: DeviceId,
    boots: u32,
    polls_left: u8,
    asking: Asking,
}

impl Reset {
    /// Resets the unit that gave `before`. The nonce is for asking whether it is back.
    #[must_use]
    pub fn new(nonce: Nonce, before: &Facts) -> Reset {
        Reset {
            nonce,
            device_id: before.device_id.clone(),
            boots: before.boots.unwrap_or_default(), // a unit of this protocol tells always
            polls_left: BOOT_POLLS,
            asking: Asking::new("reset"),
        }
    }
}

impl Exchange for Reset {
    type Done = Booted;

    fn on(&mut self, event: Event) -> Result<Action<Booted>, WireError> {
        let booted = match event {
            Event::Opened => return Ok(Action::Send(Request::Reset, REPLY_WITHIN)),
            // Counted as silence is: a unit that only ever says so would hold its slot for good.
            Event::Received(Reply::Resetting) => {
                let silent = WireError::Silent { request: "reset" };
                self.polls_left = self.polls_left.checked_sub(1).ok_or(silent)?;
                return Ok(Action::Wait(BOOT_POLL));
            }
            // Not known whether it resets, boots or never heard: ask, do not reset it once more.
            Event::TimedOut => {
                let silent = WireError::Silent { request: "reset" };
                self.polls_left = self.polls_left.checked_sub(1).ok_or(silent)?;
                let request = Request::Greet { nonce: self.nonce };
                return Ok(Action::Send(request, BOOT_POLL));
            }
            Event::Received(Reply::Facts(facts)) if facts.nonce == self.nonce => Booted {
                device_id: facts.device_id,
                boots: facts.boots.unwrap_or_default(),
                installed: None,
            },
            Event::Received(Reply::Booted(booted)) => booted,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        };
        same_unit(&self.device_id, &booted.device_id)?;
        if booted.boots > self.boots {
            return Ok(Action::Finish(booted));
        }
        // It answers and has not booted: the request was lost.
        let boots = self.boots;
        let not_reset = |_| WireError::NotReset { boots };
        self.asking.again().map_err(not_reset)?;
        Ok(Action::Send(Request::Reset, REPLY_WITHIN))
    }
}

/// Prove, from flash, that the bundle is there. After a reset this is what a PASS stands on.
pub struct Prove {
    nonce: Nonce,
    device_id: DeviceId,
    digest: Digest,
    proof: [u8; 32],
    asking: Asking,
}

impl Prove {
    /// Asks the unit to prove that it holds `bundle`, of which nothing is kept but digests.
    #[must_use]
    pub fn new(nonce: Nonce, device_id: DeviceId, bundle: &BundleBytes) -> Prove {
        let (digest, proof) = bundle.expose(|bytes| ReadBack::of(&nonce, bytes));
        Prove {
            nonce,
            device_id,
            digest: Digest(digest),
            proof,
            asking: Asking::new("prove"),
        }
    }
}

impl Exchange for Prove {
    type Done = Receipt;

    fn on(&mut self, event: Event) -> Result<Action<Receipt>, WireError> {
        match event {
            Event::Opened => {}
            Event::Received(Reply::Proved { receipt, proof }) => {
                same_unit(&self.device_id, &receipt.device_id)?;
                // A stored digest is not enough: only flash, read now, gives the proof.
                if receipt.digest != self.digest || proof != self.proof {
                    return Err(WireError::Mismatch);
                }
                return Ok(Action::Finish(receipt));
            }
            Event::Received(Reply::Refused(Refusal::Damaged | Refusal::NotLoaded)) => {
                return Err(WireError::Mismatch);
            }
            Event::Received(Reply::Booted(booted)) => {
                same_unit(&self.device_id, &booted.device_id)?;
                self.asking.again()?;
            }
            Event::TimedOut => self.asking.again()?,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        }
        let request = Request::Prove { nonce: self.nonce };
        Ok(Action::Send(request, REPLY_WITHIN))
    }
}

/// Never take another bundle. There is no way back.
pub struct Lock {
    digest: Digest,
    asking: Asking,
}

impl Lock {
    /// Locks a unit that holds the bundle with this digest, and no other.
    #[must_use]
    pub fn new(digest: Digest) -> Lock {
        Lock {
            digest,
            asking: Asking::new("lock"),
        }
    }
}

impl Exchange for Lock {
    type Done = ();

    fn on(&mut self, event: Event) -> Result<Action<()>, WireError> {
        match event {
            Event::Opened => {}
            Event::Received(Reply::Locked) => return Ok(Action::Finish(())),
            Event::Received(Reply::Booted(_)) | Event::TimedOut => self.asking.again()?,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        }
        let request = Request::Lock {
            digest: self.digest,
        };
        Ok(Action::Send(request, REPLY_WITHIN))
    }
}

/// Does the unit say yes to a password, as it was scanned from its label?
pub struct Check {
    password: Zeroizing<Vec<u8>>,
    asking: Asking,
}

impl Check {
    /// `password` as scanned; the unit folds look-alikes.
    #[must_use]
    pub fn new(password: &Password) -> Check {
        Check {
            password: password.expose(|clear| Zeroizing::new(clear.to_vec())),
            asking: Asking::new("check"),
        }
    }
}

impl Exchange for Check {
    type Done = Answer;

    fn on(&mut self, event: Event) -> Result<Action<Answer>, WireError> {
        match event {
            Event::Opened => {}
            Event::Received(Reply::Answer(answer)) => return Ok(Action::Finish(answer)),
            Event::Received(Reply::Booted(_)) | Event::TimedOut => self.asking.again()?,
            Event::Received(reply) => return self.asking.out_of_turn(&reply),
        }
        let request = Request::Check {
            password: self.password.clone(),
        };
        Ok(Action::Send(request, REPLY_WITHIN))
    }
}
