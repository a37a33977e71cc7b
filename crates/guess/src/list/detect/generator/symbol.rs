//! From a generator's values to symbols.

use super::source::{Form, Stream};

/// How values become the numbers of symbols in an alphabet of `k`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Map {
    /// `value % k`.
    Mod,
    /// `(value >> n) % k`.
    ShiftMod(u32),
    /// `value * k / range`, also what a float in [0, 1) times `k` gives.
    Scale,
    /// `value / (range / k)`, again when that is `k`, as C++'s distributions do.
    Divide,
    /// `value` under the next mask, again when it is `k` or more (NumPy, Lua).
    Masked,
    /// As many top bits as `k` has, again when they are `k` or more (Python's `choice`).
    Topped,
    /// Two values make a float of 53 bits, times `k` (Python's `choices`, NumPy).
    Float53,
    /// The same from Java's 26 and 27 bits.
    Double,
    /// The low 8 bits or all 32 of each value go into a row of bits, first bit first, and symbols
    /// are cut off it; `k` is a power of two.
    Low(u32),
    /// One value written as a number in base `k`, as many digits as there are symbols.
    Whole,
}

/// Values that a rejecting map may take for one symbol before it is given up.
const REJECTIONS: u32 = 64;

impl Map {
    /// As a report names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Map::Mod => "remainder",
            Map::ShiftMod(_) => "remainder of the high part",
            Map::Scale => "scaled",
            Map::Divide => "divided",
            Map::Masked => "masked",
            Map::Topped => "top bits",
            Map::Float53 | Map::Double => "scaled, two outputs a symbol",
            Map::Low(_) => "bytes, encoded",
            Map::Whole => "one output written out",
        }
    }

    /// Whether it makes passwords of `length` symbols out of `k` from values of this form.
    pub(super) fn fits(self, k: usize, length: usize, form: Form) -> bool {
        match self {
            Map::Low(8) => k.is_power_of_two() && k > 1 && k < 256,
            Map::Low(_) => k.is_power_of_two() && k > 1 && k < 256 && form.range() == 1 << 32,
            // With many more digits than bits most would be zeros.
            Map::Whole => {
                let bits = length as f64 * (k as f64).log2();
                length > 1
                    && bits <= 64.0
                    && bits <= (form.range().wrapping_sub(1) as f64).log2() + 4.0
            }
            Map::Divide => form.range() != 0,
            _ => true,
        }
    }

    /// Whether each symbol takes exactly one value, so that symbols can be skipped like values.
    pub(super) fn one_each(self) -> bool {
        matches!(self, Map::Mod | Map::ShiftMod(_) | Map::Scale | Map::Divide)
    }

    /// Fills `out` with symbols; `whole` is the length of the password, of which `out` may be the
    /// beginning. False when values were rejected too often.
    pub(super) fn fill(
        self,
        form: Form,
        k: usize,
        whole: usize,
        next: &mut impl FnMut() -> u64,
        out: &mut [u8],
    ) -> bool {
        let wide = k as u64;
        match self {
            Map::Low(bits) => pack(bits, k, &mut || form.of(next()), out),
            Map::Whole => {
                let mut value = form.of(next());
                for place in (0..whole).rev() {
                    if let Some(symbol) = out.get_mut(place) {
                        *symbol = (value % wide) as u8;
                    }
                    value /= wide;
                }
            }
            Map::Float53 => {
                for symbol in out {
                    let (a, b) = (form.of(next()) >> 5, form.of(next()) >> 6);
                    *symbol = scaled53((a << 26) | b, wide);
                }
            }
            Map::Double => {
                for symbol in out {
                    let (a, b) = (next() >> 22, next() >> 21);
                    *symbol = scaled53((a << 27) + b, wide);
                }
            }
            _ => {
                for symbol in out {
                    let mut tries = 0;
                    *symbol = loop {
                        if let Some(symbol) = self.one(form, wide, form.of(next())) {
                            break symbol;
                        }
                        tries += 1;
                        if tries == REJECTIONS {
                            return false;
                        }
                    };
                }
            }
        }
        true
    }

    /// The symbol of one value; `None` when the program would draw again.
    #[inline]
    pub(super) fn one(self, form: Form, k: u64, value: u64) -> Option<u8> {
        let range = form.range();
        let symbol = match self {
            Map::ShiftMod(shift) => remainder(value >> shift, k),
            Map::Scale if range == 0 => ((u128::from(value) * u128::from(k)) >> 64) as u64,
            Map::Scale if range.is_power_of_two() => {
                ((u128::from(value) * u128::from(k)) >> range.trailing_zeros()) as u64
            }
            Map::Scale => value * k / range,
            Map::Divide => value / ((range - 1) / k).max(1),
            Map::Masked => value & (k.next_power_of_two() - 1),
            Map::Topped => {
                let bits = 64 - k.leading_zeros();
                let all = if range == 0 { 64 } else { range.ilog2() };
                value >> all.saturating_sub(bits)
            }
            _ => remainder(value, k),
        };
        (symbol < k).then_some(symbol as u8)
    }

    /// The symbols that follow in a stream, as `fill` gives them.
    pub(super) fn draw(self, form: Form, k: usize, stream: &mut Stream, out: &mut [u8]) -> bool {
        let whole = out.len();
        self.fill(form, k, whole, &mut || stream.next(), out)
    }
}

#[inline]
fn remainder(value: u64, k: u64) -> u64 {
    // A division of 32 bits is several times faster than one of 64.
    match u32::try_from(value) {
        Ok(value) => u64::from(value % k as u32),
        Err(_) => value % k,
    }
}

/// A divisor whose remainders take two multiplications and no division (Lemire, Kaser and Kurz
/// 2019, "Faster remainder by direct computation"); exact for every value of 32 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor {
    k: u64,
    inverse: u64,
}

impl Divisor {
    /// `k` is 1 at least.
    pub(super) fn new(k: u32) -> Divisor {
        let k = u64::from(k.max(1));
        let inverse = (u64::MAX / k).wrapping_add(1);
        Divisor { k, inverse }
    }

    #[inline]
    pub(super) fn remainder(self, value: u32) -> u32 {
        let fraction = self.inverse.wrapping_mul(u64::from(value));
        ((u128::from(fraction) * u128::from(self.k)) >> 64) as u32
    }
}

fn scaled53(bits: u64, k: u64) -> u8 {
    (bits as f64 * (1.0 / (1u64 << 53) as f64) * k as f64) as u8
}

fn pack(bits: u32, k: usize, next: &mut impl FnMut() -> u64, out: &mut [u8]) {
    let each = k.ilog2();
    let (mut held, mut count) = (0u64, 0u32);
    for symbol in out {
        if count < each {
            held = held << bits | (next() & super::source::low(bits));
            count += bits;
        }
        count -= each;
        *symbol = (held >> count) as u8 & (k - 1) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::Divisor;

    #[test]
    fn remainders_need_no_division() {
        for k in 1..=256u32 {
            let divisor = Divisor::new(k);
            let quotients = [0, 1, 2, 1_000, u32::MAX / k / 2, u32::MAX / k];
            let near = quotients.map(|it| it * k);
            let values = near
                .iter()
                .flat_map(|&it| [it.wrapping_sub(1), it, it.saturating_add(1)]);
            for value in values {
                assert_eq!(divisor.remainder(value), value % k, "{value} % {k}");
            }
        }
    }
}
