//! The unit's side: bytes in, bytes out, for firmware and simulator alike.
//!
//! `no_std`, no allocation, about 16 KB of RAM with the stack of one answer. What the unit holds is
//! never remembered: every answer looks at flash, so a cut, a bad cell or a lost reply cannot make
//! it say what is not so. A request that repeats the newest one, byte for byte, gets the same reply
//! again and does nothing.
//!
//! Deliberately absent: sending a bundle back, unlocking, time. Secrets are overwritten in the
//! buffers here, though flash holds them in clear: that is what the unit is for.

mod held;
mod install;
mod silicon;
mod store;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::frame::{self, Decoder, Frame, LINE_MAX, UNASKED};
use crate::message::{
    BUNDLE_MAX, Facts, Nonce, PROTOCOL_PARTS, PUBLIC_KEY_MAX, Proved, Refusal, Reply, Request,
    SIGNATURE_MAX, UnitState,
};
use crate::proof::{RECEIPT_MAX, ReadBack, receipt};

use held::{Held, held};
pub use silicon::{Identity, SigningKey, Silicon};
pub use store::{FLASH_SIZE, Flash, PAGE, WRITE_ALIGN};
use store::{FlashFailed, Found, Marker, Store};

/// Wrong passwords a unit answers between two boots: enough for a scanner, useless for a search.
pub const WRONG_GUESSES: u8 = 10;

/// What the firmware must do that this code cannot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Flush the port and reset; then call [`Unit::announce`].
    Reset,
}

/// A unit, from boot to reset.
pub struct Unit<F, S> {
    decoder: Decoder,
    desk: Desk<F, S>,
    newest: Newest,
}

/// The newest request and its answer, so that a repeat is answered and not done.
struct Newest {
    seq: u16,
    /// SHA-256 of the request; `None` before the first one.
    request: Option<[u8; 32]>,
    reply: [u8; LINE_MAX],
    length: usize,
}

/// Everything but the framing.
struct Desk<F, S> {
    store: Store<F>,
    silicon: S,
    /// Wrong passwords since boot, up to [`WRONG_GUESSES`].
    wrong_guesses: u8,
    /// The bundle while it is looked into; zeros otherwise.
    bundle: [u8; BUNDLE_MAX],
}

impl<F: Flash, S: Silicon> Unit<F, S> {
    /// A unit that has just booted.
    pub fn new(flash: F, silicon: S) -> Unit<F, S> {
        Unit {
            decoder: Decoder::new(),
            desk: Desk {
                store: Store::new(flash),
                silicon,
                wrong_guesses: 0,
                bundle: [0; BUNDLE_MAX],
            },
            newest: Newest {
                seq: UNASKED,
                request: None,
                reply: [0; LINE_MAX],
                length: 0,
            },
        }
    }

    /// What survives a reset.
    pub fn into_parts(self) -> (F, S) {
        (self.desk.store.into_flash(), self.desk.silicon)
    }

    /// Lends the firmware what flash holds now: the bundle is there only when it is whole.
    ///
    /// # Errors
    /// [`Refusal::Flash`] when flash cannot be read.
    pub fn contents<R>(
        &mut self,
        look: impl FnOnce(UnitState, Option<&[u8]>) -> R,
    ) -> Result<R, Refusal> {
        let found = self.desk.store.look()?;
        let bundle = match whole(&found) {
            Some(marker) => Some(self.desk.store.bundle(&marker, &mut self.desk.bundle)?),
            None => None,
        };
        let seen = look(found.state, bundle);
        self.desk.bundle.fill(0);
        Ok(seen)
    }

    /// Says, unasked, that the unit has booted; after an install, also what is in its flash now.
    ///
    /// Called once a boot. With a key it makes a signature, after an install.
    pub fn announce(&mut self, out: &mut impl FnMut(&[u8])) {
        let mut line = [0; LINE_MAX];
        let length = self.desk.with_boot(|booted| {
            frame::encode(UNASKED, &mut line, |message| booted.encode(message))
        });
        if let Some(length) = length {
            out(&line[..length]);
        }
    }

    /// Takes bytes as they come from the port, in any pieces, and answers through `out`.
    ///
    /// On [`Effect::Reset`] the bytes that followed the request are lost, as in any reset.
    pub fn handle(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Option<Effect> {
        for &byte in bytes {
            let Some(frame) = self.decoder.push(byte) else {
                continue;
            };
            if Reply::decode(frame.message).is_some() {
                continue; // the line echoes what we said; an answer would go round for ever
            }
            let effect = self.newest.answer(&mut self.desk, &frame);
            self.decoder.wipe();
            out(&self.newest.reply[..self.newest.length]);
            if effect.is_some() {
                return effect;
            }
        }
        None
    }
}

impl Newest {
    fn answer<F: Flash, S: Silicon>(
        &mut self,
        desk: &mut Desk<F, S>,
        frame: &Frame<'_>,
    ) -> Option<Effect> {
        let request = Some(Sha256::digest(frame.message).into());
        if (self.seq, self.request) == (frame.seq, request) {
            return None; // the reply was lost: the same again
        }
        let mut effect = None;
        let encoded = desk.with_reply(frame.message, |reply| {
            effect = matches!(reply, Reply::Resetting).then_some(Effect::Reset);
            frame::encode(frame.seq, &mut self.reply, |out| reply.encode(out))
        });
        self.seq = frame.seq;
        self.request = request;
        self.length = encoded.unwrap_or(0); // silicon that says too much of itself stays silent
        effect
    }
}

impl From<FlashFailed> for Refusal {
    fn from(FlashFailed: FlashFailed) -> Refusal {
        Refusal::Flash
    }
}

impl<F: Flash, S: Silicon> Desk<F, S> {
    /// Does what a message asks and lends the reply to `send`.
    fn with_reply<R>(&mut self, message: &[u8], send: impl FnOnce(&Reply<'_>) -> R) -> R {
        let done = match Request::decode(message) {
            None => Err(Refusal::Unreadable),
            Some(Request::Greet { nonce }) => return self.greet(nonce, send),
            Some(Request::Prove { nonce }) => return self.prove(&nonce, send),
            Some(Request::Load {
                nonce,
                device_id,
                bundle,
            }) => self.load(&nonce, device_id, bundle),
            Some(Request::Reset) => Ok(Reply::Resetting),
            Some(Request::Lock { digest }) => self.lock(&digest),
            Some(Request::Check { password }) => self.check(password),
            Some(Request::Install {
                nonce,
                device_id,
                bundle,
            }) => self.install(nonce, device_id, bundle),
            Some(Request::InstallParts {
                nonce,
                device_id,
                ending,
                beginning,
            }) => self.install_parts(nonce, device_id, [beginning, ending]),
            Some(Request::Report { nonce }) => return self.report(&nonce, send),
        };
        send(&done.unwrap_or_else(Reply::Refused))
    }

    fn greet<R>(&mut self, nonce: Nonce, send: impl FnOnce(&Reply<'_>) -> R) -> R {
        let found = match self.store.look() {
            Ok(found) => found,
            Err(error) => return send(&Reply::Refused(error.into())),
        };
        let held = match held(&self.store, &found, &mut self.bundle) {
            Ok(held) => Some((held.serial, held.attempt)),
            Err(_) => None,
        };
        let identity = self.silicon.identity();
        let mut public_key = [0; PUBLIC_KEY_MAX];
        let length = self.silicon.public_key(&SigningKey::Own, &mut public_key);
        let reply = send(&Reply::Facts(Facts {
            nonce,
            device_id: identity.device_id,
            macs: identity.macs,
            model: identity.model,
            revision: identity.revision,
            firmware: identity.firmware,
            state: found.state,
            boots: self.silicon.boots(),
            held,
            csr: self.silicon.csr(),
            public_key: length.and_then(|length| public_key.get(..length)),
            protocol: PROTOCOL_PARTS,
        }));
        self.bundle.fill(0);
        reply
    }

    fn load(
        &mut self,
        nonce: &Nonce,
        device_id: &[u8],
        bundle: &[u8],
    ) -> Result<Reply<'static>, Refusal> {
        write(&mut self.store, &self.silicon, device_id, bundle)?;
        // From flash, not from the request: this is what a reset will find.
        let found = self.store.look()?;
        let marker = whole(&found).ok_or(Refusal::Flash)?;
        let (_, proof) = self.store.read_back(&marker, ReadBack::new(nonce))?;
        Ok(Reply::Stored { proof })
    }

    fn prove<R>(&mut self, nonce: &Nonce, send: impl FnOnce(&Reply<'_>) -> R) -> R {
        let (mut signature, mut public_key) = ([0; SIGNATURE_MAX], [0; PUBLIC_KEY_MAX]);
        let read_back = ReadBack::new(nonce);
        let proved = self.proved(read_back, &mut signature, &mut public_key);
        self.bundle.fill(0);
        let proved = match proved {
            Ok(proved) => proved,
            Err(refusal) => return send(&Reply::Refused(refusal)),
        };
        send(&Reply::Proved(Proved {
            device_id: self.silicon.identity().device_id,
            boots: self.silicon.boots(),
            digest: proved.digest,
            proof: proved.proof,
            signature: proved.signature.and_then(|length| signature.get(..length)),
            public_key: proved
                .public_key
                .and_then(|length| public_key.get(..length)),
        }))
    }

    fn proved(
        &mut self,
        read_back: ReadBack,
        signature: &mut [u8; SIGNATURE_MAX],
        public_key: &mut [u8; PUBLIC_KEY_MAX],
    ) -> Result<Shown, Refusal> {
        let found = self.store.look()?;
        let marker = committed(&found)?;
        let (digest, proof) = self.store.read_back(&marker, read_back)?;
        let held = held(&self.store, &found, &mut self.bundle)?;
        let mut bytes = [0; RECEIPT_MAX];
        let device_id = self.silicon.identity().device_id;
        let receipt = receipt(held.serial, held.attempt, device_id, &digest, &mut bytes)
            .ok_or(Refusal::BadBundle)?;
        let key = held.key.map_or(SigningKey::Own, SigningKey::Minted);
        let signature = self.silicon.sign(&key, receipt, signature);
        Ok(Shown {
            digest,
            proof,
            signature,
            public_key: signature.and_then(|_| self.silicon.public_key(&key, public_key)),
        })
    }

    /// Locks only the bundle that was asked for: a unit swapped in stays as it is.
    fn lock(&mut self, digest: &[u8; 32]) -> Result<Reply<'static>, Refusal> {
        let found = self.store.look()?;
        if committed(&found)?.digest != *digest {
            return Err(Refusal::OtherBundle);
        }
        if !found.locked {
            self.store.lock()?;
        }
        match self.store.look()?.state {
            UnitState::Locked => Ok(Reply::Locked),
            _ => Err(Refusal::Flash),
        }
    }

    fn check(&mut self, password: &[u8]) -> Result<Reply<'static>, Refusal> {
        let found = self.store.look()?;
        committed(&found)?;
        if self.wrong_guesses >= WRONG_GUESSES {
            return Err(Refusal::TooManyGuesses);
        }
        let held = held(&self.store, &found, &mut self.bundle)?;
        let yes: bool = folded(held.password).ct_eq(&folded(password)).into();
        self.bundle.fill(0);
        self.wrong_guesses += u8::from(!yes);
        Ok(Reply::Answer { yes })
    }
}

/// Writes unless the very same bundle is there already: a rerun costs no erase.
fn write<F: Flash>(
    store: &mut Store<F>,
    silicon: &impl Silicon,
    device_id: &[u8],
    bundle: &[u8],
) -> Result<(), Refusal> {
    if device_id != silicon.identity().device_id {
        return Err(Refusal::NotThisUnit); // issued to another: it must not touch this flash
    }
    Held::read(bundle).ok_or(Refusal::BadBundle)?;
    let found = store.look()?;
    if found.locked {
        return Err(Refusal::Locked);
    }
    let digest: [u8; 32] = Sha256::digest(bundle).into();
    if whole(&found).is_none_or(|marker| marker.digest != digest) {
        store.replace(bundle)?;
    }
    Ok(())
}

/// What a proof consists of; signature and public key by their lengths, where there is a key.
struct Shown {
    digest: [u8; 32],
    proof: [u8; 32],
    signature: Option<usize>,
    public_key: Option<usize>,
}

/// The marker of a bundle that is there to the last bit.
fn whole(found: &Found) -> Option<Marker> {
    match found.state {
        UnitState::Loaded | UnitState::Locked => found.marker,
        UnitState::Blank | UnitState::Partial => None,
    }
}

/// As [`whole`], and says what is wrong when there is none.
fn committed(found: &Found) -> Result<Marker, Refusal> {
    whole(found).ok_or(match found.marker {
        Some(_) => Refusal::Damaged,
        None => Refusal::NotLoaded,
    })
}

/// SHA-256 of a password as people mean it: capitals, O as 0, I and L as 1, no hyphens.
///
/// Digests are compared, so that neither length nor place of a difference shows in time. The same
/// folding as `credential::Password::folded`; a test keeps them equal.
fn folded(password: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for symbol in password.iter().map(u8::to_ascii_uppercase) {
        match symbol {
            b'-' => {}
            b'O' => hash.update(b"0"),
            b'I' | b'L' => hash.update(b"1"),
            other => hash.update([other]),
        }
    }
    hash.finalize().into()
}
