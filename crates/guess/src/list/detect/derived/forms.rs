//! What lazy schemes hash: an identifier in some spelling, or a few of them in a row.

use std::collections::HashSet;

use super::spelling::Spelling;
use super::unit::Unit;
use super::verbatim::clause;
use crate::Clause;
use crate::list::Column;

/// Words that schemes add, and call a salt.
const SALTS: [&str; 16] = [
    "admin", "password", "salt", "secret", "key", "default", "wifi", "wpa", "root", "user",
    "router", "Admin", "PASSWORD", "SALT", "WIFI", "pwd",
];

/// One part of what is hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Cell(Column, Spelling),
    Word(&'static str),
}

/// What is hashed.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) pieces: Vec<Piece>,
    /// Whether the first piece is the key of an HMAC over the others.
    pub(super) keyed: bool,
    /// Whether it is tried with the common digests only.
    pub(super) rare: bool,
}

fn hex(capitals: bool, separator: u8) -> Spelling {
    Spelling::Hex {
        step: 0,
        low: false,
        capitals,
        separator,
    }
}

/// All of them, the plainest first.
pub(super) fn all() -> Vec<Form> {
    let mut forms = Forms(vec![]);
    forms.single();
    forms.ended();
    forms.pairs();
    forms.salted();
    forms.keyed();
    forms.0
}

/// Those of [`all`] that these units have, each once.
pub(super) fn present(units: &[Unit<'_>]) -> Vec<Form> {
    let mut known = HashSet::new();
    let mut forms = all();
    forms.retain(|form| {
        let mut any = false;
        let texts: Vec<Option<Vec<u8>>> = units
            .iter()
            .map(|unit| {
                let mut text = vec![];
                let key = form.write(unit, &mut text)?;
                any = true;
                text.extend((key as u32).to_be_bytes());
                Some(text)
            })
            .collect();
        any && known.insert((form.keyed, texts))
    });
    forms
}

struct Forms(Vec<Form>);

/// Identifiers as they are put together with others.
const USUAL: [Piece; 11] = [
    Piece::Cell(Column::Serial, Spelling::AsIs),
    Piece::Cell(
        Column::Mac,
        Spelling::Hex {
            step: 0,
            low: false,
            capitals: true,
            separator: 0,
        },
    ),
    Piece::Cell(
        Column::Mac,
        Spelling::Hex {
            step: 0,
            low: false,
            capitals: false,
            separator: 0,
        },
    ),
    Piece::Cell(
        Column::Mac,
        Spelling::Hex {
            step: 0,
            low: false,
            capitals: true,
            separator: b':',
        },
    ),
    Piece::Cell(
        Column::Mac,
        Spelling::Hex {
            step: 0,
            low: false,
            capitals: false,
            separator: b':',
        },
    ),
    Piece::Cell(
        Column::Mac,
        Spelling::Bytes {
            step: 0,
            low: false,
        },
    ),
    Piece::Cell(Column::Uid, Spelling::AsIs),
    Piece::Cell(Column::Ssid, Spelling::AsIs),
    Piece::Cell(Column::Model, Spelling::AsIs),
    Piece::Cell(Column::Date, Spelling::AsIs),
    Piece::Cell(Column::Date, Spelling::Digits),
];

impl Forms {
    fn add(&mut self, rare: bool, pieces: &[Piece]) {
        self.0.push(Form {
            pieces: pieces.to_vec(),
            keyed: false,
            rare,
        });
    }

    fn cell(&mut self, column: Column, spelling: Spelling) {
        self.add(false, &[Piece::Cell(column, spelling)]);
    }

    fn single(&mut self) {
        for column in [Column::Serial, Column::Ssid, Column::Model, Column::Date] {
            for spelling in [
                Spelling::AsIs,
                Spelling::Capitals,
                Spelling::Small,
                Spelling::Stripped,
                Spelling::Digits,
            ] {
                self.cell(column, spelling);
            }
        }
        for column in [Column::Mac, Column::Uid] {
            for separator in [0, b':', b'-', b'.'] {
                self.cell(column, hex(true, separator));
                self.cell(column, hex(false, separator));
            }
            let (step, low) = (0, false);
            self.cell(column, Spelling::Bytes { step, low });
            self.cell(column, Spelling::Decimal);
        }
        self.cell(
            Column::Serial,
            Spelling::Bytes {
                step: 0,
                low: false,
            },
        );
        for (step, low) in [(0, true), (1, false), (-1, false), (2, false), (-2, false)] {
            self.cell(Column::Mac, Spelling::Bytes { step, low });
            for (capitals, separator) in [(true, 0), (false, 0), (true, b':'), (false, b':')] {
                let spelling = Spelling::Hex {
                    step,
                    low,
                    capitals,
                    separator,
                };
                self.cell(Column::Mac, spelling);
            }
        }
    }

    /// With the end that a shell's echo or a C string leaves there.
    fn ended(&mut self) {
        for piece in &USUAL[..7] {
            for end in ["\n", "\r\n", "\0"] {
                self.add(true, &[*piece, Piece::Word(end)]);
            }
        }
    }

    fn pairs(&mut self) {
        for first in USUAL {
            for second in USUAL {
                let (Piece::Cell(one, _), Piece::Cell(other, _)) = (first, second) else {
                    continue;
                };
                if one == other {
                    continue;
                }
                for separator in ["", "-", ":", "_"] {
                    let between = Piece::Word(separator);
                    self.add(true, &[first, between, second]);
                    let model = Piece::Cell(Column::Model, Spelling::AsIs);
                    if one == Column::Serial && other == Column::Mac {
                        self.add(true, &[model, between, first, between, second]);
                        self.add(true, &[first, between, second, between, model]);
                    }
                }
            }
        }
    }

    fn salted(&mut self) {
        for piece in &USUAL[..5] {
            for salt in SALTS {
                self.add(true, &[Piece::Word(salt), *piece]);
                self.add(true, &[*piece, Piece::Word(salt)]);
            }
        }
    }

    fn keyed(&mut self) {
        let words = ["", "secret", "key", "password", "admin", "default"];
        for message in USUAL {
            for key in words.map(Piece::Word).into_iter().chain(USUAL) {
                let same = match (key, message) {
                    (Piece::Cell(one, _), Piece::Cell(other, _)) => one == other,
                    _ => false,
                };
                if !same {
                    self.0.push(Form {
                        pieces: vec![key, message],
                        keyed: true,
                        rare: true,
                    });
                }
            }
        }
    }
}

impl Form {
    /// Writes what is hashed; says where the first piece ends, `None` when the unit lacks one.
    pub(super) fn write(&self, unit: &Unit<'_>, out: &mut Vec<u8>) -> Option<usize> {
        let mut first = None;
        for piece in &self.pieces {
            match piece {
                Piece::Word(word) => out.extend(word.as_bytes()),
                Piece::Cell(column, spelling) => spelling.write(*column, unit, out)?,
            }
            first = first.or(Some(out.len()));
        }
        first
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        let mut names = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Word("\n" | "\r\n") => Some("a line end".to_owned()),
            Piece::Word("\0") => Some("a zero byte".to_owned()),
            Piece::Word("") if !self.keyed => None,
            Piece::Word(word) => Some(format!("\"{word}\"")),
            Piece::Cell(column, spelling) => Some(spelling.name(*column)),
        });
        if self.keyed {
            let key = names.next().unwrap_or_default();
            return format!("{} under the key {key}", names.collect::<String>());
        }
        names.collect::<Vec<_>>().join(" + ")
    }

    /// The limb that a hash of it breaks.
    pub(super) fn clause(&self) -> Clause {
        let identifies = |piece: &Piece| match piece {
            Piece::Cell(column, _) => clause(*column) == Clause::Identifier,
            Piece::Word(_) => false,
        };
        match self.pieces.iter().any(identifies) {
            true => Clause::Identifier,
            false => Clause::Public,
        }
    }
}
