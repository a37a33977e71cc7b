//! Passwords as digits and as numbers.

use zeroize::Zeroizing;

use super::ground::{Ground, Window};
use super::readings::Reading;

/// Which end of a number is written first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Most,
    Least,
}

impl End {
    pub(super) const BOTH: [End; 2] = [End::Most, End::Least];
}

/// All passwords of a ground as digits in one reading.
pub(super) struct Digits {
    width: usize,
    pub(super) base: u64,
    digits: Zeroizing<Vec<u8>>,
}

impl Digits {
    pub(super) fn of(ground: &Ground, reading: &Reading) -> Digits {
        let mut digits = Zeroizing::new(Vec::with_capacity(ground.len() * ground.width));
        for row in 0..ground.len() {
            digits.extend(
                ground
                    .symbols(row)
                    .iter()
                    .map(|&symbol| reading.digit(symbol)),
            );
        }
        Digits {
            width: ground.width,
            base: u64::from(reading.base).max(2),
            digits,
        }
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.digits[row * self.width..][..self.width]
    }

    /// Digits whose number is under 2^63.
    pub(super) fn fitting(&self) -> usize {
        let fits = |&length: &u32| self.base.checked_pow(length).is_some_and(|m| m < 1 << 63);
        (1..=self.width as u32).take_while(fits).count()
    }

    /// How many numbers a window holds; its length is at most [`Digits::fitting`].
    pub(super) fn modulus(&self, window: Window) -> u64 {
        self.base.pow(window.length as u32)
    }

    pub(super) fn number(&self, row: usize, window: Window, end: End) -> u64 {
        let digits = &self.row(row)[window.first..][..window.length];
        let add = |value: u64, &digit: &u8| value * self.base + u64::from(digit);
        match end {
            End::Most => digits.iter().fold(0, add),
            End::Least => digits.iter().rfold(0, add),
        }
    }

    /// log10 of how many passwords there are.
    pub(super) fn width_log10(&self) -> f64 {
        (self.base as f64).log10() * self.width as f64
    }

    /// All symbols as one number; `None` when there are more than 2^76.
    pub(super) fn whole(&self, row: usize, end: End) -> Option<u128> {
        let bits = (self.base as f64).log2() * self.width as f64;
        (bits <= 76.0).then_some(())?;
        let add = |value: u128, &digit: &u8| value * u128::from(self.base) + u128::from(digit);
        Some(match end {
            End::Most => self.row(row).iter().fold(0, add),
            End::Least => self.row(row).iter().rfold(0, add),
        })
    }
}

/// The window of a length whose least symbol is at `least`, if there is one.
pub(super) fn above(least: usize, length: usize, end: End, width: usize) -> Option<Window> {
    let first = match end {
        End::Most => (least + 1).checked_sub(length)?,
        End::Least => least,
    };
    (first + length <= width).then_some(Window { first, length })
}

/// How evidence names a window.
pub(super) fn naming(window: Window, width: usize) -> String {
    let Window { first, length } = window;
    match length {
        _ if length == width => "the password".to_owned(),
        1 => format!("symbol {} of the {width} that vary", first + 1),
        _ => format!(
            "symbols {} to {} of the {width} that vary",
            first + 1,
            first + length
        ),
    }
}
