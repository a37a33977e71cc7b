//! Units that go on without a server, and everything that dies or is lost on the way.

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
    use station_cli::{Outcome, SyncState, give_back};
    use traveler::{Event, State};

    use super::line::leases::{LeaseState, NO_PATIENCE, offline, polls_of_a_run, upload};
    use super::line::server::{Call, Lose};
    use super::line::unit::Dut;
    use super::line::{Hand, Line, count, serial};

    /// Runs offline until it is sealed here, then uploads, and holds it against the server's log.
    async fn finish(line: &mut Line) {
        for _ in 0..3 {
            let report = line.run("A47").await;
            line.check();
            if report.outcome == Outcome::Sealed {
                assert!(report.offline && report.index.is_none(), "{report}");
                assert!(line.outbox("A47").contains("\"seal\""), "PASS is on record");
            }
            let done = report.reason == Some("SAME_UNIT");
            if report.outcome == Outcome::Sealed || done {
                return sealed_by_upload(line).await;
            }
            if report.reason == Some("LABEL_UNKNOWN") {
                line.reprint("A47").await;
            }
        }
        panic!("not sealed after three runs:\n{}", line.output);
    }

    async fn sealed_by_upload(line: &Line) {
        assert!(line.journal().is_empty(), "{:?}", line.journal());
        assert!(!line.held().contains(&"A47".to_owned()), "given once");
        line.server.books().away = false;
        upload(line).await.unwrap();
        line.check();
        assert_eq!(line.state("A47"), Some(State::Sealed), "{}", line.output);
        assert_eq!(line.outbox("A47"), "");
        line.check_kept("A47");
        let books = line.server.books();
        assert_eq!(count(&books.entries, |e| matches!(e, Event::Spent(_))), 1);
        assert_eq!(
            count(&books.entries, |e| matches!(e, Event::Voided { .. })),
            0
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_goes_from_blank_to_pass_without_a_server() {
        let mut line = offline(&["A47", "A48"]).await;
        assert_eq!(line.held(), ["A47", "A48"]);
        let calls = line.calls(Call::OpenOrder);
        let report = line.run("A47").await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(
            (report.offline, report.index, report.exit_code()),
            (true, None, 0)
        );
        assert!(report.to_json().contains("\"offline\":true"));
        assert_eq!(line.calls(Call::OpenOrder), calls + 1, "one look decides");
        assert_eq!(line.calls(Call::Confirm) + line.calls(Call::Seal), 0);
        assert_eq!(line.state("A47"), None, "nobody has heard of it");
        assert_eq!(line.held(), ["A48"]);
        line.check();
        // Left in, and scanned again: done, by what is on record here.
        let report = line.run("A47").await;
        assert_eq!(report.reason, Some("SAME_UNIT"));
        let report = line.run("A48").await;
        assert_eq!(report.reason, Some("SAME_UNIT"), "no second secret");
        sealed_by_upload(&line).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_there_hears_it_at_once() {
        let mut line = offline(&["A47"]).await;
        line.server.books().away = false;
        let report = line.run("A47").await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert!(!report.offline && report.index.is_some(), "{report}");
        assert_eq!(line.calls(Call::Issue), 0);
        assert_eq!(line.state("A47"), Some(State::Sealed));
        assert_eq!((line.outbox("A47"), line.held()), (String::new(), vec![]));
        assert!(!line.has_lease_key(), "nothing is held");
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_leased_waits_and_says_so() {
        let mut line = offline(&["A47"]).await;
        let report = line.run("A99").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("NOT_IN_LEASE"), 2)
        );
        assert!(line.journal().is_empty());
        line.run("A47").await;
        line.put_in(Dut::new([0xB2; 8], true));
        let report = line.run("A99").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("LEASE_SPENT"), 2)
        );
        line.server.books().away = false;
        let report = line.run("A99").await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        line.check();
        assert_eq!(
            Line::new().run_away().await,
            Some("NO_SERVER"),
            "without a lease as ever"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_point_costs_nothing() {
        for away in [true, false] {
            let whole = polls_of_a_run(away).await;
            for polls in 1..whole {
                let mut line = offline(&["A47"]).await;
                line.server.books().away = away;
                assert!(line.run_until("A47", polls).await.is_none());
                line.server.books().away = true;
                line.check();
                if line.state("A47") == Some(State::Sealed) && line.journal().is_empty() {
                    line.check_kept("A47");
                    continue; // all was told before the cut
                }
                another_unit_gets_nothing(&mut line).await;
                finish(&mut line).await;
            }
        }
    }

    /// Once one unit may have it, no other one does.
    async fn another_unit_gets_nothing(line: &mut Line) {
        let released = line.lease_file("A47").contains("released");
        let own = line.put_in(Dut::new([0xB2; 8], true));
        if released {
            let report = line.run("A47").await;
            assert_eq!(report.reason, Some("PUT_BACK"), "{report}");
            assert!(line.fixture.dut().flash().iter().all(|byte| *byte == 0xff));
        }
        line.put_in(own);
    }

    #[tokio::test(start_paused = true)]
    async fn the_unit_loses_power_with_the_station() {
        let whole = polls_of_a_run(true).await;
        for polls in 1..whole {
            let mut line = offline(&["A47"]).await;
            assert!(line.run_until("A47", polls).await.is_none());
            line.fixture.dut().reboot();
            line.check();
            finish(&mut line).await;
        }
    }

    /// A disk that fails at each durable write in turn: the run stops there, as with a power cut, and
    /// the next one goes on.
    #[tokio::test(start_paused = true)]
    async fn a_write_that_fails_stops_the_run_before_whatever_relies_on_it() {
        let whole = polls_of_a_run(true).await;
        let mut stopped = 0;
        for file in ["journal/A47", "lease/A47", "lease/time", "outbox/A47"] {
            for polls in 0..whole {
                let mut line = offline(&["A47"]).await;
                // Where the fresh file is written lies a folder that is not empty.
                let kind = if file == "lease/time" { "" } else { ".json" };
                let fresh = line.home.dir().join(format!("{file}{kind}.new"));
                let block = || std::fs::create_dir_all(fresh.join("x")).unwrap();
                let report = line.run_and("A47", polls, block).await;
                std::fs::remove_dir_all(&fresh).unwrap();
                line.check();
                if report.outcome == Outcome::Sealed {
                    assert!(line.outbox("A47").contains("\"seal\""), "{report}");
                    sealed_by_upload(&line).await;
                    continue;
                }
                assert_eq!(report.reason, Some("STATION_DISK"), "{report}");
                stopped += 1;
                another_unit_gets_nothing(&mut line).await;
                finish(&mut line).await;
            }
        }
        assert!(stopped > 40, "a sweep stops at every write: {stopped}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_goes_in_the_middle_and_nothing_is_lost() {
        let whole = polls_of_a_run(false).await;
        for polls in 1..whole {
            let mut line = offline(&["A47"]).await;
            line.server.books().away = false;
            let server = line.server.clone();
            line.run_and("A47", polls, || server.books().away = true)
                .await;
            line.check();
            if line.state("A47") == Some(State::Sealed) && line.outbox("A47").is_empty() {
                continue;
            }
            if line.journal().is_empty() && line.outbox("A47").contains("\"seal\"") {
                sealed_by_upload(&line).await;
            } else {
                finish(&mut line).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_upload_is_lost_before_and_after_it_took_effect() {
        for call in [Call::OpenOrder, Call::Spend, Call::Confirm, Call::Seal] {
            for lose in [Lose::Request, Lose::Reply] {
                let mut line = offline(&["A47"]).await;
                line.run("A47").await;
                line.server.books().away = false;
                line.server.books().faults = vec![(call, lose)];
                let listed = upload(&line).await.unwrap();
                assert_eq!(listed[0].state, SyncState::ToUpload, "{call:?} {lose:?}");
                assert_eq!(listed[0].state.outcome().exit_code(), 10);
                let listed = upload(&line).await.unwrap();
                assert_eq!(listed[0].state, SyncState::Uploaded, "{call:?} {lose:?}");
                sealed_by_upload(&line).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_whose_reply_is_lost_is_asked_for_again() {
        for lose in [Lose::Request, Lose::Reply] {
            let line = Line::new();
            line.server.books().faults = vec![(Call::Lease, lose)];
            assert!(line.lease(&["A47", "A48"]).await.is_err());
            assert!(line.held().is_empty());
            assert_eq!(line.lease(&["A47", "A48"]).await.unwrap(), 2);
            assert_eq!(line.held(), ["A47", "A48"]);
            line.check();
        }
    }

    /// Units are spoken to by the profile of the definition that the log names, without a server too.
    #[tokio::test(start_paused = true)]
    async fn one_made_under_another_definition_is_not_held() {
        let line = Line::new();
        line.server.books().other_definition = true;
        let refused = line.lease(&["A47"]).await.unwrap_err().to_string();
        assert!(refused.contains("another step"), "{refused}");
        assert!(line.held().is_empty());
    }

    /// A server that shows another definition since has no say in how the unit is written.
    #[tokio::test(start_paused = true)]
    async fn one_is_written_by_the_definition_it_was_leased_under() {
        let mut line = Line::new();
        line.lease(&["A47"]).await.unwrap();
        let native = "name = \"another\"\nversion = 1\ndriver = \"native\"\n";
        line.server.books().profile = native.to_owned();
        let report = line.run("A47").await;
        assert!(
            report.to_string().contains("product definition"),
            "{report}"
        );
        assert_eq!(line.held(), ["A47"], "given to nobody");
        line.server.books().profile.clear();
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_unit_got_is_given_back_and_given_to_nobody_again() {
        for lose in [None, Some(Lose::Request), Some(Lose::Reply)] {
            let mut line = offline(&["A47", "A48", "A49"]).await;
            line.run("A47").await;
            line.server.books().away = false;
            let fault = lose.map(|lose| (Call::ReturnLease, lose));
            line.server.books().faults.extend(fault);
            let first = give_back(&line.home, &line.server, NO_PATIENCE, None).await;
            if lose.is_some() {
                assert!(first.is_err());
                assert_eq!(
                    line.held(),
                    ["A48", "A49"],
                    "kept until it is void for sure"
                );
                let again = give_back(&line.home, &line.server, NO_PATIENCE, None).await;
                assert_eq!(
                    again.unwrap(),
                    if lose == Some(Lose::Reply) { 0 } else { 2 }
                );
            }
            assert!(line.held().is_empty());
            assert!(!line.has_lease_key());
            assert_eq!(line.state("A47"), Some(State::Sealed), "told before");
            let lease = line.server.books().leases[&serial("A48")].clone();
            assert_eq!(lease.state, LeaseState::Void);
            line.server.books().away = true;
            line.put_in(Dut::new([0xB2; 8], true));
            assert_eq!(line.run("A48").await.reason, Some("NO_SERVER"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_memory_is_withdrawn_and_scrapped_offline() {
        let mut line = offline(&["A47"]).await;
        line.fixture.dut().faults.flips = 2;
        let report = line.run("A47").await;
        assert_eq!((report.reason, report.exit_code()), (Some("READ_BACK"), 20));
        assert!(line.held().is_empty(), "burnt");
        line.put_in(Dut::new([0xB2; 8], true));
        assert_eq!(
            line.run("A47").await.reason,
            Some("PUT_BACK"),
            "it was that unit's"
        );
        line.server.books().away = false;
        upload(&line).await.unwrap();
        assert_eq!(line.state("A47"), Some(State::Scrapped));
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_label_is_printed_again_offline_and_only_the_newest_counts() {
        let mut line = offline(&["A47"]).await;
        line.hand = Hand::Leaves;
        assert_eq!(line.run("A47").await.reason, Some("NO_SCAN"));
        assert_eq!(line.reprint("A47").await, 1);
        line.hand = Hand::Former;
        assert_eq!(line.run("A47").await.reason, Some("VOID_LABEL"));
        line.hand = Hand::Scans;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        sealed_by_upload(&line).await;
        let books = line.server.books();
        let numbers = |e: &Event| matches!(e, Event::Sealed { reprint: 1, .. });
        assert_eq!(count(&books.entries, numbers), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_refuses_later_is_on_hold_and_never_dropped() {
        let mut line = offline(&["A47"]).await;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.server.books().away = false;
        line.server.books().refuse_spend = Some(Reason::DuplicateUnit);
        for _ in 0..2 {
            let listed = upload(&line).await.unwrap();
            assert_eq!(listed[0].state, SyncState::Hold);
            assert_eq!(listed[0].state.outcome().exit_code(), 30);
            let why = listed[0].hold.as_ref().map(|hold| hold.reason.as_str());
            assert_eq!(why, Some("DUPLICATE_UNIT"), "a lead has to know which");
        }
        // Put in again, under whatever serial, it is not done.
        for serial in ["A47", "A48"] {
            let report = line.run(serial).await;
            assert_eq!(report.reason, Some("HOLD"), "{report}");
        }
        let kept = line.outbox("A47");
        assert!(
            kept.contains("DUPLICATE_UNIT") && kept.contains("\"seal\""),
            "{kept}"
        );
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_refused_before_it_was_decrypted_costs_nothing() {
        let mut line = offline(&["A47"]).await;
        line.server.books().away = false;
        line.server.books().refuse_spend = Some(Reason::WrongState);
        let report = line.run("A47").await;
        assert_eq!(report.reason, Some("WRONG_STATE"), "{report}");
        assert!(line.fixture.dut().flash().iter().all(|byte| *byte == 0xff));
        assert!(line.held().is_empty() && line.journal().is_empty());
        assert_eq!(line.outbox("A47"), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_station_holds_nothing_from_then_on() {
        let mut line = offline(&["A47", "A48"]).await;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.server.books().away = false;
        line.server.books().revoked = true;
        let failure = upload(&line).await.unwrap_err();
        assert_eq!(failure.advice().reason, "STATION_REVOKED");
        assert!(line.held().is_empty());
        assert!(!line.has_lease_key());
        assert!(line.outbox("A47").contains("STATION_REVOKED"), "on hold");
        line.server.books().away = true;
        line.put_in(Dut::new([0xB2; 8], true));
        let report = line.run("A48").await;
        assert_ne!(report.outcome, Outcome::Sealed);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_lease_starts_no_unit_and_a_clock_put_back_does_not_help() {
        let mut line = offline(&["A47"]).await;
        // As if a day had passed and the clock was put back to now.
        let later = super::line::leases::now_ms() + 86_400_000;
        std::fs::write(line.home.dir().join("lease/time"), later.to_string()).unwrap();
        let report = line.run("A47").await;
        assert_eq!(
            (report.reason, report.exit_code()),
            (Some("LEASE_SPENT"), 2)
        );
        assert!(line.fixture.dut().flash().iter().all(|byte| *byte == 0xff));
        // With a server it is given back, and the unit gets a fresh one.
        line.server.books().away = false;
        let report = line.run("A47").await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(line.calls(Call::Issue), 1);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_went_backwards_is_told_nothing() {
        let mut line = Line::new();
        let before = line.server.books().entries.len();
        line.lease(&["A47"]).await.unwrap();
        line.server.books().restore(before);
        let report = line.run("A47").await;
        assert_eq!(report.outcome, Outcome::Sealed, "lines on lease: {report}");
        assert!(report.offline);
        let failure = upload(&line).await.unwrap_err();
        assert_eq!(failure.advice().reason, "LOG_WENT_BACK");
        assert!(line.outbox("A47").contains("\"seal\""), "kept");
        assert_eq!(line.calls(Call::Spend), 0);
        // Without a lease the line stands, as ever.
        line.put_in(Dut::new([0xB2; 8], true));
        assert_eq!(line.run("A99").await.reason, Some("LOG_WENT_BACK"));
    }
}
