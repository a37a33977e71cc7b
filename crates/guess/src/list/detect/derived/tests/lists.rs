//! Units of an order, and lists of them with passwords by a scheme.

use super::super::super::super::{Column, List};

/// SplitMix64 (Steele, Lea, Flood 2014): a seed replays a list.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn text(&mut self, symbols: &[u8], length: usize) -> String {
        let drawn = (0..length).map(|_| symbols[self.below(symbols.len() as u64) as usize]);
        String::from_utf8(drawn.collect()).unwrap()
    }
}

/// A unit as a row of a list names it.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) serial: String,
    pub(super) number: u64,
    pub(super) mac: u64,
    pub(super) uid: String,
    pub(super) ssid: String,
    pub(super) model: &'static str,
    pub(super) date: String,
}

impl Row {
    pub(super) fn mac(&self) -> String {
        format!("{:012X}", self.mac)
    }

    pub(super) fn colons(&self) -> String {
        let mac = self.mac();
        let pairs: Vec<&str> = (0..6).map(|n| &mac[2 * n..2 * n + 2]).collect();
        pairs.join(":")
    }
}

/// Units of one order: serials count, addresses count or jump.
pub(super) fn rows(count: usize, random: &mut SplitMix) -> Vec<Row> {
    let first = 20_000_000 + random.below(50_000_000);
    let base = random.below(1 << 46) << 2 & !0xff_ffff;
    let low = random.below(1 << 23);
    let jumps = random.below(2) == 1;
    let step = 1 + random.below(4);
    let sorted = random.below(2) == 1;
    let mut rows: Vec<Row> = (0..count as u64)
        .map(|n| {
            let low = if jumps {
                random.below(1 << 24)
            } else {
                low + n * step
            };
            let mac = base | low & 0xff_ffff;
            Row {
                serial: format!("BM{}", first + n),
                number: first + n,
                mac,
                uid: format!("{:016x}{:08x}", random.next(), random.next() as u32),
                ssid: format!("Home-{:04X}", mac & 0xffff),
                model: ["KETTLE-9000", "TOAST-12"][(n % 2) as usize],
                date: format!("2025-06-{:02}", 1 + n * 28 / count as u64),
            }
        })
        .collect();
    if !sorted {
        for last in (1..rows.len()).rev() {
            rows.swap(last, random.below(last as u64 + 1) as usize);
        }
    }
    rows
}

pub(super) type Scheme = fn(&Row, &mut SplitMix) -> String;

/// A list of `count` units with passwords by a scheme, in `share` of 100 rows; in the others the
/// password is another unit's, which nobody has.
pub(super) fn list(
    seed: u64,
    count: usize,
    share: u64,
    scheme: impl Fn(&Row, &mut SplitMix) -> String,
) -> List {
    let mut random = SplitMix(seed);
    let rows = rows(count, &mut random);
    let passwords: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let weak = scheme(row, &mut random);
            match (n as u64 * 37 + 5) % 100 < share {
                true => weak,
                false => scheme(&other(row, &mut random), &mut random),
            }
        })
        .collect();
    filled(&rows, passwords.iter().map(String::as_str), &Column::ALL)
}

/// A unit that nobody has: its password looks like the others and is random.
fn other(row: &Row, random: &mut SplitMix) -> Row {
    let number = random.below(1 << 40);
    Row {
        serial: format!("ZQ{number}"),
        number,
        mac: random.below(1 << 48),
        uid: format!("{:016x}{:08x}", random.next(), random.next() as u32),
        ssid: format!("Home-{:04X}", random.below(1 << 16)),
        ..row.clone()
    }
}

pub(super) fn filled<'p>(
    rows: &[Row],
    passwords: impl Iterator<Item = &'p str>,
    has: &[Column],
) -> List {
    let mut list = List::new(has);
    for (row, password) in rows.iter().zip(passwords) {
        let mac = row.colons();
        let cells = [
            (Column::Serial, row.serial.as_bytes()),
            (Column::Mac, mac.as_bytes()),
            (Column::Model, row.model.as_bytes()),
            (Column::Ssid, row.ssid.as_bytes()),
            (Column::Uid, row.uid.as_bytes()),
            (Column::Date, row.date.as_bytes()),
            (Column::Password, password.as_bytes()),
        ];
        let given: Vec<(Column, &[u8])> = cells
            .into_iter()
            .filter(|(column, _)| has.contains(column))
            .collect();
        list.push(&given);
    }
    list
}
