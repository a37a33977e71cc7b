//! A label as dots, for printers that know no ZPL text, for files and for people's screens.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};
use zeroize::Zeroizing;

use crate::layout::{Placed, What, layout};
use crate::{DrawError, Label, Template};

/// Heights at which the font has been drawn, in dots.
const HEIGHTS: [RasterHeight; 4] = [
    RasterHeight::Size16,
    RasterHeight::Size20,
    RasterHeight::Size24,
    RasterHeight::Size32,
];

/// Points a side at which each dot of a scaled glyph looks, and the mean ink that makes it dark.
const LOOKS: usize = 4;
const INK: u32 = 112;

/// Densest that is drawn, in dots a millimetre (600 dpi).
const DENSEST: u32 = 24;

/// A label as dots. Holds the password for whoever looks at it: wiped when dropped.
///
/// No `Debug` or `Clone`:
///
/// ```compile_fail
/// fn wants<T: std::fmt::Debug>() {}
/// wants::<label::Raster>();
/// ```
pub struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dots_per_mm: u32,
    /// A bit a dot, 1 is dark, first dot in the highest bit; rows begin on a byte.
    pub(crate) bits: Zeroizing<Vec<u8>>,
}

impl Label<'_> {
    /// The label as dots, `dots_per_mm` of them (1 to 24).
    ///
    /// Letters outside Latin-1 are drawn as a question mark: the font has no others. Text for
    /// people ends at the label's edge; a password or a code that does not fit is an error.
    ///
    /// # Errors
    /// Every variant of [`DrawError`].
    pub fn raster(&self, template: &Template, dots_per_mm: u32) -> Result<Raster, DrawError> {
        let dots_per_mm = dots_per_mm.clamp(1, DENSEST);
        let [width, height] = template
            .size()
            .map(|mm| (mm * dots_per_mm as f32).round() as u32);
        let mut raster = Raster {
            width,
            height,
            dots_per_mm,
            bits: Zeroizing::new(vec![0; width.div_ceil(8) as usize * height as usize]),
        };
        for placed in layout(self, template, dots_per_mm)? {
            raster.draw(&placed);
        }
        Ok(raster)
    }
}

impl Raster {
    /// Bytes of a row.
    pub(crate) fn stride(&self) -> usize {
        self.width.div_ceil(8) as usize
    }

    fn draw(&mut self, placed: &Placed) {
        let (x, y) = (placed.x, placed.y);
        match &placed.what {
            What::Text { height, text, .. } => self.text(x, y, *height, text),
            What::Code {
                module,
                row,
                modules,
                ..
            } => {
                for (column, line) in modules.dark() {
                    let (x, y) = (x + column as u32 * module, y + line as u32 * row);
                    for dot in 0..module * row {
                        self.ink(x + dot % module, y + dot / module);
                    }
                }
            }
        }
    }

    fn text(&mut self, x: u32, y: u32, height: u32, text: &[u8]) {
        let of = HEIGHTS.into_iter().find(|it| it.val() as u32 >= height);
        let of = of.unwrap_or(RasterHeight::Size32);
        // A little narrower than it was drawn, as the printers' own font is.
        let advance = (height / 2).max(1);
        let mut x = x;
        // What holds a secret is ASCII, so that nothing is copied of it.
        for letter in String::from_utf8_lossy(text).chars() {
            self.letter(letter, of, [x, y], [advance, height]);
            x += advance;
        }
    }

    fn letter(&mut self, letter: char, of: RasterHeight, at: [u32; 2], size: [u32; 2]) {
        let drawn = get_raster(letter, FontWeight::Bold, of);
        let Some(glyph) = drawn.or_else(|| get_raster('?', FontWeight::Bold, of)) else {
            return;
        };
        let (wide, high) = (size[0] as usize, size[1] as usize);
        for dot in 0..wide * high {
            let (column, line) = (dot % wide, dot / wide);
            let ink = |look: usize| {
                let (over, down) = (look % LOOKS, look / LOOKS);
                let x = (column * LOOKS + over) * glyph.width() / (wide * LOOKS);
                let y = (line * LOOKS + down) * glyph.height() / (high * LOOKS);
                u32::from(glyph.pixel(x, y).unwrap_or(0))
            };
            let inked: u32 = (0..LOOKS * LOOKS).map(ink).sum();
            if inked >= INK * (LOOKS * LOOKS) as u32 {
                self.ink(at[0] + column as u32, at[1] + line as u32);
            }
        }
    }

    fn ink(&mut self, x: u32, y: u32) {
        if x < self.width && y < self.height {
            let at = y as usize * self.stride() + x as usize / 8;
            self.bits[at] |= 0x80 >> (x % 8);
        }
    }
}
