//! Names that people scan, type or read: each parsed once, at the edge.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::bytes::unhex;
use crate::flat::Text;
use crate::short::Short;

/// A name that does not have the form its kind must have.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what} `{got}` is not usable: expected {expected}")]
pub struct ParseIdError {
    what: &'static str,
    got: String,
    expected: &'static str,
}

impl ParseIdError {
    /// How much of an unusable name a message repeats, in characters.
    const SHOWN: usize = 40;
    /// How many colons of it: a label that was scanned in place of a name has its password after
    /// the second.
    const COLONS: usize = 2;

    pub(crate) fn new(what: &'static str, got: &str, expected: &'static str) -> ParseIdError {
        let mut colons = 0;
        let shown = got
            .chars()
            .take(ParseIdError::SHOWN)
            .take_while(|c| {
                let shown = colons < ParseIdError::COLONS;
                colons += usize::from(*c == ':');
                shown
            })
            .flat_map(char::escape_debug);
        ParseIdError {
            what,
            got: shown.collect(),
            expected,
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $longest:literal, $what:literal, $expected:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Short<$longest>);

        impl $name {
            #[doc = concat!("Accepts ", $expected, ".")]
            ///
            /// # Errors
            /// [`ParseIdError`] on anything else; nothing is trimmed, folded or repaired.
            pub fn parse(text: &str) -> Result<$name, ParseIdError> {
                let accepts: fn(&str) -> bool = $accepts;
                match Short::new(text) {
                    Some(short) if accepts(text) => Ok($name(short)),
                    _ => Err(ParseIdError::new($what, text, $expected)),
                }
            }

            /// The name as it is written in entries, on labels and on screens.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<$name, ParseIdError> {
                $name::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
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

text_id!(
    /// The serial number printed on a unit and in its certificate's subject (2.5.4.5).
    ///
    /// Capitals only: a scanner gives them, Code 128 and PrintableString (X.520) carry them, and
    /// it is safe as a file name.
    Serial, 32, "serial", "3 to 32 of A-Z, 0-9 and hyphen, not starting with a hyphen",
    |text| code(text, 3..=32, b"-")
);
text_id!(
    /// A product: what is built under one definition and one policy.
    Sku, 32, "product", "1 to 32 of A-Z, 0-9, hyphen and dot, not starting with either",
    |text| code(text, 1..=32, b"-.")
);
text_id!(
    /// A work order: permission to build N units of one product.
    OrderId, 32, "order", "1 to 32 of A-Z, 0-9 and hyphen, not starting with a hyphen",
    |text| code(text, 1..=32, b"-")
);
text_id!(
    /// A bench on the line. The name is the common name of its certificate.
    StationName, 32, "station", "1 to 32 of a-z, 0-9 and hyphen, not starting with a hyphen",
    |text| length_in(text, 1..=32) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') && !text.starts_with('-')
);
text_id!(
    /// One position in a station's jig, or the path of the port it hangs on.
    Slot, 96, "slot", "1 to 96 printable characters without spaces",
    |text| length_in(text, 1..=96) && text.bytes().all(|b| b.is_ascii_graphic())
);
text_id!(
    /// An operator's badge pseudonym. Who it belongs to is kept elsewhere and can be erased.
    OperatorId, 32, "badge", "2 to 32 of A-Z, 0-9 and hyphen, not starting with a hyphen",
    |text| code(text, 2..=32, b"-")
);
text_id!(
    /// The silicon's own id, in lower-case hexadecimal (4 to 32 bytes).
    DeviceId, 64, "device id", "8 to 64 lower-case hexadecimal digits, an even number",
    |text| length_in(text, 8..=64) && text.len() % 2 == 0 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

impl DeviceId {
    /// Writes the silicon's bytes, as a unit reports them, as an id.
    ///
    /// # Errors
    /// [`ParseIdError`] unless there are 4 to 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<DeviceId, ParseIdError> {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        DeviceId::parse(&hex)
    }
}

/// A MAC address (IEEE 802 EUI-48), written with colons in upper case.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Accepts six pairs of hexadecimal digits, plain or split by colons or hyphens.
    ///
    /// # Errors
    /// [`ParseIdError`] on anything else.
    pub fn parse(text: &str) -> Result<Mac, ParseIdError> {
        let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let mut bytes = [0; 6];
        if unhex(&plain, &mut bytes) && matches!(text.len(), 12 | 17) {
            Ok(Mac(bytes))
        } else {
            Err(ParseIdError::new(
                "MAC address",
                text,
                "six pairs of hexadecimal digits",
            ))
        }
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Mac::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn length_in(text: &str, bounds: std::ops::RangeInclusive<usize>) -> bool {
    bounds.contains(&text.len())
}

/// Capitals and digits, with `marks` allowed anywhere but in front.
fn code(text: &str, bounds: std::ops::RangeInclusive<usize>, marks: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    length_in(text, bounds)
        && text.bytes().next().is_some_and(plain)
        && text
            .bytes()
            .all(|byte| plain(byte) || marks.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_what_a_scanner_gives() {
        for good in ["A47", "BM-000001", "0123456789ABCDEF0123456789ABCDEF"] {
            assert_eq!(Serial::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "A4",
            "-A47",
            "a47b",
            "A47 ",
            "../A47",
            "A47\n",
            "Ä47",
            &"A".repeat(33),
        ] {
            assert!(Serial::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_says_what_was_expected_and_stays_short() {
        let error = Serial::parse(&"x\u{7}".repeat(500))
            .unwrap_err()
            .to_string();
        assert!(error.contains("3 to 32 of A-Z"), "{error}");
        assert!(error.len() < 400 && !error.contains('\u{7}'), "{error}");
    }

    #[test]
    fn a_label_in_place_of_a_name_keeps_its_password() {
        let label = "BM1:A47:K7QDM2X9TR4W:Z";
        for error in [
            Serial::parse(label).unwrap_err(),
            OrderId::parse(label).unwrap_err(),
            OperatorId::parse(label).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains("`BM1:A47:` is not usable"), "{text}");
        }
    }

    #[test]
    fn macs_and_device_ids() {
        let mac = Mac::parse("02-1a-2b-3c-4d-5e").unwrap();
        assert_eq!(mac.to_string(), "02:1A:2B:3C:4D:5E");
        assert!(Mac::parse("02:1a:2b:3c:4d").is_err());
        assert!(Mac::parse("021a2b3c4d5e::::").is_err());
        assert_eq!(
            DeviceId::from_bytes(&[0xde, 0xad, 0xbe, 0xef])
                .unwrap()
                .as_str(),
            "deadbeef"
        );
        assert!(DeviceId::from_bytes(&[1, 2, 3]).is_err());
        assert!(DeviceId::parse("DEADBEEF").is_err());
    }
}
