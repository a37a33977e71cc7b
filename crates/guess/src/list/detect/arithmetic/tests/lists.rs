//! Test lists: schemes written from their descriptions, constants drawn from a seed.

use crate::list::{Column, List};

pub(super) const BASE32: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
pub(super) const BASE36: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
pub(super) const DIGITS: &[u8] = b"0123456789";
pub(super) const HEX: &[u8] = b"0123456789abcdef";

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    pub(super) fn text(&mut self, alphabet: &[u8], length: usize) -> Vec<u8> {
        let mut one = || alphabet[self.below(alphabet.len() as u64) as usize];
        (0..length).map(|_| one()).collect()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Most significant symbol first.
pub(super) fn written(mut value: u128, alphabet: &[u8], length: usize) -> Vec<u8> {
    let mut text = vec![0; length];
    for place in text.iter_mut().rev() {
        *place = alphabet[(value % alphabet.len() as u128) as usize];
        value /= alphabet.len() as u128;
    }
    text
}

/// One unit.
#[derive(Clone, Default)]
pub(super) struct Unit {
    pub(super) serial: u64,
    pub(super) mac: u64,
    pub(super) day: u64,
    pub(super) model: u64,
}

impl Unit {
    pub(super) fn serial_text(&self) -> Vec<u8> {
        format!("SN{:010}", self.serial).into_bytes()
    }

    pub(super) fn mac_text(&self) -> Vec<u8> {
        let bytes = self.mac.to_be_bytes();
        let parts: Vec<String> = bytes[2..]
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        parts.join(":").into_bytes()
    }

    pub(super) fn date_text(&self) -> Vec<u8> {
        let (month, day) = (1 + self.day / 28 % 12, 1 + self.day % 28);
        format!("2025-{month:02}-{day:02}").into_bytes()
    }
}

/// Units made one after the other; sparse ones are a sample of a larger lot.
pub(super) fn units(random: &mut Random, rows: usize, sparse: bool) -> Vec<Unit> {
    let (mut serial, mut mac) = (random.below(5_000_000_000), random.below(1 << 47) & !0xff);
    let each_day = 1 + rows as u64 / 20;
    let start = random.below(100);
    (0..rows as u64)
        .map(|n| {
            serial += if sparse { 1 + random.below(9) } else { 1 };
            mac += if sparse { 1 + random.below(40) } else { 1 };
            Unit {
                serial,
                mac,
                day: start + n / each_day,
                model: random.below(3),
            }
        })
        .collect()
}

pub(super) fn list(units: &[Unit], passwords: &[Vec<u8>], columns: &[Column]) -> List {
    let mut list = List::new(columns);
    for (unit, password) in units.iter().zip(passwords) {
        let all: [(Column, Vec<u8>); 5] = [
            (Column::Serial, unit.serial_text()),
            (Column::Mac, unit.mac_text()),
            (Column::Date, unit.date_text()),
            (
                Column::Model,
                format!("KX-{}", 100 + unit.model).into_bytes(),
            ),
            (Column::Password, password.clone()),
        ];
        let row: Vec<(Column, &[u8])> = all
            .iter()
            .filter(|(column, _)| *column == Column::Password || columns.contains(column))
            .map(|(column, text)| (*column, text.as_slice()))
            .collect();
        list.push(&row);
    }
    list
}
