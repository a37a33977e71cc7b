//! Where a serial is that a call was refused for: in the refusal's own fields, not in its words.

use tonic::Status;
use tonic_types::StatusExt;
use traveler::{StationName, Timestamp};

use crate::DOMAIN;

const STATION: &str = "station";
const SINCE: &str = "since_unix_ms";

/// The station that has a serial, or had it last, and since when it stands where it does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InUse {
    /// Which station.
    pub station: StationName,
    /// By the server's clock.
    pub since: Timestamp,
}

impl InUse {
    /// As `metadata` of google.rpc.ErrorInfo.
    #[must_use]
    pub fn to_metadata(&self) -> [(String, String); 2] {
        [
            (STATION.to_owned(), self.station.to_string()),
            (SINCE.to_owned(), self.since.unix_ms().to_string()),
        ]
    }

    /// What a refusal says of it; none where it says nothing, or nothing that can be read.
    #[must_use]
    pub fn of(status: &Status) -> Option<InUse> {
        let info = status.get_details_error_info()?;
        if info.domain != DOMAIN {
            return None;
        }
        let said = |key| info.metadata.get(key).map(String::as_str);
        Some(InUse {
            station: StationName::parse(said(STATION)?).ok()?,
            since: Timestamp::from_unix_ms(said(SINCE)?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn what_the_server_says_crosses_the_wire_and_nothing_else_is_taken_for_it() {
        let in_use = InUse {
            station: StationName::parse("bench-3").unwrap(),
            since: Timestamp::from_unix_ms(1_764_165_720_000),
        };
        let carried = |domain: &str, metadata: Vec<(String, String)>| {
            let metadata: HashMap<_, _> = metadata.into_iter().collect();
            let details = ErrorDetails::with_error_info("DUPLICATE_UNIT", domain, metadata);
            let status = Status::with_error_details(Code::AlreadyExists, "no", details);
            InUse::of(&status)
        };
        let metadata = in_use.to_metadata().to_vec();
        assert_eq!(carried(DOMAIN, metadata.clone()), Some(in_use));
        assert_eq!(carried("example.com", metadata.clone()), None);
        assert_eq!(carried(DOMAIN, metadata[..1].to_vec()), None);
        for (key, value) in [(SINCE, "14:02"), (STATION, "Bench 3\u{1b}[2J")] {
            let mut metadata = metadata.clone();
            metadata.retain(|(known, _)| known != key);
            metadata.push((key.to_owned(), value.to_owned()));
            assert_eq!(carried(DOMAIN, metadata), None, "{value}");
        }
        assert_eq!(InUse::of(&Status::internal("no")), None);
    }
}
