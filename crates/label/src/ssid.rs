//! Names of units' own networks: a pattern of the product, filled with the unit's serial.

use traveler::Serial;

/// Longest name, in bytes (IEEE 802.11, 9.4.2.2).
const SSID_MAX: usize = 32;

/// What may stand between braces, and how many of the serial's last characters it is.
const PLACES: [(&str, usize); 3] = [("serial", usize::MAX), ("serial_4", 4), ("serial_6", 6)];

/// A pattern such as `Kettle-{serial_4}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SsidPattern(String);

/// A pattern that names no network that phones would join.
#[derive(Debug, thiserror::Error)]
pub enum SsidError {
    /// A brace that stands for nothing.
    #[error("the network name `{0}` cannot be read: braces hold serial, serial_4 or serial_6")]
    Place(String),
    /// IEEE 802.11 allows 32 bytes.
    #[error(
        "the network name `{pattern}` has {got} bytes with a serial of {serial} characters, 32 fit"
    )]
    Long {
        /// The pattern.
        pattern: String,
        /// Bytes with the longest serial.
        got: usize,
        /// Characters of the longest serial.
        serial: usize,
    },
    /// Readers of Wi-Fi codes take a name of hexadecimal digits for the bytes it writes (ZXing's
    /// description of the format).
    #[error(
        "the network name `{0}` may come out as hexadecimal digits alone, which phones read as other \
         bytes: put a letter after F or a hyphen into it"
    )]
    Hex(String),
    /// A control character, or nothing.
    #[error("the network name has a control character or nothing in it")]
    Control,
}

impl SsidPattern {
    /// Reads a pattern, for serials of at most `longest` characters.
    ///
    /// # Errors
    /// Every variant of [`SsidError`].
    pub fn parse(text: &str, longest: usize) -> Result<SsidPattern, SsidError> {
        if text.is_empty() || text.contains(char::is_control) {
            return Err(SsidError::Control);
        }
        let pattern = SsidPattern(text.to_owned());
        let digits = "0".repeat(longest);
        // The worst serial: as long as it gets, and of digits alone.
        let worst = pattern
            .fill(&digits)
            .ok_or_else(|| SsidError::Place(text.to_owned()))?;
        if worst.len() > SSID_MAX {
            let (pattern, got, serial) = (text.to_owned(), worst.len(), longest);
            return Err(SsidError::Long {
                pattern,
                got,
                serial,
            });
        }
        if worst.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SsidError::Hex(text.to_owned()));
        }
        Ok(pattern)
    }

    /// The network's name of one unit.
    #[must_use]
    pub fn of(&self, serial: &Serial) -> String {
        self.fill(serial.as_str()).unwrap_or_default() // it was read
    }

    fn fill(&self, serial: &str) -> Option<String> {
        let mut rest = self.0.as_str();
        let mut name = String::new();
        while let Some((text, behind)) = rest.split_once('{') {
            let (place, left) = behind.split_once('}')?;
            let (_, last) = PLACES.iter().find(|(known, _)| *known == place)?;
            name.push_str(text);
            name.push_str(&serial[serial.len().saturating_sub(*last)..]);
            rest = left;
        }
        name.push_str(rest);
        (!rest.contains('}')).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_follows_from_the_serial() {
        let serial = Serial::parse("BM-000042").unwrap();
        for (pattern, expected) in [
            ("Kettle-{serial}", "Kettle-BM-000042"),
            ("Kettle-{serial_4}", "Kettle-0042"),
            ("{serial_6}-Kettle", "000042-Kettle"),
            ("Kettle", "Kettle"),
            ("\u{58f6}-{serial_4}", "\u{58f6}-0042"),
        ] {
            let pattern = SsidPattern::parse(pattern, 9).unwrap();
            assert_eq!(pattern.of(&serial), expected);
        }
        let short = Serial::parse("A-1").unwrap();
        assert_eq!(
            SsidPattern::parse("K-{serial_6}", 9).unwrap().of(&short),
            "K-A-1"
        );
    }

    #[test]
    fn a_name_that_phones_would_not_join_is_refused_with_what_to_do() {
        let check = |pattern: &str, longest, expected: &str| {
            let error = SsidPattern::parse(pattern, longest)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", 9, "nothing in it");
        check("a\u{1b}b", 9, "control character");
        check("K-{mac}", 9, "braces hold serial");
        check("K-{serial", 9, "braces hold serial");
        check("K-serial}", 9, "braces hold serial");
        check("Kettle-{serial}", 26, "has 33 bytes");
        check("\u{58f6}\u{58f6}{serial}", 27, "has 33 bytes");
        check("{serial}", 9, "hexadecimal digits alone");
        check("CAFE{serial_4}", 9, "hexadecimal digits alone");
        SsidPattern::parse("Kettle-{serial}", 25).unwrap();
    }
}
