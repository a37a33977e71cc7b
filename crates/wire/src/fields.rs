//! A CBOR map with small integer keys: the form of every message, and of a bundle.
//!
//! Deterministic (RFC 8949, section 4.2.1): definite lengths, shortest integers, keys ascending.
//! A reader refuses anything out of order and skips keys and types that it does not know, so that
//! a later version may add a field. No allocation: texts and bytes are borrowed from the frame.

use core::ops::RangeInclusive;

use minicbor::data::Type;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};

/// Keys 0 to 13: the widest message has so many.
const KEYS: usize = 14;

/// One value of a field.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Number(u32),
    Truth(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The fields of one message, by key.
pub(crate) struct Fields<'a>([Option<Value<'a>>; KEYS]);

impl<'a> Fields<'a> {
    pub(crate) fn new(kind: u8) -> Fields<'a> {
        Fields([None; KEYS]).with(0, Value::Number(kind.into()))
    }

    pub(crate) fn with(mut self, key: usize, value: Value<'a>) -> Fields<'a> {
        self.0[key] = Some(value);
        self
    }

    pub(crate) fn with_bytes(self, key: usize, bytes: &'a [u8]) -> Fields<'a> {
        self.with(key, Value::Bytes(bytes))
    }

    pub(crate) fn with_text(self, key: usize, text: &'a str) -> Fields<'a> {
        self.with(key, Value::Text(text))
    }

    pub(crate) fn with_number(self, key: usize, number: u32) -> Fields<'a> {
        self.with(key, Value::Number(number))
    }

    /// Leaves the field out when there is nothing to say.
    pub(crate) fn with_optional(self, key: usize, bytes: Option<&'a [u8]>) -> Fields<'a> {
        match bytes {
            Some(bytes) => self.with_bytes(key, bytes),
            None => self,
        }
    }

    /// Writes the map to the front of `out`; `None` when it does not fit.
    pub(crate) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let room = out.len();
        let mut encoder = Encoder::new(out);
        let present = self.0.iter().flatten().count();
        encoder.map(u64::try_from(present).ok()?).ok()?;
        for (key, value) in (0u8..).zip(&self.0) {
            let Some(value) = value else { continue };
            encoder.u8(key).ok()?;
            match value {
                Value::Number(number) => encoder.u32(*number).ok()?,
                Value::Truth(truth) => encoder.bool(*truth).ok()?,
                Value::Text(text) => encoder.str(text).ok()?,
                Value::Bytes(bytes) => encoder.bytes(bytes).ok()?,
            };
        }
        Some(room - encoder.into_writer().len())
    }

    /// Reads a map that fills `bytes` exactly.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Fields<'a>> {
        let mut decoder = Decoder::new(bytes);
        let mut fields = Fields([None; KEYS]);
        let mut next_key = 0;
        for _ in 0..decoder.map().ok()?? {
            let key = decoder.u64().ok()?;
            if key < next_key {
                return None; // out of order or twice: two readers could disagree
            }
            next_key = key.checked_add(1)?;
            let value = value(&mut decoder).ok()?;
            if let Some(slot) = usize::try_from(key).ok().and_then(|k| fields.0.get_mut(k)) {
                *slot = value;
            }
        }
        (decoder.position() == bytes.len()).then_some(fields)
    }

    pub(crate) fn kind(&self) -> Option<u32> {
        self.number(0)
    }

    pub(crate) fn number(&self, key: usize) -> Option<u32> {
        match self.0[key]? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn truth(&self, key: usize) -> Option<bool> {
        match self.0[key]? {
            Value::Truth(truth) => Some(truth),
            _ => None,
        }
    }

    /// A text whose length in bytes is within bounds.
    pub(crate) fn text(&self, key: usize, length: RangeInclusive<usize>) -> Option<&'a str> {
        match self.0[key]? {
            Value::Text(text) if length.contains(&text.len()) => Some(text),
            _ => None,
        }
    }

    /// A byte string whose length is within bounds.
    pub(crate) fn bytes(&self, key: usize, length: RangeInclusive<usize>) -> Option<&'a [u8]> {
        match self.0[key]? {
            Value::Bytes(bytes) if length.contains(&bytes.len()) => Some(bytes),
            _ => None,
        }
    }

    /// A byte string of exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, key: usize) -> Option<[u8; N]> {
        self.bytes(key, N..=N)?.try_into().ok()
    }

    /// An optional field: absent is well, present with another form is not.
    pub(crate) fn optional<T>(&self, key: usize, value: Option<T>) -> Option<Option<T>> {
        match (self.0[key].is_some(), value) {
            (true, None) => None,
            (_, value) => Some(value),
        }
    }
}

/// The next value, or `None` for one of a type no field of ours has.
fn value<'a>(decoder: &mut Decoder<'a>) -> Result<Option<Value<'a>>, DecodeError> {
    Ok(match decoder.datatype()? {
        Type::U8 | Type::U16 | Type::U32 => Some(Value::Number(decoder.u32()?)),
        Type::Bool => Some(Value::Truth(decoder.bool()?)),
        Type::String => Some(Value::Text(decoder.str()?)),
        Type::Bytes => Some(Value::Bytes(decoder.bytes()?)),
        _ => {
            decoder.skip()?;
            None
        }
    })
}
