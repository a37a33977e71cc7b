//! Server time, in milliseconds. Advisory: order comes from the sequence, never from a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flat::Text;

/// Milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

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

    fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(self.0)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.to_date_time();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
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
    fn clamps_what_cannot_be_written() {
        assert_eq!(Timestamp::from_unix_ms(-1).unix_ms(), 0);
        assert_eq!(
            Timestamp::from_unix_ms(i64::MAX).to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
