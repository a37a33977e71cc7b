//! A record on hold that a lead settles, and a station that dies at every point of it.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use api::Reason;
    use station_cli::{Decided, Failure, Home, Outcome, SyncState, settle};
    use traveler::{Event, State, VoidCause};

    use super::line::leases::{NO_PATIENCE, offline, upload};
    use super::line::{Hand, Line, count, serial, until};

    /// Why a unit is on hold that waits for its label, and of which the journal has a record.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Why {
        /// The server has something against it.
        Refused,
        /// These files cannot be read.
        Damaged(&'static [&'static str]),
        /// The same, and the server knows to whom it was given.
        DamagedAndTold(&'static [&'static str]),
    }

    const LEASE: &str = "lease/A47.json";
    const OUTBOX: &str = "outbox/A47.json";

    const WHY: [Why; 5] = [
        Why::Refused,
        Why::Damaged(&[LEASE]),
        Why::Damaged(&[OUTBOX]),
        Why::Damaged(&[LEASE, OUTBOX]),
        Why::DamagedAndTold(&[LEASE]),
    ];

    /// What stands in the way of one step, as a full or broken disk does.
    const IN_THE_WAY: [&str; 5] = [
        "lease/asking",
        "lost",
        "lost/A47.outbox.json.new",
        "lost/A47.lease.damaged",
        "lost/A47.outbox.damaged",
    ];

    async fn on_hold(why: Why) -> Line {
        let mut line = offline(&["A47"]).await;
        line.server.books().away = !matches!(why, Why::DamagedAndTold(_));
        line.hand = Hand::Leaves;
        assert_eq!(line.run("A47").await.reason, Some("NO_SCAN"));
        match why {
            Why::Refused => line.server.books().refuse_spend = Some(Reason::UnitInUse),
            Why::Damaged(files) | Why::DamagedAndTold(files) => {
                for file in files {
                    fs::write(line.home.dir().join(file), b"{\"seri").unwrap();
                }
            }
        }
        line.server.books().away = false;
        assert_eq!(states(&line).await, [SyncState::Hold], "{why:?}");
        line
    }

    async fn states(line: &Line) -> Vec<SyncState> {
        let listed = upload(line).await.unwrap();
        listed.iter().map(|one| one.state).collect()
    }

    async fn settled(line: &Line) -> Result<(), Failure> {
        let unit = (&serial("A47"), None);
        settle(&line.home, &line.server, NO_PATIENCE, unit, Decided::Settle).await
    }

    /// Started again: it is on hold and can be settled, or it is settled.
    async fn finish(line: &mut Line, why: Why, cut: &str) {
        line.home = Home::open(line.home.dir()).unwrap();
        match states(line).await[..] {
            [SyncState::Hold] => {
                assert_ne!(line.run("A47").await.outcome, Outcome::Sealed);
                settled(line).await.unwrap();
            }
            [] => {
                let failure = settled(line).await.unwrap_err();
                assert_eq!(failure.advice().reason, "NOTHING_OPEN", "{why:?}, {cut}");
            }
            ref other => panic!("{why:?}, {cut}: {other:?}"),
        }
        check(line, why, cut).await;
    }

    /// Nothing of it is left but the evidence, and the log says once what became of it.
    async fn check(line: &Line, why: Why, cut: &str) {
        assert_eq!(states(line).await, [], "{why:?}, {cut}");
        assert_eq!(line.journal(), [""; 0], "{why:?}, {cut}");
        assert_eq!(line.held(), [""; 0], "{why:?}, {cut}");
        assert_eq!(line.outbox("A47"), "", "{why:?}, {cut}");
        let lost = |name: &str| line.home.dir().join("lost").join(name).is_file();
        let damaged = match why {
            Why::Refused => &[][..],
            Why::Damaged(files) | Why::DamagedAndTold(files) => files,
        };
        for file in damaged {
            let folder = file.split('/').next().unwrap();
            assert!(lost(&format!("A47.{folder}.damaged")), "{why:?}, {cut}");
        }
        let unheard = matches!(why, Why::Refused) || why == Why::Damaged(&[LEASE]);
        let recorded = |is: fn(&Event) -> bool| count(&line.server.books().entries, is);
        let put_aside = recorded(|event| match event {
            Event::LeaseVoided { cause, .. } => *cause == VoidCause::UnitLost,
            _ => false,
        });
        match line.state("A47") {
            // The server heard of the unit, from what the outbox still had or before.
            Some(state) => assert_eq!((state, put_aside), (State::Scrapped, 0), "{why:?}, {cut}"),
            None => assert_eq!(put_aside, 1, "{why:?}, {cut}"),
        }
        assert!(!unheard || lost("A47.outbox.json") || line.state("A47").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_call_of_it_leaves_a_hold_or_nothing() {
        for why in WHY {
            for polls in 1.. {
                let mut line = on_hold(why).await;
                let done = until(settled(&line), polls).await;
                if let Some(done) = done {
                    done.unwrap();
                    assert!(polls > 3, "a sweep stops at every call: {polls}");
                    check(&line, why, "whole").await;
                    break;
                }
                finish(&mut line, why, &format!("cut after {polls}")).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_fails_at_any_step_of_it_leaves_a_hold_or_nothing() {
        for why in WHY {
            let mut stopped = 0;
            for name in IN_THE_WAY {
                let mut line = on_hold(why).await;
                let path: PathBuf = line.home.dir().join(name);
                let _ = fs::remove_file(&path); // a lock that nobody holds
                match name {
                    "lost" => fs::write(&path, b"").unwrap(),
                    _ => fs::create_dir_all(path.join("x")).unwrap(),
                }
                let failed = settled(&line).await.is_err();
                match name {
                    "lost" => fs::remove_file(&path).unwrap(),
                    _ => fs::remove_dir_all(&path).unwrap(),
                }
                stopped += usize::from(failed);
                match failed {
                    true => finish(&mut line, why, name).await,
                    false => check(&line, why, name).await,
                }
            }
            assert!(stopped >= 2, "{why:?}: {stopped}");
        }
    }
}
