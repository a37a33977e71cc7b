//! What a token and its client say to each other: the messages of `proto/hsm/v1` and their frames.
//!
//! A frame is a 32-bit big-endian length, at most [`FRAME_MAX`], and one message. Buffers that may
//! hold a secret are wiped; messages that may hold one have no `Debug`.
//!
//! Deliberately absent: the connection, and who may open one.

use std::io::{self, Read, Write};

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use crate::{HsmError, Key};

/// Generated from `proto/hsm/v1/hsm.proto`, which documents every field.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/birthmark.hsm.v1.rs"));
}

/// The longest message either side takes, in bytes.
pub const FRAME_MAX: usize = 65_536;

/// The most random bytes one command takes.
pub const RANDOM_MAX: usize = 4_096;

/// The longest part of a peer's failure text that is passed on, in characters.
const TEXT_MAX: usize = 200;

/// Reads one message. `None` when the stream ends where a message would begin.
///
/// # Errors
///
/// `UnexpectedEof` when it ends inside one, `InvalidData` when the length is out of bounds or the
/// bytes are no such message, and whatever the stream says. The stream is of no use afterwards.
pub fn read<M: Message + Default>(stream: &mut (impl Read + ?Sized)) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    let mut got = 0;
    while got < length.len() {
        match stream.read(&mut length[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_MAX {
        return Err(invalid(format!(
            "a frame of {length} bytes, where {FRAME_MAX} are the most"
        )));
    }
    let mut body = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut body)?;
    M::decode(body.as_slice())
        .map(Some)
        .map_err(|error| invalid(error.to_string()))
}

/// Writes one message and flushes.
///
/// # Errors
///
/// `InvalidInput` when it is longer than [`FRAME_MAX`] (nothing was written), and whatever the
/// stream says.
pub fn write(stream: &mut (impl Write + ?Sized), message: &impl Message) -> io::Result<()> {
    let length = message.encoded_len();
    if length > FRAME_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // One write a frame, in a buffer that never grows: no copy of a secret stays behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(4 + length));
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    message.encode_raw(&mut *frame);
    stream.write_all(&frame)?;
    stream.flush()
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl v1::Response {
    /// The answer that carries `bytes`; none for a command that only does something.
    pub fn done(bytes: Vec<u8>) -> v1::Response {
        v1::Response {
            outcome: Some(v1::response::Outcome::Done(bytes)),
        }
    }

    /// The answer that says why not.
    pub fn failure(code: v1::Code, message: impl Into<String>) -> v1::Response {
        v1::Failure::new(code, message).into()
    }

    /// Wipes what the answer carries, once it was written.
    pub fn wipe(&mut self) {
        if let Some(v1::response::Outcome::Done(bytes)) = &mut self.outcome {
            bytes.zeroize();
        }
    }
}

impl From<v1::Failure> for v1::Response {
    fn from(failure: v1::Failure) -> v1::Response {
        v1::Response {
            outcome: Some(v1::response::Outcome::Failure(failure)),
        }
    }
}

impl From<HsmError> for v1::Response {
    fn from(error: HsmError) -> v1::Response {
        v1::Failure::from(error).into()
    }
}

impl From<HsmError> for v1::Failure {
    fn from(error: HsmError) -> v1::Failure {
        use v1::Code;
        let code = match &error {
            HsmError::WrongPin => Code::WrongPin,
            HsmError::NoSuchKey(_) => Code::NoSuchKey,
            HsmError::WrongKind(_) => Code::WrongKeyKind,
            HsmError::TooLong { .. } => Code::TooLong,
            HsmError::Unavailable { .. } | HsmError::Store { .. } => Code::Unavailable,
            HsmError::Refused { .. } => Code::Refused,
        };
        // The client says "not available" and "refuses" itself.
        let message = match error {
            HsmError::Unavailable { reason } | HsmError::Refused { reason } => reason,
            other => other.to_string(),
        };
        v1::Failure::new(code, message)
    }
}

impl v1::Failure {
    /// Why not, in lower case, for people.
    pub fn new(code: v1::Code, message: impl Into<String>) -> v1::Failure {
        v1::Failure {
            code: code.into(),
            message: message.into(),
        }
    }

    /// What the failure of a command about `key` means to the caller. Nothing but the code is
    /// acted upon; the text is passed on to people, cut to a bounded length.
    pub(crate) fn to_error(&self, key: Option<Key>) -> HsmError {
        use v1::Code;
        let text: String = self
            .message
            .chars()
            .filter(|c| !c.is_control())
            .take(TEXT_MAX)
            .collect();
        match (self.code(), key) {
            (Code::WrongPin, _) => HsmError::WrongPin,
            (Code::NoSuchKey, Some(key)) => HsmError::NoSuchKey(key),
            (Code::WrongKeyKind, Some(key)) => HsmError::WrongKind(key),
            (Code::NoSuchKey | Code::WrongKeyKind | Code::Refused | Code::TooLong, _) => {
                HsmError::refused(text)
            }
            (Code::PinLocked, _) => HsmError::refused(format!("it is locked: {text}")),
            (
                Code::Unspecified | Code::NotLoggedIn | Code::Unavailable | Code::TooManySessions,
                _,
            ) => HsmError::unavailable(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::v1::request::Command;
    use super::*;

    fn request(key: &str, data: &[u8]) -> v1::Request {
        let mac = v1::Mac {
            key: key.to_owned(),
            data: data.to_vec(),
        };
        v1::Request {
            command: Some(Command::Mac(mac)),
        }
    }

    fn check(input: &[u8], expected: Result<bool, io::ErrorKind>) {
        let got = read::<v1::Request>(&mut &input[..]);
        assert_eq!(
            got.map(|it| it.is_some()).map_err(|error| error.kind()),
            expected
        );
    }

    #[test]
    fn hostile_frames_are_refused() {
        check(b"", Ok(false));
        check(b"\0\0\0\0", Ok(true));
        check(b"\0\0", Err(io::ErrorKind::UnexpectedEof));
        check(b"\0\0\0\x02\x22", Err(io::ErrorKind::UnexpectedEof));
        check(b"\0\x01\0\x01", Err(io::ErrorKind::InvalidData));
        check(b"\xff\xff\xff\xff", Err(io::ErrorKind::InvalidData));
        check(b"\0\0\0\x02\x22\x09", Err(io::ErrorKind::InvalidData));
    }

    /// Golden: if it fails, change the code, not the bytes.
    #[test]
    fn a_frame_is_these_bytes() {
        let mut out = Vec::new();
        write(&mut out, &request("log", b"\x01\x02")).unwrap();
        assert_eq!(out, b"\0\0\0\x0b\x22\x09\x0a\x03log\x12\x02\x01\x02");
    }

    #[test]
    fn a_message_too_long_writes_nothing() {
        let mut out = Vec::new();
        let error = write(&mut out, &request("log", &vec![0; FRAME_MAX])).unwrap_err();
        assert_eq!((error.kind(), out.len()), (io::ErrorKind::InvalidInput, 0));
        write(&mut out, &request("fingerprint", &vec![0; crate::DATA_MAX])).unwrap();
    }

    #[test]
    fn a_failure_arrives_as_the_error_it_was() {
        let same = |error: HsmError| {
            let Some(v1::response::Outcome::Failure(failure)) =
                v1::Response::from(error.clone()).outcome
            else {
                panic!("not a failure")
            };
            assert_eq!(failure.to_error(Some(Key::Log)), error);
        };
        same(HsmError::WrongPin);
        same(HsmError::NoSuchKey(Key::Log));
        same(HsmError::WrongKind(Key::Log));
        same(HsmError::unavailable("busy"));
        same(HsmError::refused("altered"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(key in "[a-z]{0,20}", data: Vec<u8>) {
            let mut out = Vec::new();
            write(&mut out, &request(&key, &data)).unwrap();
            let read = read::<v1::Request>(&mut out.as_slice()).unwrap().unwrap();
            prop_assert!(read == request(&key, &data));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read::<v1::Request>(&mut bytes.as_slice());
            let _ = read::<v1::Response>(&mut bytes.as_slice());
        }
    }
}
