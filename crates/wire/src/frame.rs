//! The bytes on the line, and how frames are found between everything else a console says.
//!
//! ```text
//! 0x00 | COBS( version u8 = 1 | seq u16 BE | CBOR message | CRC-32 BE ) | 0x00
//! ```
//!
//! CRC-32 is ISO-HDLC over all before it. The leading zero ends whatever text was under way (a boot
//! log has none), so that noise costs no frame; a reader does not need it. A frame that is cut,
//! merged, too long or of another version is skipped without a word: the other side repeats.
//! Deliberately absent: fragments. One request is one frame, and a frame is bounded.

use crc::{CRC_32_ISO_HDLC, Crc};

/// The longest frame before stuffing, in bytes: version, number, message and checksum.
pub const FRAME_MAX: usize = 4_096;
/// The longest message in a frame.
pub const MESSAGE_MAX: usize = FRAME_MAX - OVERHEAD;
/// The longest frame on the line, with both zeros.
pub const LINE_MAX: usize = cobs::max_encoding_length(FRAME_MAX) + 2;

const VERSION: u8 = 1;
const HEADER: usize = 3;
const CHECKSUM: usize = 4;
const OVERHEAD: usize = HEADER + CHECKSUM;
/// Bytes at the end of a line without which it is no frame: the checksum and the last zero.
pub const ENDING: usize = CHECKSUM + 1;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Sequence number of what a unit says unasked; no request has it.
pub const UNASKED: u16 = 0;

/// Writes one frame to the front of `line`, its message made by `message` in place.
///
/// `None` when `message` gives none, or when `line` is shorter than [`LINE_MAX`].
pub fn encode(
    seq: u16,
    line: &mut [u8],
    message: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<usize> {
    let mut plain = [0; FRAME_MAX];
    plain[0] = VERSION;
    plain[1..HEADER].copy_from_slice(&seq.to_be_bytes());
    let end = HEADER + message(&mut plain[HEADER..FRAME_MAX - CHECKSUM])?;
    let checksum = CRC.checksum(&plain[..end]);
    plain[end..end + CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    let length = cobs::try_encode_including_sentinels(&plain[..end + CHECKSUM], line).ok();
    plain.fill(0); // it may have held a bundle
    length
}

/// A whole frame that was found.
pub struct Frame<'a> {
    /// Which request it is or answers.
    pub seq: u16,
    /// The message, not yet read.
    pub message: &'a [u8],
}

/// Finds frames in whatever arrives, however it is cut up.
pub struct Decoder {
    /// Stuffed bytes since the last zero.
    buffer: [u8; LINE_MAX],
    /// How many there are; one more than fit, when it is longer than any frame.
    filled: usize,
}

impl Decoder {
    /// A reader that has seen nothing.
    #[must_use]
    pub const fn new() -> Decoder {
        Decoder {
            buffer: [0; LINE_MAX],
            filled: 0,
        }
    }

    /// Takes one byte; gives a frame when the byte ends one.
    pub fn push(&mut self, byte: u8) -> Option<Frame<'_>> {
        if byte != 0 {
            if let Some(free) = self.buffer.get_mut(self.filled) {
                *free = byte;
            }
            self.filled = (self.filled + 1).min(LINE_MAX + 1);
            return None;
        }
        let stuffed = core::mem::take(&mut self.filled);
        let length = cobs::decode_in_place(self.buffer.get_mut(..stuffed)?).ok()?;
        open(self.buffer.get(..length)?)
    }

    /// Overwrites what was read: it may have held a secret.
    pub fn wipe(&mut self) {
        *self = Decoder::new();
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

/// Checks version and checksum.
fn open(plain: &[u8]) -> Option<Frame<'_>> {
    let (body, checksum) = plain.split_last_chunk::<CHECKSUM>()?;
    let (header, message) = body.split_first_chunk::<HEADER>()?;
    let [version, high, low] = *header;
    let whole = plain.len() <= FRAME_MAX
        && version == VERSION
        && CRC.checksum(body) == u32::from_be_bytes(*checksum);
    whole.then_some(Frame {
        seq: u16::from_be_bytes([high, low]),
        message,
    })
}
