//! Server time, in milliseconds. Advisory: order comes from the sequence, never from a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flat::Text;

/// Milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

impl Timestamp {
    /// The last millisecond RFC 3339 can write (year 9999).
    const MAX_MS: i64 = 253_402_300_799_999;

    /// Clamps to 1970 through 9999, so that every timestamp can be written.
    #[must_use]
    pub fn from_unix_ms(ms: i64) -> Timestamp {
        Timestamp(ms.clamp(0, Timestamp::MAX_MS))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads what [`Timestamp`] writes, and nothing else: `2023-11-14T22:13:20.007Z`.
    pub(crate) fn plain(text: &str) -> Option<Timestamp> {
        let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
        let marks = [4, 7, 10, 13, 16, 19, 23].map(|at| text[at]);
        let number = |places: std::ops::Range<usize>| {
            text[places].iter().try_fold(0, |value: i64, digit| {
                let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
                Some(value * 10 + digit)
            })
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let possible = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        if marks != *b"--T::.Z" || year < 1970 || !possible {
            return None;
        }
        // Years begin in March here, so that a leap day is a year's last.
        let (year, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year - 1, month + 9)
        };
        let era_days = year * 365 + year / 4 - year / 100 + year / 400;
        let days = era_days + (month * 153 + 2) / 5 + day - 1 - DAYS_TO_1970;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        Some(Timestamp(seconds * 1_000 + number(20..23)?))
    }

    fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(self.0)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.to_date_time();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, digits: usize, mut value: u32| {
            for place in text[end - digits..end].iter_mut().rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(4, 4, at.year().unsigned_abs());
        put(7, 2, u8::from(at.month()).into());
        put(10, 2, at.day().into());
        put(13, 2, at.hour().into());
        put(16, 2, at.minute().into());
        put(19, 2, at.second().into());
        put(23, 3, at.millisecond().into());
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)?;
        let ms = at.unix_timestamp() * 1000 + i64::from(at.millisecond());
        Ok(Timestamp::from_unix_ms(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339() {
        let at = Timestamp::from_unix_ms(1_700_000_000_007);
        assert_eq!(
            serde_json::to_string(&at).unwrap(),
            "\"2023-11-14T22:13:20.007Z\""
        );
        assert_eq!(
            serde_json::from_str::<Timestamp>("\"2023-11-14T22:13:20.007Z\"").unwrap(),
            at
        );
    }

    #[test]
    fn reads_plainly_what_the_general_way_reads() {
        let day = 86_400_000;
        for ms in (0..150_000)
            .map(|n| n * day / 2 + n % 1_000)
            .chain([Timestamp::MAX_MS])
        {
            let at = Timestamp::from_unix_ms(ms);
            assert_eq!(Timestamp::plain(&at.to_string()), Some(at));
        }
        for text in [
            "2023-02-29",
            "2100-02-29",
            "2023-13-01",
            "2023-00-01",
            "2023-04-31",
            "1969-12-31",
        ] {
            assert_eq!(
                Timestamp::plain(&format!("{text}T00:00:00.000Z")),
                None,
                "{text}"
            );
        }
        for text in [
            "2023-11-14T24:13:20.007Z",
            "2023-11-14T22:60:20.007Z",
            "2023-11-14T22:13:60.007Z",
            "2023-11-14t22:13:20.007Z",
            "2023-11-14T22:13:20.007z",
            "2023-11-14T22:13:20.0070Z",
            "2023-11-14T22:13:20Z",
        ] {
            assert_eq!(Timestamp::plain(text), None, "{text}");
        }
    }

    #[test]
    fn clamps_what_cannot_be_written() {
        assert_eq!(Timestamp::from_unix_ms(-1).unix_ms(), 0);
        assert_eq!(
            Timestamp::from_unix_ms(i64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
