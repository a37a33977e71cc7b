//! Lists with a weakness and lists without, from seeds; what is constant in a scheme is drawn anew
//! for each list.

use super::*;
use crate::list::{Column, List};

pub(super) const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
pub(super) const DIGITS: &[u8] = b"0123456789";
pub(super) const HEX: &[u8] = b"0123456789abcdef";
pub(super) const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
pub(super) const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SplitMix64 (Steele, Lea, Flood 2014): a fixed seed, so the figures never move.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn of(&mut self, symbols: &[u8]) -> u8 {
        symbols[self.below(symbols.len())]
    }

    pub(super) fn text(&mut self, symbols: &[u8], length: usize) -> Vec<u8> {
        (0..length).map(|_| self.of(symbols)).collect()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

pub(super) fn list(passwords: &[Vec<u8>]) -> List {
    let mut list = List::new(&[Column::Serial]);
    for (row, password) in passwords.iter().enumerate() {
        let serial = format!("SN{row:07}");
        list.push(&[
            (Column::Serial, serial.as_bytes()),
            (Column::Password, password),
        ]);
    }
    list
}

pub(super) type Draw = fn(&mut Random) -> Vec<u8>;
/// Draws the constants of a scheme, then gives so many passwords.
pub(super) type Scheme = fn(&mut Random, usize) -> Vec<Vec<u8>>;

pub(super) fn rows(
    random: &mut Random,
    n: usize,
    mut draw: impl FnMut(&mut Random) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    (0..n).map(|_| draw(random)).collect()
}

/// Words of a language of our own: no dictionary knows many of them.
pub(super) fn words(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let consonants = b"bcdfghjklmnprstvwz";
    let word = |random: &mut Random| {
        let mut word = vec![
            random.of(consonants),
            random.of(b"aeiou"),
            random.of(b"lmnrst"),
        ];
        if random.below(2) == 0 {
            word.push(random.of(b"aeiou"));
        }
        word.push(random.of(b"dklmnrst"));
        word
    };
    let mut words: Vec<Vec<u8>> = vec![];
    while words.len() < count {
        let fresh = word(random);
        if !words.contains(&fresh) {
            words.push(fresh);
        }
    }
    words
}

/// Weak schemes, each with the rows at which it is always refused.
pub(super) const WEAK: &[(&str, usize, Scheme)] = &[
    ("one password", 10, |r, n| {
        let it = r.text(BASE62, 10);
        vec![it; n]
    }),
    ("pool of 5", 10, |r, n| pool(r, n, 5, CROCKFORD, 12)),
    ("pool of 1000", 300, |r, n| pool(r, n, 1000, CROCKFORD, 12)),
    ("pool of 65536", 3000, |r, n| pool(r, n, 65_536, HEX, 10)),
    ("prefix, 4 digits", 10, |r, n| {
        let prefix = r.text(CAPITALS, 5);
        rows(r, n, |r| [prefix.clone(), r.text(DIGITS, 4)].concat())
    }),
    ("suffix, 5 hex", 10, |r, n| {
        let suffix = r.text(HEX, 7);
        rows(r, n, |r| [r.text(HEX, 5), suffix.clone()].concat())
    }),
    ("infix, 6 symbols", 10, |r, n| {
        let infix = r.text(CROCKFORD, 6);
        rows(r, n, |r| {
            [r.text(CROCKFORD, 3), infix.clone(), r.text(CROCKFORD, 3)].concat()
        })
    }),
    ("adjective, noun, 3 digits", 300, |r, n| {
        let (adjectives, nouns) = (words(r, 60), words(r, 80));
        rows(r, n, |r| {
            let adjective = adjectives[r.below(60)].clone();
            let noun = nouns[r.below(80)].clone();
            [adjective, noun, r.text(DIGITS, 3)].concat()
        })
    }),
    ("Word and year", 100, |r, n| {
        let words = words(r, 200);
        rows(r, n, |r| {
            let mut word = words[r.below(200)].clone();
            word[0].make_ascii_uppercase();
            [word, format!("{}", 1980 + r.below(46)).into_bytes()].concat()
        })
    }),
    ("CVCVCV", 10, |r, n| {
        rows(r, n, |r| {
            let pair = |r: &mut Random| vec![r.of(b"bcdfghjklmnpqrstvwxz"), r.of(b"aeiou")];
            (0..4).flat_map(|_| pair(r)).collect()
        })
    }),
    ("Aaaa9999", 10, |r, n| {
        rows(r, n, |r| {
            [r.text(CAPITALS, 1), r.text(SMALL, 3), r.text(DIGITS, 4)].concat()
        })
    }),
    ("three symbols", 10, |r, n| {
        let set = r.text(BASE62, 3);
        rows(r, n, |r| r.text(&set, 12))
    }),
    ("halves", 10, |r, n| {
        rows(r, n, |r| r.text(CROCKFORD, 5).repeat(2))
    }),
    ("thirds", 10, |r, n| {
        rows(r, n, |r| r.text(CROCKFORD, 4).repeat(3))
    }),
    ("mirrored", 10, |r, n| {
        rows(r, n, |r| {
            let half = r.text(CROCKFORD, 6);
            half.iter().chain(half.iter().rev()).copied().collect()
        })
    }),
    ("shifted half", 10, |r, n| {
        let by = 1 + r.below(30);
        rows(r, n, |r| {
            let half: Vec<usize> = (0..6).map(|_| r.below(32)).collect();
            let other = half.iter().map(|it| (it + by) % 32);
            half.iter()
                .copied()
                .chain(other)
                .map(|it| CROCKFORD[it])
                .collect()
        })
    }),
    ("keyboard runs", 10, |r, n| {
        rows(r, n, |r| {
            let row: &[u8] = [&b"qwertyuiop"[..], b"asdfghjkl", b"0123456789"][r.below(3)];
            let at = r.below(row.len() - 6);
            [row[at..at + 6].to_vec(), r.text(DIGITS, 2)].concat()
        })
    }),
    ("common passwords", 10, |r, n| {
        rows(r, n, |r| {
            let word = ["password", "welcome", "letmein", "changeme", "supervisor"][r.below(5)];
            [word.as_bytes().to_vec(), r.text(DIGITS, 2)].concat()
        })
    }),
    ("Markov", 30, |r, n| {
        let mut next: Vec<Vec<u8>> = (0..32).map(|_| r.text(CROCKFORD, 4)).collect();
        next.iter_mut().for_each(|it| it.sort_unstable());
        rows(r, n, |r| {
            let mut text = vec![r.of(CROCKFORD)];
            while text.len() < 12 {
                let last = CROCKFORD.iter().position(|it| Some(it) == text.last());
                text.push(r.of(&next[last.unwrap_or(0)]));
            }
            text
        })
    }),
    ("biased", 100, |r, n| {
        let favourites = r.text(CROCKFORD, 4);
        rows(r, n, |r| {
            (0..12)
                .map(|_| {
                    if r.below(3) == 0 {
                        r.of(&favourites)
                    } else {
                        r.of(CROCKFORD)
                    }
                })
                .collect()
        })
    }),
    ("byte % 62", 10000, |r, n| {
        rows(r, n, |r| {
            (0..12).map(|_| BASE62[r.below(256) % 62]).collect()
        })
    }),
    ("byte % 36", 30000, |r, n| {
        rows(r, n, |r| {
            (0..12).map(|_| BASE62[r.below(256) % 36]).collect()
        })
    }),
    ("pool prefix, 2 digits", 100, |r, n| {
        let pool: Vec<Vec<u8>> = (0..300).map(|_| r.text(CROCKFORD, 8)).collect();
        rows(r, n, |r| {
            [pool[r.below(300)].clone(), r.text(DIGITS, 2)].concat()
        })
    }),
    ("one symbol changed", 100, |r, n| {
        let pool: Vec<Vec<u8>> = (0..500).map(|_| r.text(CROCKFORD, 12)).collect();
        rows(r, n, |r| {
            let mut it = pool[r.below(500)].clone();
            let at = r.below(12);
            it[at] = r.of(CROCKFORD);
            it
        })
    }),
    ("tenth from a pool", 300, |r, n| {
        let pool: Vec<Vec<u8>> = (0..20).map(|_| r.text(CROCKFORD, 12)).collect();
        rows(r, n, |r| match r.below(10) {
            0 => pool[r.below(20)].clone(),
            _ => r.text(CROCKFORD, 12),
        })
    }),
    ("tenth a template", 100, |r, n| {
        let prefix = r.text(CROCKFORD, 8);
        rows(r, n, |r| match r.below(10) {
            0 => [prefix.clone(), r.text(DIGITS, 4)].concat(),
            _ => r.text(CROCKFORD, 12),
        })
    }),
];

fn pool(r: &mut Random, n: usize, size: usize, symbols: &[u8], length: usize) -> Vec<Vec<u8>> {
    let pool: Vec<Vec<u8>> = (0..size).map(|_| r.text(symbols, length)).collect();
    rows(r, n, |r| pool[r.below(size)].clone())
}

/// Honest formats, each with its strength where it is exact.
pub(super) const CLEAN: &[(&str, Option<f64>, Draw)] = &[
    ("Crockford 12", Some(60.0), |r| r.text(CROCKFORD, 12)),
    ("digits 6", Some(19.931_568), |r| r.text(DIGITS, 6)),
    ("digits 8", Some(26.575_425), |r| r.text(DIGITS, 8)),
    ("digits 20", Some(66.438_562), |r| r.text(DIGITS, 20)),
    ("hex 16", Some(64.0), |r| r.text(HEX, 16)),
    ("hex 10", Some(40.0), |r| r.text(HEX, 10)),
    ("letters 10", Some(47.004_397), |r| r.text(SMALL, 10)),
    ("base 62, 10", Some(59.541_963), |r| r.text(BASE62, 10)),
    ("groups of Crockford", Some(60.0), |r| {
        let text = r.text(CROCKFORD, 12);
        [&text[..4], b"-", &text[4..8], b"-", &text[8..]].concat()
    }),
    ("no look-alikes", None, |r| {
        r.text(
            b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789",
            12,
        )
    }),
    ("PIN, not from 0", None, |r| {
        [r.text(b"123456789", 1), r.text(DIGITS, 5)].concat()
    }),
    ("one of each kind", None, |r| {
        loop {
            let text = r.text(BASE62, 8);
            let has = |kind| text.iter().any(|&it| fit::Kind::of(it) == kind);
            if has(fit::Kind::Digit) && has(fit::Kind::Capital) && has(fit::Kind::Small) {
                return text;
            }
        }
    }),
    ("no equal neighbours", None, |r| {
        loop {
            let text = r.text(CROCKFORD, 12);
            if text.windows(2).all(|two| two[0] != two[1]) {
                return text;
            }
        }
    }),
    ("Apple, any letters", None, |r| {
        let mut text = r.text(SMALL, 18);
        text[0] = r.of(DIGITS);
        text[1].make_ascii_uppercase();
        r.shuffle(&mut text);
        [&text[..6], b"-", &text[6..12], b"-", &text[12..]].concat()
    }),
    ("Apple, syllables", None, |r| {
        let syllable = |r: &mut Random| {
            let consonants = b"bcdfghjkmnpqrstvwxz";
            [r.of(consonants), r.of(b"aeiouy"), r.of(consonants)]
        };
        let mut text: Vec<u8> = (0..6).flat_map(|_| syllable(r)).collect();
        let digit = [0, 5, 6, 11, 12, 17][r.below(6)];
        text[digit] = r.of(DIGITS);
        loop {
            let at = r.below(18);
            if text[at].is_ascii_lowercase() && text[at] != b'o' {
                text[at].make_ascii_uppercase();
                break;
            }
        }
        [&text[..6], b"-", &text[6..12], b"-", &text[12..]].concat()
    }),
    ("5 words", None, |r| phrase(r, 5, b"-")),
    ("6 words, no hyphens", None, |r| phrase(r, 6, b"")),
    ("4 words", None, |r| phrase(r, 4, b" ")),
    ("WPS PIN", None, |r| {
        let mut text = r.text(DIGITS, 7);
        let sum: usize = text
            .iter()
            .enumerate()
            .map(|(at, it)| usize::from(it - b'0') * if at % 2 == 0 { 3 } else { 1 })
            .sum();
        text.push(b'0' + ((10 - sum % 10) % 10) as u8);
        text
    }),
    ("u64 in decimal", None, |r| {
        format!("{:020}", r.next()).into_bytes()
    }),
    ("prefix and 12", None, |r| {
        [&b"Wifi"[..], &r.text(CROCKFORD, 12)].concat()
    }),
    ("8 to 12 symbols", None, |r| {
        let length = 8 + r.below(5);
        r.text(BASE62, length)
    }),
    ("printable 12", None, |r| {
        (0..12).map(|_| b'!' + r.below(94) as u8).collect()
    }),
    ("ABC-1234", None, |r| {
        [&r.text(CAPITALS, 3)[..], b"-", &r.text(DIGITS, 4)].concat()
    }),
];

fn phrase(random: &mut Random, count: usize, between: &[u8]) -> Vec<u8> {
    thread_local! {
        static WORDS: Vec<Vec<u8>> = words(&mut Random(1), 1_296);
    }
    let words: Vec<Vec<u8>> = (0..count)
        .map(|_| WORDS.with(|words| words[random.below(words.len())].clone()))
        .collect();
    words.join(between)
}

pub(super) fn found(table: &Table<'_>) -> Vec<Finding> {
    DETECTORS.iter().flat_map(|it| (it.look)(table)).collect()
}

fn check(name: &str, scheme: Scheme, n: usize, seed: u64, expected: Option<Severity>) {
    let list = list(&scheme(&mut Random(seed), n));
    let findings = found(&Table::whole(&list));
    let worst = findings.iter().map(|it| it.severity).max();
    let told: Vec<&str> = findings.iter().map(|it| it.detector).collect();
    assert_eq!(worst, expected, "{name}, {n} rows, seed {seed}: {told:?}");
    for finding in findings {
        assert!(finding.chance_log10 < -9.9, "{name}: {finding:?}");
        assert!(
            finding.examples.iter().all(|&row| row < n),
            "{name}: {finding:?}"
        );
    }
}

#[test]
fn weak_schemes_are_refused_once_the_rows_are_enough() {
    for &(name, rows, scheme) in WEAK {
        for seed in 0..3 {
            check(name, scheme, rows, seed, Some(Severity::Refused));
        }
    }
}

#[test]
fn honest_lists_keep_their_strength_and_are_not_refused() {
    for &(name, exact, draw) in CLEAN {
        for n in [10, 30, 100, 1_000] {
            let list = list(&rows(&mut Random(n as u64), n, draw));
            let table = Table::whole(&list);
            let bits = bits(&table);
            for finding in found(&table) {
                assert_eq!(finding.severity, Severity::Note, "{name}, {n}: {finding:?}");
                assert!(exact.is_none(), "{name}, {n}: {finding:?}");
            }
            if let Some(exact) = exact {
                assert!((bits - exact).abs() < 1e-5, "{name}, {n} rows: {bits}");
            }
        }
    }
}

/// What remains of formats with structure, in bits: not more than is true by much, and never less.
#[test]
fn strength_is_what_the_structure_leaves() {
    let check = |name: &str, least: f64, most: f64| {
        let draw = CLEAN.iter().find(|it| it.0 == name).map(|it| it.2);
        let draw = draw.unwrap_or_else(|| panic!("no format is called {name}"));
        let list = list(&rows(&mut Random(17), 1_000, draw));
        let bits = bits(&Table::whole(&list));
        assert!((least..most).contains(&bits), "{name}: {bits}");
    };
    check("prefix and 12", 59.999, 60.001);
    check("no look-alikes", 69.3, 69.4);
    check("PIN, not from 0", 19.7, 19.8);
    check("WPS PIN", 23.25, 23.26);
    check("ABC-1234", 27.38, 27.40);
    check("one of each kind", 46.8, 47.7);
    check("Apple, any letters", 91.4, 91.6);
    check("Apple, syllables", 71.0, 75.0);
    check("5 words", 51.69, 55.0);
    check("4 words", 41.35, 44.0);
    check("8 to 12 symbols", 61.2, 62.5);
}

/// A dictionary tells words and digits from ten rows, though none of them comes back.
#[test]
fn words_of_a_dictionary_need_no_repeats() {
    const WORDS: &str = "kettle garden sunset orange winter castle dragon silver monkey butter \
        guitar harbour lantern marble pepper rocket saddle thunder velvet window anchor basket \
        candle desert engine falcon ginger hammer island jacket kitten ladder magnet needle";
    let scheme: Scheme = |r, n| {
        let mut words: Vec<&str> = WORDS.split_whitespace().collect();
        r.shuffle(&mut words);
        let word = |at: usize| words[at].as_bytes().to_vec();
        (0..n)
            .map(|at| [word(at), r.text(DIGITS, 4)].concat())
            .collect()
    };
    for seed in 0..3 {
        check("word and digits", scheme, 10, seed, Some(Severity::Refused));
    }
}

#[test]
fn lists_that_are_hardly_lists_are_looked_at_as_well() {
    for passwords in [
        vec![],
        vec![vec![]],
        vec![vec![]; 50],
        vec![b"7".to_vec(); 3],
        vec![b"K7QDM2X9TR4W".to_vec()],
        vec![b"K7QDM2X9TR4W".to_vec(), b"\xff\x00".to_vec()],
        (0..60u8).map(|n| vec![n; usize::from(n)]).collect(),
    ] {
        let list = list(&passwords);
        let table = Table::whole(&list);
        found(&table);
        let bits = bits(&table);
        assert!(
            bits >= 0.0 && bits.is_finite(),
            "{bits} for {} rows",
            passwords.len()
        );
    }
}

/// One unit that was listed twice has one password; two units with one are a finding.
#[test]
fn a_unit_listed_twice_repeats_nothing() {
    for (serial, expected) in [("SN1", 0), ("SN2", 1)] {
        let mut list = List::new(&[Column::Serial]);
        let mut random = Random(3);
        for row in 0..40 {
            let password = random.text(CROCKFORD, 12);
            let own = format!("SN{row:03}");
            list.push(&[
                (Column::Serial, own.as_bytes()),
                (Column::Password, &password),
            ]);
        }
        for serial in ["SN1", serial] {
            list.push(&[
                (Column::Serial, serial.as_bytes()),
                (Column::Password, b"K7QDM2X9TR4W"),
            ]);
        }
        assert_eq!(
            repeats::look(&Table::whole(&list)).len(),
            expected,
            "{serial}"
        );
    }
}

/// Through the audit, whose controls must be silent.
#[test]
fn controls_do_not_speak_against_what_is_true() {
    for name in [
        "one password",
        "prefix, 4 digits",
        "halves",
        "common passwords",
    ] {
        let scheme = WEAK.iter().find(|it| it.0 == name).map(|it| it.2);
        let scheme = scheme.unwrap_or_else(|| panic!("no scheme is called {name}"));
        let list = list(&scheme(&mut Random(11), 40));
        let mut random = Random(12);
        let mut fill = |bytes: &mut [u8]| bytes.fill_with(|| random.next() as u8);
        let report = crate::list::audit(&list, 60, &mut fill, 2, &|_| {});
        assert_eq!(report.verdict(), Some(Severity::Refused), "{name}");
        let withdrawn = report
            .withdrawn
            .iter()
            .filter(|it| it.finding.class == Class::Small);
        assert_eq!(withdrawn.count(), 0, "{name}");
    }
}
