//! A station that dies, and calls that are lost, at every point there is.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use station_cli::{Again, Outcome, Patience, SyncState, reprint, sync};
    use traveler::{Event, OperatorId, State};
    use wire::{PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS};

    use super::line::power::on_a_busy_disk;
    use super::line::server::{Call, Lose};
    use super::line::unit::Dut;
    use super::line::{Line, Printer, count, serial};

    /// Runs until it is sealed; a few times are always enough once nothing fails any more.
    async fn finish(line: &mut Line) {
        for _ in 0..3 {
            let report = line.run("A47").await;
            line.check();
            if report.outcome == Outcome::Sealed {
                assert_eq!(line.state("A47"), Some(State::Sealed));
                assert!(line.journal().is_empty(), "{:?}", line.journal());
                line.check_kept("A47");
                return;
            }
            // The last run ended before its record was closed, and the unit is done.
            if line.state("A47") == Some(State::Sealed) && report.reason == Some("SAME_UNIT") {
                assert!(line.journal().is_empty(), "{:?}", line.journal());
                line.check_kept("A47");
                return;
            }
            // Cut between the record and the paper: the operator finds no label, and asks for one.
            if report.reason == Some("LABEL_UNKNOWN") {
                assert_eq!(line.printed("A47"), 0);
                reprint_at(line).await;
            }
        }
        panic!("not sealed after three runs:\n{}", line.output);
    }

    async fn reprint_at(line: &Line) {
        let again = Again {
            serial: serial("A47"),
            reason: "none came out".into(),
            operator: OperatorId::parse("OP-7").unwrap(),
            patience: Patience(Duration::ZERO),
        };
        let mut labels = Printer(line.tray.clone(), line.paper);
        let done = reprint(&line.home, &line.server, &mut labels, &again).await;
        assert_eq!(done.unwrap().reprint, 1);
    }

    /// Polls that one whole run takes.
    async fn polls_of_a_run(label: bool) -> usize {
        for polls in 1.. {
            let mut line = Line::new();
            line.server.books().label = label;
            if line.run_until("A47", polls).await.is_some() {
                // 4 calls, 3 or 4 exchanges and a port: stopped before and after each.
                assert!(polls > 14, "a sweep stops at every await: {polls}");
                return polls;
            }
        }
        unreachable!("a run ends")
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_point_costs_nothing() {
        for label in [true, false] {
            let whole = polls_of_a_run(label).await;
            for polls in 1..whole {
                let mut line = Line::new();
                line.server.books().label = label;
                assert!(line.run_until("A47", polls).await.is_none());
                line.check();
                finish(&mut line).await;
                // The ticket is on disk before the unit is written, so at most the one reply that
                // was never journaled is void.
                let books = line.server.books();
                let voided = count(&books.entries, |e| matches!(e, Event::Voided { .. }));
                assert!(voided <= 1, "cut after {polls} polls: {voided} voided");
            }
        }
    }

    /// Of what may be written later nothing is there when the power goes. What was to be written before
    /// is: every unit that is done is proven, however it came to its seal.
    #[test]
    fn a_power_cut_before_the_disk_has_come_to_it_costs_no_proof() {
        for label in [true, false] {
            for polls in 1.. {
                let ended = on_a_busy_disk(async {
                    let mut line = Line::new();
                    line.server.books().label = label;
                    let ended = line.run_until("A47", polls).await.is_some();
                    line.check();
                    finish(&mut line).await;
                    ended
                });
                if ended {
                    assert!(polls > 14, "a sweep stops at every await: {polls}");
                    break;
                }
            }
        }
    }

    /// A unit whose firmware is older takes load, reset and proof one by one.
    #[tokio::test(start_paused = true)]
    async fn a_power_cut_with_an_older_unit_costs_nothing_either() {
        let older = || {
            let line = Line::new();
            line.fixture.dut().speaks = PROTOCOL_FIRST;
            line
        };
        let mut polls = 0;
        loop {
            polls += 1;
            let mut line = older();
            let ended = line.run_until("A47", polls).await.is_some();
            line.check();
            finish(&mut line).await;
            if ended {
                break;
            }
        }
        assert!(polls > 20, "3 exchanges more: {polls}");
        for flips in 1..3 {
            let mut line = older();
            line.fixture.dut().faults.flips = flips;
            let sealed = line.run("A47").await.outcome == Outcome::Sealed;
            assert_eq!(sealed, flips == 1, "{}", line.output);
        }
    }

    /// Power fails while the server seals: its log is ahead of the record, which says nothing of the
    /// lock yet. The unit itself has to say it.
    #[tokio::test(start_paused = true)]
    async fn a_seal_ahead_of_its_record_is_closed_with_the_unit_in_hand() {
        let mut line = Line::new();
        line.server.books().label = false;
        line.server.books().faults = vec![(Call::Seal, Lose::Reply)];
        assert_eq!(line.run("A47").await.reason, Some("NO_SERVER"));
        assert_eq!(line.state("A47"), Some(State::Sealed));
        let path = line.home.dir().join("journal/A47.json");
        let record = std::fs::read_to_string(&path).unwrap();
        assert!(record.contains("\"locked\""), "{record}");
        std::fs::write(&path, record.replace("\"locked\"", "\"issued\"")).unwrap();
        let other = line.run("A48").await;
        assert_eq!(other.reason, Some("PUT_BACK"));
        assert!(path.exists());
        finish(&mut line).await;
        assert_eq!(line.server.books().given.len(), 1, "no second secret");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_power_cut_costs_nothing_either() {
        let whole = polls_of_a_run(true).await;
        for first in (1..whole).step_by(5) {
            for second in (1..whole).step_by(7) {
                let mut line = Line::new();
                line.run_until("A47", first).await;
                line.check();
                line.run_until("A47", second).await;
                line.check();
                finish(&mut line).await;
            }
        }
    }

    /// The server knows that the unit holds its bundle, the unit is not locked, and nobody can get
    /// at the bundle any more: the attempt is withdrawn by its number, in the same run.
    #[tokio::test(start_paused = true)]
    async fn a_loaded_unit_whose_ticket_is_lost_is_issued_to_anew() {
        let whole = polls_of_a_run(true).await;
        for journal_too in [true, false] {
            let mut seen = 0;
            for polls in 1..whole {
                let mut line = Line::new();
                assert!(line.run_until("A47", polls).await.is_none());
                let locked = line.fixture.dut().is_locked();
                if locked || line.state("A47") != Some(State::Loaded) {
                    continue;
                }
                seen += 1;
                match journal_too {
                    true => std::fs::remove_dir_all(line.home.dir().join("journal")).unwrap(),
                    false => line.server.books().tickets.clear(),
                }
                let report = line.run("A47").await;
                assert_eq!(report.outcome, Outcome::Sealed, "{}", line.output);
                assert_eq!(report.attempt.unwrap().0, 2);
                line.check();
                let books = line.server.books();
                let voided = count(&books.entries, |e| matches!(e, Event::Voided { .. }));
                assert_eq!(voided, 1);
            }
            assert!(seen > 0, "a sweep stops between load and lock");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_unit_loses_power_with_the_station() {
        let whole = polls_of_a_run(true).await;
        for polls in 1..whole {
            let mut line = Line::new();
            assert!(line.run_until("A47", polls).await.is_none());
            line.fixture.dut().reboot();
            line.check();
            finish(&mut line).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cable_pulled_at_any_byte_is_gone_on_from() {
        for bytes in (1..2_000).step_by(37) {
            let mut line = Line::new();
            line.fixture.dut().faults.pull_after = Some(bytes);
            let report = line.run("A47").await;
            line.check();
            if report.outcome != Outcome::Sealed {
                assert_eq!(report.reason, Some("CABLE"));
                assert_eq!(report.exit_code(), 10);
                line.fixture.dut().plugged = true;
                finish(&mut line).await;
                assert_eq!(line.server.books().given.len(), 1, "the same bundle again");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cable_that_comes_back_in_time_is_gone_on_from_at_once() {
        // Looked for every quarter of a second: back while the unit is still asked, and after that.
        for (bytes, looks) in (1..1_500).step_by(61).flat_map(|b| [(b, 6), (b, 100)]) {
            let mut line = Line::new();
            line.reconnect = Duration::from_secs(60);
            {
                let mut dut = line.fixture.dut();
                dut.faults.pull_after = Some(bytes);
                dut.back_after = looks;
            }
            let report = line.run("A47").await;
            line.check();
            assert_eq!(report.outcome, Outcome::Sealed, "{report}");
            let dut = line.fixture.dut();
            assert!(!dut.misnamed, "pulled after {bytes} bytes");
            if dut.faults.pull_after.is_none() {
                let least = u64::from(looks) * 250;
                assert!(report.cycle_ms >= least, "it waited for the cable");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_leaves_the_bus_with_its_reset_is_awaited() {
        for speaks in [PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS] {
            let mut line = Line::new();
            line.fixture.dut().speaks = speaks;
            line.fixture.dut().faults.leaves_bus = true;
            let report = line.run("A47").await;
            line.check();
            assert_eq!(report.outcome, Outcome::Sealed, "{report}");
            assert!(!line.fixture.dut().misnamed, "version {speaks}");
        }
    }

    /// Once it has left, the kernel may still open what is no more.
    #[tokio::test(start_paused = true)]
    async fn a_unit_that_left_with_its_reset_is_not_given_up_for_what_it_left_behind() {
        let mut line = Line::new();
        line.fixture.dut().faults.leaves_bus = true;
        line.fixture.dut().faults.ghosts = 2;
        let report = line.run("A47").await;
        line.check();
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
    }

    const CALLS: [Call; 5] = [
        Call::OpenOrder,
        Call::Issue,
        Call::Confirm,
        Call::Seal,
        Call::UnitState,
    ];

    #[tokio::test(start_paused = true)]
    async fn every_call_is_lost_before_and_after_it_took_effect() {
        for call in CALLS {
            for lose in [Lose::Request, Lose::Reply] {
                // Without patience the run ends and the next one goes on.
                let mut line = Line::new();
                line.server.books().faults = vec![(call, lose)];
                let report = line.run("A47").await;
                line.check();
                if call != Call::UnitState {
                    assert_eq!(report.reason, Some("NO_SERVER"), "{call:?} {lose:?}");
                    let code = if call == Call::OpenOrder { 2 } else { 10 };
                    assert_eq!(report.exit_code(), code, "{call:?} {lose:?}");
                }
                finish(&mut line).await;

                // With patience it is asked again and nobody notices.
                let mut line = Line::new();
                line.patience = Duration::from_secs(15);
                line.server.books().faults = vec![(call, lose); 3];
                let report = line.run("A47").await;
                line.check();
                assert_eq!(
                    report.outcome,
                    Outcome::Sealed,
                    "{call:?} {lose:?} {report}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_calls_of_a_resume_are_lost_too() {
        for call in [Call::UnitState, Call::Resume] {
            for lose in [Lose::Request, Lose::Reply] {
                let mut line = Line::new();
                line.fixture.dut().faults.pull_after = Some(700);
                line.run("A47").await;
                line.fixture.dut().plugged = true;
                line.server.books().faults = vec![(call, lose)];
                let report = line.run("A47").await;
                assert_eq!(report.exit_code(), 10, "under way: {report}");
                finish(&mut line).await;
                assert_eq!(line.server.books().given.len(), 1);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawal_that_is_cut_short_is_finished_first() {
        for lose in [Lose::Request, Lose::Reply] {
            let mut line = Line::new();
            line.fixture.dut().faults.flips = 2;
            line.server.books().faults = vec![(Call::Void, lose)];
            let report = line.run("A47").await;
            assert_eq!(report.exit_code(), 10, "{report}");
            line.check();
            let report = line.run("A47").await;
            assert_eq!(report.exit_code(), 20, "{report}");
            assert_eq!(line.state("A47"), Some(State::Scrapped));
            assert!(line.journal().is_empty());
            line.check();
        }
    }

    /// The seal is on record, its reply is lost, and somebody gives the unit up: what the server says
    /// rules, and nobody scraps a good unit.
    #[tokio::test(start_paused = true)]
    async fn what_was_sealed_before_it_was_given_up_stays_sealed() {
        async fn sealed_unheard() -> Line {
            let mut line = Line::new();
            line.server.books().faults = vec![(Call::Seal, Lose::Reply)];
            assert_eq!(line.run("A47").await.exit_code(), 10);
            assert_eq!(line.state("A47"), Some(State::Sealed));
            line
        }
        let a47 = serial("A47");
        let void = Some((&a47, None));
        let now = Patience(Duration::ZERO);
        let mut line = sealed_unheard().await;
        let error = sync(&line.home, &line.server, now, void).await.unwrap_err();
        assert_eq!(error.advice().reason, "SEALED_ALREADY");
        assert_eq!(error.advice().outcome.exit_code(), 2);
        assert!(line.journal().is_empty(), "{:?}", line.journal());
        assert_eq!(line.run("A47").await.reason, Some("SAME_UNIT"));
        line.check();
        // Given up while the server was away; the next run of either kind finds how it ended.
        for run in [false, true] {
            let mut line = sealed_unheard().await;
            line.server.books().faults = vec![(Call::Void, Lose::Request)];
            let error = sync(&line.home, &line.server, now, void).await.unwrap_err();
            assert_eq!(error.advice().reason, "NO_SERVER");
            if run {
                assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
            } else {
                let all = sync(&line.home, &line.server, now, None).await.unwrap();
                assert_eq!(all[0].state, SyncState::Sealed);
                assert_eq!(all[0].state.outcome().exit_code(), 0);
            }
            assert!(line.journal().is_empty(), "{:?}", line.journal());
            assert_eq!(line.state("A47"), Some(State::Sealed));
            line.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_is_printed_once_whatever_is_lost() {
        for fault in [(Call::Seal, Lose::Request), (Call::Seal, Lose::Reply)] {
            let mut line = Line::new();
            line.server.books().faults = vec![fault];
            let report = line.run("A47").await;
            assert_eq!(report.outcome, Outcome::Loaded);
            finish(&mut line).await;
            assert_eq!(line.printed("A47"), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_without_a_key_of_its_own_is_swept_as_well() {
        let mut line = Line::new();
        line.put_in(Dut::new([0xB2; 8], false));
        let whole = polls_of_a_run(true).await;
        finish(&mut line).await;
        for polls in (1..whole).step_by(3) {
            let mut line = Line::new();
            line.put_in(Dut::new([0xB2; 8], false));
            line.run_until("A47", polls).await;
            line.check();
            finish(&mut line).await;
        }
    }
}
