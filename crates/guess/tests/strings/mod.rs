//! Strings that people and machines choose badly, from a seed: words in every dress, keyboard
//! walks, sequences, repeats, years and dates, alone and joined, at a given length.

/// Our own words for passphrases, and those that the gate refuses anywhere.
const OWN: [&str; 2] = [
    include_str!("../../../credential/words/birthmark.txt"),
    include_str!("../../words/common.txt"),
];

/// The dictionary itself.
const FREQUENT: &str = include_str!("../../words/frequent.txt");

/// Names and places that no list was asked for.
const NAMES: &str = "liverpool southampton birmingham edinburgh reykjavik ljubljana montevideo \
    kubernetes bluetooth thermostat doorbell dishwasher toothbrush lightbulb refrigerator mower \
    rosalind nathaniel siobhan bartholomew genevieve octavia leopold wilhelmina tremaine abdullah \
    kowalczyk papadopoulos fitzgerald okonkwo yamamoto nakamura oconnell macdonald vandenberg";

const LAYOUTS: [&[&str]; 3] = [
    &["1234567890=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"],
    &["1234567890[]", "',.pyfgcrl/=", "aoeuidhtns", ";qjkxbmwvz"],
    &["789", "456", "123"],
];

const ALPHABETS: [&str; 7] = [
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "0123456789ABCDEFGHJKMNPQRSTVWXYZ#%&*+=?@",
    "0123456789abcdef",
    "0123456789",
];

const LEET: &str = "a4 a@ b8 c( c< e3 g6 g9 i1 i! i| l1 l7 l| o0 s$ s5 t+ t7 x% z2";

/// SplitMix64 (Steele, Lea, Flood 2014) and the lists to draw from.
pub(crate) struct Strings {
    state: u64,
    lists: [Vec<&'static str>; 3],
}

impl Strings {
    pub(crate) fn new(seed: u64) -> Strings {
        let words = |text: &'static str| {
            let lines = text.lines().filter(|line| !line.starts_with(['#', '=']));
            lines.flat_map(str::split_whitespace)
        };
        Strings {
            // Not the step's own constant, or seeds would begin one step apart.
            state: seed.wrapping_mul(0xd134_2543_de82_ef95),
            lists: [
                words(FREQUENT).collect(),
                OWN.into_iter().flat_map(words).collect(),
                words(NAMES).collect(),
            ],
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn random(&mut self, alphabet: &str, length: usize) -> String {
        let symbols = alphabet.as_bytes();
        let mut symbol = || char::from(symbols[self.below(symbols.len())]);
        (0..length).map(|_| symbol()).collect()
    }

    /// One string of so many symbols: one of fourteen drawn at random, the rest put together of
    /// one to three parts and filled up.
    pub(crate) fn draw(&mut self, length: usize) -> String {
        let alphabet = ALPHABETS[self.below(ALPHABETS.len())];
        if self.below(14) == 0 {
            return self.random(alphabet, length);
        }
        let mut text = String::new();
        for part in 0..1 + self.below(3) {
            let room = length - text.len();
            if room < 3 {
                break;
            }
            // The first part is long, or nothing but chance would be left to judge.
            let least = if part == 0 { length.div_ceil(2) } else { 3 };
            let part = self.part(least.min(room), room);
            text = if self.below(2) == 0 {
                text + &part
            } else {
                part + &text
            };
        }
        let filler = match self.below(3) {
            0 => alphabet,
            1 => ALPHABETS[6],
            _ => ALPHABETS[2],
        };
        while text.len() < length {
            let symbol = self.random(filler, 1);
            text = if self.below(4) == 0 {
                symbol + &text
            } else {
                text + &symbol
            };
        }
        text
    }

    fn part(&mut self, least: usize, room: usize) -> String {
        let part = match self.below(10) {
            0..4 => self.word(least, room),
            4 => self.walk(room),
            5 => self.sequence(room),
            6 => self.repeat(room),
            7 => self.date(),
            8 => (1900 + self.below(150)).to_string(),
            _ => {
                let first = self.word(3, room.div_ceil(2));
                let second = self.word(3, room.saturating_sub(first.len()).max(3));
                first + &second
            }
        };
        part[..part.len().min(room)].to_owned()
    }

    /// A word of a fitting length, in some dress.
    fn word(&mut self, least: usize, most: usize) -> String {
        let list = [0, 0, 0, 1, 2][self.below(5)];
        let mut word = "";
        for _ in 0..200 {
            let nth = self.below(self.lists[list].len());
            word = self.lists[list][nth];
            if (least..=most).contains(&word.len()) && !word.contains('-') {
                break;
            }
        }
        let word = word.replace('-', "");
        self.dressed(&word)
    }

    fn dressed(&mut self, word: &str) -> String {
        let mut word = word.to_owned();
        if self.below(3) == 0 {
            // All of one letter, or some of each.
            let customs: Vec<&str> = LEET.split(' ').collect();
            for _ in 0..1 + self.below(3) {
                let custom = customs[self.below(customs.len())].as_bytes();
                let always = self.below(2) == 0;
                let [from, to] = [custom[0], custom[1]].map(char::from);
                let mut letter = |letter: char| match letter == from {
                    true if always || self.below(2) == 0 => to,
                    _ => letter,
                };
                word = word.chars().map(&mut letter).collect();
            }
        }
        if self.below(4) == 0 {
            word = word.chars().rev().collect();
        }
        match self.below(5) {
            0 => word.to_ascii_uppercase(),
            1 => word[..1].to_ascii_uppercase() + &word[1..],
            2 => {
                let mut letter = |letter: char| match self.below(3) {
                    0 => letter.to_ascii_uppercase(),
                    _ => letter,
                };
                word.chars().map(&mut letter).collect()
            }
            _ => word,
        }
    }

    /// From key to neighbouring key, seldom turning.
    fn walk(&mut self, longest: usize) -> String {
        const WAYS: [(i8, i8); 8] = [
            (1, 0),
            (-1, 0),
            (0, 1),
            (0, -1),
            (1, -1),
            (-1, 1),
            (1, 1),
            (-1, -1),
        ];
        let layout = LAYOUTS[self.below(LAYOUTS.len())];
        let (mut x, mut y) = (self.below(10) as i8, self.below(4) as i8);
        let mut way = WAYS[self.below(WAYS.len())];
        let key = |x: i8, y: i8| {
            let row = layout.get(usize::try_from(y).ok()?)?.as_bytes();
            row.get(usize::try_from(x).ok()?).copied()
        };
        let shifted = self.below(4) == 0;
        let mut walk = String::new();
        for _ in 0..100 {
            if walk.len() == 4 + longest.saturating_sub(4).min(8) {
                break;
            }
            if self.below(4) == 0 {
                way = WAYS[self.below(WAYS.len())];
            }
            let next = (x + way.0, y + way.1);
            let Some(symbol) = key(next.0, next.1) else {
                way = WAYS[self.below(WAYS.len())];
                continue;
            };
            (x, y) = next;
            walk.push(char::from(symbol));
        }
        match shifted {
            true => walk.to_ascii_uppercase(),
            false => walk,
        }
    }

    fn sequence(&mut self, longest: usize) -> String {
        let from = [b"0", b"A", b"a"][self.below(3)][0];
        let span = if from == b'0' { 10 } else { 26 };
        let step = [1, 1, 2, 3, 4, 5][self.below(6)];
        let mut at = self.below(span);
        let down = self.below(2) == 0;
        let mut sequence = String::new();
        for _ in 0..3 + self.below(longest.max(4)) {
            sequence.push(char::from(from + at as u8));
            let next = if down {
                at.checked_sub(step)
            } else {
                Some(at + step)
            };
            match next.filter(|next| *next < span) {
                Some(next) => at = next,
                None => break,
            }
        }
        sequence
    }

    fn repeat(&mut self, room: usize) -> String {
        let length = 1 + self.below(room.div_ceil(2));
        let base = match self.below(3) {
            0 => self.random(ALPHABETS[3], length),
            1 => self.random(ALPHABETS[6], length),
            _ => self.word(3, length.max(3)),
        };
        base.repeat(2 + self.below(4))
    }

    fn date(&mut self) -> String {
        let year = 1950 + self.below(100);
        let (month, day) = (1 + self.below(12), 1 + self.below(31));
        let separator = ["", "", "/", ".", "_"][self.below(5)];
        let year = match self.below(3) {
            0 => format!("{:02}", year % 100),
            _ => year.to_string(),
        };
        match self.below(4) {
            0 => format!("{year}{separator}{month:02}{separator}{day:02}"),
            1 => format!("{day:02}{separator}{month:02}{separator}{year}"),
            2 => format!("{month}{separator}{day}{separator}{year}"),
            _ => format!("{day}{separator}{month}{separator}{year}"),
        }
    }
}
