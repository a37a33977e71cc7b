//! Is this password guessable, by someone who holds the unit and its box? Pure, no I/O.
//!
//! Two doors. [`judge`] looks at one password before it is issued. It is strict: our own generator
//! loses nothing by drawing again, so a hit needs no proof that it was not chance. A uniform password
//! of 12 of 32 symbols is refused in under 4 % of draws, which costs 0.06 bit. [`list::audit`] looks at
//! a list made elsewhere, which [`csv`] reads. It accuses only what chance does not explain, and
//! finds what no single password shows: hashes of identifiers, weak generators, arithmetic, pools.
//! Each refusal names the limb of Schedule 1 paragraph 1(3) of S.I. 2023/1007 that passwords like
//! these would break.
//!
//! Deliberately absent: a claim that a password is strong (a meter calls the SHA-256 of a serial
//! strong), and the password itself: no evidence repeats a symbol of it.

mod counter;
pub mod csv;
mod dictionary;
mod estimate;
pub mod list;
mod shape;
mod text;
mod views;

/// Version of the detectors, as entries and reports name it. Raised whenever a verdict may change.
pub const DETECTORS: &str = "guess/2";

/// What an attacker can know of a unit. Empty strings are skipped.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The serial on its label.
    pub serial: &'a str,
    /// The silicon's own id, hexadecimal.
    pub device_id: &'a str,
    /// Its network addresses, hexadecimal with or without separators.
    pub macs: &'a [String],
    /// What it says it is.
    pub model: &'a str,
    /// The network name it opens with.
    pub ssid: Option<&'a str>,
    /// Anything else that is printed or published: brand, product name, date of making.
    pub public: &'a [&'a str],
}

/// What Schedule 1 paragraph 1 asks of a password: 1(2)(a), and the limbs of 1(3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clause {
    /// Paragraph 1(2)(a): unique per product. Not a limb of 1(3), and before all of them.
    Unique,
    /// Based on incremental counters.
    Counter,
    /// Based on or derived from publicly available information.
    Public,
    /// Based on or derived from unique product identifiers.
    Identifier,
    /// Otherwise guessable.
    Guessable,
}

impl std::fmt::Display for Clause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Clause::Unique => "1(2)(a)",
            Clause::Counter => "1(3)(a)",
            Clause::Public => "1(3)(b)",
            Clause::Identifier => "1(3)(c)",
            Clause::Guessable => "1(3)(d)",
        })
    }
}

/// What the gate says of one password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// No detector objects.
    Pass,
    /// Draw again; when it happens again and again, the generator is at fault.
    Refused {
        /// Which detector objects.
        detector: &'static str,
        /// The limb such a password would break.
        clause: Clause,
        /// What it saw, without the password.
        evidence: String,
    },
}

impl Verdict {
    fn refused(detector: &'static str, clause: Clause, evidence: String) -> Option<Verdict> {
        Some(Verdict::Refused {
            detector,
            clause,
            evidence,
        })
    }
}

/// Judges one minted password against its unit and against the passwords issued before it.
///
/// `recent` is oldest first; only the last 64 are looked at. For passwords of 40 bits and more, a
/// refusal for [`Clause::Counter`] or by the detector `stuck` happens by chance less than once in a
/// million draws: it says that the generator is broken.
#[must_use]
pub fn judge(password: &[u8], facts: &Facts<'_>, recent: &[&[u8]]) -> Verdict {
    let recent = &recent[recent.len().saturating_sub(counter::RECENT)..];
    let folded = text::fold(password);
    counter::counting(password, recent)
        .or_else(|| counter::stuck(password, recent))
        .or_else(|| views::overlap(&folded, facts))
        .or_else(|| shape::short(&folded))
        .or_else(|| shape::common(&folded))
        .or_else(|| shape::run(&folded))
        .or_else(|| shape::repeats(&folded))
        .or_else(|| estimate::weak(password))
        .unwrap_or(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 (Steele, Lea, Flood 2014): a fixed seed, so the figures below never move.
    struct SplitMix(u64);

    impl SplitMix {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn password(&mut self, symbols: &[u8], length: usize) -> Vec<u8> {
            (0..length)
                .map(|_| symbols[(self.next() % symbols.len() as u64) as usize])
                .collect()
        }
    }

    /// Draws for units of every shape and returns how many the gate refuses, of 5,000.
    fn check(symbols: &[u8], length: usize, at_most: u32) {
        let mut random = SplitMix(2023);
        let mut refused = 0;
        let mut recent: Vec<Vec<u8>> = vec![];
        for unit in 0..5_000u64 {
            let macs: Vec<String> = (0..2)
                .map(|n| format!("{:012X}", (random.next() >> 16) + n))
                .collect();
            let facts = Facts {
                serial: &format!("BM-{:08}", 20_000_000 + unit),
                device_id: &format!("{:016x}{:016x}", random.next(), random.next()),
                macs: &macs,
                model: "KETTLE-9000",
                ssid: Some("HomeHub-7QX2"),
                public: &["Acme Widgets", "Kettle nine thousand", "2025-06-14"],
            };
            let password = random.password(symbols, length);
            let earlier: Vec<&[u8]> = recent.iter().map(Vec::as_slice).collect();
            match judge(&password, &facts, &earlier) {
                Verdict::Pass => {}
                Verdict::Refused {
                    detector, evidence, ..
                } => {
                    assert!(
                        !matches!(detector, "counter" | "stuck"),
                        "{detector}: {evidence}"
                    );
                    refused += 1;
                }
            }
            recent.push(password);
            if recent.len() > counter::RECENT {
                recent.remove(0);
            }
        }
        assert!(refused > 0, "a gate that never refuses is not there");
        assert!(refused <= at_most, "{refused} of 5,000 refused");
    }

    #[test]
    fn a_good_generator_is_refused_in_under_four_draws_of_a_hundred() {
        check(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 12, 200);
    }

    #[test]
    fn longer_passwords_cost_more_draws_but_not_many() {
        check(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 20, 400);
    }

    /// Units say of themselves what they like, and a list to audit may hold anything.
    #[test]
    fn nothing_that_arrives_makes_the_gate_fall_over() {
        let mut random = SplitMix(7);
        let mut noise = |longest: u64| -> Vec<u8> {
            (0..random.next() % longest)
                .map(|_| random.next() as u8)
                .collect()
        };
        for _ in 0..300 {
            let text = String::from_utf8_lossy(&noise(80)).into_owned();
            let macs = [text.clone(), "F".repeat(80), "größe".to_owned()];
            let facts = Facts {
                serial: &text,
                device_id: &"ff".repeat(32),
                macs: &macs,
                model: &text,
                ssid: Some(&text),
                public: &[&text, ""],
            };
            let (password, earlier) = (noise(70), noise(70));
            let _ = judge(&password, &facts, &[&earlier, &password, b""]);
            assert_ne!(
                judge(text.as_bytes(), &facts, &[]),
                Verdict::Pass,
                "{text:?}"
            );
        }
    }

    #[test]
    fn clauses_are_cited_as_the_regulations_number_them() {
        use Clause::{Counter, Guessable, Identifier, Public};
        let cited = [Counter, Public, Identifier, Guessable].map(|clause| clause.to_string());
        assert_eq!(cited, ["1(3)(a)", "1(3)(b)", "1(3)(c)", "1(3)(d)"]);
    }

    #[test]
    fn counting_is_told_before_anything_else() {
        let facts = Facts {
            serial: "",
            device_id: "",
            macs: &[],
            model: "",
            ssid: None,
            public: &[],
        };
        let verdict = judge(b"PASSWORD0002", &facts, &[b"PASSWORD0001"]);
        assert!(
            matches!(
                verdict,
                Verdict::Refused {
                    clause: Clause::Counter,
                    ..
                }
            ),
            "{verdict:?}"
        );
        assert_eq!(judge(b"K7QDM2X9TR4W", &facts, &[]), Verdict::Pass);
    }
}
