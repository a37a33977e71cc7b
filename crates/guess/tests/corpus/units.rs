//! Factories, and the units they make one after the other: what a list says beside the password.

use super::draw::Rng;
use super::encode::{BASE36, CAPITALS, CROCKFORD, DIGITS, digits, grouped, hex, luhn, tail};

/// One unit as its label and its silicon know it.
#[derive(Clone)]
pub(crate) struct Unit {
    /// How many units were made before it.
    pub(crate) index: u64,
    /// The number that its serial counts.
    pub(crate) count: u64,
    pub(crate) serial: String,
    pub(crate) mac: u64,
    pub(crate) model: String,
    pub(crate) ssid: String,
    /// 96 bits as an STM32 has them: x and y on the wafer, the wafer, the lot in ASCII.
    pub(crate) uid: [u8; 12],
    /// Seconds since 1970, UTC.
    pub(crate) second: u64,
}

impl Unit {
    /// Twelve capitals without separators.
    pub(crate) fn mac_hex(&self) -> String {
        format!("{:012X}", self.mac)
    }

    pub(crate) fn mac_bytes(&self) -> [u8; 6] {
        let bytes = self.mac.to_be_bytes();
        std::array::from_fn(|at| bytes[at + 2])
    }

    /// The half that the maker numbers, 24 bits.
    pub(crate) fn nic(&self) -> u64 {
        self.mac & 0xFF_FFFF
    }

    /// The digits of its serial, at least ten: zeros in front.
    pub(crate) fn serial_digits(&self) -> String {
        let digits: String = self.serial.chars().filter(char::is_ascii_digit).collect();
        format!("{digits:0>10}")
    }

    /// Letters and digits of its serial, at least ten: zeros in front.
    pub(crate) fn serial_symbols(&self) -> String {
        let symbols: String = self
            .serial
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        format!("{symbols:0>10}")
    }

    /// Year, month and day.
    pub(crate) fn day(&self) -> (u64, u64, u64) {
        civil(self.second / 86_400)
    }

    /// Two digits of the year, and the week of it from 1.
    pub(crate) fn week(&self) -> (u64, u64) {
        let (year, _, _) = self.day();
        let days = self.second / 86_400;
        let first = (0..366)
            .find(|back| civil(days - back - 1).0 < year)
            .unwrap_or(0);
        (year % 100, first / 7 + 1)
    }

    /// `20251104`.
    pub(crate) fn ymd(&self) -> String {
        let (year, month, day) = self.day();
        format!("{year}{month:02}{day:02}")
    }
}

/// Year, month and day of a number of days since 1970 (H. Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// One line that makes units.
pub(crate) struct Factory {
    rng: Rng,
    style: u64,
    prefix: String,
    models: Vec<String>,
    brand: String,
    count: u64,
    /// Whether numbers are lost to scrap.
    gaps: bool,
    mac: u64,
    mac_step: u64,
    mac_style: u64,
    date_style: u64,
    ssid_style: u64,
    lot: [u8; 7],
    second: u64,
    takt: u64,
    index: u64,
}

impl Factory {
    pub(crate) fn new(mut rng: Rng) -> Factory {
        let models = (0..rng.within(1, 3))
            .map(|_| format!("{}-{}", rng.text(CAPITALS, 2), rng.within(10, 99) * 10))
            .collect();
        let width = rng.within(2, 3) as usize;
        Factory {
            style: rng.below(6),
            prefix: rng.text(CAPITALS, width),
            models,
            brand: rng
                .pick(&["NOVA", "Hearth", "LINEA", "Kestrel", "tern"])
                .to_owned(),
            count: rng.below(600_000),
            gaps: rng.percent(30),
            mac: rng.below(1 << 46) << 2 & 0xFCFF_FFFF_FFFF,
            mac_step: rng.pick(&[1, 1, 2, 4, 8]),
            mac_style: rng.below(4),
            date_style: rng.below(3),
            ssid_style: rng.below(3),
            lot: std::array::from_fn(|_| rng.pick(BASE36.as_bytes())),
            second: 1_735_700_000 + rng.below(600 * 86_400),
            takt: rng.within(15, 120),
            index: 0,
            rng,
        }
    }

    /// The next unit off the line.
    pub(crate) fn make(&mut self) -> Unit {
        let lost = if self.gaps && self.rng.percent(4) {
            self.rng.within(1, 3)
        } else {
            0
        };
        self.count += 1 + lost;
        self.mac = (self.mac + self.mac_step * (1 + lost)) & 0xFFFF_FFFF_FFFF;
        self.second += self.takt + self.rng.below(self.takt);
        self.index += 1;
        let at = self.index / 400 + self.lot.len() as u64;
        let (x, y) = ((self.index % 20) as u8, (self.index / 20 % 20) as u8);
        let mut uid = [x + 9, 0, y + 21, 0, (at % 25) as u8, 0, 0, 0, 0, 0, 0, 0];
        uid[5..].copy_from_slice(&self.lot);
        let model = self.models[self.rng.index(self.models.len())].clone();
        let mut unit = Unit {
            index: self.index - 1,
            count: self.count,
            serial: String::new(),
            mac: self.mac,
            ssid: String::new(),
            model,
            uid,
            second: self.second,
        };
        unit.serial = self.serial(&unit);
        unit.ssid = match self.ssid_style {
            0 => format!("{}-{}", self.brand, tail(&unit.mac_hex(), 6)),
            1 => format!("{}_{}", self.brand, tail(&unit.mac_hex(), 4)),
            _ => format!("{}{}", self.brand, tail(&unit.serial_digits(), 5)),
        };
        unit
    }

    fn serial(&self, unit: &Unit) -> String {
        let (prefix, count) = (&self.prefix, unit.count);
        let (year, week) = unit.week();
        match self.style {
            0 => format!("{prefix}{year:02}{week:02}{count:06}"),
            1 => format!("{}", 482_000_000_000 + count),
            2 => format!("{prefix}{count:08X}"),
            3 => format!("{prefix}-{}-{count:06}", unit.ymd()),
            4 => format!("SN{count:08}{}", luhn(&format!("{count:08}"))),
            _ => format!(
                "{prefix}{year:02}7Q{}",
                digits(u128::from(count), CROCKFORD, 6)
            ),
        }
    }

    /// How the list writes the address, the silicon's id and the day.
    pub(crate) fn written(&self, unit: &Unit) -> [String; 3] {
        let plain = unit.mac_hex();
        let mac = match self.mac_style {
            0 => grouped(&plain, 2, ':'),
            1 => grouped(&plain.to_lowercase(), 2, ':'),
            2 => grouped(&plain, 2, '-'),
            _ => plain,
        };
        let (year, month, day) = unit.day();
        let of_day = unit.second % 86_400;
        let date = match self.date_style {
            0 => format!("{year}-{month:02}-{day:02}"),
            1 => unit.ymd(),
            _ => format!(
                "{year}-{month:02}-{day:02} {:02}:{:02}:{:02}",
                of_day / 3_600,
                of_day / 60 % 60,
                of_day % 60
            ),
        };
        [mac, hex(&unit.uid), date]
    }
}

/// Units whose identifiers say nothing of their order: serials drawn, not counted.
pub(crate) fn scattered(rng: &mut Rng, unit: &mut Unit) {
    unit.serial = format!("{}{}", rng.text(CAPITALS, 2), rng.text(DIGITS, 9));
    unit.mac = unit.mac & 0xFFFF_FF00_0000 | rng.below(1 << 24);
}

#[test]
fn days_are_of_the_calendar() {
    assert_eq!(civil(0), (1970, 1, 1));
    assert_eq!(civil(19_782), (2024, 2, 29));
    assert_eq!(civil(20_454), (2026, 1, 1));
}
