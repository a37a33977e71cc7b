//! A unit that has only a console, from scan to seal, on a port that goes away at its reset.

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "shared by test programs that are each a crate"
)]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod line;

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "it belongs to the crate that is named in its path"
)]
#[allow(dead_code, reason = "the line's tests use the rest of it")]
#[path = "../../crates/line-sim/src/unit/console.rs"]
mod unit;

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use station_cli::{Bench, Job, Outcome, Patience, Port, PortError, Report, provision};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use traveler::{OrderId, State};
    use wire::profile::Profile;

    use super::line::{Line, Operator, Printer, Stages, serial};
    use super::unit::{ConsoleUnit, Kind};

    /// What becomes of the line that resets the unit.
    #[derive(Clone, Copy, PartialEq)]
    enum Reset {
        /// The unit resets, and takes its port with it.
        WithPort,
        /// Its end is lost with the cable, so often; the unit keeps its memory.
        Lost(u32),
    }

    struct Place {
        unit: ConsoleUnit,
        reset: Reset,
        line: Vec<u8>,
        said: Vec<u8>,
        opening: u32,
        reader: Option<Waker>,
    }

    impl Place {
        /// False when the port is gone.
        fn hear(&mut self, bytes: &[u8]) -> bool {
            self.line.extend_from_slice(bytes);
            let last = self.line.ends_with(b"reset\r");
            if bytes.ends_with(b"\r") {
                self.line.clear();
            }
            match &mut self.reset {
                Reset::Lost(times @ 1..) if last => {
                    *times -= 1;
                    self.opening += 1;
                    return false;
                }
                _ => self.unit.hear(bytes),
            }
            self.said.extend(self.unit.say());
            if last && self.reset == Reset::WithPort {
                self.opening += 1;
            }
            true
        }
    }

    #[derive(Clone)]
    struct Fixture(Arc<Mutex<Place>>);

    struct Cable(Fixture, u32);

    impl Port for Fixture {
        type Stream = Cable;

        fn path(&self) -> &'static str {
            "/dev/slot-1"
        }

        async fn open(&mut self) -> Result<Cable, PortError> {
            let mut place = self.0.lock().unwrap();
            place.opening += 1;
            place.said.clear();
            Ok(Cable(self.clone(), place.opening))
        }
    }

    impl AsyncRead for Cable {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let mut place = self.0.0.lock().unwrap();
            if place.opening != self.1 {
                return Poll::Ready(Ok(())); // nothing read: an end of file
            }
            if place.said.is_empty() {
                place.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let length = place.said.len().min(buffer.remaining());
            buffer.put_slice(&place.said[..length]);
            place.said.drain(..length);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Cable {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let mut place = self.0.0.lock().unwrap();
            if place.opening != self.1 || !place.hear(bytes) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if let Some(reader) = place.reader.take() {
                reader.wake();
            }
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// One run with a profile; what came of it, and the unit.
    async fn run(profile: &str, kind: Kind, reset: Reset) -> (Line, Report, Fixture) {
        run_on(Line::new(), profile, kind, reset).await
    }

    async fn run_on(
        line: Line,
        profile: &str,
        kind: Kind,
        reset: Reset,
    ) -> (Line, Report, Fixture) {
        line.server.books().profile = profile.to_owned();
        let port = Fixture(Arc::new(Mutex::new(Place {
            unit: ConsoleUnit::new(kind, 0x0011_2233_4455_6677, 1),
            reset,
            line: Vec::new(),
            said: Vec::new(),
            opening: 0,
            reader: None,
        })));
        let job = Job {
            order: OrderId::parse("WO-1").unwrap(),
            serial: serial("A47"),
            operator: None,
            patience: Patience(Duration::ZERO),
            reconnect: Duration::from_secs(60),
        };
        let mut bench = Bench {
            server: line.server.clone(),
            port: port.clone(),
            scanner: Operator(line.tray.clone(), line.hand),
            labels: Printer(line.tray.clone(), line.paper),
            progress: Stages::default(),
        };
        let report = provision(&job, &line.home, &mut bench).await;
        (line, report, port)
    }

    fn writes(place: &Place) -> usize {
        let all = place.unit.carried_out.iter();
        all.filter(|line| line.contains("factory_password "))
            .count()
    }

    /// A bridge on a cable of its own: the port that went with the reset was only pulled, and the
    /// unit still has in memory what its flash does not hold.
    #[tokio::test(start_paused = true)]
    async fn a_unit_that_was_not_reset_is_never_sealed() {
        let profile = Profile::shipped("u-boot").unwrap();
        // One that stores nothing passes only where nobody looks behind a reset.
        let forgets = profile.replace("send = \"saveenv\"", "send = \"printenv arch\"");
        assert_ne!(forgets, profile);
        let (line, report, _) = run(&forgets, Kind::UBoot, Reset::Lost(1)).await;
        assert_ne!(report.outcome, Outcome::Sealed, "{report}");
        assert_ne!(line.state("A47"), Some(State::Sealed));
        // A good one is written again, and reset.
        let (line, report, port) = run(profile, Kind::UBoot, Reset::Lost(1)).await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(line.state("A47"), Some(State::Sealed));
        let place = port.0.lock().unwrap();
        assert_eq!((writes(&place), place.unit.boots), (2, 2));
        assert_eq!(place.unit.holds("not_stored"), None);
    }

    /// A server that shows another profile than it records would leave the proof out.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_by_a_profile_that_the_log_is_not_proven_to_name() {
        let profile = Profile::shipped("u-boot").unwrap();
        let line = Line::new();
        line.server.books().unproven = true;
        let (line, report, port) = run_on(line, profile, Kind::UBoot, Reset::WithPort).await;
        assert_eq!(report.reason, Some("NO_SERVER"), "{report}");
        assert_eq!(
            (writes(&port.0.lock().unwrap()), line.printed("A47")),
            (0, 0)
        );
        assert_eq!(line.state("A47"), Some(State::Issued));
        line.server.books().unproven = false;
        let (line, report, _) = run_on(line, profile, Kind::UBoot, Reset::WithPort).await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        assert_eq!(
            line.server.books().given.len(),
            2,
            "the first was withdrawn"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_goes_with_the_reset_is_awaited_where_the_profile_knows_of_it() {
        let profile = Profile::shipped("u-boot").unwrap();
        let (_, report, port) = run(profile, Kind::UBoot, Reset::WithPort).await;
        assert_eq!(report.outcome, Outcome::Sealed, "{report}");
        {
            let place = port.0.lock().unwrap();
            assert_eq!((writes(&place), place.unit.boots), (1, 2));
        }
        // A profile that asks nothing behind the boot says so, or every reset is a pulled cable.
        let lines = "    { send = \"printenv not_stored\", refuse = '^not_stored=' },\n";
        let asks_nothing = profile.replace(lines, "");
        assert_ne!(asks_nothing, profile);
        let own = asks_nothing.replace("[console]\n", "[console]\nown_port = true\n");
        for (profile, sealed) in [(&own, true), (&asks_nothing, false)] {
            let (_, report, _) = run(profile, Kind::UBoot, Reset::WithPort).await;
            assert_eq!(report.outcome == Outcome::Sealed, sealed, "{report}");
        }
    }
}
