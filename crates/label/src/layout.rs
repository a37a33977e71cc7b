//! From a template and a unit to what stands where, in dots of a printer.

use zeroize::Zeroizing;

use crate::codes::Modules;
use crate::template::{Item, LETTERS_LEAST, MatrixContent, QrContent, SQUARE_LEAST, Template};
use crate::{DrawError, Label};

/// Something with a place.
pub(crate) struct Placed {
    /// Upper left corner, in dots.
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) what: What,
}

/// Something to print, sizes in dots.
pub(crate) enum What {
    Text {
        height: u32,
        text: Zeroizing<Vec<u8>>,
        /// Whether it must be readable to its end.
        whole: bool,
    },
    Code {
        kind: Kind,
        /// Side of a square, or width of the narrowest bar.
        module: u32,
        /// Height of a row of squares or bars.
        row: u32,
        text: Zeroizing<Vec<u8>>,
        modules: Modules,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Code128,
    Qr,
    Gs1Matrix,
    Matrix,
}

impl Label<'_> {
    /// Whether the template holds this label whole, for whoever applies a template: with the longest
    /// serial and password of a product, every other unit's fits as well.
    ///
    /// Stricter than drawing: text that tells units apart may not be cut, and every letter must be in
    /// the font.
    ///
    /// # Errors
    /// Every variant of [`DrawError`].
    pub fn fits(&self, template: &Template) -> Result<(), DrawError> {
        for item in template.items() {
            if let Item::Text { value, .. } = item {
                let odd = self.fill(value).chars().find(|c| u32::from(*c) > LATIN_1);
                if let Some(letter) = odd {
                    return Err(DrawError::Letter(letter));
                }
            }
        }
        let placed = layout(self, template, template.dots_per_mm())?;
        let mut texts = placed.iter().filter_map(|it| match &it.what {
            What::Text { text, whole, .. } if !whole => Some(text),
            _ => None,
        });
        for item in template.items() {
            if let Item::Text { value, .. } = item {
                let shown = texts
                    .next()
                    .map_or(0, |text| String::from_utf8_lossy(text).chars().count());
                if shown < self.telling(value) {
                    return Err(DrawError::NoRoom(
                        "serial, number or network name in a text",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The last letter of the font.
const LATIN_1: u32 = 0xff;

/// Places everything. A password or a code that would leave the label, or meet another or the
/// light that a code needs around it, is refused: it reads nowhere. Other text ends before a code.
pub(crate) fn layout(
    label: &Label<'_>,
    template: &Template,
    dots_per_mm: u32,
) -> Result<Vec<Placed>, DrawError> {
    let dots = Dots(dots_per_mm as f32);
    let size = template.size().map(|mm| dots.of(mm));
    let mut placed = vec![];
    for item in template.items() {
        match item {
            Item::Text { at, height, value } => {
                let text = Zeroizing::new(label.fill(value).into_bytes());
                let [x, y] = dots.corner(*at);
                let height = dots.of(*height);
                let whole = false;
                let what = What::Text {
                    height,
                    text,
                    whole,
                };
                placed.push(Placed { x, y, what });
            }
            Item::Password { .. } => {
                let whole = template.joins_phones();
                placed.extend(password(label, item, whole, &dots, size[1]));
            }
            _ => placed.extend(code(label, item, &dots, size)?),
        }
    }
    let [width, height] = size;
    for (number, it) in placed.iter().enumerate().filter(|(_, it)| it.must_show()) {
        let [_, _, right, bottom] = it.covers();
        let mut others = placed
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let covered = others.any(|(_, other)| other.must_show() && it.meets(other));
        if right > width || bottom > height || covered {
            return Err(DrawError::NoRoom(it.name()));
        }
    }
    for number in 0..placed.len() {
        let end = placed[number].room(&placed, width)?;
        if let What::Text {
            height,
            text,
            whole: false,
        } = &mut placed[number].what
        {
            let fits = (end / (*height / 2).max(1)) as usize;
            let shown: String = String::from_utf8_lossy(text).chars().take(fits).collect();
            *text = Zeroizing::new(shown.into_bytes());
        }
    }
    Ok(placed)
}

/// Dots a millimetre.
struct Dots(f32);

impl Dots {
    fn of(&self, mm: f32) -> u32 {
        (mm * self.0).round() as u32
    }

    fn corner(&self, at: [f32; 2]) -> [u32; 2] {
        at.map(|mm| self.of(mm))
    }

    /// A bar or a square is at least a dot, whatever the printer.
    fn module(&self, mm: f32) -> u32 {
        self.of(mm).max(1)
    }
}

/// The lines of a password, one under the other; closer and smaller before they leave the label.
fn password(label: &Label<'_>, item: &Item, whole: bool, dots: &Dots, bottom: u32) -> Vec<Placed> {
    let Item::Password {
        at,
        height,
        step,
        small_height,
        small_step,
    } = item
    else {
        return vec![];
    };
    let (small, lines) = label.password_lines(whole);
    let (height, step) = match small {
        true => (dots.of(*small_height), dots.of(*small_step)),
        false => (dots.of(*height), dots.of(*step)),
    };
    let [x, y] = dots.corner(*at);
    let step = step.min(bottom.saturating_sub(y) / (lines.len() as u32).max(1));
    let height = height.min(step).max(dots.of(LETTERS_LEAST));
    let line = |(number, text)| Placed {
        x,
        y: y + number * step,
        what: What::Text {
            height,
            text,
            whole: true,
        },
    };
    (0..).zip(lines).map(line).collect()
}

/// A code of the unit; `None` for an item that is none. A long serial or password makes more
/// squares: they get smaller before they leave the label.
fn code(
    label: &Label<'_>,
    item: &Item,
    dots: &Dots,
    size: [u32; 2],
) -> Result<Option<Placed>, DrawError> {
    let serial = label.serial.as_str();
    let serial_text = || Zeroizing::new(serial.as_bytes().to_vec());
    let (at, module, row, kind, text, modules) = match item {
        Item::Code128 { at, module, height } => {
            let modules = Modules::code128(serial)?;
            let row = Some(dots.of(*height));
            (at, module, row, Kind::Code128, serial_text(), modules)
        }
        Item::Qr {
            at,
            module,
            content,
        } => {
            let text = match content {
                QrContent::Scan => label.scan(),
                QrContent::Wifi => label.wifi()?,
            };
            let modules = Modules::qr(&text)?;
            (at, module, None, Kind::Qr, text, modules)
        }
        Item::DataMatrix {
            at,
            module,
            content,
        } => {
            let (kind, text) = match content {
                MatrixContent::Gs1 => (Kind::Gs1Matrix, Zeroizing::new(label.gs1()?)),
                MatrixContent::Serial => (Kind::Matrix, serial_text()),
            };
            let modules = Modules::data_matrix(&text, kind == Kind::Gs1Matrix)?;
            (at, module, None, kind, text, modules)
        }
        Item::Text { .. } | Item::Password { .. } => return Ok(None),
    };
    let [x, y] = dots.corner(*at);
    let (least, wanted) = (dots.module(SQUARE_LEAST), dots.module(*module));
    let module = match row {
        Some(_) => wanted,
        None => {
            let room = (size[0].saturating_sub(x)).min(size[1].saturating_sub(y));
            wanted.min((room / modules.width() as u32).max(least))
        }
    };
    let what = What::Code {
        kind,
        module,
        row: row.unwrap_or(module),
        text,
        modules,
    };
    Ok(Some(Placed { x, y, what }))
}

impl Placed {
    /// Left, top, right and bottom; of a text about, since fonts differ.
    fn covers(&self) -> [u32; 4] {
        let (width, height) = match &self.what {
            What::Text { height, text, .. } => {
                let letters = String::from_utf8_lossy(text).chars().count() as u32;
                (letters * height / 2, *height)
            }
            What::Code {
                module,
                row,
                modules,
                ..
            } => (
                module * modules.width() as u32,
                row * modules.height() as u32,
            ),
        };
        [self.x, self.y, self.x + width, self.y + height]
    }

    /// The same with the light around it that a reader needs.
    fn with_quiet_zone(&self) -> [u32; 4] {
        let [left, top, right, bottom] = self.covers();
        let (beside, above) = match &self.what {
            What::Code { kind, module, .. } => {
                let [beside, above] = kind.quiet_zone();
                (beside * module, above * module)
            }
            What::Text { .. } => (0, 0),
        };
        [
            left.saturating_sub(beside),
            top.saturating_sub(above),
            right + beside,
            bottom + above,
        ]
    }

    fn meets(&self, other: &Placed) -> bool {
        overlap(self.with_quiet_zone(), other.covers())
            || overlap(self.covers(), other.with_quiet_zone())
    }

    /// How far a text may go to the right, in dots, before it meets what must show.
    fn room(&self, all: &[Placed], width: u32) -> Result<u32, DrawError> {
        let [left, top, _, bottom] = self.covers();
        let line = [left, top, width, bottom];
        let mut end = width;
        for other in all.iter().filter(|it| it.must_show() && !self.must_show()) {
            let zone = other.with_quiet_zone();
            if overlap(line, zone) {
                if zone[0] <= left {
                    return Err(DrawError::NoRoom("text"));
                }
                end = end.min(zone[0]);
            }
        }
        Ok(end.saturating_sub(left))
    }

    /// Whether it is no use when part of it is hidden.
    fn must_show(&self) -> bool {
        match self.what {
            What::Text { whole, .. } => whole,
            What::Code { .. } => true,
        }
    }

    fn name(&self) -> &'static str {
        match self.what {
            What::Text { .. } => "password",
            What::Code { kind, .. } => kind.name(),
        }
    }
}

fn overlap(a: [u32; 4], b: [u32; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

impl Kind {
    /// Light modules beside and above that a reader needs: ISO/IEC 18004 (QR, 4), 16022 (DataMatrix,
    /// 1) and 15417 (Code 128, 10 beside it).
    fn quiet_zone(self) -> [u32; 2] {
        match self {
            Kind::Code128 => [10, 0],
            Kind::Qr => [4, 4],
            Kind::Gs1Matrix | Kind::Matrix => [1, 1],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Code128 => "Code 128",
            Kind::Qr => "QR code",
            Kind::Gs1Matrix | Kind::Matrix => "DataMatrix",
        }
    }
}
