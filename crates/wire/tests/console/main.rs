//! Shipped profiles against simulated consoles, in virtual time: bytes that are lost, noise, lies.

#[expect(
    unreachable_pub,
    reason = "it belongs to the crate that is named in its path"
)]
#[allow(dead_code, reason = "the line's tests use the rest of it")]
#[path = "../../../line-sim/src/unit/console.rs"]
mod unit;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use credential::{Bundle, Password, Salt};
    use traveler::{Attempt, Serial};
    use wire::console::{Action, Console, ConsoleError, Event, Found, Transcript, Values, replay};
    use wire::profile::{Answer, ConsoleProfile, Driver, Part, Profile, SHIPPED, Step};

    use super::unit::{ConsoleUnit, Faults, Kind};

    const PASSWORD: &str = "K7QDM2X9TR4W";

    const KINDS: [(&str, Kind); 4] = [
        ("at-modem", Kind::At),
        ("zephyr-shell", Kind::Zephyr),
        ("u-boot", Kind::UBoot),
        ("linux-login", Kind::Linux),
    ];

    fn bundle(password: &str) -> Bundle {
        Bundle {
            serial: Serial::parse("BM-000042").unwrap(),
            attempt: Attempt(3),
            password: Password::parse(password.as_bytes()).unwrap_or_else(|_| panic!()),
            salt: Salt::from_bytes([7; 16]),
            chain: vec![vec![0x30; 300]],
            key: None,
        }
    }

    fn shipped(name: &str) -> Arc<ConsoleProfile> {
        let profile = Profile::parse(Profile::shipped(name).unwrap());
        match profile.unwrap_or_else(|e| panic!("{name}: {e}")).driver {
            Driver::Console(console) => console,
            _ => panic!("{name} is a console's"),
        }
    }

    /// A console, a unit, and a clock that only they move.
    struct Bench {
        console: Console,
        unit: ConsoleUnit,
        now: Duration,
        /// Every so many answers one comes this much later than it was said.
        late: Option<(u32, Duration)>,
        answers: u32,
        delayed: Vec<(Duration, Vec<u8>)>,
    }

    impl Bench {
        fn new(name: &str, kind: Kind, seed: u64, faults: Faults) -> Bench {
            let mut unit = ConsoleUnit::new(kind, 0x0011_2233_4455_6677, seed);
            unit.faults = faults;
            Bench {
                console: Console::new(shipped(name)),
                unit,
                now: Duration::from_secs(9),
                late: None,
                answers: 0,
                delayed: Vec::new(),
            }
        }

        fn step(&mut self, step: Step) -> Result<Found, ConsoleError> {
            self.console.begin(step)?;
            self.finish()
        }

        /// Does what was begun.
        fn finish(&mut self) -> Result<Found, ConsoleError> {
            let mut heard: Vec<u8> = Vec::new();
            let mut action = self.console.on(Event::Opened, self.now)?;
            for turn in 0..200_000 {
                let mut within = match action {
                    Action::Finish(found) => return Ok(found),
                    Action::Wait(within) => within,
                    Action::Send(bytes, within) => {
                        self.unit.hear(&bytes);
                        within
                    }
                };
                let said = self.unit.say();
                self.answers += u32::from(said.contains(&b'\n'));
                match self.late {
                    Some((every, by))
                        if said.contains(&b'\n') && self.answers.is_multiple_of(every) =>
                    {
                        self.delayed.push((self.now + by, said));
                    }
                    _ => heard.extend(said),
                }
                if let Some((due, _)) = self.delayed.first() {
                    within = within.min(due.saturating_sub(self.now));
                    if *due <= self.now {
                        heard.extend(self.delayed.remove(0).1);
                    }
                }
                action = if heard.is_empty() {
                    self.now += within;
                    self.console.on(Event::TimedOut, self.now)?
                } else {
                    // As a port gives it: in pieces that mean nothing.
                    let length = heard.len().min(1 + turn % 23);
                    let piece: Vec<u8> = heard.drain(..length).collect();
                    self.now += Duration::from_millis(1);
                    self.console.on(Event::Received(&piece), self.now)?
                };
            }
            panic!("the step does not end");
        }

        /// Every step; what was found out on the way.
        fn all(&mut self) -> Result<Vec<Found>, ConsoleError> {
            let mut all = vec![self.step(Step::Identify)?, self.step(Step::Precheck)?];
            self.console.holds(Values::of(&bundle(PASSWORD)));
            for step in &Step::ALL[2..] {
                all.push(self.step(*step)?);
            }
            Ok(all)
        }
    }

    #[test]
    fn every_shipped_profile_provisions_its_unit() {
        for (name, kind) in KINDS {
            let mut bench = Bench::new(name, kind, 1, Faults::default());
            let found = bench
                .all()
                .unwrap_or_else(|e| panic!("{name}: {e}\n{}", bench.console.transcript()));
            assert_eq!(found[0].answers[&Answer::Model], "CAM2", "{name}");
            for at in [4, 6] {
                let mut parts = found[at].read_back.clone();
                parts.sort();
                assert_eq!(
                    parts,
                    [Part::Password, Part::Serial, Part::Attempt],
                    "{name}"
                );
            }
            assert_eq!(bench.unit.holds("password"), Some(PASSWORD), "{name}");
            assert_eq!(bench.unit.boots, 2, "{name}");
            assert_eq!(
                bench.unit.is_locked(),
                matches!(kind, Kind::At | Kind::Zephyr)
            );
        }
        assert_eq!(KINDS.len(), SHIPPED.len());
    }

    /// What a line does that loses one byte in a hundred, each way, garbles more than 12 bytes at
    /// once and has a boot log's lines in its answers.
    #[test]
    fn a_bad_line_costs_time_and_never_a_wrong_unit() {
        let faults = Faults {
            lost_per_mille: 10,
            noise_per_cent: 20,
            overrun: Some(12),
            ..Faults::default()
        };
        for (name, kind) in KINDS {
            let mut passed = 0;
            for seed in 1..=24 {
                let mut bench = Bench::new(name, kind, seed * 7_919, faults);
                match bench.all() {
                    Ok(found) => {
                        passed += 1;
                        assert_eq!(found[0].answers[&Answer::Model], "CAM2", "{name} {seed}");
                        assert_eq!(
                            bench.unit.holds("password"),
                            Some(PASSWORD),
                            "{name} {seed}"
                        );
                        assert_eq!(
                            bench.unit.holds("serial"),
                            Some("BM-000042"),
                            "{name} {seed}"
                        );
                    }
                    Err(error) => {
                        let memory = matches!(error, ConsoleError::Mismatch { .. });
                        assert!(!memory, "{name} {seed}: a bad line is not bad memory");
                    }
                }
            }
            assert!(passed >= 20, "{name}: {passed} of 24");
        }
    }

    #[test]
    fn flash_that_changes_is_never_read_back_as_right() {
        for (name, kind) in KINDS {
            for forgets in [false, true] {
                let faults = Faults {
                    flips: u32::from(!forgets),
                    forgets,
                    ..Faults::default()
                };
                let mut bench = Bench::new(name, kind, 1, faults);
                let error = bench.all().unwrap_err();
                let step = Step::VerifyAgain;
                assert_eq!(error, ConsoleError::Mismatch { step }, "{name} {forgets}");
                assert!(!bench.unit.is_locked());
            }
        }
    }

    /// What was never read back may be a pattern that fits nothing: no reason to scrap a unit.
    #[test]
    fn a_pattern_that_fits_nothing_is_no_bad_memory() {
        let text = Profile::shipped("u-boot").unwrap();
        let text = text.replace("'(?m)^factory_password=([^\\r\\n]*)'", "'(?m)^psk=(.*)$'");
        let profile = Profile::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_ne!(
            profile.sha256,
            Profile::parse(Profile::shipped("u-boot").unwrap())
                .unwrap()
                .sha256
        );
        let Driver::Console(profile) = profile.driver else {
            panic!("u-boot is a console's");
        };
        let mut bench = Bench::new("u-boot", Kind::UBoot, 1, Faults::default());
        bench.console = Console::new(profile);
        let error = bench.all().unwrap_err();
        assert!(
            matches!(
                error,
                ConsoleError::Unclear {
                    step: Step::Verify,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_unit_that_only_says_yes_is_not_believed() {
        for (name, kind) in KINDS {
            let faults = Faults {
                lies: true,
                ..Faults::default()
            };
            let error = Bench::new(name, kind, 1, faults).all().unwrap_err();
            assert!(
                !matches!(
                    error,
                    ConsoleError::Silent { .. } | ConsoleError::Garbled { .. }
                ),
                "{name}: {error}"
            );
        }
        let faults = Faults {
            takes_any_password: true,
            ..Faults::default()
        };
        let error = Bench::new("linux-login", Kind::Linux, 1, faults).all();
        assert!(
            error.is_err(),
            "a console that takes a decoy proves nothing"
        );
    }

    /// Where a profile leaves something in memory, a reset that was none is found out.
    #[test]
    fn a_reset_that_was_only_said_is_found_out() {
        let faults = Faults {
            fakes_reset: true,
            ..Faults::default()
        };
        let mut bench = Bench::new("u-boot", Kind::UBoot, 1, faults);
        let error = bench.all().unwrap_err();
        let (step, line) = (Step::Reset, 3);
        assert_eq!(error, ConsoleError::Refused { step, line });
    }

    /// The port went while the unit was to reset: with the reset, or with a cable. On the next one
    /// only what it says after a boot counts.
    #[test]
    fn a_port_that_comes_back_is_no_reset() {
        for resets in [true, false] {
            let mut bench = Bench::new("u-boot", Kind::UBoot, 1, Faults::default());
            bench.console.holds(Values::of(&bundle(PASSWORD)));
            for step in [Step::Write, Step::Persist, Step::Verify] {
                bench.step(step).unwrap();
            }
            bench.unit.hear(b"setenv not_stored 1\r");
            if resets {
                bench.unit.hear(b"reset\r");
            }
            bench.unit.say();
            bench.console = Console::new(shipped("u-boot"));
            assert_eq!(bench.console.begin_after_boot(), Ok(true));
            let refused = ConsoleError::Refused {
                step: Step::Reset,
                line: 3,
            };
            let expected = if resets { Ok(()) } else { Err(refused) };
            assert_eq!(bench.finish().map(drop), expected);
            assert_eq!(bench.unit.boots, if resets { 2 } else { 1 });
        }
        // The others say nothing of it that a unit which was not reset does not say as well.
        for name in ["at-modem", "zephyr-shell", "linux-login"] {
            assert!(!shipped(name).manner.own_port, "{name}");
            let mut console = Console::new(shipped(name));
            assert_eq!(console.begin_after_boot(), Ok(false), "{name}");
        }
    }

    /// What a reset that never came has left in memory is not stored with the rest.
    #[test]
    fn a_unit_that_was_not_reset_is_written_again_and_passes() {
        let mut bench = Bench::new("u-boot", Kind::UBoot, 1, Faults::default());
        bench.unit.hear(b"setenv not_stored 1\r");
        bench.unit.say();
        bench.all().unwrap();
        assert_eq!(bench.unit.holds("not_stored"), None);
    }

    #[test]
    fn no_secret_stands_in_a_transcript_wherever_the_unit_says_it() {
        let faults = Faults {
            boot_log_shows_password: true,
            lost_per_mille: 4,
            ..Faults::default()
        };
        for (name, kind) in KINDS {
            let mut bench = Bench::new(name, kind, 3, faults);
            let _ = bench.all();
            let said = bench.console.transcript().to_string();
            assert!(said.contains("{password}"), "{name}: {said}");
            for at in 0..PASSWORD.len() - 3 {
                let part = &PASSWORD[at..at + 4];
                assert!(!said.contains(part), "{name}: {part} in {said}");
            }
        }
    }

    #[test]
    fn a_recorded_conversation_is_held_again() {
        for (name, kind) in KINDS {
            let mut bench = Bench::new(name, kind, 1, Faults::default());
            let found = bench.all().unwrap();
            let text = bench.console.transcript().to_string();
            let transcript = Transcript::parse(&text).unwrap();
            // Another password: a transcript has none.
            let again = replay(&shipped(name), &transcript, &bundle("Z9Y8X7W6V5U4"));
            let again = again.unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
            let again: Vec<Found> = again.into_iter().map(|(_, found)| found).collect();
            assert_eq!(again, found, "{name}");
            let other = text.replace("CAM2", "CAM3").replacen("CAM3", "CAM4", 1);
            let other = Transcript::parse(&other).unwrap();
            assert!(
                replay(&shipped(name), &other, &bundle(PASSWORD)).is_err(),
                "{name}"
            );
        }
    }

    /// An answer that comes when the next line is being typed, or has been, is not that line's.
    #[test]
    fn a_late_answer_is_no_answer() {
        for (name, kind) in KINDS {
            for (every, by_ms) in [(3, 2_100), (5, 3_030), (7, 4_100), (4, 5_200), (6, 450)] {
                let mut bench = Bench::new(name, kind, 1, Faults::default());
                bench.late = Some((every, Duration::from_millis(by_ms)));
                if let Ok(found) = bench.all() {
                    assert_eq!(found[0].answers[&Answer::Model], "CAM2", "{name}");
                    assert!(
                        !found[1].answers[&Answer::Marker].contains("loaded"),
                        "{name}"
                    );
                    assert_eq!(bench.unit.holds("password"), Some(PASSWORD), "{name}");
                }
                // Late or not, what flash lost is not read back as right.
                let flips = Faults {
                    flips: 1,
                    ..Faults::default()
                };
                let mut bench = Bench::new(name, kind, 1, flips);
                bench.late = Some((every, Duration::from_millis(by_ms)));
                assert!(bench.all().is_err(), "{name} {every} {by_ms}");
            }
        }
    }

    #[test]
    fn a_unit_that_dies_is_silent_in_bounded_time() {
        for (name, kind) in KINDS {
            let faults = Faults {
                dies_after: Some(40),
                ..Faults::default()
            };
            let mut bench = Bench::new(name, kind, 1, faults);
            let started = bench.now;
            bench.all().unwrap_err();
            let took = bench.now - started;
            assert!(took < Duration::from_secs(240), "{name}: {took:?}");
        }
    }

    #[test]
    fn a_modem_carries_out_no_line_that_was_garbled_or_half_typed() {
        for seed in 1..40 {
            let faults = Faults {
                lost_per_mille: 10,
                ..Faults::default()
            };
            let mut bench = Bench::new("at-modem", Kind::At, seed, faults);
            // Someone went away in the middle of a line that stores a password.
            bench.unit.hear(b"AT+FACT=1,\"WRONGWRONG");
            bench
                .all()
                .unwrap_or_else(|error| panic!("{seed}: {error}"));
            for line in &bench.unit.carried_out {
                let whole = line.starts_with("AT+") && line.matches("AT").count() == 1;
                assert!(whole || !line.contains('+'), "{seed}: {line}");
                assert!(!line.contains("WRONG"), "{seed}: {line}");
            }
        }
    }

    #[test]
    fn a_login_that_fails_is_not_tried_for_ever() {
        let mut console = Console::new(shipped("linux-login"));
        console.begin(Step::Identify).unwrap();
        let mut now = Duration::ZERO;
        let mut event = Event::Opened;
        let mut said: Vec<u8>;
        let mut typed = 0;
        let ended = loop {
            match console.on(event, now) {
                Err(error) => break error,
                Ok(Action::Finish(_)) => panic!("nobody is logged in"),
                Ok(Action::Wait(within)) => {
                    now += within;
                    event = Event::TimedOut;
                }
                // The unit lets nobody in: it asks again, whoever it is told.
                Ok(Action::Send(bytes, _)) => {
                    typed += 1;
                    now += Duration::from_millis(1);
                    said = bytes.to_vec();
                    said.retain(|byte| *byte != 0x15);
                    if said.ends_with(b"\r") {
                        said.extend_from_slice(b"\nLogin incorrect\r\nunit login: ");
                    }
                    event = match said.is_empty() {
                        true => Event::TimedOut,
                        false => Event::Received(&said),
                    };
                }
            }
            assert!(typed < 1_000, "it goes on for ever");
        };
        assert!(matches!(ended, ConsoleError::NoPrompt { .. }), "{ended}");
        assert!(now < Duration::from_secs(240), "{now:?}");
    }

    /// A profile with this in place of that is refused, for this reason.
    #[track_caller]
    fn mistake(good: &str, from: &str, to: &str, expected: &str) {
        assert!(good.contains(from), "{from}");
        let error = Profile::parse(&good.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}\n  not {expected}");
    }

    #[test]
    fn what_would_carry_out_a_garbled_line_or_prove_nothing_is_no_profile() {
        let good = Profile::shipped("zephyr-shell").unwrap();
        let check = |from: &str, to: &str, expected: &str| mistake(good, from, to, expected);
        check(
            "cancel = \"\\u0015\"",
            "cancel = \"\\r\"",
            "console.cancel: ends the line",
        );
        check(
            "cancel = \"\\u0015\"",
            "",
            "console.cancel: a console that echoes needs it",
        );
        check(
            "wake = \"\\u0015\\r\"",
            "wake = \"\\r\"",
            "console.wake: begins with `cancel`",
        );
        check(
            "[persist]\nrun = [{ send = \"settings write string factory/state loaded\" }]",
            "[persist]\nlike = \"write\"",
            "persist: only verify_again is `like` another",
        );
        let linux = Profile::shipped("linux-login").unwrap();
        for (from, to, expected) in [
            (
                "{decoy}\", hidden = true, expect = 'login: $'",
                "{decoy}\", expect = '\\$ $'",
                "expects something else",
            ),
            (
                "send = \"{password}\", hidden",
                "send = \"x\", hidden",
                "on the line that sends it",
            ),
        ] {
            assert!(linux.contains(from), "{from}");
            let error = Profile::parse(&linux.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn mistakes_in_a_profile_are_named_where_they_stand() {
        let good = Profile::shipped("zephyr-shell").unwrap();
        let check = |from: &str, to: &str, expected: &str| mistake(good, from, to, expected);
        check(
            "driver = \"console\"",
            "driver = \"consol\"",
            "line 5, column 10",
        );
        check("chunk = 16", "chunk = 0", "expected 1 to 4096 bytes");
        check("chunk = 16", "chunks = 16", "unknown field `chunks`");
        check(
            "prompt = 'uart",
            "prompt = '(uart",
            "line 9, column 10: not a pattern",
        );
        check("version = 1", "version = 0", "versions begin with 1");
        check("{password}", "{pass}", "`pass` is no part");
        check(
            "read_back = { password",
            "read_back = { serial",
            "verify: no line reads password back",
        );
        check(
            "like = \"verify\"",
            "like = \"check\"",
            "verify_again: `check` is no step before it",
        );
        check("booted", "expect", "reset: one line needs `booted`");
        check(
            "locked = 'locked'\n",
            "",
            "states: a unit that is locked says so",
        );
        check(
            "[persist]\nrun",
            "[persist]\nnone = \"\"\nrun",
            "persist: needs one of",
        );
        check(
            "[verify_again]\nlike = \"verify\"",
            "",
            "missing field `verify_again`",
        );
        check(
            "capture = { device_id = '(?m)^ID: 0x([0-9a-f]{16})\\r?$' }",
            "within_ms = 9",
            "identify: no line captures device_id",
        );
        check("([0-9a-f]{16})", "[0-9a-f]{16}", "has 0 groups");
        assert!(Profile::parse(&"#".repeat(20_000)).is_err());
        let native = Profile::parse("name = \"n\"\nversion = 1\ndriver = \"native\"\n").unwrap();
        assert!(native.is_native() && native.unlocked().is_none());
    }
}
