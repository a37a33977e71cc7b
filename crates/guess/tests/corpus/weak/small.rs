//! Class E: small spaces.

use super::super::draw::Rng;
use super::super::encode::{BASE62, CAPITALS, CROCKFORD, DIGITS, HEX, LETTERS, NO_LOOKALIKES};
use super::{Scheme, rule, scheme};

const GENERIC: &str = "generic";

pub(crate) const ADJECTIVES: &str = "brave breezy calm classy clever cosmic crispy curly \
    dizzy eager fancy fluffy fuzzy gentle gifted happy heavy icy jolly jumpy kind large little \
    lucky mighty modern narrow noisy orange perfect pink pretty purple quick quiet rapid rocky \
    round rustic shiny silent silly smooth strong sunny sweet tall unusual vast watery wide witty";

pub(crate) const NOUNS: &str = "apple balloon banana bird boat bread bridge canoe carrot \
    chair cloud coconut daisy diamond dragon elephant finch flower forest fox garden guitar hat \
    hill jade kayak koala lake lotus mango meadow moon mountain ocean owl panda panther piano \
    planet prairie quail river road rose sailor shoe sky socks star table teapot tomato trail \
    train tree trumpet tulip unicorn valley violet water wind";

const COMMON: &str = "password welcome dragon monkey sunshine princess football letmein superman \
    master shadow flower hello freedom qwerty router internet";

fn word(rng: &mut Rng, words: &str) -> String {
    let words: Vec<&str> = words.split_whitespace().collect();
    rng.pick(&words).to_owned()
}

fn capital(word: &str) -> String {
    let mut symbols: Vec<char> = word.chars().collect();
    symbols[0] = symbols[0].to_ascii_uppercase();
    symbols.into_iter().collect()
}

/// Randomness of a scheme's own, which goes on from unit to unit.
fn own(rng: &mut Rng) -> Rng {
    Rng::new(&rng.word().to_string())
}

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(
        "netgear",
        "E",
        "NETGEAR: adjective, noun, three digits",
        |rng| {
            let mut rng = own(rng);
            rule(move |_| {
                let (first, second) = (word(&mut rng, ADJECTIVES), word(&mut rng, NOUNS));
                format!("{first}{second}{}", rng.text(DIGITS, 3))
            })
        },
    ),
    scheme(
        "words-and-digits",
        "E",
        "two words of a pool of 64, a hyphen, two digits",
        |rng| {
            let mut rng = own(rng);
            let pool: Vec<String> = (0..64).map(|_| rng.text(LETTERS, 6)).collect();
            rule(move |_| {
                let pair = [rng.index(64), rng.index(64)].map(|at| capital(&pool[at]));
                format!("{}-{}", pair.concat(), rng.text(DIGITS, 2))
            })
        },
    ),
    scheme(
        "word-and-year",
        "E",
        "a capital word, four digits, a sign",
        |rng| {
            let mut rng = own(rng);
            rule(move |_| {
                format!(
                    "{}{}!",
                    capital(&word(&mut rng, NOUNS)),
                    rng.text(DIGITS, 4)
                )
            })
        },
    ),
    scheme(
        "common-words",
        "E",
        "a common password, its letters as digits, two digits",
        |rng| {
            let mut rng = own(rng);
            rule(move |_| {
                let mut text = capital(&word(&mut rng, COMMON));
                if rng.percent(60) {
                    text = text.replace('o', "0").replace('a', "@");
                }
                format!("{text}{}", rng.text(DIGITS, 2))
            })
        },
    ),
    scheme(
        "shared-start",
        "E",
        "eight symbols that all units share, then four of their own",
        |rng| {
            let mut rng = own(rng);
            let start = rng.text(CROCKFORD, 8);
            rule(move |_| format!("{start}{}", rng.text(CROCKFORD, 4)))
        },
    ),
    scheme(
        "shared-end",
        "E",
        "five digits, then the brand and a year",
        |rng| {
            let mut rng = own(rng);
            let end = format!(
                "@{}20{}",
                capital(&rng.text(LETTERS, 5)),
                rng.within(20, 29)
            );
            rule(move |_| format!("{}{end}", rng.text(DIGITS, 5)))
        },
    ),
    scheme("four-digits", "E", "a four-digit PIN", |rng| {
        let mut rng = own(rng);
        rule(move |_| rng.text(DIGITS, 4))
    }),
    scheme("four-symbols", "E", "ten symbols of four", |rng| {
        let mut rng = own(rng);
        let few = rng.reordered(CAPITALS)[..4].to_owned();
        rule(move |_| rng.text(&few, 10))
    }),
    scheme(
        "pool",
        "E",
        "a few hundred passwords, drawn again and again",
        |rng| {
            let mut rng = own(rng);
            let many = rng.within(40, 400);
            let pool: Vec<String> = (0..many).map(|_| rng.text(NO_LOOKALIKES, 12)).collect();
            rule(move |_| pool[rng.index(pool.len())].clone())
        },
    ),
    scheme(
        "pronounceable",
        "E",
        "consonant and vowel by turns, two digits",
        |rng| {
            let mut rng = own(rng);
            rule(move |_| {
                let syllable =
                    |rng: &mut Rng| rng.text("bdfgklmnprstvz", 1) + &rng.text("aeiou", 1);
                let word: String = (0..4).map(|_| syllable(&mut rng)).collect();
                format!("{word}{}", rng.text(DIGITS, 2))
            })
        },
    ),
    scheme(
        "uneven-symbols",
        "E",
        "twelve symbols, a few of them far too often",
        |rng| {
            let mut rng = own(rng);
            let (often, all) = (rng.text(CROCKFORD, 2), CROCKFORD);
            rule(move |_| {
                let symbol = |_| match rng.percent(75) {
                    true => rng.text(&often, 1),
                    false => rng.text(all, 1),
                };
                (0..12).map(symbol).collect()
            })
        },
    ),
    scheme("block-repeated", "E", "four symbols, three times", |rng| {
        let mut rng = own(rng);
        rule(move |_| rng.text(BASE62, 4).repeat(3))
    }),
    scheme(
        "near-copies",
        "E",
        "one password with two symbols changed",
        |rng| {
            let mut rng = own(rng);
            let first = rng.text(HEX, 16);
            rule(move |_| {
                let mut symbols = first.clone().into_bytes();
                for _ in 0..2 {
                    let place = rng.index(16);
                    symbols[place] = rng.pick(HEX.as_bytes());
                }
                symbols.into_iter().map(char::from).collect()
            })
        },
    ),
];
