//! The server: whether it answers, takes this station, serves, and what time it has.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use super::Finding;
use crate::calls::{CallError, Server};
use crate::failure::Failure;
use crate::home::Home;

/// One question, connection and all.
const WITHIN: Duration = Duration::from_secs(6);

/// Entries are ordered by the server, so a wrong clock costs no unit; a certificate that is not valid
/// yet does.
const SECONDS_AMBER: i64 = 5;
const SECONDS_RED: i64 = 3_600;

pub(super) async fn look(home: &Home) -> Vec<Finding> {
    let server = match Server::of(home) {
        Ok(server) => server,
        Err(error) => {
            let todo = "enrol this station again";
            return vec![Finding::red("server", error.to_string(), todo)];
        }
    };
    let asked = now();
    let clock = timeout(WITHIN, server.show_clock()).await;
    let answered = now();
    let clock = match clock.unwrap_or_else(|_| Err(silent())) {
        Ok(clock) => clock,
        Err(error) => return vec![away(home, error)],
    };
    let took = answered - asked;
    let reached = format!(
        "{} answers in {took} ms and takes this station",
        home.server()
    );
    // Between question and answer, wherever in between it looked.
    let offset = clock.unix_ms - (asked + took / 2);
    let mut findings = vec![Finding::green("server", reached), judged(offset)];
    findings.push(match timeout(WITHIN, server.serves()).await {
        Ok(Ok(true)) => Finding::green("server health", "SERVING"),
        Ok(Ok(false)) => Finding::red(
            "server health",
            "NOT SERVING: its keys or its log cannot be used",
            "nothing is issued: call IT",
        ),
        Ok(Err(error)) => Finding::red("server health", error.to_string(), "call IT"),
        Err(_) => Finding::red("server health", "no answer", "call IT"),
    });
    findings.push(passwords(&clock.stopped_since));
    findings
}

/// Whether the server mints: a server whose generator was found unfit serves all the same, so that
/// what is under way can be ended.
fn passwords(stopped_since: &str) -> Finding {
    if stopped_since.is_empty() {
        return Finding::green("passwords", "they are minted");
    }
    let says = format!("the generator is unfit since {stopped_since}: nothing is issued");
    let todo = "call IT: provisioner line status says what was seen and how to go on";
    Finding::red("passwords", says, todo)
}

fn away(home: &Home, error: CallError) -> Finding {
    let says = format!("{}: {error}", home.server());
    let failure = Failure::from(error);
    Finding::red("server", says, failure.advice().action)
}

fn silent() -> CallError {
    CallError::Unavailable {
        reason: None,
        message: "no reply in time".to_owned(),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

fn judged(offset_ms: i64) -> Finding {
    let seconds = offset_ms as f64 / 1_000.0;
    let says = match offset_ms {
        1.. => format!("this station is {seconds:.1} s behind the server"),
        ..0 => format!("this station is {:.1} s ahead of the server", -seconds),
        0 => "this station has the server's time".to_owned(),
    };
    let todo = "set the clock: chrony or systemd-timesyncd from the site's time source";
    match offset_ms.unsigned_abs() / 1_000 {
        off if off >= SECONDS_RED.unsigned_abs() => Finding::red("clock", says, todo),
        off if off >= SECONDS_AMBER.unsigned_abs() => Finding::amber("clock", says, todo),
        _ => Finding::green("clock", says),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (ms, level, says) in [
            (0, Level::Green, "the server's time"),
            (4_900, Level::Green, "4.9 s behind"),
            (-6_000, Level::Amber, "6.0 s ahead"),
            (3_600_000, Level::Red, "3600.0 s behind"),
        ] {
            let found = judged(ms);
            assert_eq!(found.level, level, "{ms}");
            assert!(found.says.contains(says), "{}", found.says);
        }
    }
    #[test]
    fn a_line_that_is_stopped_is_told() {
        assert_eq!(passwords("").level, Level::Green);
        let found = passwords("2026-11-22T04:10:31.373Z");
        assert_eq!(found.level, Level::Red);
        assert!(
            found.says.contains("unfit since 2026-11-22"),
            "{}",
            found.says
        );
    }
}
