//! One unit at one slot: what is refused, what is withdrawn, and what is never called a pass.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use api::Reason;
    use station_cli::{Bench, Job, Outcome, Patience, Report, SyncState, provision, sync};
    use traveler::{Event, OrderId, State, StationName, VoidCause};

    use super::line::server::{Call, Lose, Memory};
    use super::line::unit::{Dut, Fixture};
    use super::line::{Hand, Line, count, home, serial};

    const SECOND: [u8; 8] = [0xC3; 8];

    fn check(line: &Line, report: &Report, reason: &str, code: u8) {
        line.check();
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some(reason), code),
            "{report}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_proven_labelled_and_closed() {
        let mut line = Line::new();
        let report = line.run("A47").await;
        line.check();
        assert_eq!(
            (report.outcome, report.reason, report.exit_code()),
            (Outcome::Sealed, None, 0)
        );
        assert_eq!(report.attempt.unwrap().0, 1);
        assert_eq!(report.index, Some(2), "issued, loaded, sealed");
        assert_eq!(report.device_id.unwrap().as_str(), "a1a1a1a1a1a1a1a1");
        assert!(report.certificate_sha256.is_some());
        assert_eq!(line.state("A47"), Some(State::Sealed));
        assert_eq!(line.printed("A47"), 1);
        assert!(line.journal().is_empty());
        let note = std::fs::read_to_string(line.home.dir().join("checkpoint")).unwrap();
        assert!(note.starts_with("line.test/log\n3\n"), "{note}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_product_without_a_label_prints_none() {
        let mut line = Line::new();
        line.server.books().label = false;
        line.hand = Hand::Leaves;
        let report = line.run("A47").await;
        line.check();
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(line.printed("A47"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_product_spends_nothing() {
        let mut line = Line::new();
        line.server.books().revisions = vec!["A".into(), "C".into()];
        let report = line.run("A47").await;
        check(&line, &report, "WRONG_PRODUCT", 2);
        assert!(
            report.words.contains("CAM2 B") && report.words.contains("A or C"),
            "{report}"
        );
        assert_eq!(line.calls(Call::Issue), 0);
        assert!(line.journal().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_unit_gets_no_second_secret() {
        let mut line = Line::new();
        line.run("A47").await;
        for name in ["A47", "A48"] {
            let report = line.run(name).await;
            check(&line, &report, "SAME_UNIT", 2);
        }
        assert_eq!(line.calls(Call::Issue), 1);
    }

    /// A line whose unit was locked and left without a scan, and whose journal is lost.
    async fn locked_half_way() -> Line {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        std::fs::remove_dir_all(line.home.dir().join("journal")).unwrap();
        line
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_in_work_at_another_station_is_not_done() {
        let mut line = locked_half_way().await;
        let bench = StationName::parse("bench-2").unwrap();
        let unit = serial("A47");
        line.server
            .books()
            .units
            .get_mut(&unit)
            .unwrap()
            .step
            .station = bench;
        for name in ["A47", "A48"] {
            let report = line.run(name).await;
            check(&line, &report, "OTHER_STATION", 2);
            assert!(report.words.contains("bench-2"), "{report}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_locked_unit_that_the_server_does_not_know_is_put_aside() {
        let mut line = locked_half_way().await;
        line.server.books().units.clear();
        for name in ["A47", "A48"] {
            let report = line.run(name).await;
            check(&line, &report, "NOT_KNOWN_HERE", 30);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_begun_under_another_serial_is_named() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.fixture.path = "/dev/slot-2".into();
        let report = line.run("A48").await;
        check(&line, &report, "OTHER_SERIAL", 10);
        assert!(report.words.contains("the unit is A47"), "{report}");
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
    }

    /// The server was restored and counts again from the first attempt.
    #[tokio::test(start_paused = true)]
    async fn a_unit_that_holds_a_later_attempt_than_the_server_knows_is_no_scrap() {
        let mut line = Line::new();
        line.server.books().faults = vec![(Call::Issue, Lose::Reply)];
        line.run("A47").await;
        line.hand = Hand::Leaves;
        assert_eq!(line.run("A47").await.attempt.unwrap().0, 2);
        std::fs::remove_dir_all(line.home.dir().join("journal")).unwrap();
        let unit = serial("A47");
        if let Some(row) = line.server.books().units.get_mut(&unit) {
            row.step.attempt = traveler::Attempt::FIRST;
        }
        let report = line.run("A47").await;
        check(&line, &report, "NOT_KNOWN_HERE", 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_lost_cannot_be_withdrawn_and_stays_on_record() {
        let mut line = Line::new();
        line.fixture.dut().faults.pull_after = Some(700);
        line.run("A47").await;
        line.server.books().units.clear();
        let lost = serial("A47");
        let (patience, void) = (Patience::default(), Some((&lost, None)));
        let error = sync(&line.home, &line.server, patience, void)
            .await
            .unwrap_err();
        assert_eq!(error.advice().outcome, Outcome::Stop, "{error}");
        assert_eq!(line.journal(), ["A47.json"], "kept for whoever reconciles");
        let all = sync(&line.home, &line.server, patience, None)
            .await
            .unwrap();
        assert_eq!(
            all.iter().map(|one| one.state).collect::<Vec<_>>(),
            [SyncState::Forgotten]
        );
        assert_eq!(line.journal(), ["A47.json"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_serial_that_is_used_is_refused_before_any_secret() {
        let mut line = Line::new();
        line.run("A47").await;
        line.put_in(Dut::new(SECOND, true));
        let report = line.run("A47").await;
        check(&line, &report, "DUPLICATE_UNIT", 2);
        assert_eq!(line.server.books().given.len(), 1);
        assert!(line.journal().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_order_is_refused() {
        let mut line = Line::new();
        line.server.books().refuse_issue = Some(Reason::QuotaSpent);
        let report = line.run("A47").await;
        check(&line, &report, "QUOTA_SPENT", 2);
        assert!(line.journal().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_a_lost_reply_keeps_the_record() {
        let mut line = Line::new();
        line.server.books().faults = vec![(Call::Issue, Lose::Reply)];
        line.run("A47").await;
        line.server.books().refuse_issue = Some(Reason::AllowanceSpent);
        let report = line.run("A47").await;
        check(&line, &report, "ALLOWANCE_SPENT", 30);
        assert_eq!(
            line.journal(),
            ["A47.json"],
            "an attempt is open at the server"
        );
        line.server.books().refuse_issue = None;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_read_back_is_rewritten_two_are_the_end() {
        for flips in 1..4 {
            let mut line = Line::new();
            line.fixture.dut().faults.flips = flips;
            let report = line.run("A47").await;
            line.check();
            assert_eq!(line.server.books().given.len(), 1, "the same bundle again");
            if flips == 1 {
                assert_eq!(report.outcome, Outcome::Sealed, "{report}");
                continue;
            }
            check(&line, &report, "READ_BACK", 20);
            let books = line.server.books();
            let voided = |event: &Event| {
                matches!(
                    event,
                    Event::Voided {
                        cause: VoidCause::ReadBack,
                        ..
                    }
                )
            };
            assert_eq!(count(&books.entries, voided), 1);
            assert!(!books.calls.contains(&Call::Confirm), "never a pass");
            assert!(line.journal().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_swapped_unit_voids_the_attempt() {
        let mut line = Line::new();
        line.fixture.dut().faults.swap = Some(SECOND);
        let report = line.run("A47").await;
        check(&line, &report, "SWAPPED", 10);
        assert_eq!(line.state("A47"), Some(State::Voided));
        assert!(line.journal().is_empty());
        // Whichever unit the serial belongs to gets another credential.
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_that_is_not_scanned_leaves_the_unit_loaded() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        for _ in 0..2 {
            let report = line.run("A47").await;
            check(&line, &report, "NO_SCAN", 10);
            assert_eq!(report.outcome, Outcome::Loaded);
        }
        assert_eq!(line.state("A47"), Some(State::Loaded));
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        assert_eq!(
            (line.printed("A47"), line.server.books().given.len()),
            (1, 1)
        );
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_units_own_label_seals_it() {
        let mut line = Line::new();
        line.run("A46").await;
        line.put_in(Dut::new(SECOND, true));
        for hand in [Hand::Mistakes("A46"), Hand::Forges] {
            line.hand = hand;
            let report = line.run("A47").await;
            check(&line, &report, "WRONG_LABEL", 10);
            assert_eq!(line.state("A47"), Some(State::Loaded));
        }
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_went_backwards_gets_no_further_unit() {
        let mut line = Line::new();
        line.run("A46").await;
        line.server.books().restore(1);
        line.put_in(Dut::new(SECOND, true));
        let report = line.run("A47").await;
        check(&line, &report, "LOG_WENT_BACK", 30);
        let blank = line.fixture.dut().flash().iter().all(|byte| *byte == 0xff);
        assert!(blank, "not a byte was written");
        assert_eq!(
            line.server.books().entries.len(),
            1,
            "nothing was asked for"
        );
    }

    /// The unit with the first one's id is locked: whatever stands here blank is another, or broken.
    #[tokio::test(start_paused = true)]
    async fn a_blank_unit_with_the_same_id_gets_no_second_copy() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.put_in(Dut::new([0xA1; 8], true));
        let report = line.run("A47").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("NOT_LOCKED_ANY_MORE"), 30)
        );
        let blank = line.fixture.dut().flash().iter().all(|byte| *byte == 0xff);
        assert!(blank, "not a byte was written");
        assert_eq!(line.state("A47"), Some(State::Loaded));
    }

    /// A restored log grows again by other stations' work: its length alone proves nothing.
    #[tokio::test(start_paused = true)]
    async fn a_log_that_was_rewritten_and_grew_past_the_old_one_is_refused_for_good() {
        let mut line = Line::new();
        line.run("A46").await;
        let seen = line.server.books().entries.len();
        line.server.books().restore(1);
        let by = || "admin".to_owned();
        while line.server.books().entries.len() < seen + 3 {
            let order = OrderId::parse("WO-9").unwrap();
            line.server
                .books()
                .record(Event::OrderClosed { order, by: by() });
        }
        line.put_in(Dut::new(SECOND, true));
        for _ in 0..3 {
            let report = line.run("A47").await;
            check(&line, &report, "LOG_NOT_PROVEN", 30);
        }
        assert_eq!(line.server.books().entries.len(), seen + 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_went_backwards_seals_nobody() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        let first = line.put_in(Dut::new(SECOND, true));
        line.fixture.path = "/dev/slot-2".into();
        line.hand = Hand::Scans;
        assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
        line.server.books().restore(2); // A47 is known, A48 never was
        line.put_in(first);
        let report = line.run("A47").await;
        check(&line, &report, "LOG_WENT_BACK", 30);
        assert_eq!(line.state("A47"), Some(State::Loaded));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_forgot_an_attempt_stops_the_line() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.server.books().restore(0);
        let report = line.run("A47").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("LOG_WENT_BACK"), 30)
        );
        assert_eq!(line.journal(), ["A47.json"], "kept for whoever reconciles");
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_went_backwards_settles_no_other_unit() {
        let mut line = Line::new();
        line.server.books().faults = vec![(Call::Issue, Lose::Reply)];
        line.run("A47").await; // an intent: a server that knows nothing of it would settle it
        line.fixture.path = "/dev/slot-2".into();
        line.put_in(Dut::new(SECOND, true));
        assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
        line.server.books().restore(0);
        line.fixture.path = "/dev/slot-1".into();
        let report = line.run("A49").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("LOG_WENT_BACK"), 30)
        );
        assert_eq!(line.journal(), ["A47.json"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_proof_that_does_not_hold_is_no_pass() {
        let mut line = Line::new();
        line.server.books().lies = true;
        let report = line.run("A47").await;
        check(&line, &report, "LOG_NOT_PROVEN", 30);
        assert_eq!(line.printed("A47"), 0, "no label without proof");

        let mut line = Line::new();
        line.home = home(line.home.dir(), &Memory::new("bench-1")); // another log's key
        let report = line.run("A47").await;
        check(&line, &report, "LOG_NOT_PROVEN", 30);
        assert_eq!(line.printed("A47"), 0);

        let mut line = Line::new();
        line.server.books().other_definition = true;
        let report = line.run("A47").await;
        check(&line, &report, "SERVER_FAULT", 30);
        assert!(report.words.contains("another product definition"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unsettled_unit_is_asked_back_to_its_slot() {
        let mut line = Line::new();
        line.fixture.dut().faults.pull_after = Some(700);
        line.run("A47").await;
        let first = line.put_in(Dut::new(SECOND, true));
        let report = line.run("A48").await;
        check(&line, &report, "PUT_BACK", 10);
        assert!(report.words.contains("A47"), "{report}");
        let report = line.run("A47").await;
        check(&line, &report, "PUT_BACK", 10);
        assert_eq!(line.server.books().given.len(), 1);

        let second = line.put_in(first);
        line.fixture.dut().plugged = true;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.put_in(second);
        assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_will_not_come_back_is_withdrawn_by_sync() {
        let mut line = Line::new();
        line.fixture.dut().faults.pull_after = Some(700);
        line.run("A47").await;
        let patience = Patience::default();
        let all = sync(&line.home, &line.server, patience, None)
            .await
            .unwrap();
        assert_eq!(
            all.iter().map(|one| one.state).collect::<Vec<_>>(),
            [SyncState::Open]
        );

        let lost = serial("A47");
        let void = Some((&lost, None));
        let all = sync(&line.home, &line.server, patience, void)
            .await
            .unwrap();
        assert_eq!(
            all.iter().map(|one| one.state).collect::<Vec<_>>(),
            [SyncState::Withdrawn]
        );
        assert_eq!(line.state("A47"), Some(State::Voided));
        let error = sync(&line.home, &line.server, patience, void)
            .await
            .unwrap_err();
        assert_eq!(error.advice().outcome.exit_code(), 2, "{error}");

        line.put_in(Dut::new(SECOND, true));
        assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_listed_without_a_server() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.server.books().faults = vec![(Call::UnitState, Lose::Request)];
        let none = Patience(std::time::Duration::ZERO);
        let all = sync(&line.home, &line.server, none, None).await.unwrap();
        let said: Vec<_> = all
            .iter()
            .map(|one| (one.state, one.state.outcome().exit_code()))
            .collect();
        assert_eq!(said, [(SyncState::NotAsked, 10)]);
        assert_eq!(line.journal(), ["A47.json"]);
    }

    #[tokio::test(start_paused = true)]
    async fn sync_closes_what_the_server_has_closed() {
        let mut line = Line::new();
        line.server.books().faults = vec![(Call::Seal, Lose::Reply)];
        assert_eq!(line.run("A47").await.outcome, Outcome::Loaded);
        let all = sync(&line.home, &line.server, Patience::default(), None)
            .await
            .unwrap();
        assert_eq!(
            all.iter().map(|one| one.state).collect::<Vec<_>>(),
            [SyncState::Sealed]
        );
        assert!(line.journal().is_empty());
        line.check();
        line.check_kept("A47");
    }

    /// The same by whoever puts the next unit in.
    #[tokio::test(start_paused = true)]
    async fn the_next_unit_closes_what_the_server_has_closed() {
        for lose in [None, Some(Lose::Request), Some(Lose::Reply)] {
            let mut line = Line::new();
            line.server.books().faults = vec![(Call::Seal, Lose::Reply)];
            assert_eq!(line.run("A47").await.outcome, Outcome::Loaded);
            line.put_in(Dut::new(SECOND, true));
            if let Some(lose) = lose {
                // Asked again, it is not proven either: its record stays.
                line.server.books().faults = vec![(Call::Seal, lose)];
                assert_eq!(line.run("A48").await.reason, Some("PUT_BACK"));
                assert_eq!(line.journal(), ["A47.json"]);
            }
            assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
            line.check_kept("A47");
            line.check_kept("A48");
            line.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_journal_is_noticed_and_the_unit_scrapped() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        std::fs::remove_dir_all(line.home.dir().join("journal")).unwrap();
        let report = line.run("A47").await;
        check(&line, &report, "NOT_IN_JOURNAL", 10);
        let lost = serial("A47");
        let void = Some((&lost, None));
        sync(&line.home, &line.server, Patience::default(), void)
            .await
            .unwrap();
        let report = line.run("A47").await;
        check(&line, &report, "LOCKED_WITHDRAWN", 20);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_withdrawn_elsewhere_is_begun_anew() {
        let mut line = Line::new();
        line.fixture.dut().faults.pull_after = Some(700);
        line.run("A47").await;
        line.fixture.dut().plugged = true;
        {
            let mut books = line.server.books();
            let step = books.units[&serial("A47")].step.clone();
            books.record(Event::Voided {
                step,
                cause: VoidCause::UnitLost,
            });
        }
        let report = line.run("A47").await;
        line.check();
        assert_eq!(
            (report.outcome, report.attempt.unwrap().0),
            (Outcome::Sealed, 2)
        );
    }

    fn bench(
        line: &Line,
        slot: u8,
    ) -> (
        Job,
        Bench<Memory, Fixture, super::line::Operator, super::line::Printer, ()>,
    ) {
        let job = Job {
            order: OrderId::parse("WO-1").unwrap(),
            serial: serial(&format!("A5{slot}")),
            operator: None,
            patience: Patience::default(),
            reconnect: std::time::Duration::ZERO,
        };
        let bench = Bench {
            server: line.server.clone(),
            port: Fixture::new(&format!("/dev/slot-{slot}"), Dut::new([slot + 1; 8], true)),
            scanner: super::line::Operator(line.tray.clone(), Hand::Scans),
            labels: super::line::Printer(line.tray.clone(), line.paper),
            progress: (),
        };
        (job, bench)
    }

    #[tokio::test(start_paused = true)]
    async fn slots_of_one_station_do_not_disturb_each_other() {
        let line = Line::new();
        let slots: Vec<_> = (0..8)
            .map(|slot| {
                let (home, (job, mut bench)) = (line.home.clone(), bench(&line, slot));
                tokio::spawn(async move { provision(&job, &home, &mut bench).await })
            })
            .collect();
        for slot in slots {
            let report = slot.await.unwrap();
            assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        }
        line.check();
        assert!(line.journal().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_serial_in_two_slots_is_in_one_hand() {
        let line = Line::new();
        let (job, mut one) = bench(&line, 1);
        let (_, mut two) = bench(&line, 2);
        let (first, second) = tokio::join!(
            provision(&job, &line.home, &mut one),
            provision(&job, &line.home, &mut two),
        );
        assert_eq!(first.outcome, Outcome::Sealed);
        assert_eq!((second.reason, second.exit_code()), (Some("IN_HAND"), 2));
        assert_eq!(line.server.books().given.len(), 1);
    }
}
