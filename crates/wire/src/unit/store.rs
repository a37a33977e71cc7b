//! Where the bundle lies in flash, and in which order it gets there.
//!
//! ```text
//! page 0   0  marker: "BMK1" | length u16 BE | ff ff | SHA-256 of the bundle | CRC-32 BE | ff x 4
//!        256  lock: 16 bytes, erased or not
//!        512  notes, one per install: nonce 16 | boot u32 BE | ff x 8 | CRC-32 BE; the last counts
//! page 1   0  the bundle
//! ```
//!
//! The marker goes first when a bundle is replaced and comes last when one is written, so a cut at
//! any instant leaves blank, partial, or whole: never a marker over half a bundle. The digest in
//! the marker also finds bits that flip later. A note says that the bundle of the marker was whole
//! in that boot; it comes after the marker and goes with it. One write never spans two fields, and every write
//! is a multiple of [`WRITE_ALIGN`], as flash with error correction wants it.

use crc::{CRC_32_ISO_HDLC, Crc};
use sha2::{Digest, Sha256};

use crate::message::{BUNDLE_MAX, Nonce, UnitState};
use crate::proof::ReadBack;

/// Bytes that one erase clears; the erase unit of common NOR flash.
pub const PAGE: usize = 4_096;
/// Bytes of flash a unit gives to the bundle: two pages.
pub const FLASH_SIZE: usize = 2 * PAGE;
/// Every write begins and ends on a multiple of this.
pub const WRITE_ALIGN: usize = 16;

/// What NOR flash erases to.
const ERASED: u8 = 0xff;
/// Bytes per write and read; the program page of common NOR flash.
const CHUNK: usize = 256;
const MARKER_AT: usize = 0;
const MARKER_SIZE: usize = 48;
const LOCK_AT: usize = CHUNK;
const LOCK_SIZE: usize = WRITE_ALIGN;
const NOTES_AT: usize = 2 * CHUNK;
const NOTE_SIZE: usize = 2 * WRITE_ALIGN;
const BUNDLE_AT: usize = PAGE;
const MAGIC: &[u8; 4] = b"BMK1";
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

const _: () = assert!(BUNDLE_MAX <= PAGE && PAGE.is_multiple_of(CHUNK));

/// [`FLASH_SIZE`] bytes of NOR flash, as a driver gives them.
pub trait Flash {
    /// Why flash did not do it.
    type Error;

    /// Reads from `offset` on.
    ///
    /// # Errors
    /// The driver's own.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Self::Error>;

    /// Sets a page to 0xff. Takes up to 90 ms on common parts.
    ///
    /// # Errors
    /// The driver's own; the page may be erased in part.
    fn erase(&mut self, page: usize) -> Result<(), Self::Error>;

    /// Writes to erased bytes. Durable when it returns.
    ///
    /// # Errors
    /// The driver's own; the bytes may be written in part.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// What lies in flash now, looked at and not remembered.
pub(super) struct Found {
    pub(super) state: UnitState,
    /// Locked for good, even when the bundle is damaged since.
    pub(super) locked: bool,
    /// Of the bundle the marker promises; whole only in `Loaded` and `Locked`.
    pub(super) marker: Option<Marker>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Marker {
    pub(super) length: usize,
    pub(super) digest: [u8; 32],
}

impl Marker {
    fn of(bundle: &[u8]) -> Marker {
        Marker {
            length: bundle.len(),
            digest: Sha256::digest(bundle).into(),
        }
    }

    fn to_bytes(self) -> Option<[u8; MARKER_SIZE]> {
        let mut bytes = [ERASED; MARKER_SIZE];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..6].copy_from_slice(&u16::try_from(self.length).ok()?.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.digest);
        let checksum = CRC.checksum(&bytes[..40]);
        bytes[40..44].copy_from_slice(&checksum.to_be_bytes());
        Some(bytes)
    }

    /// `None` for erased, torn or foreign bytes: only what `to_bytes` writes is a marker.
    fn from_bytes(bytes: &[u8; MARKER_SIZE]) -> Option<Marker> {
        let length = u16::from_be_bytes([bytes[4], bytes[5]]).into();
        let marker = Marker {
            length,
            digest: bytes[8..40].try_into().ok()?,
        };
        (length <= BUNDLE_MAX && marker.to_bytes()? == *bytes).then_some(marker)
    }
}

/// Left by an install for the boot after it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Note {
    /// The install's.
    pub(super) nonce: Nonce,
    /// In which boot its bundle was whole in flash.
    pub(super) boot: u32,
}

impl Note {
    fn to_bytes(self) -> [u8; NOTE_SIZE] {
        let mut bytes = [ERASED; NOTE_SIZE];
        bytes[..16].copy_from_slice(&self.nonce.0);
        bytes[16..20].copy_from_slice(&self.boot.to_be_bytes());
        let checksum = CRC.checksum(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// `None` for torn or flipped bytes: only what `to_bytes` writes is a note.
    fn from_bytes(bytes: &[u8; NOTE_SIZE]) -> Option<Note> {
        let note = Note {
            nonce: Nonce(bytes[..16].try_into().ok()?),
            boot: u32::from_be_bytes(bytes[16..20].try_into().ok()?),
        };
        (note.to_bytes() == *bytes).then_some(note)
    }
}

/// The driver failed, or what was read back is not what was written.
pub(super) struct FlashFailed;

pub(super) struct Store<F> {
    flash: F,
}

impl<F: Flash> Store<F> {
    pub(super) fn new(flash: F) -> Store<F> {
        Store { flash }
    }

    pub(super) fn into_flash(self) -> F {
        self.flash
    }

    /// Looks at all of flash. Takes a read of both pages and one SHA-256.
    pub(super) fn look(&self) -> Result<Found, FlashFailed> {
        let marker = self.marker()?;
        let lock_programmed = !self.is_erased(LOCK_AT, LOCK_SIZE)?;
        // A lock without a marker protects nothing: it is the rest of a torn erase.
        let locked = marker.is_some() && lock_programmed;
        let state = match marker {
            Some(marker) if self.digest(&marker)? == marker.digest => match locked {
                true => UnitState::Locked,
                false => UnitState::Loaded,
            },
            None if self.is_erased(0, FLASH_SIZE)? => UnitState::Blank,
            _ => UnitState::Partial,
        };
        Ok(Found {
            state,
            locked,
            marker,
        })
    }

    /// Writes a bundle: marker gone, bundle in, marker back. The caller has asked about the lock.
    ///
    /// A cut leaves, in order: the old bundle whole; partial; blank; partial; the new one whole.
    pub(super) fn replace(&mut self, bundle: &[u8]) -> Result<(), FlashFailed> {
        let marker = Marker::of(bundle);
        self.erase(MARKER_AT / PAGE)?;
        self.erase(BUNDLE_AT / PAGE)?;
        for (index, chunk) in bundle.chunks(CHUNK).enumerate() {
            let mut padded = [ERASED; CHUNK];
            padded[..chunk.len()].copy_from_slice(chunk);
            let length = chunk.len().next_multiple_of(WRITE_ALIGN);
            self.write(BUNDLE_AT + index * CHUNK, &padded[..length])?;
        }
        // Read before the marker: a marker is only put over bytes that are there.
        if self.digest(&marker)? != marker.digest {
            return Err(FlashFailed);
        }
        self.write(MARKER_AT, &marker.to_bytes().ok_or(FlashFailed)?)
    }

    /// Locks for good. Any programmed bit counts, so a cut in here leaves it locked or not.
    pub(super) fn lock(&mut self) -> Result<(), FlashFailed> {
        self.write(LOCK_AT, &[0; LOCK_SIZE])
    }

    /// Notes an install of the bundle that is there; false when there is no room left for one.
    pub(super) fn note(&mut self, note: Note) -> Result<bool, FlashFailed> {
        for at in (NOTES_AT..PAGE).step_by(NOTE_SIZE) {
            if self.is_erased(at, NOTE_SIZE)? {
                self.write(at, &note.to_bytes())?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last note; `None` when there is none, or it was torn.
    pub(super) fn noted(&self) -> Result<Option<Note>, FlashFailed> {
        let mut last = None;
        for at in (NOTES_AT..PAGE).step_by(NOTE_SIZE) {
            let mut bytes = [0; NOTE_SIZE];
            self.read(at, &mut bytes)?;
            if bytes == [ERASED; NOTE_SIZE] {
                break;
            }
            last = Some(bytes);
        }
        Ok(last.as_ref().and_then(Note::from_bytes))
    }

    /// SHA-256 of the bundle, and the proof that was begun, from flash.
    pub(super) fn read_back(
        &self,
        marker: &Marker,
        mut read_back: ReadBack,
    ) -> Result<([u8; 32], [u8; 32]), FlashFailed> {
        self.stream(marker, |bytes| read_back.update(bytes))?;
        Ok(read_back.finish())
    }

    fn digest(&self, marker: &Marker) -> Result<[u8; 32], FlashFailed> {
        let mut hash = Sha256::new();
        self.stream(marker, |bytes| hash.update(bytes))?;
        Ok(hash.finalize().into())
    }

    fn stream(&self, marker: &Marker, mut take: impl FnMut(&[u8])) -> Result<(), FlashFailed> {
        let mut chunk = [0; CHUNK];
        for start in (0..marker.length).step_by(CHUNK) {
            let part = &mut chunk[..CHUNK.min(marker.length - start)];
            self.read(BUNDLE_AT + start, part)?;
            take(part);
        }
        Ok(())
    }

    /// Reads the bundle itself.
    pub(super) fn bundle<'a>(
        &self,
        marker: &Marker,
        out: &'a mut [u8; BUNDLE_MAX],
    ) -> Result<&'a [u8], FlashFailed> {
        let bundle = out.get_mut(..marker.length).ok_or(FlashFailed)?;
        self.read(BUNDLE_AT, bundle)?;
        Ok(bundle)
    }

    fn marker(&self) -> Result<Option<Marker>, FlashFailed> {
        let mut bytes = [0; MARKER_SIZE];
        self.read(MARKER_AT, &mut bytes)?;
        Ok(Marker::from_bytes(&bytes))
    }

    fn is_erased(&self, offset: usize, length: usize) -> Result<bool, FlashFailed> {
        let mut chunk = [0; CHUNK];
        for start in (0..length).step_by(CHUNK) {
            let part = &mut chunk[..CHUNK.min(length - start)];
            self.read(offset + start, part)?;
            if part.iter().any(|byte| *byte != ERASED) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), FlashFailed> {
        self.flash.read(offset, out).map_err(|_| FlashFailed)
    }

    fn erase(&mut self, page: usize) -> Result<(), FlashFailed> {
        self.flash.erase(page).map_err(|_| FlashFailed)
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), FlashFailed> {
        let written = self.flash.write(offset, bytes);
        written.map_err(|_| FlashFailed)
    }
}
