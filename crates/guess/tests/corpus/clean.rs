//! Clean lists: passwords of a cryptographic generator in formats that products use, beside
//! identifiers as tidy as a factory's are.

use guess::list::{Column, List};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::draw::Rng;
use super::encode::{
    BASE32, BASE36, BASE36_SMALL, BASE58, BASE62, BASE64, CROCKFORD, DIGITS, HEX, HEX_SMALL,
    LETTERS, NO_LOOKALIKES, digits, grouped, groups_of_bits, hex, number, remainders,
};
use super::lists::{Row, list, made_by};
use super::units::{Factory, scattered};
use super::weak::{ADJECTIVES, NOUNS, Rule};

pub(crate) struct Format {
    pub(crate) id: &'static str,
    draw: fn(Rng) -> Rule,
}

const fn format(id: &'static str, draw: fn(Rng) -> Rule) -> Format {
    Format { id, draw }
}

/// Passwords that look at nothing but the generator.
fn random(mut rng: Rng, mut make: impl FnMut(&mut Rng) -> String + 'static) -> Rule {
    Box::new(move |_| make(&mut rng))
}

/// Passwords that are HMAC-SHA-256 of the serial under a secret key.
fn keyed(mut rng: Rng, write: fn(&[u8]) -> String) -> Rule {
    let key: [u8; 32] = rng.bytes();
    Box::new(move |unit| {
        let code = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
        write(&code.chain_update(&unit.serial).finalize().into_bytes())
    })
}

pub(crate) const FORMATS: &[Format] = &[
    format("base 32 x 12", |rng| {
        random(rng, |rng| rng.text(CROCKFORD, 12))
    }),
    format("base 32 x 13, small", |rng| {
        random(rng, |rng| rng.text(CROCKFORD, 13).to_lowercase())
    }),
    format("base 32 grouped", |rng| {
        random(rng, |rng| grouped(&rng.text(BASE32, 16), 4, '-'))
    }),
    format("hex x 8", |rng| random(rng, |rng| rng.text(HEX, 8))),
    format("hex x 12", |rng| random(rng, |rng| rng.text(HEX_SMALL, 12))),
    format("hex x 16", |rng| random(rng, |rng| rng.text(HEX, 16))),
    format("digits x 6", |rng| random(rng, |rng| rng.text(DIGITS, 6))),
    format("digits x 8", |rng| random(rng, |rng| rng.text(DIGITS, 8))),
    format("digits x 10", |rng| random(rng, |rng| rng.text(DIGITS, 10))),
    format("digits x 16", |rng| random(rng, |rng| rng.text(DIGITS, 16))),
    format("digits grouped", |rng| {
        random(rng, |rng| grouped(&rng.text(DIGITS, 20), 5, ' '))
    }),
    format("three groups of six", |rng| random(rng, groups_of_six)),
    format("birthmark x 4", |rng| {
        random(rng, |rng| words(rng, birthmark(), 4, "-"))
    }),
    format("birthmark x 5", |rng| {
        random(rng, |rng| words(rng, birthmark(), 5, " "))
    }),
    format("birthmark x 6", |rng| {
        random(rng, |rng| words(rng, birthmark(), 6, "."))
    }),
    format("115 words x 6", |rng| {
        random(rng, |rng| {
            words(
                rng,
                ADJECTIVES
                    .split_whitespace()
                    .chain(NOUNS.split_whitespace()),
                6,
                "-",
            )
        })
    }),
    format("hmac, base 32", |rng| {
        keyed(rng, |code| groups_of_bits(code, CROCKFORD, 12))
    }),
    format("hmac, hex", |rng| keyed(rng, |code| hex(&code[..8]))),
    format("hmac, digits", |rng| {
        keyed(rng, |code| number(code, DIGITS, 10))
    }),
    format("hmac, base 58", |rng| {
        keyed(rng, |code| number(code, BASE58, 12))
    }),
    format("hmac, remainders", |rng| {
        keyed(rng, |code| remainders(&code[..12], BASE62))
    }),
    format("hmac, base 64", |rng| {
        keyed(rng, |code| groups_of_bits(code, BASE64, 12))
    }),
    format("class rules", |rng| random(rng, by_class_rules)),
    format("base 62 x 10", |rng| {
        random(rng, |rng| rng.text(BASE62, 10))
    }),
    format("wpa x 20", |rng| {
        random(rng, |rng| rng.text(NO_LOOKALIKES, 20))
    }),
    format("digits x 20", |rng| random(rng, |rng| rng.text(DIGITS, 20))),
    format("matter", |rng| random(rng, matter)),
    format("homekit", |rng| random(rng, homekit)),
    format("base 36 x 10", |rng| {
        random(rng, |rng| rng.text(BASE36, 10))
    }),
    format("base 36 x 14, small", |rng| {
        random(rng, |rng| rng.text(BASE36_SMALL, 14))
    }),
    format("letters x 12", |rng| {
        random(rng, |rng| rng.text(LETTERS, 12))
    }),
    format("prefix, then base 32", |mut rng| {
        let prefix = rng.text(CROCKFORD, 4);
        random(rng, move |rng| {
            format!("{prefix}-{}", rng.text(CROCKFORD, 12))
        })
    }),
    format("printable x 12", |rng| {
        random(rng, |rng| rng.text(&printable(), 12))
    }),
    format("uuid", |rng| random(rng, uuid)),
];

/// As a well-known phone proposes them: 16 small letters, a capital and a digit in any places.
fn groups_of_six(rng: &mut Rng) -> String {
    let mut symbols = rng.text(LETTERS, 18).into_bytes();
    let places = rng.order(18);
    symbols[places[0]] = symbols[places[0]].to_ascii_uppercase();
    symbols[places[1]] = rng.pick(DIGITS.as_bytes());
    grouped(&String::from_utf8_lossy(&symbols), 6, '-')
}

fn birthmark() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../../../credential/words/birthmark.txt").lines();
    lines.filter(|line| !line.starts_with('#'))
}

fn words<'a>(
    rng: &mut Rng,
    from: impl Iterator<Item = &'a str>,
    many: usize,
    between: &str,
) -> String {
    let from: Vec<&str> = from.collect();
    let drawn: Vec<&str> = (0..many).map(|_| rng.pick(&from)).collect();
    drawn.join(between)
}

fn printable() -> String {
    (b'!'..=b'~').map(char::from).collect()
}

/// Drawn again until a capital, a digit and a sign are in it.
fn by_class_rules(rng: &mut Rng) -> String {
    let alphabet = format!("{NO_LOOKALIKES}!#%+=?");
    loop {
        let text = rng.text(&alphabet, 12);
        let has = |is: fn(char) -> bool| text.chars().any(is);
        if has(|c| c.is_ascii_uppercase())
            && has(|c| c.is_ascii_digit())
            && has(|c| c.is_ascii_punctuation())
        {
            return text;
        }
    }
}

/// Matter core 5.1.7.
fn matter(rng: &mut Rng) -> String {
    loop {
        let code = rng.within(1, 99_999_998);
        if !code.is_multiple_of(11_111_111) && code != 12_345_678 && code != 87_654_321 {
            return format!("{code:08}");
        }
    }
}

fn homekit(rng: &mut Rng) -> String {
    let code = matter(rng);
    format!("{}-{}-{}", &code[..3], &code[3..5], &code[5..])
}

/// RFC 9562 version 4.
fn uuid(rng: &mut Rng) -> String {
    let drawn = u128::from(rng.word()) << 64 | u128::from(rng.word());
    let marked = drawn & !(0xF << 76) & !(3 << 62) | 4 << 76 | 2 << 62;
    let text = digits(marked, HEX_SMALL, 32);
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-")
}

/// A clean list with a name that says what it is. The number decides the format and all the rest.
pub(crate) fn clean(seed: Option<u64>, at: usize, most: usize) -> (String, &'static str, List) {
    let format = &FORMATS[at % FORMATS.len()];
    let mut rng = match seed {
        Some(seed) => Rng::new(&format!("clean {seed} {at}")),
        None => Rng::system(),
    };
    let rows = match at % 50 == 49 {
        true => 5_000,
        false => rng.pick(&[10, 17, 30, 64, 100, 180, 300, 600, 1_000]),
    };
    let rows = rows.min(most);
    let factory = Factory::new(rng.fork());
    let rule = (format.draw)(rng.fork());
    let (drawn, shuffled) = (rng.percent(25), rng.percent(35));
    let mut own = rng.fork();
    let mut made: Vec<Row> = made_by(factory, rule, rows, |unit| {
        if drawn {
            scattered(&mut own, unit);
        }
    });
    if shuffled {
        rng.shuffle(&mut made);
    }
    let columns = match rng.below(6) {
        0..=2 => &Column::ALL[..],
        3 => &[Column::Serial],
        4 => &[Column::Mac, Column::Date],
        _ => &[],
    };
    let name = format!(
        "{} N={rows} {} {} columns={}",
        format.id,
        if drawn { "scattered" } else { "counted" },
        if shuffled { "shuffled" } else { "in order" },
        columns.len()
    );
    (name, format.id, list(&made, columns))
}

#[test]
fn clean_lists_are_in_their_format() {
    let mut rng = Rng::new("formats");
    assert_eq!(birthmark().count(), 1_296);
    for _ in 0..200 {
        let code = uuid(&mut rng);
        assert!(code.len() == 36 && &code[14..15] == "4" && "89ab".contains(&code[19..20]));
        assert_eq!(homekit(&mut rng).len(), 10);
        assert_eq!(groups_of_six(&mut rng).len(), 20);
        assert_eq!(by_class_rules(&mut rng).len(), 12);
    }
    for at in 0..FORMATS.len() {
        let (name, _, list) = clean(Some(1), at, 50);
        assert!(list.len() >= 10, "{name}");
    }
}
