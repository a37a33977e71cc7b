//! The time on the bench's wall: what an operator compares with, in the zone of this machine.

use std::time::SystemTime;

use chrono::{DateTime, Datelike, Local, TimeZone, Timelike};
use traveler::Timestamp;

use crate::report::Used;

/// Station and time of a serial that is used: `bench-3 14:02`, with the day when it is not today's.
pub(super) fn used(used: &Used) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
    format!("{} {}", used.station, on_the_wall(used.since, now, &Local))
}

/// When a lease ends, within hours: `02:00`.
pub(super) fn until(end: Timestamp) -> String {
    time_of_day(end, &Local).unwrap_or_else(|| end.to_string())
}

fn time_of_day(at: Timestamp, zone: &impl TimeZone) -> Option<String> {
    let utc = DateTime::from_timestamp_millis(at.unix_ms())?;
    let at = utc.with_timezone(zone);
    Some(format!("{:02}:{:02}", at.hour(), at.minute()))
}

fn on_the_wall(at: Timestamp, now_ms: i64, zone: &impl TimeZone) -> String {
    let local = |ms| DateTime::from_timestamp_millis(ms).map(|utc| utc.with_timezone(zone));
    let (Some(time), Some(at)) = (time_of_day(at, zone), local(at.unix_ms())) else {
        return at.to_string();
    };
    match local(now_ms).is_some_and(|now| now.date_naive() == at.date_naive()) {
        true => time,
        false => format!("{:02}-{:02} {time}", at.month(), at.day()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn the_time_is_that_of_the_bench_and_has_its_day_when_it_was_another() {
        let noon = 1_764_158_520_000; // 2025-11-26T12:02:00Z
        let shown = |hours: i32, later: i64| {
            let zone = FixedOffset::east_opt(hours * 3_600).unwrap();
            let now = noon + later * 3_600_000;
            on_the_wall(Timestamp::from_unix_ms(noon), now, &zone)
        };
        assert_eq!(shown(0, 1), "12:02");
        assert_eq!(shown(8, 1), "20:02");
        assert_eq!(shown(8, 5), "11-26 20:02", "past midnight there");
        assert_eq!(shown(13, 1), "01:02");
        // A lease is of hours: its end needs no day.
        let zone = FixedOffset::east_opt(14 * 3_600).unwrap();
        let end = time_of_day(Timestamp::from_unix_ms(noon), &zone);
        assert_eq!(end.as_deref(), Some("02:02"));
    }
}
