//! A sealed unit at the bench: two people break its seal for rework or scrap, what is left alone, and
//! how it is known again.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use station_cli::{Failure, Outcome, Patience, break_seal};
    use traveler::{DeviceId, OperatorId, State};

    use super::line::leases::{offline, upload};
    use super::line::server::{Call, Lose};
    use super::line::{Line, serial};

    /// The unit that stands in a line's slot.
    const UNIT: &str = "a1a1a1a1a1a1a1a1";

    async fn broken(line: &Line, unit: &str, scrap: bool) -> Result<(), Failure> {
        let [lead, qa] = ["L-1", "Q-1"].map(|badge| OperatorId::parse(badge).unwrap());
        let (serial, unit) = (serial("A47"), DeviceId::parse(unit).unwrap());
        let (server, patience) = (&line.server, Patience::default());
        break_seal(
            &line.home,
            server,
            patience,
            (&serial, &unit),
            [&lead, &qa],
            scrap,
        )
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_sealed_unit_goes_to_rework_or_scrap_and_a_lost_reply_costs_nothing() {
        for (scrap, call, state) in [
            (false, Call::Rework, State::Rework),
            (true, Call::Scrap, State::Scrapped),
        ] {
            for lose in [Lose::Request, Lose::Reply] {
                let mut line = Line::new();
                assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
                line.server.books().faults = vec![(call, lose)];
                broken(&line, UNIT, scrap).await.unwrap();
                assert_eq!(line.state("A47"), Some(state));
                let entries = line.server.books().entries.len();
                broken(&line, UNIT, scrap).await.unwrap();
                let again = line.server.books().entries.len();
                assert_eq!(again, entries, "a repeat finds it done");
                line.check();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_in_work_or_another_than_is_meant_stays_as_it_is() {
        let mut line = Line::new();
        line.server.books().faults = vec![(Call::Seal, Lose::Request); 40];
        line.run("A47").await;
        let refused = broken(&line, UNIT, true).await;
        assert!(
            matches!(refused, Err(Failure::NothingOpen { .. })),
            "not sealed"
        );

        let mut line = Line::new();
        line.run("A47").await;
        // Its serial was scanned for another unit, which stands in the slot.
        let refused = broken(&line, "c3c3c3c3c3c3c3c3", true).await;
        assert!(matches!(refused, Err(Failure::NothingOpen { .. })));
        assert_eq!(line.state("A47"), Some(State::Sealed));
    }

    /// Finished, heard by the server, and put in again while that is away: nobody waits for it.
    #[tokio::test(start_paused = true)]
    async fn a_finished_unit_is_known_again_without_the_server() {
        let mut line = offline(&["A47", "A48"]).await;
        line.run("A47").await;
        line.server.books().away = false;
        upload(&line).await.unwrap();
        assert_eq!(
            (line.state("A47"), line.outbox("A47")),
            (Some(State::Sealed), String::new())
        );
        line.server.books().away = true;
        let report = line.run("A48").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("SAME_UNIT"), 2),
            "{report}"
        );
        assert_eq!((line.held(), line.journal().len()), (vec!["A48".into()], 0));
        // Of one that another bench sealed nobody knows now, and of one that two gave up everybody.
        let proven = line.home.dir().join("proven.jsonl");
        let known = std::fs::read_to_string(&proven).unwrap();
        std::fs::remove_file(&proven).unwrap();
        let report = line.run("A48").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("NOT_KNOWN_NOW"), 2),
            "{report}"
        );
        std::fs::write(&proven, known).unwrap();
        line.server.books().away = false;
        broken(&line, UNIT, true).await.unwrap();
        line.server.books().away = true;
        let report = line.run("A48").await;
        assert_eq!(report.reason, Some("LOCKED_WITHDRAWN"), "{report}");
        line.server.books().away = false;
        let report = line.run("A48").await;
        assert_eq!(
            report.reason,
            Some("LOCKED_WITHDRAWN"),
            "as the server says"
        );
        assert_eq!(line.held(), ["A48"], "no second secret");
        line.check();
    }
}
