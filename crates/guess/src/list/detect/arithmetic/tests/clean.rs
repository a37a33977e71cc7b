//! Test lists: passwords drawn one by one, in the formats that factories use.

use super::lists::{BASE32, BASE62, DIGITS, HEX, LETTERS, Random, Unit};

type Make = fn(&mut Random, &[Unit]) -> Vec<Vec<u8>>;

fn drawn(random: &mut Random, units: &[Unit], alphabet: &[u8], length: usize) -> Vec<Vec<u8>> {
    units
        .iter()
        .map(|_| random.text(alphabet, length))
        .collect()
}

/// A word that can be spoken, from a list of `words` of them.
fn word(number: u64) -> Vec<u8> {
    let mut letters = Random(number);
    let (consonants, vowels) = (b"bcdfghklmnprstvw", b"aeiou");
    let syllables = 2 + letters.below(2);
    (0..syllables)
        .flat_map(|_| [letters.text(consonants, 1), letters.text(vowels, 1)].concat())
        .collect()
}

pub(super) const CLEAN: &[(&str, Make)] = &[
    ("12 of base 32", |r, u| drawn(r, u, BASE32, 12)),
    ("6 digits", |r, u| drawn(r, u, DIGITS, 6)),
    ("4 digits", |r, u| drawn(r, u, DIGITS, 4)),
    ("8 digits", |r, u| drawn(r, u, DIGITS, 8)),
    ("20 digits", |r, u| drawn(r, u, DIGITS, 20)),
    ("8 hexadecimal", |r, u| drawn(r, u, HEX, 8)),
    ("32 hexadecimal", |r, u| drawn(r, u, HEX, 32)),
    ("10 of base 62", |r, u| drawn(r, u, BASE62, 10)),
    ("31 symbols without look-alikes", |r, u| {
        drawn(r, u, b"23456789ABCDEFGHJKMNPQRSTUVWXYZ", 10)
    }),
    ("8 small letters", |r, u| drawn(r, u, LETTERS, 8)),
    ("6 digits, none twice", |r, u| {
        let mut seen = std::collections::HashSet::new();
        let mut one = || loop {
            let text = r.text(DIGITS, 6);
            if seen.insert(text.clone()) {
                break text;
            }
        };
        u.iter().map(|_| one()).collect()
    }),
    ("groups of six", |r, u| {
        let mut one = || {
            let mut symbols = r.text(LETTERS, 18);
            symbols[r.below(18) as usize] = b'A' + r.below(26) as u8;
            symbols[17] = b'0' + r.below(10) as u8;
            symbols.chunks(6).collect::<Vec<_>>().join(&b'-')
        };
        u.iter().map(|_| one()).collect()
    }),
    ("four words", |r, u| {
        let mut one = || {
            let words: Vec<Vec<u8>> = (0..4).map(|_| word(r.below(7776))).collect();
            words.join(&b'-')
        };
        u.iter().map(|_| one()).collect()
    }),
    ("words of one length and digits", |r, u| {
        let mut words: Vec<Vec<u8>> = (0..3000).map(word).collect();
        words.retain(|word| word.len() == 6);
        let mut one = || {
            let two: Vec<Vec<u8>> = (0..3)
                .map(|_| words[r.below(words.len() as u64) as usize].clone())
                .collect();
            [two.concat(), r.text(DIGITS, 2)].concat()
        };
        u.iter().map(|_| one()).collect()
    }),
    ("a letter, a digit and a sign at least", |r, u| {
        let all = [BASE62, b"!#$%+?"].concat();
        let mut one = || loop {
            let text = r.text(&all, 10);
            let has = |of: fn(&u8) -> bool| text.iter().any(of);
            if has(u8::is_ascii_uppercase)
                && has(u8::is_ascii_digit)
                && has(u8::is_ascii_punctuation)
            {
                break text;
            }
        };
        u.iter().map(|_| one()).collect()
    }),
    ("each model its format", |r, u| {
        u.iter()
            .map(|unit| match unit.model {
                0 => r.text(DIGITS, 10),
                1 => r.text(HEX, 10),
                _ => r.text(BASE62, 10),
            })
            .collect()
    }),
    ("two formats, one after the other", |r, u| {
        let half = u.len() / 2;
        let mut made = drawn(r, &u[..half], DIGITS, 10);
        made.extend(drawn(r, &u[half..], BASE32, 10));
        made
    }),
    ("sorted by password", |r, u| {
        let mut made = drawn(r, u, BASE32, 10);
        made.sort_unstable();
        made
    }),
    ("first digit never 0, last one a check digit", |r, u| {
        let one = |_: &Unit| {
            let body = [r.text(b"123456789", 1), r.text(DIGITS, 6)].concat();
            let weighted = body.iter().enumerate();
            let sum: u32 = weighted
                .map(|(n, d)| u32::from(d - b'0') * (3 - n as u32 % 2 * 2))
                .sum();
            [body, vec![b'0' + ((10 - sum % 10) % 10) as u8]].concat()
        };
        u.iter().map(one).collect()
    }),
    ("any printable, 12", |r, u| {
        drawn(r, u, &(b'!'..=b'~').collect::<Vec<u8>>(), 12)
    }),
    ("6 to 12 symbols", |r, u| {
        u.iter()
            .map(|_| {
                let length = 6 + r.below(7) as usize;
                r.text(BASE32, length)
            })
            .collect()
    }),
    ("bytes of 8 bits mod 26", |r, u| {
        let one = |_: &Unit| {
            (0..10)
                .map(|_| LETTERS[(r.next() % 256 % 26) as usize])
                .collect()
        };
        u.iter().map(one).collect()
    }),
];
