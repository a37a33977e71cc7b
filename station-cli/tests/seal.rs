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
    use station_cli::{Broken, Failure, Outcome, Patience, SyncState, break_seal};
    use traveler::{DeviceId, Event, OperatorId, State};

    use super::line::leases::{offline, upload};
    use super::line::server::{Call, Lose};
    use super::line::{Line, count, serial, until};

    /// The unit that stands in a line's slot.
    const UNIT: &str = "a1a1a1a1a1a1a1a1";

    async fn broken(line: &Line, unit: &str, scrap: bool) -> Result<Broken, Failure> {
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
                // Nobody can say whether it was heard: it is on record here, and told again.
                assert_eq!(broken(&line, UNIT, scrap).await.unwrap(), Broken::Later);
                assert!(line.outbox("A47").contains("\"break_seal\""));
                upload(&line).await.unwrap();
                assert_eq!(line.outbox("A47"), "");
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

    fn decisions(line: &Line) -> usize {
        let broke = |e: &Event| match e {
            Event::Rework { by, .. } | Event::Scrapped { by, .. } => *by == ["L-1", "Q-1"],
            _ => false,
        };
        count(&line.server.books().entries, broke)
    }

    /// Behind the seal that nobody has heard yet, or alone, when the server went after it.
    #[tokio::test(start_paused = true)]
    async fn what_two_people_decide_offline_is_told_behind_the_seal() {
        for (scrap, state) in [(false, State::Rework), (true, State::Scrapped)] {
            for sealed_online in [false, true] {
                let mut line = offline(&["A47", "A48"]).await;
                line.server.books().away = !sealed_online;
                assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
                line.server.books().away = true;
                for _ in 0..2 {
                    let done = broken(&line, UNIT, scrap).await;
                    assert_eq!(done.unwrap(), Broken::Later);
                    if scrap {
                        break; // nothing more is decided about it
                    }
                }
                // Put in again it is no good unit, and no fresh one either.
                let report = line.run("A48").await;
                assert_eq!(report.reason, Some("LOCKED_WITHDRAWN"), "{report}");
                line.server.books().away = false;
                upload(&line).await.unwrap();
                assert_eq!(line.state("A47"), Some(state));
                assert_eq!((line.outbox("A47"), decisions(&line)), (String::new(), 1));
                line.check();
            }
        }
    }

    /// Whoever was told that it counts finds it in the log, wherever the power went.
    #[tokio::test(start_paused = true)]
    async fn a_decision_survives_a_power_cut() {
        for away in [true, false] {
            for polls in 1.. {
                let mut line = offline(&["A47"]).await;
                assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
                line.server.books().away = away;
                let told = until(broken(&line, UNIT, true), polls).await;
                line.cut();
                let on_record = line.outbox("A47").contains("\"break_seal\"");
                assert!(told.is_none() || !away || on_record);
                line.server.books().away = false;
                upload(&line).await.unwrap();
                if told.is_some() || on_record {
                    assert_eq!(line.state("A47"), Some(State::Scrapped));
                } else {
                    broken(&line, UNIT, true).await.unwrap();
                }
                assert_eq!(line.state("A47"), Some(State::Scrapped));
                assert_eq!(decisions(&line), 1);
                line.check();
                if told.is_some() {
                    assert!(away || polls > 3, "a sweep stops at every await: {polls}");
                    break;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_refuses_of_it_is_on_hold_with_its_reason() {
        let mut line = offline(&["A47"]).await;
        line.server.books().away = false;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.server.books().away = true;
        assert_eq!(broken(&line, UNIT, false).await.unwrap(), Broken::Later);
        // Scrapped at another bench meanwhile.
        line.server.books().away = false;
        let unit = serial("A47");
        line.server.books().units.get_mut(&unit).unwrap().state = State::Scrapped;
        let listed = upload(&line).await.unwrap();
        let why = listed[0].hold.as_ref().map(|hold| hold.reason.as_str());
        assert_eq!(
            (listed[0].state, why),
            (SyncState::Hold, Some("WRONG_STATE"))
        );
        let again = broken(&line, UNIT, false).await;
        assert!(matches!(again, Err(Failure::Hold { .. })));
        assert!(
            line.outbox("A47").contains("\"break_seal\""),
            "never dropped"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_this_station_did_not_seal_waits_for_the_server() {
        let line = offline(&["A48"]).await;
        let failure = broken(&line, UNIT, true).await.unwrap_err();
        assert_eq!(failure.advice().reason, "NO_SERVER");
        assert_eq!(line.outbox("A47"), "");
    }
}
