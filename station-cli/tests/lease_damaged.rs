//! One file of the lease or of the outbox that cannot be used: its unit is set aside, the others go on.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use station_cli::{Outcome, SyncState, Synced, give_back};
    use traveler::State;

    use super::line::leases::{NO_PATIENCE, offline, upload};
    use super::line::unit::Dut;
    use super::line::{Hand, Line};

    /// What a power cut, a worn-out flash or a person with an editor leaves.
    const DAMAGES: [&[u8]; 4] = [b"", b"{\"serial\":\"A4", b"\xff\xfe\x00", b"{}"];

    fn damage(line: &Line, file: &str, bytes: &[u8]) {
        std::fs::write(line.home.dir().join(file), bytes).unwrap();
    }

    fn bytes(line: &Line, file: &str) -> Vec<u8> {
        std::fs::read(line.home.dir().join(file)).unwrap()
    }

    #[track_caller]
    fn on_hold(listed: &[Synced], serial: &str) {
        let one = listed.iter().find(|one| one.serial.as_str() == serial);
        let one = one.unwrap();
        let hold = one.hold.as_ref().unwrap();
        assert_eq!((one.state, &*hold.reason), (SyncState::Hold, "DAMAGED"));
        assert!(hold.message.contains(&format!("{serial}.json")), "{hold:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_cannot_be_read_counts_as_given_and_stops_no_other() {
        for damaged in DAMAGES {
            let mut line = offline(&["A47", "A48", "A49"]).await;
            damage(&line, "lease/A47.json", damaged);
            let report = line.run("A47").await;
            assert_eq!(report.reason, Some("HOLD"), "{report}");
            assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
            line.check();
            line.server.books().away = false;
            on_hold(&upload(&line).await.unwrap(), "A47");
            assert_eq!(line.state("A48"), Some(State::Sealed));
            // It is neither leased anew, nor returned as one that no unit got.
            line.put_in(Dut::new([0xB2; 8], true));
            assert!(line.lease(&["A47"]).await.is_err());
            assert_eq!(line.run("A47").await.reason, Some("HOLD"));
            let voided = give_back(&line.home, &line.server, NO_PATIENCE, None).await;
            assert_eq!(voided.unwrap(), 1, "A49");
            assert!(line.has_lease_key(), "it may be that one's");
            assert_eq!(bytes(&line, "lease/A47.json"), damaged, "evidence");
            // Another lease is possible all the same.
            line.lease(&["A50"]).await.unwrap();
            assert_eq!(line.run("A50").await.outcome, Outcome::Sealed);
            assert_eq!(line.state("A47"), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outbox_record_that_cannot_be_read_stops_no_other() {
        for damaged in DAMAGES {
            let mut line = offline(&["A47", "A48"]).await;
            assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
            damage(&line, "outbox/A47.json", damaged);
            let first = line.put_in(Dut::new([0xB2; 8], true));
            assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
            line.server.books().away = false;
            on_hold(&upload(&line).await.unwrap(), "A47");
            assert_eq!(line.state("A48"), Some(State::Sealed));
            assert_eq!(bytes(&line, "outbox/A47.json"), damaged, "evidence");
            line.put_in(first);
            assert_ne!(line.run("A47").await.outcome, Outcome::Sealed);
            let listed = upload(&line).await.unwrap();
            on_hold(&listed, "A47");
            assert_eq!(bytes(&line, "outbox/A47.json"), damaged);
        }
    }

    /// It was under way: its unit holds the credential, and waits for its label.
    #[tokio::test(start_paused = true)]
    async fn a_unit_under_way_whose_file_is_damaged_is_on_hold() {
        for file in ["lease/A47.json", "outbox/A47.json"] {
            let mut line = offline(&["A47", "A48"]).await;
            line.hand = Hand::Leaves;
            assert_eq!(line.run("A47").await.reason, Some("NO_SCAN"));
            line.hand = Hand::Scans;
            damage(&line, file, b"\0\0\0");
            for _ in 0..2 {
                let report = line.run("A47").await;
                assert_eq!(report.reason, Some("HOLD"), "{file}: {report}");
            }
            let failure = line.void("A47").await.unwrap_err();
            assert_eq!(
                failure.advice().reason,
                "HOLD",
                "nobody can say what it was given"
            );
            line.put_in(Dut::new([0xB2; 8], true));
            assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
            assert_eq!(bytes(&line, file), b"\0\0\0");
        }
    }

    /// Its cable came off before the lock, and the file that names its silicon is gone: the journal
    /// still does. Neither of the two serials may be given to it.
    #[tokio::test(start_paused = true)]
    async fn an_unlocked_unit_whose_lease_is_damaged_gets_no_other_credential() {
        for heard in [true, false] {
            for away in [true, false] {
                let mut line = offline(&["A47", "A48"]).await;
                line.server.books().away = !heard;
                line.fixture.dut().faults.pull_after = Some(700);
                assert_eq!(line.run("A47").await.reason, Some("CABLE"));
                assert!(!line.fixture.dut().is_locked());
                assert_eq!(line.outbox("A47").is_empty(), heard);
                line.fixture.dut().plugged = true;
                damage(&line, "lease/A47.json", b"\0\0\0");
                line.server.books().away = away;
                let flash = line.fixture.dut().flash();
                let report = line.run("A48").await;
                let why = (report.reason, report.exit_code());
                assert_eq!(why, (Some("OTHER_SERIAL"), 10), "{report}");
                assert_eq!(line.fixture.dut().flash(), flash, "as it was");
                assert!(!line.lease_file("A48").contains("released"));
                assert_eq!(line.run("A47").await.reason, Some("HOLD"));
                line.check();
                // Another unit is given it.
                line.put_in(Dut::new([0xB2; 8], true));
                assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
                line.check();
            }
        }
    }

    /// A copy under another name would be one credential for two units.
    #[tokio::test(start_paused = true)]
    async fn a_file_of_another_serial_is_damaged() {
        let mut line = offline(&["A47", "A48"]).await;
        let other = bytes(&line, "lease/A47.json");
        damage(&line, "lease/A48.json", &other);
        assert_eq!(line.run("A48").await.reason, Some("HOLD"));
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_or_an_order_that_cannot_be_read_costs_no_credential() {
        let mut line = offline(&["A47"]).await;
        damage(&line, "lease/time", b"yesterday");
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        line.check();
        let mut line = offline(&["A47"]).await;
        damage(&line, "lease/WO-1.order.json", b"{");
        assert_eq!(line.run("A47").await.reason, Some("NO_SERVER"));
        assert_eq!(line.held(), ["A47"]);
        line.server.books().away = false;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
    }
}
