//! Load, reset and proof in one turn: the unit keeps the station's nonce over the reset, in flash.
//!
//! The note of an install is the last thing that is written, after the bundle was read back. So a
//! boot in the middle of the load finds no note and proves nothing, and one after it has done what
//! the reset is for. The proof is read from flash then; nothing but nonce and boot is remembered.

use super::store::{Flash, Note, Store};
use super::{Desk, Shown, Silicon, whole, write};
use crate::message::{Installed, Nonce, PUBLIC_KEY_MAX, Refusal, Reply, SIGNATURE_MAX};
use crate::proof::{Boots, ReadBack};

impl<F: Flash, S: Silicon> Desk<F, S> {
    /// Writes, reads back, notes; the reset follows. A repeat after the reset does it all again,
    /// except that what is there already is not erased.
    pub(super) fn install(
        &mut self,
        nonce: Nonce,
        device_id: &[u8],
        bundle: &[u8],
    ) -> Result<Reply<'static>, Refusal> {
        install(&mut self.store, &self.silicon, nonce, device_id, bundle)
    }

    /// The same of a bundle that came in two parts.
    pub(super) fn install_parts(
        &mut self,
        nonce: Nonce,
        device_id: &[u8],
        [beginning, ending]: [&[u8]; 2],
    ) -> Result<Reply<'static>, Refusal> {
        let bundle = self.bundle.get_mut(..beginning.len() + ending.len());
        let bundle = bundle.ok_or(Refusal::BadBundle)?;
        let (first, second) = bundle.split_at_mut(beginning.len());
        first.copy_from_slice(beginning);
        second.copy_from_slice(ending);
        let (store, silicon) = (&mut self.store, &self.silicon);
        let done = install(store, silicon, nonce, device_id, bundle);
        self.bundle.fill(0);
        done
    }

    /// What the unit says when it has booted. Only the boot right after an install proves unasked, so
    /// that a unit in its owner's hands does not.
    pub(super) fn with_boot<R>(&mut self, send: impl FnOnce(&Reply<'_>) -> R) -> R {
        let boots = self.silicon.boots();
        let noted = self.store.noted().ok().flatten();
        let fresh = noted.filter(|note| note.boot.checked_add(1) == Some(boots));
        let mut buffers = Buffers::new();
        // What was damaged by the reset is not said here: the station asks, and hears why.
        let shown = fresh.and_then(|note| Some((note, self.shown(note, &mut buffers).ok()?)));
        send(&self.booted(shown, &buffers))
    }

    /// The same when it is asked, or why not.
    pub(super) fn report<R>(&mut self, nonce: &Nonce, send: impl FnOnce(&Reply<'_>) -> R) -> R {
        let mut buffers = Buffers::new();
        let shown = match self.store.noted() {
            Ok(Some(note)) if note.nonce == *nonce => {
                let shown = self.shown(note, &mut buffers);
                shown.map(|shown| (note, shown))
            }
            Ok(_) => Err(Refusal::NotInstalled),
            Err(failed) => Err(failed.into()),
        };
        match shown {
            Ok(shown) => send(&self.booted(Some(shown), &buffers)),
            Err(refusal) => send(&Reply::Refused(refusal)),
        }
    }

    fn shown(&mut self, note: Note, buffers: &mut Buffers) -> Result<Shown, Refusal> {
        let boots = Boots {
            written_in: note.boot,
            proved_in: self.silicon.boots(),
        };
        let read_back = ReadBack::installed(&note.nonce, boots);
        let Buffers {
            signature,
            public_key,
        } = buffers;
        let shown = self.proved(read_back, signature, public_key);
        self.bundle.fill(0);
        shown
    }

    fn booted<'a>(&'a self, shown: Option<(Note, Shown)>, buffers: &'a Buffers) -> Reply<'a> {
        let installed = shown.map(|(note, shown)| Installed {
            nonce: note.nonce,
            written_in: note.boot,
            proof: shown.proof,
            signature: shown.signature.and_then(|len| buffers.signature.get(..len)),
            public_key: shown
                .public_key
                .and_then(|len| buffers.public_key.get(..len)),
        });
        Reply::Booted {
            device_id: self.silicon.identity().device_id,
            boots: self.silicon.boots(),
            installed,
        }
    }
}

/// Apart from the desk, whose room the bundle may lie in.
fn install<F: Flash>(
    store: &mut Store<F>,
    silicon: &impl Silicon,
    nonce: Nonce,
    device_id: &[u8],
    bundle: &[u8],
) -> Result<Reply<'static>, Refusal> {
    write(store, silicon, device_id, bundle)?;
    whole(&store.look()?).ok_or(Refusal::Flash)?;
    // Crash before the note is whole: the station is told that there was no install, and repeats.
    let note = Note {
        nonce,
        boot: silicon.boots(),
    };
    if !store.note(note)? {
        // A hundred installs of one bundle, none of them of another: room comes with an erase.
        store.replace(bundle)?;
        whole(&store.look()?).ok_or(Refusal::Flash)?;
        store.note(note)?;
    }
    match store.noted()? {
        Some(noted) if noted == note => Ok(Reply::Resetting),
        _ => Err(Refusal::Flash),
    }
}

/// Where the chip writes what a reply lends.
struct Buffers {
    signature: [u8; SIGNATURE_MAX],
    public_key: [u8; PUBLIC_KEY_MAX],
}

impl Buffers {
    fn new() -> Buffers {
        Buffers {
            signature: [0; SIGNATURE_MAX],
            public_key: [0; PUBLIC_KEY_MAX],
        }
    }
}
