//! The client of a token elsewhere: [`Hsm`] over `proto/hsm/v1`, sans socket.
//!
//! What it believes of an answer is its shape and length, no more: a short answer never leaves
//! half of a password's randomness as it was.

use zeroize::Zeroizing;

use crate::material::OVERHEAD;
use crate::message::v1::request::Command;
use crate::message::v1::response::Outcome;
use crate::message::{RANDOM_MAX, v1};
use crate::pool::{Connect, Pool};
use crate::{Description, Hsm, HsmError, Key, Pin, bounded};

/// A token elsewhere, behind a few connections that many threads share.
///
/// A connection that breaks is replaced, and the command asked once more; a token that cannot be
/// reached is [`HsmError::Unavailable`] at once.
pub struct RemoteToken {
    pool: Pool,
}

impl RemoteToken {
    /// A client that connects when it is first asked something.
    pub fn new(connect: Connect, pin: Pin) -> RemoteToken {
        RemoteToken {
            pool: Pool::new(connect, pin),
        }
    }

    /// A command that is answered by bytes.
    fn bytes(&self, command: Command, key: Option<Key>) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        match self.pool.call(command, key)? {
            Outcome::Done(bytes) => Ok(Zeroizing::new(bytes)),
            _ => Err(HsmError::out_of_turn()),
        }
    }
}

impl Hsm for RemoteToken {
    fn describe(&self) -> Result<Description, HsmError> {
        match self.pool.call(Command::Describe(v1::Describe {}), None)? {
            Outcome::Description(it) => Ok(Description {
                model: it.model,
                serial: it.serial,
                firmware: it.firmware,
                simulated: it.simulated,
            }),
            _ => Err(HsmError::out_of_turn()),
        }
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        for chunk in out.chunks_mut(RANDOM_MAX) {
            let random = v1::Random {
                length: chunk.len() as u32,
            };
            let bytes = self.bytes(Command::Random(random), None)?;
            // A short answer must not leave the rest of `out` as it was.
            if bytes.len() != chunk.len() {
                return Err(HsmError::out_of_turn());
            }
            chunk.copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn mac(&self, key: Key, data: &[u8]) -> Result<[u8; 32], HsmError> {
        bounded(data.len())?;
        let mac = v1::Mac {
            key: key.label().to_owned(),
            data: data.to_vec(),
        };
        let bytes = self.bytes(Command::Mac(mac), Some(key))?;
        bytes
            .as_slice()
            .try_into()
            .map_err(|_| HsmError::out_of_turn())
    }

    fn sign(&self, key: Key, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(message.len())?;
        let sign = v1::Sign {
            key: key.label().to_owned(),
            message: message.to_vec(),
        };
        self.bytes(Command::Sign(sign), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn public_key(&self, key: Key) -> Result<Vec<u8>, HsmError> {
        let public = v1::PublicKey {
            key: key.label().to_owned(),
        };
        self.bytes(Command::PublicKey(public), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn wrap(&self, key: Key, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, HsmError> {
        bounded(aad.len().saturating_add(plain.len()))?;
        let key_label = key.label().to_owned();
        let wrap = v1::Wrap {
            key: key_label,
            aad: aad.to_vec(),
            plaintext: plain.to_vec(),
            nonce: Vec::new(),
        };
        self.bytes(Command::Wrap(wrap), Some(key))
            .map(|bytes| bytes.to_vec())
    }

    fn unwrap(&self, key: Key, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        bounded(
            aad.len()
                .saturating_add(wrapped.len().saturating_sub(OVERHEAD)),
        )?;
        let key_label = key.label().to_owned();
        let unwrap = v1::Unwrap {
            key: key_label,
            aad: aad.to_vec(),
            wrapped: wrapped.to_vec(),
        };
        self.bytes(Command::Unwrap(unwrap), Some(key))
    }

    fn make_key(&self, key: Key) -> Result<(), HsmError> {
        let make = v1::MakeKey {
            key: key.label().to_owned(),
        };
        self.bytes(Command::MakeKey(make), Some(key)).map(|_| ())
    }

    fn high_water(&self, log: &str) -> Result<Option<u64>, HsmError> {
        let log = log.to_owned();
        let command = Command::HighWater(v1::HighWater { log });
        match self.pool.call(command, None)? {
            Outcome::Mark(mark) => Ok(mark.size),
            _ => Err(HsmError::out_of_turn()),
        }
    }

    fn raise_high_water(&self, log: &str, size: u64) -> Result<(), HsmError> {
        let log = log.to_owned();
        let raise = v1::RaiseHighWater { log, size };
        self.bytes(Command::RaiseHighWater(raise), None).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::far::{Play, client};

    #[test]
    fn random_bytes_are_asked_for_in_pieces_and_a_short_answer_is_refused() {
        let (token, far) = client("1234", &[]);
        let mut out = vec![0; 2 * RANDOM_MAX + 1];
        token.random(&mut out).unwrap();
        assert!(out.iter().all(|&byte| byte == 7));
        assert_eq!(far.commands.load(Ordering::SeqCst), 3);
        far.plan.lock().unwrap().push_back(Play::Lie);
        assert_eq!(token.random(&mut [0; 32]), Err(HsmError::out_of_turn()));
    }

    #[test]
    fn too_much_is_refused_before_it_is_sent() {
        let (token, far) = client("1234", &[]);
        let more = vec![0; crate::DATA_MAX + 1];
        assert!(matches!(
            token.sign(Key::Log, &more),
            Err(HsmError::TooLong { .. })
        ));
        assert!(matches!(
            token.wrap(Key::Ticket, &more, b""),
            Err(HsmError::TooLong { .. })
        ));
        assert_eq!(far.connects.load(Ordering::SeqCst), 0);
    }
}
