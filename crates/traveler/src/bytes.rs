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
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
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

/// Fills `out` from hexadecimal of exactly its length; false when `text` is anything else.
pub(crate) fn unhex(text: &str, out: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    digits.len() == out.len() * 2
        && out
            .iter_mut()
            .zip(digits.chunks_exact(2))
            .all(|(byte, pair)| {
                let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
                    return false;
                };
                *byte = high << 4 | low;
                true
            })
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

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
