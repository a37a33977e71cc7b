//! Sequence numbers and frames: requests out, the replies to the newest one in.

use std::vec;
use std::vec::Vec;

use sha2::{Digest, Sha256};
use traveler::DeviceId;
use zeroize::Zeroizing;

use super::{Reply, Request};
use crate::frame::{self, Decoder, LINE_MAX, UNASKED};
use crate::message::Nonce;

/// The longest ending that goes ahead: two certificates.
const ENDING_MAX: usize = 2_048;

/// The codec of one open port.
///
/// The same request twice in a row is a repeat and keeps its number, so that the unit answers it
/// as it did before; any other request takes the next. Replies with another number are dropped:
/// they are late answers to what is no longer asked.
pub struct Link {
    decoder: Decoder,
    /// Of the newest request; never [`UNASKED`].
    seq: u16,
    /// SHA-256 of the newest request, to know a repeat by. Keeps no secret.
    newest: Option<[u8; 32]>,
}

impl Link {
    /// `first_seq` differs from run to run (any 16 bits will do), so that a unit does not take the
    /// first request of a restarted station for the last one of the run before.
    #[must_use]
    pub fn new(first_seq: u16) -> Link {
        Link {
            decoder: Decoder::new(),
            seq: first_seq,
            newest: None,
        }
    }

    /// The bytes to write to the port for a request.
    ///
    /// # Panics
    /// When a bundle or a password is longer than any unit takes; the exchanges send none.
    pub fn encode(&mut self, request: &Request) -> Zeroizing<Vec<u8>> {
        let message = message(request);
        let digest = Sha256::digest(&*message).into();
        if self.newest.replace(digest) != Some(digest) {
            self.seq = next(self.seq);
        }
        line(self.seq, &message)
    }

    /// What the next request begins with on the line when it is an install of a bundle with this
    /// ending, whatever stands before that: all that two bundles with nothing else in common share.
    /// Empty for an ending that is longer than any chain.
    #[must_use]
    pub fn install_opening(&self, nonce: Nonce, device_id: &DeviceId, ending: &[u8]) -> Vec<u8> {
        if ending.is_empty() || ending.len() > ENDING_MAX {
            return Vec::new();
        }
        let [one, other] = [&[0; 1][..], &[0xff; 300]].map(|beginning| {
            let request = Request::Install {
                nonce,
                device_id: device_id.clone(),
                bundle: Zeroizing::new([beginning, ending].concat()),
                ending: ending.len(),
            };
            line(next(self.seq), &message(&request))
        });
        let same = one.iter().zip(other.iter()).take_while(|(a, b)| a == b);
        one[..same.count()].to_vec()
    }

    /// As much of a line as may go out before it is decided that the unit is asked: what is cut here
    /// lacks its checksum and the zero behind it, so it is no frame, whatever follows.
    #[must_use]
    pub fn opening(line: &[u8]) -> &[u8] {
        line.get(..line.len().saturating_sub(frame::ENDING))
            .unwrap_or_default()
    }

    /// Takes bytes as they come from the port, in any pieces, and gives what they answer.
    ///
    /// Boot logs, echoes, broken frames and late replies are dropped without a word.
    pub fn decode(&mut self, bytes: &[u8]) -> Vec<Reply> {
        let mut replies = Vec::new();
        for &byte in bytes {
            let Some(frame) = self.decoder.push(byte) else {
                continue;
            };
            let seq = frame.seq;
            let Some(reply) = Reply::decode(frame.message) else {
                continue;
            };
            let unasked = seq == UNASKED && matches!(reply, Reply::Booted(_));
            if unasked || (seq == self.seq && self.newest.is_some()) {
                replies.push(reply);
            }
        }
        replies
    }
}

fn next(seq: u16) -> u16 {
    seq.checked_add(1).unwrap_or(UNASKED + 1)
}

fn message(request: &Request) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(vec![0; frame::MESSAGE_MAX]);
    let length = request
        .encode(&mut message)
        .expect("the types of secrets are bounded");
    message.truncate(length);
    message
}

fn line(seq: u16, message: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(vec![0; LINE_MAX]);
    let length = frame::encode(seq, &mut line, |out| {
        out.get_mut(..message.len())?.copy_from_slice(message);
        Some(message.len())
    })
    .expect("a line takes the longest frame");
    line.truncate(length);
    line
}
