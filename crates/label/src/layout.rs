//! From a template and a unit to what stands where, in dots of a printer.

use zeroize::Zeroizing;

use crate::codes::Modules;
use crate::template::{Item, MatrixContent, QrContent, Template};
use crate::{DrawError, Label};

/// The smallest square, in millimetres: two dots of a printer of 203 dpi. One dot alone is often
/// lost in thermal print.
const SQUARE_LEAST: f32 = 0.25;

/// The lowest letters of a password, in millimetres.
const TEXT_LEAST: f32 = 1.5;

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

/// Places everything. Codes that would leave the label, or stand over one another or over the
/// password, are refused: they scan nowhere.
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
            Item::Password { .. } => placed.extend(password(label, item, &dots, size[1])),
            _ => placed.extend(code(label, item, &dots, size)?),
        }
    }
    let [width, height] = size;
    for (number, it) in placed.iter().enumerate() {
        let What::Code { kind, .. } = it.what else {
            continue;
        };
        let [_, _, right, bottom] = it.covers();
        let mut others = placed
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let covered = others.any(|(_, other)| other.must_show() && it.meets(other));
        if right > width || bottom > height || covered {
            return Err(DrawError::NoRoom(kind.name()));
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
fn password(label: &Label<'_>, item: &Item, dots: &Dots, bottom: u32) -> Vec<Placed> {
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
    let (small, lines) = label.password_lines();
    let (height, step) = match small {
        true => (dots.of(*small_height), dots.of(*small_step)),
        false => (dots.of(*height), dots.of(*step)),
    };
    let [x, y] = dots.corner(*at);
    let step = step.min(bottom.saturating_sub(y) / (lines.len() as u32).max(1));
    let height = height.min(step).max(dots.of(TEXT_LEAST));
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
            What::Text { height, text, .. } => (text.len() as u32 * height / 2, *height),
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

    fn meets(&self, other: &Placed) -> bool {
        let ([left, top, right, bottom], it) = (self.covers(), other.covers());
        left < it[2] && it[0] < right && top < it[3] && it[1] < bottom
    }

    /// Whether it is no use when part of it is hidden.
    fn must_show(&self) -> bool {
        match self.what {
            What::Text { whole, .. } => whole,
            What::Code { .. } => true,
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Code128 => "Code 128",
            Kind::Qr => "QR code",
            Kind::Gs1Matrix | Kind::Matrix => "DataMatrix",
        }
    }
}
