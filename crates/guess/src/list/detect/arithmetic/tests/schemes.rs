//! Test lists: the weak schemes.

use crate::Clause;

use super::lists::{BASE32, BASE36, DIGITS, HEX, LETTERS, Random, Unit, units, written};

/// How a scheme makes the passwords of all units, in the order in which they are built.
pub(super) type Scheme = fn(&mut Random, &[Unit]) -> Vec<Vec<u8>>;

fn each(units: &[Unit], make: impl FnMut(&Unit) -> Vec<u8>) -> Vec<Vec<u8>> {
    units.iter().map(make).collect()
}

fn counted(
    units: &[Unit],
    start: u128,
    step: u128,
    alphabet: &[u8],
    length: usize,
) -> Vec<Vec<u8>> {
    let modulus = (alphabet.len() as u128).pow(length as u32);
    let at = |n: usize| (start + n as u128 * step) % modulus;
    (0..units.len())
        .map(|n| written(at(n), alphabet, length))
        .collect()
}

fn crc(random: &mut Random, bits: u32) -> impl Fn(&[u8]) -> u64 + use<> {
    let (polynomial, start) = (
        random.next() >> (64 - bits) | 1 << (bits - 1),
        random.next(),
    );
    move |bytes| {
        let mut state = start >> (64 - bits);
        for &byte in bytes {
            state ^= u64::from(byte);
            for _ in 0..8 {
                state = if state & 1 == 1 {
                    state >> 1 ^ polynomial
                } else {
                    state >> 1
                };
            }
        }
        state
    }
}

fn lfsr(random: &mut Random, units: &[Unit], steps: u32) -> Vec<Vec<u8>> {
    let (taps, mut state) = (random.next() >> 4 | 1 << 59, random.next() >> 4 | 1);
    each(units, |_| {
        for _ in 0..steps {
            state = if state & 1 == 1 {
                state >> 1 ^ taps
            } else {
                state >> 1
            };
        }
        written(state.into(), BASE32, 12)
    })
}

fn mixed(random: &mut Random, weak: Vec<Vec<u8>>, percent: u64, alphabet: &[u8]) -> Vec<Vec<u8>> {
    let keep = |random: &mut Random| random.below(100) < percent;
    weak.into_iter()
        .map(|weak| {
            if keep(random) {
                weak
            } else {
                random.text(alphabet, weak.len())
            }
        })
        .collect()
}

fn affine(
    random: &mut Random,
    units: &[Unit],
    of: fn(&Unit) -> u64,
    modulus: u128,
    (alphabet, length): (&[u8], usize),
) -> Vec<Vec<u8>> {
    let (a, b) = (u128::from(random.next()), u128::from(random.next()));
    each(units, |unit| {
        written((a * u128::from(of(unit)) + b) % modulus, alphabet, length)
    })
}

fn tables(random: &mut Random, places: usize) -> Vec<[u8; 256]> {
    let mut table = || std::array::from_fn(|_| random.next() as u8);
    (0..places).map(|_| table()).collect()
}

/// Counters and orders.
pub(super) const COUNTERS: &[(&str, Clause, Scheme)] = &[
    ("decimal counter", Clause::Counter, |r, u| {
        counted(u, r.below(50_000_000).into(), 1, DIGITS, 8)
    }),
    ("base 32 counter with a stride", Clause::Counter, |r, u| {
        counted(
            u,
            u128::from(r.next() >> 5),
            1 + u128::from(r.below(500)),
            BASE32,
            12,
        )
    }),
    ("counter with a large stride", Clause::Counter, |r, u| {
        counted(u, r.next().into(), u128::from(r.next() >> 4), BASE32, 12)
    }),
    (
        "counter, least first, hexadecimal",
        Clause::Counter,
        |r, u| {
            let mut made = counted(
                u,
                r.below(1 << 30).into(),
                1 + u128::from(r.below(9)),
                HEX,
                8,
            );
            made.iter_mut().for_each(|text| text.reverse());
            made
        },
    ),
    (
        "counter in base 36, letters first",
        Clause::Counter,
        |r, u| {
            let letters_first = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
            counted(
                u,
                r.next().into(),
                1 + u128::from(r.below(50)),
                letters_first,
                10,
            )
        },
    ),
    ("counter behind a constant", Clause::Counter, |r, u| {
        let (start, prefix) = (r.below(100_000), r.text(LETTERS, 4));
        let made = counted(u, start.into(), 1, DIGITS, 6);
        made.into_iter()
            .map(|text| [prefix.clone(), text].concat())
            .collect()
    }),
    ("counter between random symbols", Clause::Counter, |r, u| {
        let made = counted(u, r.next().into(), 1 + u128::from(r.below(9)), BASE32, 6);
        made.into_iter()
            .map(|text| [r.text(BASE32, 3), text, r.text(BASE32, 3)].concat())
            .collect()
    }),
    ("counter before a random part", Clause::Counter, |r, u| {
        let made = counted(u, r.below(900_000).into(), 1, DIGITS, 6);
        made.into_iter()
            .map(|text| [text, r.text(DIGITS, 4)].concat())
            .collect()
    }),
    ("counter that wraps", Clause::Counter, |r, u| {
        let start = 32u128.pow(6) - 1 - u128::from(r.below(u.len() as u64));
        counted(u, start, 1, BASE32, 6)
    }),
    (
        "counters of three stations in turn",
        Clause::Counter,
        |r, u| {
            let mut at: Vec<u128> = (0..3).map(|_| u128::from(r.next() >> 8)).collect();
            let mut turn = 0;
            each(u, |_| {
                turn = (turn + 1) % 3;
                at[turn] += 1;
                written(at[turn], BASE32, 12)
            })
        },
    ),
    (
        "counters of three stations at random",
        Clause::Counter,
        |r, u| {
            let mut at: Vec<u128> = (0..3).map(|_| u128::from(r.next() >> 8)).collect();
            each(u, |_| {
                let turn = r.below(3) as usize;
                at[turn] += 1;
                written(at[turn], BASE32, 12)
            })
        },
    ),
    (
        "counter of the day behind the date",
        Clause::Counter,
        |_, u| {
            let mut counter = (0, 0);
            each(u, |unit| {
                counter = (
                    unit.day,
                    if unit.day == counter.0 {
                        counter.1 + 1
                    } else {
                        0
                    },
                );
                let (month, day) = (1 + unit.day / 28 % 12, 1 + unit.day % 28);
                format!("25{month:02}{day:02}{:04}", counter.1).into_bytes()
            })
        },
    ),
    ("small random steps", Clause::Counter, |r, u| {
        let mut at = r.next() >> 5;
        each(u, |_| {
            at += 1 + r.below(1000);
            written(at.into(), BASE32, 12)
        })
    }),
    ("a step that grows", Clause::Counter, |r, u| {
        let (a, b, c) = (r.below(1 << 30), r.below(1 << 30), r.below(1 << 30));
        let mut n = 0u128;
        each(u, |_| {
            n += 1;
            let value = u128::from(a) * n * n + u128::from(b) * n + u128::from(c);
            written(value % 100_000_000, DIGITS, 8)
        })
    }),
    ("counter in 9 rows of 10", Clause::Counter, |r, u| {
        let weak = counted(u, u128::from(r.next() >> 8), 1, BASE32, 12);
        mixed(r, weak, 90, BASE32)
    }),
    ("counter in 1 row of 10", Clause::Counter, |r, u| {
        let weak = counted(u, u128::from(r.next() >> 8), 1, BASE32, 12);
        mixed(r, weak, 10, BASE32)
    }),
    (
        "31 bits spread over 12 symbols",
        Clause::Guessable,
        |r, u| {
            let modulus = 36u128.pow(12);
            each(u, |_| {
                written((u128::from(r.next() >> 33) * modulus) >> 31, BASE36, 12)
            })
        },
    ),
    ("multiples of a constant", Clause::Counter, |r, u| {
        let constant = u128::from(r.next() >> 37);
        each(u, |_| {
            written(u128::from(r.next() >> 33) * constant, BASE36, 12)
        })
    }),
];

/// Functions of an identifier.
pub(super) const IDENTIFIERS: &[(&str, Clause, Scheme)] = &[
    ("a serial + b mod 10^8", Clause::Identifier, |r, u| {
        affine(r, u, |u| u.serial, 100_000_000, (DIGITS, 8))
    }),
    ("a serial + b mod 32^12", Clause::Identifier, |r, u| {
        affine(r, u, |u| u.serial, 1 << 60, (BASE32, 12))
    }),
    (
        "a serial + b mod 2^32, decimal",
        Clause::Identifier,
        |r, u| affine(r, u, |u| u.serial, 1 << 32, (DIGITS, 10)),
    ),
    ("a serial + b mod a prime", Clause::Identifier, |r, u| {
        affine(r, u, |u| u.serial, 2_821_109_907_407, (BASE36, 8))
    }),
    ("a MAC + b mod 26^10", Clause::Identifier, |r, u| {
        affine(r, u, |u| u.mac, 26u128.pow(10), (LETTERS, 10))
    }),
    ("a day + b mod 36^8", Clause::Public, |r, u| {
        affine(r, u, |u| u.day, 36u128.pow(8), (BASE36, 8))
    }),
    ("MAC XOR a constant", Clause::Identifier, |r, u| {
        let constant = r.next() >> 16;
        each(u, |unit| written((unit.mac ^ constant).into(), HEX, 12))
    }),
    ("bits of the MAC permuted", Clause::Identifier, |r, u| {
        let (mut order, constant) = ((0..48).collect::<Vec<u64>>(), r.next() >> 16);
        r.shuffle(&mut order);
        each(u, |unit| {
            let moved = order
                .iter()
                .fold(0, |to, bit| to << 1 | (unit.mac >> bit & 1));
            written((moved ^ constant).into(), HEX, 12)
        })
    }),
    (
        "CRC-32 of the serial, constants unknown",
        Clause::Identifier,
        |r, u| {
            let crc = crc(r, 32);
            each(u, |unit| written(crc(&unit.serial_text()).into(), HEX, 8))
        },
    ),
    ("CRC-32 of the MAC mod 10^8", Clause::Identifier, |r, u| {
        let crc = crc(r, 32);
        each(u, |unit| {
            written(crc(&unit.mac.to_be_bytes()).into(), DIGITS, 8)
        })
    }),
    (
        "CRC-60 of the serial, base 32",
        Clause::Identifier,
        |r, u| {
            let crc = crc(r, 60);
            each(u, |unit| {
                written(crc(&unit.serial_text()).into(), BASE32, 12)
            })
        },
    ),
    ("LFSR, one step a unit", Clause::Counter, |r, u| {
        lfsr(r, u, 1)
    }),
    ("LFSR, 60 steps a unit", Clause::Counter, |r, u| {
        lfsr(r, u, 60)
    }),
    ("Gray code of the serial", Clause::Identifier, |r, u| {
        let constant = r.next() >> 4;
        each(u, |unit| {
            let gray = unit.serial ^ unit.serial >> 1;
            written((gray ^ constant).into(), BASE32, 12)
        })
    }),
    (
        "digits of the serial by tables",
        Clause::Identifier,
        |r, u| {
            let tables = tables(r, 12);
            each(u, |unit| {
                let serial = unit.serial_text();
                let symbols = serial.iter().zip(&tables);
                symbols
                    .map(|(&byte, table)| BASE36[usize::from(table[usize::from(byte)]) % 36])
                    .collect()
            })
        },
    ),
    (
        "a digit + b of each digit mod 10",
        Clause::Identifier,
        |r, u| {
            let (a, b) = ([1, 3, 7, 9][r.below(4) as usize], r.text(DIGITS, 8));
            each(u, |unit| {
                let digits = written(unit.serial.into(), DIGITS, 8);
                let symbols = digits.iter().zip(&b);
                symbols
                    .map(|(d, b)| b'0' + ((d - b'0') * a + (b - b'0')) % 10)
                    .collect()
            })
        },
    ),
    ("Vigenere of the serial", Clause::Identifier, |r, u| {
        let key: Vec<u64> = (0..8).map(|_| r.below(26)).collect();
        each(u, |unit| {
            let digits = written(unit.serial.into(), DIGITS, 8);
            let symbols = digits.iter().zip(&key);
            symbols
                .map(|(d, k)| LETTERS[((u64::from(d - b'0') + k) % 26) as usize])
                .collect()
        })
    }),
    ("tables of characters XORed", Clause::Identifier, |r, u| {
        let tables: Vec<Vec<[u8; 256]>> = (0..8).map(|_| tables(r, 12)).collect();
        each(u, |unit| {
            let mac = written(unit.mac.into(), HEX, 12);
            let symbol = |tables: &Vec<[u8; 256]>| {
                let values = mac
                    .iter()
                    .zip(tables)
                    .map(|(&c, table)| table[usize::from(c)]);
                HEX[usize::from(values.fold(0, |a, b| a ^ b) & 15)]
            };
            tables.iter().map(symbol).collect()
        })
    }),
    ("sums and XORs of nibbles", Clause::Identifier, |_, u| {
        each(u, |unit| {
            let (m, s) = (
                |n: u32| unit.mac >> (4 * n) & 15,
                |n: u32| unit.serial / 10u64.pow(n) % 10,
            );
            let (k1, k2) = (
                (s(0) + s(1) + m(2) + m(3)) & 15,
                (s(2) + s(3) + m(0) + m(1)) & 15,
            );
            let nibbles = [
                k1 ^ s(0),
                k2 ^ m(1),
                m(0) ^ s(1),
                k1 ^ s(1),
                k2 ^ m(2),
                m(3) ^ s(2),
                k1 ^ k2,
                m(2) ^ s(3),
            ];
            nibbles.iter().map(|&n| HEX[n as usize]).collect()
        })
    }),
    (
        "(a n + b) mod 57 mod 26 for each symbol",
        Clause::Identifier,
        |r, u| {
            let constants: Vec<(u64, u64)> =
                (0..8).map(|_| (1 + r.below(56), r.below(57))).collect();
            each(u, |unit| {
                let symbol =
                    |&(a, b): &(u64, u64)| LETTERS[((a * unit.serial + b) % 57 % 26) as usize];
                constants.iter().map(symbol).collect()
            })
        },
    ),
    (
        "multiplied and shifted MAC, hexadecimal",
        Clause::Identifier,
        |r, u| {
            let factor = r.next() | 1;
            each(u, |unit| {
                written((unit.mac.wrapping_mul(factor) & 0xffff_ffff).into(), HEX, 8)
            })
        },
    ),
    ("half from the date, half random", Clause::Public, |r, u| {
        let secret = r.next();
        each(u, |unit| {
            let mut keyed = Random(secret ^ unit.day << 32);
            [keyed.text(BASE32, 6), r.text(BASE32, 6)].concat()
        })
    }),
    (
        "half from the last 2 digits of the serial",
        Clause::Identifier,
        |r, u| {
            let secret = r.next();
            each(u, |unit| {
                let mut keyed = Random(secret ^ (unit.serial % 100) << 32);
                [r.text(DIGITS, 4), keyed.text(DIGITS, 4)].concat()
            })
        },
    ),
    (
        "MAC of the row before, multiplied",
        Clause::Identifier,
        |r, u| {
            let mut made = affine(r, u, |u| u.mac, 1 << 60, (BASE32, 12));
            made.rotate_right(1);
            made
        },
    ),
    (
        "a serial + b in 9 rows of 10",
        Clause::Identifier,
        |r, u| {
            let weak = affine(r, u, |u| u.serial, 36u128.pow(9), (BASE36, 9));
            mixed(r, weak, 90, BASE36)
        },
    ),
    ("a serial + b in 1 row of 10", Clause::Identifier, |r, u| {
        let weak = affine(r, u, |u| u.serial, 36u128.pow(9), (BASE36, 9));
        mixed(r, weak, 10, BASE36)
    }),
    (
        "MAC XOR a constant in 9 rows of 10",
        Clause::Identifier,
        |r, u| {
            let constant = r.next() >> 16;
            let weak = each(u, |unit| written((unit.mac ^ constant).into(), HEX, 12));
            mixed(r, weak, 90, HEX)
        },
    ),
    (
        "CRC-60 of the serial in 1 row of 10",
        Clause::Identifier,
        |r, u| {
            let crc = crc(r, 60);
            let weak = each(u, |unit| {
                written(crc(&unit.serial_text()).into(), BASE32, 12)
            });
            mixed(r, weak, 10, BASE32)
        },
    ),
];

/// A scheme's list: units in the order they were built, or in none.
pub(super) fn weak(
    scheme: Scheme,
    seed: u64,
    rows: usize,
    (sparse, shuffled): (bool, bool),
) -> (Vec<Unit>, Vec<Vec<u8>>) {
    let mut random = Random(seed);
    let units = units(&mut random, rows, sparse);
    let passwords = scheme(&mut random, &units);
    let mut rows: Vec<(Unit, Vec<u8>)> = units.into_iter().zip(passwords).collect();
    if shuffled {
        random.shuffle(&mut rows);
    }
    rows.into_iter().unzip()
}
