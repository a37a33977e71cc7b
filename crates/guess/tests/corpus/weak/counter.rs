//! Class D: counters and dates.

use super::super::encode::{
    BASE36, CAPITALS, CROCKFORD, DIGITS, HEX_SMALL, LETTERS, digits, luhn, reversed,
};
use super::{Scheme, rule, scheme};

const GENERIC: &str = "generic";

pub(super) const SCHEMES: &[Scheme] = &[
    scheme("decimal-up", "D", GENERIC, |rng| {
        let start = rng.below(90_000_000);
        rule(move |unit| format!("{:08}", start + unit.index))
    }),
    scheme("decimal-down", "D", GENERIC, |rng| {
        let start = 10_000_000 + rng.below(80_000_000);
        rule(move |unit| format!("{:08}", start - unit.index))
    }),
    scheme("strided", "DB", "a constant step, ten digits", |rng| {
        let (start, step) = (rng.below(10_000_000_000), rng.within(3, 9_000_000_000));
        rule(move |unit| format!("{:010}", (start + unit.index * step) % 10_000_000_000))
    }),
    scheme("base-36-up", "D", GENERIC, |rng| {
        let start = rng.below(1 << 41);
        rule(move |unit| digits(u128::from(start + unit.index), BASE36, 8))
    }),
    scheme("behind-a-word", "DE", "admin00123", |rng| {
        let (word, start) = (rng.text(LETTERS, 6), rng.below(10_000));
        rule(move |unit| format!("{word}{:06}", start + unit.index))
    }),
    scheme(
        "day-and-number",
        "DA",
        "day of making, then the number within it",
        |rng| {
            let (mut today, mut number) = (String::new(), 0);
            let width = rng.pick(&[4, 5]);
            rule(move |unit| {
                number = if today == unit.ymd() { number + 1 } else { 1 };
                today = unit.ymd();
                format!("{today}{number:0width$}")
            })
        },
    ),
    scheme("time-stamp", "DA", "day and second of making", |_| {
        rule(|unit| {
            let (_, month, day) = unit.day();
            let of_day = unit.second % 86_400;
            let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
            format!("{day:02}{month:02}{hour:02}{minute:02}{second:02}")
        })
    }),
    scheme(
        "unix-time-hex",
        "DAE",
        "seconds since 1970 behind a constant",
        |rng| {
            let mark = rng.text(HEX_SMALL, 4);
            rule(move |unit| format!("{mark}{:08x}", unit.second))
        },
    ),
    scheme(
        "every-symbol-steps",
        "D",
        "BIOS lists: every symbol moves on by one a unit",
        |rng| {
            let starts: Vec<u64> = (0..8).map(|_| rng.below(26)).collect();
            let alphabet = rng.pick(&[CAPITALS, LETTERS]).as_bytes();
            rule(move |unit| {
                let symbol =
                    |start: &u64| char::from(alphabet[((start + unit.index) % 26) as usize]);
                starts.iter().map(symbol).collect()
            })
        },
    ),
    scheme(
        "strange-digits",
        "D",
        "a counter whose digits are letters in no order",
        |rng| {
            let (alphabet, start) = (rng.reordered(CROCKFORD), rng.below(1 << 49));
            rule(move |unit| digits(u128::from(start + unit.index), &alphabet, 10))
        },
    ),
    scheme("checked", "D", "a counter and its check digit", |rng| {
        let start = rng.below(900_000_000);
        rule(move |unit| {
            let number = format!("{:09}", start + unit.index);
            format!("{number}{}", luhn(&number))
        })
    }),
    scheme(
        "lowest-first",
        "D",
        "a counter written from its last digit",
        |rng| {
            let start = rng.below(9_000_000_000);
            rule(move |unit| reversed(&digits(u128::from(start + unit.index), DIGITS, 10)))
        },
    ),
    scheme(
        "week-and-number",
        "DA",
        "year, week, a counter in hexadecimal",
        |rng| {
            let start = rng.below(40_000);
            rule(move |unit| {
                let (year, week) = unit.week();
                format!("W{year:02}{week:02}-{:05x}", start + unit.index)
            })
        },
    ),
];
