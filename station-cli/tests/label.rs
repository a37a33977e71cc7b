//! Labels and their printers: what is not known to be printed, what is printed again, what is void.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use station_cli::{Again, Failure, Outcome, Patience, Reprinted, SyncState, reprint, sync};
    use std::time::Duration;
    use traveler::{Event, OperatorId, State};

    use super::line::server::{Call, Lose};
    use super::line::{Hand, Line, Paper, Printer, count, serial, until};

    fn again(name: &str) -> Again {
        Again {
            serial: serial(name),
            reason: "torn".into(),
            operator: OperatorId::parse("OP-7").unwrap(),
            patience: Patience(Duration::ZERO),
        }
    }

    async fn reprint_at(line: &Line, name: &str) -> Result<Reprinted, Failure> {
        let mut labels = Printer(line.tray.clone(), line.paper);
        reprint(&line.home, &line.server, &mut labels, &again(name)).await
    }

    /// Nothing to print again, said with what to do.
    async fn refused(line: &Line, expected: &str) {
        let error = reprint_at(line, "A47").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(error.advice().reason, "NO_REPRINT");
        assert_eq!(line.calls(Call::Reprint), 0);
    }

    fn reprints(line: &Line) -> usize {
        let books = line.server.books();
        count(&books.entries, |event| {
            matches!(event, Event::Reprinted { .. })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_that_a_silent_printer_put_out_is_settled_by_its_scan() {
        let mut line = Line::new();
        line.paper = Paper::Silent;
        let report = line.run("A47").await;
        line.check();
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!((line.printed("A47"), reprints(&line)), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_that_is_not_known_is_never_printed_a_second_time_without_a_mark() {
        let mut line = Line::new();
        line.paper = Paper::Eats;
        for _ in 0..3 {
            let report = line.run("A47").await;
            line.check();
            assert_eq!(
                (report.reason, report.exit_code()),
                (Some("LABEL_UNKNOWN"), 10),
                "{report}"
            );
            // The printer is well again, or another one, and yet.
            line.paper = match line.paper {
                Paper::Eats => Paper::Good,
                _ => Paper::Folder,
            };
        }
        assert_eq!(line.printed("A47"), 0);
        assert_eq!(line.state("A47"), Some(State::Loaded));
        line.paper = Paper::Good;
        let done = reprint_at(&line, "A47").await.unwrap();
        assert_eq!((done.reprint, done.unknown), (1, None));
        assert!(line.tray.lock().unwrap()[&serial("A47")].0.contains(" R1"));
        let report = line.run("A47").await;
        line.check();
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!((line.printed("A47"), reprints(&line)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_printer_without_paper_costs_nothing() {
        let mut line = Line::new();
        line.paper = Paper::Out;
        let report = line.run("A47").await;
        line.check();
        assert_eq!((report.reason, report.exit_code()), (Some("PRINTER"), 10));
        line.paper = Paper::Good;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        assert_eq!((line.printed("A47"), reprints(&line)), (1, 0));
    }

    /// Both came out: the one that counts is the newest, and no other.
    #[tokio::test(start_paused = true)]
    async fn a_former_label_is_void() {
        let mut line = Line::new();
        line.paper = Paper::Silent;
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.paper = Paper::Good;
        reprint_at(&line, "A47").await.unwrap();
        line.hand = Hand::Former;
        let report = line.run("A47").await;
        line.check();
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("VOID_LABEL"), 10)
        );
        assert_eq!(line.state("A47"), Some(State::Loaded));
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_nothing_to_print_again_before_the_first_and_behind_the_seal() {
        let mut line = Line::new();
        refused(&line, "not under way at this station").await;
        line.paper = Paper::Out;
        line.run("A47").await;
        refused(&line, "not printed yet: run again").await;
        line.paper = Paper::Good;
        line.run("A47").await;
        refused(&line, "never gives its secret again: set the unit aside").await;
        assert_eq!(
            line.calls(Call::Resume),
            1,
            "only the second run asked for it"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_product_without_a_label_has_none_to_print_again() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.server.books().label = false;
        refused(&line, "carries no label").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_is_being_withdrawn_gets_no_other_label() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        let faults = vec![(Call::Void, Lose::Request); 2];
        line.server.books().faults = faults;
        let (patience, name) = (Patience(Duration::ZERO), serial("A47"));
        let void = Some((&name, None));
        assert!(
            sync(&line.home, &line.server, patience, void)
                .await
                .is_err()
        );
        refused(&line, "being withdrawn: station-cli sync").await;
        assert_eq!(line.printed("A47"), 1);
        line.server.books().faults.clear();
        let all = sync(&line.home, &line.server, patience, None).await;
        assert_eq!(all.unwrap()[0].state, SyncState::Withdrawn);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reprint_that_meets_no_paper_keeps_its_number() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.paper = Paper::Silent;
        line.run("A47").await;
        line.paper = Paper::Out;
        let error = reprint_at(&line, "A47").await.unwrap_err();
        assert_eq!(error.advice().reason, "PRINTER");
        line.paper = Paper::Good;
        let done = reprint_at(&line, "A47").await.unwrap();
        assert_eq!((done.reprint, reprints(&line)), (1, 1));
        // The next one is the next: somebody wants another label.
        let done = reprint_at(&line, "A47").await.unwrap();
        assert_eq!((done.reprint, reprints(&line)), (2, 2));
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
    }

    /// The server has R1 on record and the station does not know: R0, which is void, is no seal.
    #[tokio::test(start_paused = true)]
    async fn a_reprint_whose_reply_was_lost_is_asked_for_under_its_number() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.paper = Paper::Good;
        line.run("A47").await;
        line.server
            .books()
            .faults
            .push((Call::Reprint, Lose::Reply));
        let error = reprint_at(&line, "A47").await.unwrap_err();
        assert_eq!(error.advice().reason, "NO_SERVER");
        line.hand = Hand::Scans;
        for _ in 0..2 {
            let report = line.run("A47").await;
            line.check();
            assert_eq!(report.reason, Some("VOID_LABEL"), "{report}");
        }
        let done = reprint_at(&line, "A47").await.unwrap();
        assert_eq!((done.reprint, reprints(&line)), (1, 1));
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    /// The folder is from a copy: R1 and R2 are on record, and came out. The next is R3.
    #[tokio::test(start_paused = true)]
    async fn a_station_that_knows_fewer_reprints_than_the_server_takes_the_next_number() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.paper = Paper::Good;
        line.run("A47").await;
        let journal = line.home.dir().join("journal/A47.json");
        let copy = std::fs::read(&journal).unwrap();
        for _ in 0..2 {
            reprint_at(&line, "A47").await.unwrap();
        }
        std::fs::write(&journal, copy).unwrap();
        let mut again = again("A47");
        again.reason = "lost".into();
        let mut labels = Printer(line.tray.clone(), line.paper);
        let done = reprint(&line.home, &line.server, &mut labels, &again).await;
        assert_eq!((done.unwrap().reprint, reprints(&line)), (3, 3));
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_the_server_prints_nothing() {
        let mut line = Line::new();
        line.hand = Hand::Leaves;
        line.run("A47").await;
        line.server
            .books()
            .faults
            .push((Call::Reprint, Lose::Request));
        assert!(reprint_at(&line, "A47").await.is_err());
        assert_eq!((line.printed("A47"), reprints(&line)), (1, 0));
    }

    /// The power fails anywhere in a run, and the next one may have another printer: at most one label of each number comes
    /// out, and the unit is sealed by a scan or a reprint.
    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_point_prints_no_number_twice() {
        for (paper, then) in [
            (Paper::Good, Paper::Good),
            (Paper::Silent, Paper::Silent),
            (Paper::Feeder, Paper::Feeder),
            (Paper::Folder, Paper::Good),
        ] {
            let mut doubts = 0;
            for polls in 1.. {
                let mut line = Line::new();
                line.paper = paper;
                if line.run_until("A47", polls).await.is_some() {
                    break;
                }
                line.check();
                line.paper = then;
                let mut report = line.run("A47").await;
                assert!(line.printed("A47") <= 1, "{paper:?}, cut after {polls}");
                if report.reason == Some("LABEL_UNKNOWN") {
                    doubts += 1;
                    reprint_at(&line, "A47").await.unwrap();
                    report = line.run("A47").await;
                }
                line.check();
                let sealed =
                    report.outcome == Outcome::Sealed || report.reason == Some("SAME_UNIT");
                assert!(sealed, "cut after {polls}: {report}");
                line.check_kept("A47");
            }
            assert!(doubts > 0, "a cut between record and paper");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_in_a_reprint_prints_no_number_twice() {
        for polls in 1.. {
            let mut line = Line::new();
            line.paper = [Paper::Good, Paper::Feeder][polls % 2];
            line.hand = Hand::Leaves;
            line.run("A47").await;
            let whole = until(reprint_at(&line, "A47"), polls).await.is_some();
            line.cut();
            line.check();
            let done = reprint_at(&line, "A47").await.unwrap();
            let printed = usize::try_from(line.printed("A47")).unwrap() - 1;
            assert!(printed <= reprints(&line), "cut after {polls}");
            assert_eq!(done.reprint as usize, reprints(&line), "cut after {polls}");
            line.hand = Hand::Scans;
            let report = line.run("A47").await;
            line.check();
            assert_eq!(
                report.outcome,
                Outcome::Sealed,
                "cut after {polls}: {report}"
            );
            if whole {
                break;
            }
        }
    }
}
