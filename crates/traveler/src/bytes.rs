//! Fixed-size byte strings, written as lower-case hexadecimal.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ParseIdError;
use crate::flat::Text;

/// A SHA-256 digest: of a certificate, a public key, a product file, a bundle.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(pub [u8; 32]);

/// HMAC-SHA-256 of a folded password under the HSM's fingerprint key, cut to 16 bytes.
///
/// False collision at 1e9 units: 1.5e-21 (n^2 / 2^129).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub [u8; 16]);

/// Which HSM key was used: the first 8 bytes of a keyed or public digest of the key.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub [u8; 8]);

macro_rules! hex_bytes {
    ($name:ident, $length:literal, $what:literal) => {
        impl $name {
            #[doc = concat!("Parses ", $length, " bytes of hexadecimal.")]
            ///
            /// # Errors
            /// [`ParseIdError`] on another length or a character that is not hexadecimal.
            pub fn parse(text: &str) -> Result<$name, ParseIdError> {
                let mut bytes = [0; $length];
                if unhex(text, &mut bytes) {
                    Ok($name(bytes))
                } else {
                    Err(ParseIdError::new(
                        $what,
                        text,
                        concat!($length, " bytes of hexadecimal"),
                    ))
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = [0; $length * 2];
                f.write_str(hex(&self.0, &mut text))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; $length * 2];
                serializer.serialize_str(hex(&self.0, &mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let Text(text) = Text::deserialize(deserializer)?;
                $name::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_bytes!(Digest, 32, "digest");
hex_bytes!(Fingerprint, 16, "fingerprint");
hex_bytes!(KeyId, 8, "key id");

/// Fills `text`, which is twice as long, with the digits of `bytes`.
fn hex<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    for (two, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *two = pair(*byte);
    }
    std::str::from_utf8(text).unwrap_or_default()
}

/// The two digits of a byte.
pub(crate) fn pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

/// Fills `out` from hexadecimal of exactly its length; false when `text` is anything else.
pub(crate) fn unhex(text: &str, out: &mut [u8]) -> bool {
    unhex_bytes(text.as_bytes(), out)
}

/// The same for what need not be a text.
pub(crate) fn unhex_bytes(digits: &[u8], out: &mut [u8]) -> bool {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != out.len() {
        return false;
    }
    let mut all = 0;
    for (byte, pair) in out.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| NIBBLES[usize::from(digit)]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    all < 16
}

/// What each digit is worth, and 255 for what is none. A log is read for the most part here.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips() {
        let text = "00ff0102030405060708090a0b0c0d0e";
        assert_eq!(Fingerprint::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn refuses_other_lengths_and_characters() {
        for text in [
            "",
            "00",
            "zz112233445566778899aabbccddeeff",
            "é0ff0102030405060708090a0b0c0d",
        ] {
            assert!(Fingerprint::parse(text).is_err(), "{text}");
        }
    }
}
