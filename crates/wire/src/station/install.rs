//! Load, reset and proof in one turn of the line.
//!
//! In the good case the station asks once, and the unit's own word after the reset ends it. Whenever
//! that word does not come, or comes without a proof, the unit is asked what became of the install:
//! it answers from flash, so that neither a boot in the middle of the load nor a lost request, a
//! lost receipt or another unit in the slot passes for a reset that was verified.

use std::vec::Vec;

use credential::BundleBytes;
use traveler::DeviceId;
use zeroize::Zeroizing;

use super::exchange::{Asking, same_unit};
use super::{
    Action, BOOT_POLL, BOOT_POLLS, Booted, Event, Exchange, Installed, LOAD_WITHIN, Receipt, Reply,
    Request, WireError,
};
use crate::message::{Nonce, Refusal};
use crate::proof::{Boots, ReadBack};

/// Write, persist, read back, reset, prove. Over when the unit has proved, in a later boot than the
/// one it was written in, that its flash holds the bundle. Only for units that say they know it.
pub struct Install {
    nonce: Nonce,
    device_id: DeviceId,
    bundle: Zeroizing<Vec<u8>>,
    /// So many bytes of its end go first.
    ending: usize,
    /// Whether it was sent before this exchange was opened.
    is_sent: bool,
    /// Whether the newest request asks what came of it: only then does a no count, once.
    is_asked: bool,
    polls_left: u8,
    asking: Asking,
}

impl Install {
    /// Installs `bundle` in the unit it was issued to.
    #[must_use]
    pub fn new(nonce: Nonce, device_id: DeviceId, bundle: &BundleBytes) -> Install {
        Install {
            nonce,
            device_id,
            bundle: bundle.expose(|bytes| Zeroizing::new(bytes.to_vec())),
            ending: 0,
            is_sent: false,
            is_asked: false,
            polls_left: BOOT_POLLS,
            asking: Asking::new("install"),
        }
    }

    /// The same with this ending first, when the bundle has it: it may be on the line already (see
    /// [`Link::install_opening`](super::Link::install_opening)). For units of [`PROTOCOL_PARTS`](crate::PROTOCOL_PARTS).
    #[must_use]
    pub fn with_ending_first(mut self, ending: &[u8]) -> Install {
        if self.bundle.ends_with(ending) && self.bundle.len() > ending.len() {
            self.ending = ending.len();
        }
        self
    }

    /// Goes on with one whose port went away: asks what came of it, and sends nothing again.
    #[must_use]
    pub fn resumed(nonce: Nonce, device_id: DeviceId, bundle: &BundleBytes) -> Install {
        Install {
            is_sent: true,
            ..Install::new(nonce, device_id, bundle)
        }
    }

    fn send(&mut self) -> Action<Receipt> {
        self.is_asked = false;
        let request = Request::Install {
            nonce: self.nonce,
            device_id: self.device_id.clone(),
            bundle: self.bundle.clone(),
            ending: self.ending,
        };
        Action::Send(request, LOAD_WITHIN)
    }

    /// Counted in any case: a unit that only ever says that it boots would hold its slot for good.
    fn poll(&mut self) -> Result<(), WireError> {
        let silent = WireError::Silent { request: "install" };
        self.polls_left = self.polls_left.checked_sub(1).ok_or(silent)?;
        Ok(())
    }

    fn ask(&mut self) -> Result<Action<Receipt>, WireError> {
        self.poll()?;
        self.is_asked = true;
        Ok(Action::Send(
            Request::Report { nonce: self.nonce },
            BOOT_POLL,
        ))
    }

    fn proved(
        &mut self,
        booted: Booted,
        installed: Installed,
    ) -> Result<Action<Receipt>, WireError> {
        let boots = Boots {
            written_in: installed.written_in,
            proved_in: booted.boots,
        };
        let read_back = ReadBack::installed(&self.nonce, boots);
        let (digest, proof) = read_back.over(&self.bundle);
        if installed.proof != proof {
            return Err(WireError::Mismatch);
        }
        if boots.proved_in <= boots.written_in {
            // It holds the bundle and has not booted since: what this is for is still to be done.
            let boots = booted.boots;
            let not_reset = |_| WireError::NotReset { boots };
            if self.is_sent {
                return Err(WireError::NotReset { boots });
            }
            self.asking.again().map_err(not_reset)?;
            return Ok(self.send());
        }
        Ok(Action::Finish(Receipt {
            device_id: booted.device_id,
            boots: booted.boots,
            digest: traveler::Digest(digest),
            signature: installed.signature,
            public_key: installed.public_key,
        }))
    }
}

impl Exchange for Install {
    type Done = Receipt;

    fn on(&mut self, event: Event) -> Result<Action<Receipt>, WireError> {
        match event {
            Event::Opened if self.is_sent => self.ask(),
            Event::Opened => Ok(self.send()),
            Event::Received(Reply::Refused(Refusal::NotInstalled)) if !self.is_asked => {
                self.poll()?; // heard twice: it was sent again already
                Ok(Action::Wait(LOAD_WITHIN))
            }
            Event::Received(Reply::Resetting) => {
                self.poll()?;
                Ok(Action::Wait(BOOT_POLL))
            }
            Event::Received(Reply::Booted(mut booted)) => {
                same_unit(&self.device_id, &booted.device_id)?;
                match booted.installed.take() {
                    Some(installed) if installed.nonce == self.nonce => {
                        self.proved(booted, installed)
                    }
                    // Of an install before this one, or a boot that nobody asked for.
                    _ => self.ask(),
                }
            }
            // Not known whether it resets, boots or never heard.
            Event::TimedOut => self.ask(),
            Event::Received(Reply::Refused(Refusal::NotInstalled)) if !self.is_sent => {
                self.asking.again()?;
                Ok(self.send())
            }
            Event::Received(Reply::Refused(Refusal::Damaged | Refusal::NotLoaded)) => {
                Err(WireError::Mismatch)
            }
            Event::Received(Reply::Refused(Refusal::NotThisUnit)) => Err(WireError::Swapped {
                expected: self.device_id.clone(),
                found: None,
            }),
            Event::Received(reply) => self.asking.out_of_turn(&reply),
        }
    }
}
