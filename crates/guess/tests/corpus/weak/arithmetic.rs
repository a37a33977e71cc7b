//! Class B: arithmetic, XOR, permutation or substitution of an identifier, constants unknown.

use super::super::encode::{
    BASE36, CAPITALS, CROCKFORD, DIGITS, HEX, LETTERS, crc32, digits, nibble, tail, wps,
};
use super::super::generators::galois;
use super::super::units::Unit;
use super::{Scheme, rule, scheme};

const GENERIC: &str = "generic";

pub(super) const SCHEMES: &[Scheme] = &[
    scheme(
        "dlink-wps",
        "B",
        "D-Link WPS PIN from the NIC half (2014)",
        |rng| {
            let mask = rng.pick(&[0x55_AA55, 0xAA_55AA, 0x5A_A55A]);
            rule(move |unit| {
                let mut pin = unit.nic() ^ mask;
                let low = pin & 0xF;
                pin ^= (low << 4) + (low << 8) + (low << 12) + (low << 16) + (low << 20);
                pin %= 10_000_000;
                if pin < 1_000_000 {
                    pin += pin % 9 * 1_000_000 + 1_000_000;
                }
                wps(pin)
            })
        },
    ),
    scheme(
        "belkin-wps",
        "B",
        "Belkin WPS PIN from MAC and serial (2015)",
        |_| rule(|unit| wps(belkin(unit))),
    ),
    scheme(
        "easybox",
        "B",
        "EasyBox nibble sums and XORs, SA-20130805-0",
        |rng| {
            let order = rng.order(9);
            rule(move |unit| easybox(unit, &order))
        },
    ),
    scheme(
        "belkin-tables",
        "BA",
        "CVE-2012-4366: permuted MAC nibbles through a table",
        |rng| {
            // One published table is a permutation, the other says some symbols twice.
            let table = if rng.percent(50) {
                rng.reordered(HEX)
            } else {
                rng.text(HEX, 16)
            };
            let order = rng.order(8);
            rule(move |unit| {
                let mac = unit.mac_hex();
                through_table(tail(&mac, 8), &table, &order)
            })
        },
    ),
    scheme(
        "huawei-tables",
        "B",
        "Huawei HG5xx: a table for each MAC nibble, XORed",
        |rng| {
            let tables: Vec<[u8; 8]> = (0..12 * 16).map(|_| rng.bytes()).collect();
            rule(move |unit| {
                let mut sum = [0; 8];
                for (place, symbol) in unit.mac_hex().bytes().enumerate() {
                    let line = tables[place * 16 + usize::from(nibble(symbol))];
                    for (total, value) in sum.iter_mut().zip(line) {
                        *total ^= value;
                    }
                }
                sum.iter()
                    .map(|value| char::from(HEX.as_bytes()[usize::from(value & 15)]))
                    .collect()
            })
        },
    ),
    scheme("mac-xor-constant", "BA", GENERIC, |rng| {
        let mask = rng.word() & 0xFFFF_FFFF_FFFF;
        rule(move |unit| format!("{:012x}", unit.mac ^ mask))
    }),
    scheme(
        "affine-decimal",
        "BD",
        "a x serial + b, last ten digits",
        |rng| {
            let (a, b) = (rng.below(5_000_000_000) * 2 + 1, rng.below(10_000_000_000));
            rule(move |unit| format!("{:010}", (unit.count * a + b) % 10_000_000_000))
        },
    ),
    scheme(
        "affine-power-of-2",
        "BD",
        "a x serial + b mod 2^60 in base 32",
        |rng| {
            let (a, b) = (u128::from(rng.word() | 1), u128::from(rng.word()));
            rule(move |unit| digits(u128::from(unit.count) * a + b, CROCKFORD, 12))
        },
    ),
    scheme(
        "affine-prime",
        "BD",
        "a x serial mod a prime, in capitals",
        |rng| {
            // The primes next below 26^8 and 10^11, and 2^37 - 25.
            let prime = rng.pick(&[208_827_064_559, 137_438_953_447, 99_999_999_977]);
            let (a, b) = (rng.below(prime), rng.below(prime));
            rule(move |unit| {
                let value = u128::from(unit.count) * u128::from(a) + u128::from(b);
                digits(value % u128::from(prime), CAPITALS, 8)
            })
        },
    ),
    scheme(
        "polynomial",
        "BD",
        "a square of the serial's number, last eight digits",
        |rng| {
            let (a, b, c) = (rng.below(9_999) + 1, rng.below(1 << 30), rng.below(1 << 30));
            rule(move |unit| {
                let n = u128::from(unit.count);
                digits(
                    u128::from(a) * n * n + u128::from(b) * n + u128::from(c),
                    DIGITS,
                    8,
                )
            })
        },
    ),
    scheme(
        "crc-of-mac",
        "BC",
        "a 32-bit CRC with a polynomial of its own",
        |rng| {
            let (polynomial, start) = (rng.word() as u32 | 1 << 31, rng.word() as u32);
            rule(move |unit| format!("{:08X}", crc32(&unit.mac_bytes(), polynomial, start, start)))
        },
    ),
    scheme(
        "register-of-serial",
        "BF",
        "a shift register stepped from the count",
        |rng| {
            let (taps, key) = (rng.word() as u32 | 1 << 31, rng.word() as u32);
            rule(move |unit| {
                let loaded = unit.count as u32 ^ key;
                let (mut state, mut text) = (loaded, String::new());
                for _ in 0..10 {
                    for _ in 0..11 {
                        state = galois(state, taps);
                    }
                    text.push(char::from(CROCKFORD.as_bytes()[(state & 31) as usize]));
                }
                text
            })
        },
    ),
    scheme(
        "gray-code",
        "BD",
        "Gray code of the count under a mask",
        |rng| {
            let mask = rng.word() & 0xFFFF_FFFF;
            rule(move |unit| format!("{:08X}", unit.count ^ unit.count >> 1 ^ mask))
        },
    ),
    scheme(
        "bits-permuted",
        "BA",
        "the MAC's bits through a permutation",
        |rng| {
            let order = rng.order(48);
            rule(move |unit| {
                let bit = |value, (to, from): (usize, &usize)| value | (unit.mac >> from & 1) << to;
                format!("{:012X}", order.iter().enumerate().fold(0, bit))
            })
        },
    ),
    scheme(
        "shift-cipher",
        "BA",
        "each symbol of the serial moved on by its own number",
        |rng| {
            let shifts: Vec<usize> = (0..10).map(|_| rng.index(36)).collect();
            rule(move |unit| {
                let serial = unit.serial_symbols().to_uppercase();
                let moved = |(symbol, shift): (u8, &usize)| {
                    let value = char::from(symbol).to_digit(36).unwrap_or(0) as usize;
                    char::from(BASE36.as_bytes()[(value + shift) % 36])
                };
                tail(&serial, 10).bytes().zip(&shifts).map(moved).collect()
            })
        },
    ),
    scheme(
        "digits-to-letters",
        "BA",
        "one substitution table for the serial's digits",
        |rng| {
            let table = rng.reordered(LETTERS);
            rule(move |unit| {
                let letter = |symbol| char::from(table.as_bytes()[usize::from(nibble(symbol))]);
                tail(&unit.serial_digits(), 10)
                    .bytes()
                    .map(letter)
                    .collect()
            })
        },
    ),
    scheme(
        "transposition",
        "BA",
        "the MAC's symbols in another order",
        |rng| {
            let order = rng.order(12);
            rule(move |unit| {
                let mac = unit.mac_hex();
                order
                    .iter()
                    .map(|&at| char::from(mac.as_bytes()[at]))
                    .collect()
            })
        },
    ),
    scheme(
        "interleaved",
        "BA",
        "serial digits and MAC nibbles by turns",
        |_| {
            rule(|unit| {
                let (serial, mac) = (unit.serial_digits(), unit.mac_hex());
                let pairs = tail(&serial, 6).chars().zip(tail(&mac, 6).chars());
                pairs.flat_map(|(digit, nibble)| [digit, nibble]).collect()
            })
        },
    ),
    scheme(
        "digit-sums",
        "B",
        "serial digits plus MAC nibbles, mod 10",
        |rng| {
            let key: Vec<u8> = (0..8).map(|_| rng.below(10) as u8).collect();
            rule(move |unit| {
                let (serial, mac) = (unit.serial_digits(), unit.mac_hex());
                let places = tail(&serial, 8)
                    .bytes()
                    .zip(tail(&mac, 8).bytes())
                    .zip(&key);
                let sum = |((a, b), key): ((u8, u8), &u8)| (nibble(a) + nibble(b) + key) % 10;
                places.map(|place| char::from(b'0' + sum(place))).collect()
            })
        },
    ),
    scheme(
        "dwr-116",
        "B",
        "D-Link DWR-116: OUI + NIC + constant, EAN digit",
        |rng| {
            let constant = 1_000_000_000 + rng.below(1_000_000_000);
            rule(move |unit| dwr(unit, constant))
        },
    ),
];

/// The nibbles in another order, each as the table has it.
fn through_table(nibbles: &str, table: &str, order: &[usize]) -> String {
    let value = |&at: &usize| usize::from(nibble(nibbles.as_bytes()[at]));
    order
        .iter()
        .map(|at| char::from(table.as_bytes()[value(at)]))
        .collect()
}

/// The published formula, without its last digit.
fn belkin(unit: &Unit) -> u64 {
    let (serial, mac) = (unit.serial_digits(), unit.mac_hex());
    let last = |text: &str, back: usize| u64::from(nibble(text.as_bytes()[text.len() - 1 - back]));
    let sn: [u64; 4] = std::array::from_fn(|back| last(&serial, back));
    let nic: [u64; 4] = std::array::from_fn(|back| last(&mac, back));
    let first = (sn[2] + sn[3] + nic[0] + nic[1]) % 16;
    let second = (sn[0] + sn[1] + nic[3] + nic[2]) % 16;
    let (t1, t2) = (first ^ sn[0], second ^ nic[1]);
    let places = [
        first ^ sn[1] ^ first ^ second,
        t1,
        nic[0] ^ sn[1] ^ t1,
        t2,
        second ^ nic[0] ^ t2,
        first ^ second,
    ];
    let pin = places.iter().fold(0, |pin, place| (pin + place) * 16);
    pin + (first ^ sn[2] ^ second ^ nic[2])
}

/// Nine nibbles; `order` stands for the vendor's own, which differs between models.
fn easybox(unit: &Unit, order: &[usize]) -> String {
    let mac: Vec<u8> = unit.mac_hex().bytes().map(nibble).collect();
    let serial: Vec<u8> = format!("{:05}", unit.mac & 0xFFFF)
        .bytes()
        .map(nibble)
        .collect();
    let first = (serial[1] + serial[2] + mac[10] + mac[11]) & 15;
    let second = (mac[8] + mac[9] + serial[3] + serial[4]) & 15;
    let nibbles = [
        first ^ serial[4],
        first ^ serial[3],
        first ^ serial[2],
        second ^ mac[9],
        second ^ mac[10],
        second ^ mac[11],
        mac[10] ^ serial[4],
        mac[11] ^ serial[3],
        first ^ second,
    ];
    let symbol = |&place: &usize| char::from(HEX.as_bytes()[usize::from(nibbles[place])]);
    order.iter().map(symbol).collect()
}

fn dwr(unit: &Unit, constant: u64) -> String {
    let bytes = unit.mac_bytes().map(u64::from);
    let half = |from: usize| {
        bytes[from..from + 3]
            .iter()
            .fold(0, |sum, byte| sum * 1_024 + byte)
    };
    let mut places: Vec<u64> = format!("{:010}", half(0) + half(3) + constant)
        .bytes()
        .map(|symbol| u64::from(nibble(symbol)))
        .collect();
    let sum: u64 = places.chunks(2).map(|pair| 3 * pair[0] + pair[1]).sum();
    places[1] = (places[1] + 10 - sum % 10) % 10;
    places.iter().map(u64::to_string).collect()
}

#[test]
fn formulas_are_the_published_ones() {
    let unit = super::super::units::Factory::new(super::Rng::new("vectors")).make();
    let easybox_unit = Unit {
        mac: 0x0012_3456_7890,
        ..unit.clone()
    };
    // Worked from the advisory: 0x7890 is 30864, so K1 = 0+8+9+0 = 1 and K2 = 7+8+6+4 = 9.
    let expected = "5" // K1 ^ 4
        .to_owned() + "7" + "9" // K1 ^ 6, K1 ^ 8
        + "1" + "0" + "9" // K2 ^ 8, K2 ^ 9, K2 ^ 0
        + "D" + "6" + "8"; // 9 ^ 4, 0 ^ 6, K1 ^ K2
    assert_eq!(
        easybox(&easybox_unit, &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        expected
    );
    // The order and the table of the first published key generator.
    let order = [5, 1, 2, 7, 4, 0, 6, 3];
    assert_eq!(
        through_table("52f686aa", "944626378ace9bdf", &order),
        "34fc86c3"
    );
    assert_eq!(dwr(&easybox_unit, 1_234_567_890).len(), 10);
    assert!(belkin(&unit) < 1 << 28);
}
