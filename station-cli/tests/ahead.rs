//! What goes to a unit before the server has answered: the end of a bundle that is still being made,
//! and a lock whose receipt is still being recorded. Neither is anything before it is whole.

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

    use station_cli::Outcome;
    use traveler::{Event, State};
    use wire::{PROTOCOL_FIRST, PROTOCOL_INSTALL, PROTOCOL_PARTS};

    use super::line::server::{Call, Lose};
    use super::line::unit::Dut;
    use super::line::{Line, count};

    /// A line that has sealed a unit, and so knows what the next bundle ends with.
    async fn second() -> Line {
        let mut line = Line::new();
        line.server.books().label = false;
        let report = line.run("A46").await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(line.fixture.dut().in_parts, 0, "nobody knew it yet");
        line.put_in(Dut::new([0xB2; 8], true));
        line
    }

    async fn finish(line: &mut Line) {
        for _ in 0..3 {
            let report = line.run("A47").await;
            line.check();
            let sealed = line.state("A47") == Some(State::Sealed);
            if sealed && matches!(report.reason, None | Some("SAME_UNIT")) {
                assert!(line.journal().is_empty(), "{:?}", line.journal());
                line.check_kept("A47");
                return;
            }
        }
        panic!("not sealed after three runs:\n{}", line.output);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_unit_of_an_order_takes_the_end_of_its_bundle_first() {
        for (speaks, in_parts) in [
            (PROTOCOL_FIRST, 0),
            (PROTOCOL_INSTALL, 0),
            (PROTOCOL_PARTS, 1),
        ] {
            let mut line = second().await;
            line.fixture.dut().speaks = speaks;
            let report = line.run("A47").await;
            assert_eq!(
                report.outcome,
                Outcome::Sealed,
                "version {speaks}: {report}"
            );
            assert_eq!(line.fixture.dut().in_parts, in_parts, "version {speaks}");
            line.check();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_issuer_or_a_key_behind_the_chain_costs_nothing_but_the_bytes() {
        let mut line = second().await;
        line.server.books().issuer = 0x32;
        assert_eq!(line.run("A47").await.outcome, Outcome::Sealed);
        assert_eq!(line.fixture.dut().in_parts, 0, "it was sent whole");
        line.check();
        // From then on the other one is known.
        line.put_in(Dut::new([0xB3; 8], true));
        assert_eq!(line.run("A48").await.outcome, Outcome::Sealed);
        assert_eq!(line.fixture.dut().in_parts, 1);
        line.check();

        // A bundle that ends with a private key: not even its length is like another's.
        line.put_in(Dut::new([0xB4; 8], false));
        assert_eq!(line.run("A49").await.outcome, Outcome::Sealed);
        line.put_in(Dut::new([0xB5; 8], false));
        assert_eq!(line.run("A50").await.outcome, Outcome::Sealed);
        assert_eq!(line.fixture.dut().in_parts, 0);
        line.check();
    }

    #[tokio::test(start_paused = true)]
    async fn a_power_cut_at_any_point_costs_nothing() {
        let mut polls = 0;
        loop {
            polls += 1;
            let mut line = second().await;
            let ended = line.run_until("A47", polls).await.is_some();
            line.check();
            finish(&mut line).await;
            let books = line.server.books();
            let voided = count(&books.entries, |e| matches!(e, Event::Voided { .. }));
            assert!(voided <= 1, "cut after {polls} polls: {voided} voided");
            if ended {
                break;
            }
        }
        assert!(polls > 14, "a sweep stops at every await: {polls}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cable_pulled_at_any_byte_is_gone_on_from() {
        for bytes in (1..1_200).step_by(23) {
            let mut line = second().await;
            line.fixture.dut().faults.pull_after = Some(bytes);
            let report = line.run("A47").await;
            line.check();
            if report.outcome != Outcome::Sealed {
                assert_eq!(report.reason, Some("CABLE"), "after {bytes} bytes");
                line.fixture.dut().plugged = true;
                finish(&mut line).await;
                assert_eq!(line.server.books().given.len(), 2, "the same bundle again");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_lost_while_bytes_travel_leaves_nothing_behind_at_the_unit() {
        for call in [Call::Issue, Call::Confirm, Call::Seal] {
            for lose in [Lose::Request, Lose::Reply] {
                let mut line = second().await;
                line.server.books().faults = vec![(call, lose)];
                let report = line.run("A47").await;
                line.check();
                assert_eq!(report.reason, Some("NO_SERVER"), "{call:?} {lose:?}");
                let locked = line.fixture.dut().is_locked();
                assert_eq!(locked, call == Call::Seal, "{call:?} {lose:?}");
                finish(&mut line).await;

                let mut line = second().await;
                line.patience = Duration::from_secs(15);
                line.server.books().faults = vec![(call, lose); 3];
                let report = line.run("A47").await;
                line.check();
                assert_eq!(
                    report.outcome,
                    Outcome::Sealed,
                    "{call:?} {lose:?} {report}"
                );
                // However long the call took, what had gone ahead was gone on with.
                assert_eq!(line.fixture.dut().in_parts, 1, "{call:?} {lose:?}");
            }
        }
    }
}
