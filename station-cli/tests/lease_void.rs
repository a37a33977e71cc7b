//! Leases that may be void, intents of yesterday, and what is withdrawn while the server is away.

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

    use station_cli::{Outcome, give_back};
    use traveler::State;

    use super::line::leases::{NO_PATIENCE, now_ms, offline, polls_of_a_run, upload};
    use super::line::server::{Call, Lose};
    use super::line::unit::Dut;
    use super::line::{Hand, Line, serial};

    /// The server may have voided what it was asked to: until that is known nobody gets it.
    #[tokio::test(start_paused = true)]
    async fn what_may_be_void_is_given_to_no_unit() {
        for again in [false, true] {
            let mut line = offline(&["A47"]).await;
            line.server.books().away = false;
            let call = if again {
                Call::Lease
            } else {
                Call::ReturnLease
            };
            line.server.books().faults = vec![(call, Lose::Reply)];
            let lost = match again {
                true => line.lease(&["A47"]).await.is_err(),
                false => give_back(&line.home, &line.server, NO_PATIENCE, None)
                    .await
                    .is_err(),
            };
            assert!(lost);
            line.server.books().away = true;
            let report = line.run("A47").await;
            assert_eq!(report.reason, Some("LEASE_SPENT"), "{report}");
            assert!(line.fixture.dut().flash().iter().all(|byte| *byte == 0xff));
            line.server.books().away = false;
            assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
            line.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_asked_for_once_and_a_fresh_key_is_made_for_each() {
        let mut line = Line::new();
        line.patience = Duration::from_secs(15);
        line.server.books().faults = vec![(Call::Lease, Lose::Reply)];
        assert!(line.lease(&["A47"]).await.is_err());
        assert_eq!(
            line.calls(Call::Lease),
            1,
            "a repeat would void what it brought"
        );
        line.lease(&["A47"]).await.unwrap();
        line.lease(&["A48"]).await.unwrap();
        let keys = ["A47", "A48"].map(|name| {
            let file = line.lease_file(name);
            let (_, key) = file.split_once("\"key\":").unwrap();
            key.split(',').next().unwrap().to_owned()
        });
        assert_ne!(keys[0], keys[1]);
        line.patience = Duration::ZERO;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        assert!(
            !line
                .home
                .dir()
                .join(format!("lease/key-{}", keys[0]))
                .exists()
        );
        assert!(
            line.home
                .dir()
                .join(format!("lease/key-{}", keys[1]))
                .exists()
        );
    }

    /// The old entry is proven as well as ever, and the unit of before holds what it is of.
    #[tokio::test(start_paused = true)]
    async fn an_old_lease_is_not_taken_for_a_fresh_one() {
        let mut line = Line::new();
        line.server.books().replay_leases = true;
        line.lease(&["A47", "A48"]).await.unwrap();
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        let failure = line.lease(&["A47"]).await.unwrap_err();
        assert_eq!(failure.advice().reason, "LOG_WENT_BACK");
        assert_eq!(line.held(), ["A48"]);
    }

    /// Cut between the intent and the release, and started again when the lease is over.
    #[tokio::test(start_paused = true)]
    async fn an_intent_of_yesterday_gets_nothing() {
        let mut line = offline(&["A47"]).await;
        let fresh = line.home.dir().join("lease/A47.json.new");
        let block = || std::fs::create_dir_all(fresh.join("x")).unwrap();
        let report = line.run_and("A47", 0, block).await;
        assert_eq!(report.reason, Some("STATION_DISK"), "{report}");
        std::fs::remove_dir_all(&fresh).unwrap();
        assert!(!line.journal().is_empty() && !line.lease_file("A47").contains("released"));
        let later = now_ms() + 86_400_000;
        std::fs::write(line.home.dir().join("lease/time"), later.to_string()).unwrap();
        assert_eq!(line.run("A47").await.reason, Some("LEASE_SPENT"));
        assert!(line.fixture.dut().flash().iter().all(|byte| *byte == 0xff));
        assert!(line.journal().is_empty());
    }

    /// Told, and cut before or after that is on record here; then its unit will not come back.
    #[tokio::test(start_paused = true)]
    async fn a_unit_that_will_not_come_back_keeps_what_it_was_given() {
        let whole = polls_of_a_run(false).await;
        for polls in 1..whole {
            let mut line = offline(&["A47"]).await;
            line.server.books().away = false;
            assert!(line.run_until("A47", polls).await.is_none());
            let withdrawn = line.void("A47").await;
            line.check();
            if withdrawn.is_err() {
                continue; // nothing was begun, or it is sealed
            }
            let known = line.state("A47");
            line.put_in(Dut::new([0xB2; 8], true));
            line.server.books().away = true;
            let other = line.run("A47").await;
            if known.is_some() {
                assert_eq!(known, Some(State::Voided), "cut after {polls}");
                assert_ne!(other.outcome, Outcome::Sealed, "cut after {polls}: {other}");
            }
            line.server.books().away = false;
            upload(&line).await.unwrap();
            assert_eq!(line.outbox("A47"), "", "nothing is on hold");
            line.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sealed_here_is_not_withdrawn_past_the_outbox() {
        let mut line = offline(&["A47"]).await;
        let server = line.server.clone();
        // The confirm is heard, the seal is not.
        line.server.books().away = false;
        line.hand = Hand::Leaves;
        assert_eq!(line.run("A47").await.reason, Some("NO_SCAN"));
        line.hand = Hand::Scans;
        server.books().away = true;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        assert_eq!(line.state("A47"), Some(State::Loaded));
        let failure = line.void("A47").await.unwrap_err();
        assert_eq!(failure.advice().reason, "SEALED_ALREADY");
        server.books().away = false;
        assert!(line.void("A47").await.is_err());
        assert_eq!(line.state("A47"), Some(State::Sealed));
        assert_eq!(line.outbox("A47"), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_was_scrapped_offline_gets_no_other_serial() {
        let mut line = offline(&["A47", "A48"]).await;
        line.fixture.dut().faults.flips = 2;
        assert_eq!(line.run("A47").await.exit_code(), 20);
        let report = line.run("A48").await;
        assert_eq!(report.exit_code(), 20, "{report}");
        assert_eq!(line.held(), ["A48"], "not spent on it");
    }

    #[tokio::test(start_paused = true)]
    async fn one_lease_that_the_server_refuses_keeps_no_other() {
        let mut line = offline(&["A47", "A48", "A49"]).await;
        line.server.books().away = false;
        // It does not know one of them any more.
        line.server.books().leases.remove(&serial("A48"));
        let voided = give_back(&line.home, &line.server, NO_PATIENCE, None).await;
        assert_eq!(voided.unwrap(), 2);
        assert!(line.held().is_empty() && !line.has_lease_key());
        line.put_in(Dut::new([0xB2; 8], true));
    }

    /// Told in the order of the serials, the silicon would be in use by what it had been before.
    #[tokio::test(start_paused = true)]
    async fn silicon_that_changed_serials_offline_is_told_of_in_its_order() {
        let mut tried = 0;
        for polls in 1..polls_of_a_run(true).await {
            let mut line = offline(&["A47", "A48"]).await;
            assert!(line.run_until("A48", polls).await.is_none());
            let told = line.outbox("A48");
            if !told.contains("\"spend\"") || told.contains("\"confirm\"") {
                continue;
            }
            // The lead takes the label away; the unit, which is not locked, gets another.
            line.void("A48").await.unwrap();
            assert!(line.outbox("A48").contains("\"void\""));
            assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
            line.server.books().away = false;
            let listed = upload(&line).await.unwrap();
            assert!(listed.iter().all(|one| one.hold.is_none()), "{listed:?}");
            assert_eq!(line.state("A47"), Some(State::Sealed));
            assert_eq!(line.state("A48"), Some(State::Voided));
            assert_eq!((line.outbox("A47"), line.outbox("A48")), Default::default());
            line.check();
            tried += 1;
        }
        assert!(tried > 0, "no power cut left it unlocked");
    }
}
